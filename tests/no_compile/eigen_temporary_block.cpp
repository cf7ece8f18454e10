// A gradient that is made in the call.
// first error: give the object a name first
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void call(losskit::Batch<float, int> const& batch, Matrix& wide, losskit::Workspace workspace);
void call(losskit::Batch<float, int> const& batch, Matrix& wide, losskit::Workspace workspace) {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, wide.leftCols(5), workspace);
#else
  auto gradient = wide.leftCols(5);
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, workspace);
#endif
}
