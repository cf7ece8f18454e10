// Labels in a matrix of one column, where a vector is needed.
// first error: labels must be a vector
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#ifdef MISTAKE
using Labels = Eigen::Matrix<int, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#else
using Labels = Eigen::VectorXi;
#endif

void call(Matrix const& cosines, Labels const& labels);
void call(Matrix const& cosines, Labels const& labels) {
  losskit::Batch batch{cosines, labels};
  (void)batch;
}
