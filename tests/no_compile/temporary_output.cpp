// Losses written into a vector that is gone after the call.
// first error: a view of a temporary would dangle
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  std::vector<float> losses(labels.size());
#ifdef MISTAKE
  loss_value(on::serial{}, loss, batch, workspace, {}, {.row_losses = std::vector<float>(3)});
#else
  loss_value(on::serial{}, loss, batch, workspace, {}, {.row_losses = losses});
#endif
}
