// An objective where the margin belongs.
// first error: Margin
#include "losskit/losskit.hpp"

#ifdef MISTAKE
using First = losskit::FocalLoss;
#else
using First = losskit::ArcMargin<>;
#endif

void call();
void call() {
  losskit::MarginSoftmax const loss{First{}, 64.0};
  (void)loss;
}
