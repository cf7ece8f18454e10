// Cosines and labels, not made into a batch.
// first error: this loss takes a Batch.*Batch{cosines, labels}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace) {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, loss, cosines, labels, gradient, workspace);
#else
  losskit::loss_and_gradient(losskit::on::serial{}, loss, losskit::Batch{cosines, labels}, gradient, workspace);
#endif
}
