// A vector of cosines in a batch: it has no rows.
// first error: cosines must be a matrix.*matrix\(cosines, rows, cols\)
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(std::vector<float> const& cosines, std::vector<int> const& labels);
void call(std::vector<float> const& cosines, std::vector<int> const& labels) {
#ifdef MISTAKE
  losskit::Batch batch{cosines, labels};
#else
  losskit::Batch batch{losskit::matrix(cosines, 3, 5), labels};
#endif
  (void)batch;
}
