// A margin of one's own that returns the value and forgets its slope.
// first error: Margin
#include "losskit/losskit.hpp"

struct MyMargin {
  static constexpr char const* name = "MyMargin";
#ifdef MISTAKE
  template <losskit::Number X>
  X target(X c) const { return c - 0.1; }
#else
  template <losskit::Number X>
  losskit::Jet<X> target(X c) const { return {c - 0.1, X(1)}; }
#endif
};

void call();
void call() {
  losskit::MarginSoftmax const loss{MyMargin{}, 64.0};
  (void)loss;
}
