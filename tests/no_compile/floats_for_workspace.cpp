// A workspace that holds no bytes.
// first error: a workspace holds bytes: std::vector<std::byte>
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  std::vector<float> floats(1024);
#ifdef MISTAKE
  loss_and_gradient(on::serial{}, loss, batch, gradient, floats);
  (void)workspace;
#else
  loss_and_gradient(on::serial{}, loss, batch, gradient, workspace);
#endif
}
