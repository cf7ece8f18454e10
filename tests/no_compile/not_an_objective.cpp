// A margin where the objective belongs.
// first error: Objective
#include "losskit/losskit.hpp"

#ifdef MISTAKE
using Last = losskit::CosMargin<>;
#else
using Last = losskit::FocalLoss;
#endif

void call();
void call() {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, Last{}};
  (void)loss;
}
