// Cosines in float, their gradient in double.
// first error: the same type
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

#ifdef MISTAKE
using Gradient = double;
#else
using Gradient = float;
#endif

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<Gradient> gradient,
          std::vector<std::byte>& workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<Gradient> gradient,
          std::vector<std::byte>& workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, losskit::view(workspace));
}
