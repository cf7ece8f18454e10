// A policy without a state, asked for its next.
// first error: not Stateful, such as AdaCosScale
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace) {
  losskit::AdaCosScale const scale{1000};
  losskit::Batch batch{cosines, labels};
#ifdef MISTAKE
  losskit::AdaCosState const next = losskit::advance(losskit::on::serial{}, losskit::FixedScale{64}, scale.start(), batch, workspace);
#else
  losskit::AdaCosState const next = losskit::advance(losskit::on::serial{}, scale, scale.start(), batch, workspace);
#endif
  (void)next;
}
