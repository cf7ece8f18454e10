// The sums that a row learns from its classes. Everything is a sum, so that lanes, blocks, parts and shards combine with +, in a
// fixed order.
//
//   z       of e, the other classes' exponentials          above   of classes not below the target: its rank
//   hard    of classes above the threshold
//
// and the sums that a policy or a caller asks for besides: RestSum, MomentSum, ThresholdSum, or a type like these of its own.
#pragma once
#include <type_traits>

#include "losskit/core/math.hpp"
#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

// What one class, or a packet of them, adds to the sums.
template <class X, class Mask>
struct ClassTerms {
  X e, r;          // its exponential; what the rest rule made of its cosine
  X by_threshold;  // d r / d threshold
  Mask is_above, is_hard;
};

// A sum that is asked for: how one class adds to it, and whether it is a sum of e, which changes with what e is relative to.
struct RestSum {  // of r: the mean log-probability, for label smoothing
  static constexpr bool of_e = false;
  template <class X, class Terms>
  LOSSKIT_HD LOSSKIT_INLINE static X added(X sum, Terms const& t) { return sum + t.r; }
};
struct MomentSum {  // of e r: dL/ds
  static constexpr bool of_e = true;
  template <class X, class Terms>
  LOSSKIT_HD LOSSKIT_INLINE static X added(X sum, Terms const& t) { return multiply_add(t.e, t.r, sum); }
};
struct ThresholdSum {  // of e dr/dT: dL/dT, the gradient by the threshold
  static constexpr bool of_e = true;
  template <class X, class Terms>
  LOSSKIT_HD LOSSKIT_INLINE static X added(X sum, Terms const& t) { return multiply_add(t.e, t.by_threshold, sum); }
};

// A list of them.
template <class... A>
struct Asked {
  template <class B>
  using with = Asked<A..., B>;
};

template <class X, class A>
struct AskedSum { X value = 0; };

// What counts true answers: a number, or what a packet has for it.
template <class X>
struct count_of { using type = X; };
template <class X>
  requires requires { typename X::Count; }
struct count_of<X> { using type = typename X::Count; };
template <class X, class Mask>
LOSSKIT_HD LOSSKIT_INLINE X counted(X n, Mask where) { return select(where, n + 1, n); }

// The rounding errors of the additions to z where it is carried in double (a compensated sum): thousands of blocks are added up.
template <class X>
struct Lost {};
template <>
struct Lost<Scalar<double>> { Scalar<double> lost = 0.0; };

// Sums are added to member by member, never assigned whole: compilers then hold them in registers.
template <class X, class List>
struct RowSums;
template <class X, class... A>
struct RowSums<X, Asked<A...>> : Lost<X>, AskedSum<X, A>... {
  using Count = typename count_of<X>::type;
  X z = 0;
  Count above = 0, hard = 0;

  template <class B>
  static constexpr bool has = (std::is_same_v<A, B> || ...);
  template <class B>
  LOSSKIT_HD LOSSKIT_INLINE X& get() { return static_cast<AskedSum<X, B>&>(*this).value; }
  template <class B>
  LOSSKIT_HD LOSSKIT_INLINE X const& get() const { return static_cast<AskedSum<X, B> const&>(*this).value; }

  template <class Mask>
  LOSSKIT_HD LOSSKIT_INLINE void add_but_e(ClassTerms<X, Mask> const& t) {
    above = counted(above, t.is_above);
    hard = counted(hard, t.is_hard);
    ((get<A>() = A::added(get<A>(), t)), ...);
  }
  LOSSKIT_HD LOSSKIT_INLINE void add(RowSums const& b) {
    X const sum = z + b.z;
    if constexpr (requires { this->lost; }) {
      X const added = sum - z;
      this->lost = this->lost + (b.lost + ((z - (sum - added)) + (b.z - added)));
    }
    z = sum;
    above = above + b.above;
    hard = hard + b.hard;
    ((get<A>() = get<A>() + b.template get<A>()), ...);
  }
  // f(member, its zero) for every member: to reduce lanes to one number, or to mask lanes.
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    RowSums<decltype(f(z, X(0))), Asked<A...>> r;
    r.z = f(z, X(0));
    r.above = f(above, Count(0));
    r.hard = f(hard, Count(0));
    ((r.template get<A>() = f(get<A>(), X(0))), ...);
    return r;
  }
  // The sums of e for an e that is `factor` times as large.
  LOSSKIT_HD void scale(X factor) {
    z = z * factor;
    if constexpr (requires { this->lost; }) this->lost = this->lost * factor;
    ((get<A>() = A::of_e ? get<A>() * factor : get<A>()), ...);
  }
};

// The same with the logit of the row that e is relative to: `top` is its r, `at` that logit in base 2.
template <class List>
struct PairedSums : RowSums<Scalar<double>, List> {
  using Sums = RowSums<Scalar<double>, List>;
  static constexpr double none = -1.7e308;  // lower than any; finite, so that a difference is never NaN
  double top = 0, at = none;
  LOSSKIT_HD bool begun() const { return at > none; }

  // Rescales the sums of the smaller logit; where both `at` are whole numbers that is exact.
  LOSSKIT_HD void add(PairedSums b) {
    if (b.at > at) {
      Sums::scale(::exp2(at - b.at));
      at = b.at;
      top = b.top;
    } else if (b.at < at) {
      b.scale(::exp2(b.at - at));
    }
    Sums::add(b);
  }
};

// A plain sum.
template <class X>
struct DotSum {
  X dot = 0;
  LOSSKIT_HD LOSSKIT_INLINE void add(DotSum const& b) { dot = dot + b.dot; }
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    return DotSum<decltype(f(dot, X(0)))>{f(dot, X(0))};
  }
};

// For passes that only write.
struct NoSums {
  LOSSKIT_HD void add(NoSums) {}
  template <class F>
  LOSSKIT_HD NoSums map(F) const { return {}; }
};

}  // namespace losskit::inline LOSSKIT_ISA
