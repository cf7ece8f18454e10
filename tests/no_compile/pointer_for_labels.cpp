// A pointer, which knows no size.
// first error: VectorView{p, size}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

void call(MatrixView<float> cosines, std::vector<int> const& labels);
void call(MatrixView<float> cosines, std::vector<int> const& labels) {
  Batch batch{cosines, labels};
#ifdef MISTAKE
  batch = Batch{cosines, labels.data()};
#else
  batch = Batch{cosines, VectorView{labels.data(), cosines.rows}};
#endif
}
