// A view into an Eigen temporary would outlive it.
// first error: temporary
#include <Eigen/Core>
#include <vector>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
Matrix cosines_of(int batch);

void call(std::vector<int> const& labels);
void call(std::vector<int> const& labels) {
#ifdef MISTAKE
  losskit::Batch batch{cosines_of(3), labels};
#else
  Matrix cosines = cosines_of(3);
  losskit::Batch batch{cosines, labels};
#endif
  (void)batch;
}
