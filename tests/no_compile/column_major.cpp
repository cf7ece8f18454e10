// Eigen's default order is column-major; losskit's matrices are row-major.
// first error: column-major
#include <Eigen/Core>
#include <vector>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

#ifdef MISTAKE
using Matrix = Eigen::MatrixXf;
#else
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#endif

void call(Matrix& cosines, std::vector<int> const& labels);
void call(Matrix& cosines, std::vector<int> const& labels) {
  losskit::Batch batch{cosines, labels};
  (void)batch;
}
