// A matrix for one weight a row.
// first error: a matrix where a vector is needed
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels);
void call(MatrixView<float> cosines, std::vector<int> const& labels) {
  Batch batch{cosines, labels};
  std::vector<float> weights(labels.size());
#ifdef MISTAKE
  batch.weights = cosines;
#else
  batch.weights = weights;
#endif
}
