// What every team shares: the treatment of cosines outside [-1, 1], the contract of a pass over a row, and how a row ends.
#pragma once
#include <cmath>

#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Up to 16 eps outside is rounding and counts as clamped; further out the inputs were not normalised. eps: of the stored type, 2^-23
// for float, 2^-52 for double, 2^-10 for half, 2^-7 for bfloat16.
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
// `Stored` is the type that the caller keeps, whose eps counts.
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

// A pass over the classes of a row, f(sums, at, raw, c), may say of itself:
//   logits   any number but NaN and infinity is in range: nothing is checked or clamped
//   paired   e is relative to a logit of the row. A team seeks the largest f.rest_of(c) of the next classes, top, and calls
//            f.set_relative_to(top) unless f.reaches(top); f.at() is that logit in base 2; f.placed(sums) is the sums with it
template <class F>
inline constexpr bool over_logits = requires { requires F::logits; };
template <class F>
inline constexpr bool paired_pass = requires { requires F::paired; };
template <class F>
struct OverLogits : F { static constexpr bool logits = true; };

// The sums of some classes in the form that the row's sums add.
template <class F, class Sums>
LOSSKIT_HD LOSSKIT_INLINE auto placed_by(F const& f, Sums const& sums) {
  if constexpr (requires { f.placed(sums); }) return f.placed(sums); else return sums;
}

// The logits, in base 2, that the kept e of a part are relative to: at[k] from class first[k] on. Each exceeds the one before by more
// than Paired::slack, so that beside a fifth the e of the first would be 0: four are stored, and older e become 0. Empty: one shift
// for all.
struct Stretches {
  static constexpr int most = 4;
  int count = 0;
  idx first[most];  // of `count` of them
  double at[most];

  LOSSKIT_HD double last_at() const { return at[count - 1]; }
  LOSSKIT_HD idx end(int k, idx n) const { return k + 1 < count ? first[k + 1] : n; }  // of n classes
  LOSSKIT_HD void add(idx begin, double new_at) {
    if (count == most) {
      for (int k = 1; k < most; ++k) first[k - 1] = first[k], at[k - 1] = at[k];
      --count;
    }
    first[count] = begin, at[count] = new_at;
    ++count;
  }
};

// The same for a team that finds the largest logit of a whole part first: one stretch, no array.
struct OneStretch {
  int count = 0;
  double at = 0;

  LOSSKIT_HD double last_at() const { return at; }
  LOSSKIT_HD void add(idx, double new_at) { count = 1, at = new_at; }
};

// The gradient of a row once its sums are known: factor * kept[j], or with Adds factor * kept[j] + uniform, and `slope` at the target
// (y < 0: no target here).
template <class T, bool Adds = false>
struct RowEnding {
  T factor, slope, uniform = 0;

  // x: a number or packet of what was kept.
  template <class X>
  LOSSKIT_HD LOSSKIT_INLINE X of(X x) const {
    if constexpr (Adds) return multiply_add(X(factor), x, X(uniform));
    else return X(factor) * x;
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
