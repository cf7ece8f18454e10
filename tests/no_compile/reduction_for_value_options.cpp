// A reduction in the place of the options, of the loss alone.
// first error: do not fit.*workspace, {\.reduction = Reduction::mean}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  loss_value(on::serial{}, loss, batch, workspace, Reduction::sum);
#else
  loss_value(on::serial{}, loss, batch, workspace, {.reduction = Reduction::sum});
#endif
}
