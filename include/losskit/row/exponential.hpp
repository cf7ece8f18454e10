// The exponential of a row, and the sums that a row learns from its classes.
//
// A logit is bounded, s low <= s r <= s high, so most rows need no maximum: e = exp(s r) is computed as 2^(k r - h) with
// k = s / ln 2 and an integer h, which costs nothing. In base 2, with n classes, low < 0 < high and K = s / ln 2:
//
//   e >= 2^-126 needs  -K low + h <= 126     sum < 2^127 needs  K high + log2 n - h < 127
//
// so one shift serves while K (high - low) + log2 n <= 252 in float, that is 2 s + ln n <= 175 for plain classes (in double:
// 1311). Larger scales carry pairs (m, sum of exp(s r - m)), which combine with + like every other sum.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>

#include "losskit/core/math.hpp"
#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

inline constexpr double ln2 = 0.69314718055994530942;

// What a rest rule makes of cosines in [-1, 1].
struct RestRange { double low, high; };
template <class R>
LOSSKIT_HD RestRange rest_range(R const& rest) {
  if constexpr (requires { rest.lowest(); }) return {rest.lowest(), rest.bound()}; else return {-rest.bound(), rest.bound()};
}

// e = 2^(k r - h), k in two parts: s is kept to double precision.
template <class T>
struct Bounded {
  static constexpr bool paired = false;
  T k, k_low, h;

  // The same for numbers of type X: a constant is spread over a packet once, not once an element.
  template <class X>
  LOSSKIT_HD Bounded<X> of_numbers() const { return {X(k), X(k_low), X(h)}; }
  template <class X>
  LOSSKIT_HD LOSSKIT_INLINE X operator()(X r) const { return exp2_of(X(k), X(k_low), r, X(h)); }
  LOSSKIT_HD double scale() const { return (double(k) + double(k_low)) * ln2; }
  LOSSKIT_HD double shift() const { return double(h) * ln2; }

  // The largest power of two in use, one below the type's own. In double less by 76: s / Z is a double too, and weights and
  // upstream factors multiply it.
  static constexpr double last = std::numeric_limits<T>::max_exponent - 2 - (sizeof(T) == 8 ? 76 : 0);

  LOSSKIT_HD static bool serves(double s, RestRange rest, double classes) {
    return s / ln2 * (rest.high - rest.low) + ::log2(classes + 1) <= 2 * last;
  }

  // h keeps the sum below 2^(4/5 last) where the lower end allows it, so that s / sum stays a normal number. logb(m) + 1 is a
  // whole number above log2 m, and cheaper: rows with scales of their own come here one by one.
  LOSSKIT_HD static Bounded of(double s, RestRange rest, double classes) {
    double const exact = s / ln2, want = ::ceil(exact * rest.high + ::logb(classes + 1) + 1 - 0.8 * last),
                 most = ::floor(last + exact * rest.low);
    T const k = T(exact);
    return {k, T(exact - double(k)), T(want < 0 ? 0 : want < most ? want : most)};
  }
};

// e = exp(s r - m), m the largest s r of the row.
template <class T>
struct Relative {
  static constexpr bool paired = true;
  T s;
  T m = 0;

  template <class X>
  LOSSKIT_HD Relative<X> of_numbers() const { return {X(s), X(m)}; }
  template <class X>
  LOSSKIT_HD LOSSKIT_INLINE X operator()(X r) const { return exp(X(s) * r - X(m)); }
  LOSSKIT_HD double scale() const { return s; }
  LOSSKIT_HD double shift() const { return m; }
};

// Which sums go with which exponential.
template <class Exp, class X, bool Moment>
struct SumsOf;

struct Nothing {};

// sum of e r, where dL/ds is asked for.
template <class X, bool Asked>
struct MomentSum {};
template <class X>
struct MomentSum<X, true> { X moment = 0; };

// Sums are added to member by member, never assigned whole: compilers then hold them in registers.
// sum of e; classes not below the target (the rank); classes above the threshold; sum of e r where Moment is asked for.
template <class X, bool Moment>
struct RowSums : MomentSum<X, Moment> {
  static constexpr bool paired = false, has_moment = Moment;
  X z = 0, above = 0, hard = 0;

  // One more class: its e and r, whether it is not below the target, whether it is above the threshold.
  template <class Mask, class T>
  LOSSKIT_HD LOSSKIT_INLINE void add(Bounded<T> const&, X e, X r, Mask is_above, Mask is_hard) {
    z = z + e;
    above = select(is_above, above + 1, above);
    hard = select(is_hard, hard + 1, hard);
    if constexpr (Moment) this->moment = this->moment + e * r;
  }
  LOSSKIT_HD LOSSKIT_INLINE void add(RowSums const& b) {
    z = z + b.z;
    above = above + b.above;
    hard = hard + b.hard;
    if constexpr (Moment) this->moment = this->moment + b.moment;
  }
  // Every member through f(member, its zero): lanes to one number, a mask that leaves lanes out.
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    RowSums<decltype(f(z, X(0))), Moment> r{{}, f(z, X(0)), f(above, X(0)), f(hard, X(0))};
    if constexpr (Moment) r.moment = f(this->moment, X(0));
    return r;
  }
};

// The same with e relative to m: (m, z) + (m', z') = (M, z exp(m - M) + z' exp(m' - M)), M = max(m, m').
template <class X, bool Moment>
struct PairSums : MomentSum<X, Moment> {
  static constexpr bool paired = true, has_moment = Moment;
  // A number no logit reaches; finite, so that m - m' is never NaN.
  static constexpr double lowest = -1e30;
  X m = lowest, z = 0, above = 0, hard = 0;

  template <class Mask, class T>
  LOSSKIT_HD LOSSKIT_INLINE void add(Relative<T> const& exp_of, X, X r, Mask is_above, Mask is_hard) {
    PairSums one{{}, X(exp_of.s) * r, X(1), select(is_above, X(1), X(0)), select(is_hard, X(1), X(0))};
    if constexpr (Moment) one.moment = r;
    add(one);
  }
  LOSSKIT_HD LOSSKIT_INLINE void add(PairSums const& b) {
    X const top = max(m, b.m), p = exp(m - top), q = exp(b.m - top);
    m = top;
    z = z * p + b.z * q;
    above = above + b.above;
    hard = hard + b.hard;
    if constexpr (Moment) this->moment = this->moment * p + b.moment * q;
  }
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    PairSums<decltype(f(z, X(0))), Moment> r{{}, f(m, X(lowest)), f(z, X(0)), f(above, X(0)), f(hard, X(0))};
    if constexpr (Moment) r.moment = f(this->moment, X(0));
    return r;
  }
};

template <class T, class X, bool Moment>
struct SumsOf<Bounded<T>, X, Moment> { using type = RowSums<X, Moment>; };
template <class T, class X, bool Moment>
struct SumsOf<Relative<T>, X, Moment> { using type = PairSums<X, Moment>; };

// A plain sum.
template <class X>
struct DotSum {
  static constexpr bool paired = false;
  X dot = 0;
  LOSSKIT_HD LOSSKIT_INLINE void add(DotSum const& b) { dot = dot + b.dot; }
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    return DotSum<decltype(f(dot, X(0)))>{f(dot, X(0))};
  }
};

// For passes that only write.
struct NoSums {
  static constexpr bool paired = false;
  LOSSKIT_HD void add(NoSums) {}
  template <class F>
  LOSSKIT_HD NoSums map(F) const { return {}; }
};

}  // namespace losskit::inline LOSSKIT_ISA
