// An objective in the rest rule's place.
// first error: fourth of MarginSoftmax{margin, scale, objective, rest} is not a RestRule
#include "losskit/losskit.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::CrossEntropy{}, losskit::FocalLoss{2}};
#else
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::FocalLoss{2}, losskit::CurricularRest{}};
#endif
  (void)loss;
}
