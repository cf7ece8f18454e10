// A reduction in the place of the options of a point loss.
// first error: do not fit.*prediction, truth, workspace, {\.reduction = Reduction::mean}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, std::vector<std::byte>& workspace) {
#ifdef MISTAKE
  loss_value(on::serial{}, WingLoss{}, cosines, cosines, workspace, Reduction::sum);
#else
  loss_value(on::serial{}, WingLoss{}, cosines, cosines, workspace, {.reduction = Reduction::sum});
#endif
}
