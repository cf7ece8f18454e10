// A point loss over predictions in Eigen's default order.
// first error: column-major; declare it Eigen::RowMajor, one sample a row
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#ifdef MISTAKE
using Prediction = Eigen::MatrixXf;
#else
using Prediction = Matrix;
#endif

void call(Prediction const& prediction, Matrix const& truth, Matrix& gradient, losskit::Workspace workspace);
void call(Prediction const& prediction, Matrix const& truth, Matrix& gradient, losskit::Workspace workspace) {
  losskit::loss_and_gradient(losskit::on::serial{}, losskit::WingLoss{}, prediction, truth, gradient, workspace);
}
