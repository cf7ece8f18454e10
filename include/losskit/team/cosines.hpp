// What every team agrees on: cosines that are not inside [-1, 1], and how a row ends.
#pragma once
#include <cmath>
#include <limits>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Up to 16 eps outside is rounding and counts as clamped; further out the inputs were not normalised.
struct OddCosines {
  idx clamped = 0;       // 1 < |c| <= 1 + 16 eps
  idx out_of_range = 0;  // |c| > 1 + 16 eps, finite
  idx non_finite = 0;    // NaN or infinite
};

// The cosine that the formulas see: clamped to [-1, 1]; NaN where it is not finite, so that its row comes out NaN.
template <class T>
LOSSKIT_HD T tamed(T c, OddCosines& odd) {
  T const a = c < 0 ? -c : c;
  if (a <= T(1)) return c;
  if (a <= T(1) + 16 * std::numeric_limits<T>::epsilon()) ++odd.clamped;
  else if (a <= std::numeric_limits<T>::max()) ++odd.out_of_range;
  else {
    ++odd.non_finite;
    return std::numeric_limits<T>::quiet_NaN();
  }
  return c < 0 ? T(-1) : T(1);
}

// The gradient of a row once its sums are known: factor * kept[j], and `slope` at the target (y < 0: no target here).
struct RowScale {
  double factor;
  double slope;
};

}  // namespace losskit::inline LOSSKIT_ISA
