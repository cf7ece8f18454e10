// A call without a workspace.
// first error: do not fit.*Batch{cosines, labels}, gradient, workspace
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  loss_and_gradient(on::serial{}, loss, batch, gradient);
#else
  loss_and_gradient(on::serial{}, loss, batch, gradient, workspace);
#endif
}
