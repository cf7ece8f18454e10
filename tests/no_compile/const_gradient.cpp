// A gradient that cannot be written to.
// first error: the gradient must not be const
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, losskit::MatrixView<float const>(gradient), workspace);
#else
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, workspace);
#endif
}
