// A rest rule in the objective's place.
// first error: it comes last: MarginSoftmax{margin, scale, CrossEntropy{}, rest}
#include "losskit/losskit.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::HardNegatives{}};
#else
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::CrossEntropy{}, losskit::HardNegatives{}};
#endif
  (void)loss;
}
