// The transpose of a row-major matrix is column-major.
// first error: column-major
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void call(Matrix& x, Eigen::VectorXf& norms);
void call(Matrix& x, Eigen::VectorXf& norms) {
#ifdef MISTAKE
  auto rows = x.transpose();
#else
  Matrix rows = x.transpose();
#endif
  losskit::normalize_rows(losskit::on::serial{}, rows, rows, norms);
}
