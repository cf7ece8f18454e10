// Rest rule and objective in the wrong order.
// first error: it comes last: MarginSoftmax{margin, scale, CrossEntropy{}, rest}
#include "losskit/losskit.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::CurricularRest{}, losskit::FocalLoss{2}};
#else
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::FocalLoss{2}, losskit::CurricularRest{}};
#endif
  (void)loss;
}
