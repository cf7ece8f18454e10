// A reduction in the place of the options, of a saved pass.
// first error: do not fit.*gradient, {\.reduction = Reduction::mean}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels);
void call(MatrixView<float> cosines, MatrixView<float> gradient, std::vector<int> const& labels) {
  Batch batch{cosines, labels};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  std::vector<SavedRow> saved(labels.size());
#ifdef MISTAKE
  loss_gradient(on::serial{}, loss, batch, saved, gradient, Reduction::sum);
#else
  loss_gradient(on::serial{}, loss, batch, saved, gradient, {.reduction = Reduction::sum});
#endif
}
