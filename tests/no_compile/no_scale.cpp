// The scale left out.
// first error: second of MarginSoftmax{margin, scale, objective, rest} is no scale
#include "losskit/losskit.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, losskit::FocalLoss{2}};
#else
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::FocalLoss{2}};
#endif
  (void)loss;
}
