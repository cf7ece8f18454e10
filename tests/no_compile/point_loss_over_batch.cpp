// A point loss, given a batch.
// first error: a point loss takes predictions and truths
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, losskit::MatrixView<float> truth, std::vector<int> const& labels,
          losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, losskit::MatrixView<float> truth, std::vector<int> const& labels,
          losskit::Workspace workspace) {
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, losskit::WingLoss{}, losskit::Batch{cosines, labels}, cosines, workspace);
#else
  losskit::loss_and_gradient(losskit::on::serial{}, losskit::WingLoss{}, cosines, truth, cosines, workspace);
#endif
  (void)labels, (void)truth;
}
