// Scale and margin in the wrong order.
// first error: first of MarginSoftmax{margin, scale, objective, rest} is not a Margin
#include "losskit/losskit.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{64.0, losskit::ArcMargin{0.5}};
#else
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#endif
  (void)loss;
}
