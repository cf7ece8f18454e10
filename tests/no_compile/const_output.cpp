// Losses written into what is const.
// first error: this is const, and would be written
#include <cstddef>
#include <utility>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  std::vector<float> losses(labels.size());
#ifdef MISTAKE
  loss_value(on::serial{}, loss, batch, workspace, {}, {.row_losses = std::as_const(losses)});
#else
  loss_value(on::serial{}, loss, batch, workspace, {}, {.row_losses = losses});
#endif
}
