// matrix() gives a vector the shape of a matrix; a matrix has its own.
// first error: this is a matrix already
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void call(Matrix const& cosines, Eigen::VectorXi const& labels);
void call(Matrix const& cosines, Eigen::VectorXi const& labels) {
#ifdef MISTAKE
  losskit::Batch batch{losskit::matrix(cosines, 3, 5), labels};
#else
  losskit::Batch batch{cosines, labels};
#endif
  (void)batch;
}
