// A loss over logits, asked for logits.
// first error: a SoftmaxLoss is given logits
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::logits(losskit::on::serial{}, losskit::SoftmaxLoss{}, batch, gradient, workspace);
#else
  losskit::logits(losskit::on::serial{}, loss, batch, gradient, workspace);
#endif
  (void)loss;
}
