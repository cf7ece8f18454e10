// Jet: a value and its derivative, the one thing that every formula returns.
#pragma once
#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class X>
struct Jet {
  X value;
  X slope;
};
template <class X>
Jet(X, X) -> Jet<X>;
template <class X>
Jet(X, int) -> Jet<X>;

// The choice between two branches of a formula, lane by lane where X is a packet.
template <class Mask, class X>
LOSSKIT_HD LOSSKIT_INLINE Jet<X> select(Mask const& chosen, Jet<X> const& a, Jet<X> const& b) {
  return {select(chosen, a.value, b.value), select(chosen, a.slope, b.slope)};
}

}  // namespace losskit::inline LOSSKIT_ISA
