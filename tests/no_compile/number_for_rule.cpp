// A scale in the place of the rule past pi.
// first error: after its numbers a margin takes a rule.*the scale stands in MarginSoftmax{margin, scale}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace);
void call(MatrixView<float> cosines, std::vector<int> const& labels, std::vector<std::byte>& workspace) {
  Batch batch{cosines, labels};
#ifdef MISTAKE
  loss_value(on::serial{}, MarginSoftmax{ArcMargin{0.5, 64.0}, 64.0}, batch, workspace);
#else
  loss_value(on::serial{}, MarginSoftmax{ArcMargin{0.5, Easy{0.2}}, 64.0}, batch, workspace);
#endif
}
