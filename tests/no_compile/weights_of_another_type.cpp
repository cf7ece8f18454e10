// Weights in double beside cosines in float.
// first error: elements are of another type
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels);
void call(MatrixView<float> cosines, std::vector<int> const& labels) {
  Batch batch{cosines, labels};
  std::vector<float> weights(labels.size());
  std::vector<double> doubles(labels.size());
#ifdef MISTAKE
  batch.weights = doubles;
#else
  batch.weights = weights;
#endif
}
