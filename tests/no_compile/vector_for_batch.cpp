// A vector of cosines, given for a batch.
// first error: do not fit.*Batch{cosines, labels}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(std::vector<float> const& cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace);
void call(std::vector<float> const& cosines, std::vector<int> const& labels, losskit::MatrixView<float> gradient,
          losskit::Workspace workspace) {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, loss, cosines, gradient, workspace);
#else
  losskit::loss_and_gradient(losskit::on::serial{}, loss, losskit::Batch{losskit::matrix(cosines, 3, 5), labels}, gradient, workspace);
#endif
  (void)labels;
}
