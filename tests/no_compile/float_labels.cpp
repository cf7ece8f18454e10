// Labels of float.
// first error: labels must be int32 or int64
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, std::vector<float> const& wrong);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, std::vector<float> const& wrong) {
#ifdef MISTAKE
  losskit::Batch batch{cosines, wrong};
#else
  losskit::Batch batch{cosines, labels};
#endif
  (void)labels, (void)wrong, (void)batch;
}
