// Embeddings without a shape in the cosine layer.
// first error: a vector where a matrix is needed.*matrix\(x, rows, cols\)
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, MatrixView<float> gradient);
void call(MatrixView<float> cosines, MatrixView<float> gradient) {
  std::vector<float> x(6), norms(3);
  CosineLayer<float> const layer{cosines, gradient, norms, norms};
#ifdef MISTAKE
  cosine_layer(on::serial{}, x, cosines, layer, gradient);
#else
  cosine_layer(on::serial{}, matrix(x, 2, 3), cosines, layer, gradient);
#endif
}
