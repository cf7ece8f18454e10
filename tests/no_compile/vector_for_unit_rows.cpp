// Rows without a shape: where they go, and where they come from.
// first error: a vector where a matrix is needed.*matrix\(x, rows, cols\)
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines);
void call(MatrixView<float> cosines) {
  std::vector<float> x(6), norms(3);
#ifdef MISTAKE
  normalize_rows(on::serial{}, x, cosines, norms);
#else
  normalize_rows(on::serial{}, matrix(x, 2, 3), cosines, norms);
#endif
}
