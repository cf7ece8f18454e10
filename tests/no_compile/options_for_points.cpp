// Options of a batch for a point loss.
// first error: do not fit.*prediction, truth, gradient, workspace, {\.reduction = Reduction::mean}, {\.element_losses
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<std::byte>& workspace) {
#ifdef MISTAKE
  loss_and_gradient(on::serial{}, WingLoss{}, cosines, cosines, gradient, workspace, Options{});
#else
  loss_and_gradient(on::serial{}, WingLoss{}, cosines, cosines, gradient, workspace, PointOptions{});
#endif
}
