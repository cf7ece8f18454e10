// A gradient in Eigen's default order, of each call over a batch.
// first error: column-major; declare it Eigen::RowMajor, one sample a row
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#ifdef MISTAKE
using Gradient = Eigen::MatrixXf;
#else
using Gradient = Matrix;
#endif

void call(Matrix const& cosines, Eigen::VectorXi const& labels, Gradient& gradient, losskit::Workspace workspace);
void call(Matrix const& cosines, Eigen::VectorXi const& labels, Gradient& gradient, losskit::Workspace workspace) {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
  losskit::loss_and_gradient(losskit::on::serial{}, loss, losskit::Batch{cosines, labels}, gradient, workspace);
}
