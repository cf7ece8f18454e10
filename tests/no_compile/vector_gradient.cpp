// A vector for the gradient of a matrix.
// first error: gradient must be a matrix.*matrix\(gradient, rows, cols\)
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, std::vector<float>& gradient,
          losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, std::vector<float>& gradient,
          losskit::Workspace workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, workspace);
#else
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, losskit::matrix(gradient, 3, 5), workspace);
#endif
}
