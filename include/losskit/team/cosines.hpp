// What every team agrees on: cosines that are not inside [-1, 1], and how a row ends.
#pragma once
#include <cmath>

#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Up to 16 eps outside is rounding and counts as clamped; further out the inputs were not normalised.
struct OddCosines {
  idx clamped = 0;       // 1 < |c| <= 1 + 16 eps
  idx out_of_range = 0;  // |c| > 1 + 16 eps, finite
  idx non_finite = 0;    // NaN or infinite

  LOSSKIT_HD void add(OddCosines const& b) {
    clamped += b.clamped;
    out_of_range += b.out_of_range;
    non_finite += b.non_finite;
  }
};

// The cosine that the formulas see: clamped to [-1, 1]; NaN where it is not finite, so that its row comes out NaN.
// `Stored` is the type that the caller keeps: its spacing is meant by eps.
template <class T, class Stored = T, class Odd = OddCosines>
LOSSKIT_HD T clamped_cosine(T c, Odd& odd) {
  T const a = c < 0 ? -c : c;
  if (a <= T(1)) return c;
  if (a <= T(1 + 16 * stored_number<Stored>::epsilon)) ++odd.clamped;
  else if (a <= T(stored_number<Stored>::largest)) ++odd.out_of_range;
  else {
    ++odd.non_finite;
    return T(NAN);
  }
  return c < 0 ? T(-1) : T(1);
}

// The gradient of a row once its sums are known: factor * kept[j], and `slope` at the target (y < 0: no target here).
struct RowScale {
  double factor;
  double slope;
};

}  // namespace losskit::inline LOSSKIT_ISA
