// A workspace without a name: a device would still use it after the call.
// first error: a view of a temporary would dangle
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  loss_and_gradient(on::serial{}, loss, batch, gradient, std::vector<std::byte>(workspace.size()));
#else
  loss_and_gradient(on::serial{}, loss, batch, gradient, workspace);
#endif
}
