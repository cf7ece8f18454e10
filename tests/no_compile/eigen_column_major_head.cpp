// Embeddings in Eigen's default order, where the cosine layer takes them.
// first error: column-major; declare it Eigen::RowMajor, one sample a row
#include <Eigen/Core>

#include "losskit/adapt/eigen.hpp"
#include "losskit/losskit.hpp"

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
#ifdef MISTAKE
using Embeddings = Eigen::MatrixXf;
#else
using Embeddings = Matrix;
#endif

void call(Embeddings const& x, Matrix const& w, losskit::CosineLayer<float> const& layer, Matrix& cosines);
void call(Embeddings const& x, Matrix const& w, losskit::CosineLayer<float> const& layer, Matrix& cosines) {
  losskit::cosine_layer(losskit::on::serial{}, x, w, layer, cosines);
}
