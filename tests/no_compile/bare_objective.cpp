// An objective alone, given for a loss.
// first error: wrap it: .*SoftmaxLoss{objective} over logits
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> logits, std::vector<int> const& labels, losskit::Workspace workspace);
void call(losskit::MatrixView<float> logits, std::vector<int> const& labels, losskit::Workspace workspace) {
  losskit::Batch batch{logits, labels};
#ifdef MISTAKE
  losskit::loss_value(losskit::on::serial{}, losskit::FocalLoss{2}, batch, workspace);
#else
  losskit::loss_value(losskit::on::serial{}, losskit::SoftmaxLoss{losskit::FocalLoss{2}}, batch, workspace);
#endif
}
