// An expression that Eigen has not computed yet.
// first error: assign it to a matrix first
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void call(Matrix const& cosines, Eigen::VectorXi const& labels);
void call(Matrix const& cosines, Eigen::VectorXi const& labels) {
#ifdef MISTAKE
  auto const halves = 0.5f * cosines;
#else
  Matrix const halves = 0.5f * cosines;
#endif
  losskit::Batch batch{halves, labels};
  (void)batch;
}
