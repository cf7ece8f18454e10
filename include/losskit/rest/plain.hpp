// PlainRest: the other classes keep their cosine, r(c) = c, slope 1.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

struct PlainRest {
  static constexpr char const* name = "PlainRest";
  static constexpr bool unit_slope = true;
  LOSSKIT_HD double bound() const { return 1; }

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X c, X) const {
    return {c, X(1)};
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
