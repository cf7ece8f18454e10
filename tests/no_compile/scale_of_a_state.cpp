// A scale that follows the batch, given for the number that its state holds.
// first error: scale\.scale\(state\)
#include "losskit/losskit.hpp"

void call();
void call() {
  losskit::AdaCosScale const scale{1000};
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{losskit::NoMargin{}, scale};
#else
  losskit::MarginSoftmax const loss{losskit::NoMargin{}, scale.scale(scale.start())};
#endif
  (void)loss;
}
