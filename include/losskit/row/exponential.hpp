// The exponential of a row: e = exp(s r) for what a rest rule makes of each class.
//
// A logit is bounded, s low <= s r <= s high, so most rows need no maximum: e = 2^(k r - h) with k = s / ln 2 and an integer h,
// which costs nothing. In base 2, with n classes, low < 0 < high and K = s / ln 2:
//
//   e >= 2^-126 needs  -K low + h <= 126     sum < 2^127 needs  K high + log2 n - h < 127
//
// so one shift serves while K (high - low) + log2 n <= 252 in float, that is 2 s + ln n <= 175 for plain classes (in double:
// 1311). Larger scales, and logits without a bound, carry pairs: the sum, and the logit of the row that e is relative to.
#pragma once
#include <cmath>
#include <limits>

#include "losskit/core/math.hpp"
#include "losskit/core/number.hpp"
#include "losskit/row/sums.hpp"

namespace losskit::inline LOSSKIT_ISA {

inline constexpr double ln2 = 0.69314718055994530942;

// What a rest rule makes of cosines in [-1, 1].
struct RestRange { double low, high; };
template <class R>
LOSSKIT_HD RestRange rest_range(R const& rest) {
  if constexpr (requires { rest.lowest(); }) return {rest.lowest(), rest.bound()}; else return {-rest.bound(), rest.bound()};
}

// The exponential of numbers of type X, with what is the same for every class made once: e = 2^(k r - h).
template <class X>
struct BoundedExp {
  X k, k_low, shift;
  LOSSKIT_HD LOSSKIT_INLINE X operator()(X r) const { return exp2_of(k, k_low, r, shift); }
  // Of numbers that f makes of X.
  template <class F>
  LOSSKIT_INLINE auto map(F f) const { return BoundedExp<decltype(f(k))>{f(k), f(k_low), f(shift)}; }
};
// e = 2^(k (r - m) - h), with r - m no less than floor.
template <class X>
struct PairedExp {
  X k, k_low, m, shift, floor;
  LOSSKIT_HD LOSSKIT_INLINE X operator()(X r) const { return exp2_of(k, k_low, max(r - m, floor), shift); }
  template <class F>
  LOSSKIT_INLINE auto map(F f) const { return PairedExp<decltype(f(k))>{f(k), f(k_low), f(m), f(shift), f(floor)}; }
};

// e = 2^(k r - h), k in two parts: s is kept to double precision.
template <class T>
struct Bounded {
  static constexpr bool paired = false;
  T k, k_low, h;

  template <class X>
  LOSSKIT_HD BoundedExp<X> of_numbers() const { return {X(k), X(k_low), exp2_shift(X(h))}; }
  LOSSKIT_HD double scale() const { return product(double(k) + double(k_low), ln2); }
  // The logit that e is relative to, and how far that is above the logit of psi.
  LOSSKIT_HD double shift() const { return product(double(h), ln2); }
  LOSSKIT_HD double shift_above(double psi) const { return multiply_add(-scale(), psi, shift()); }

  // The largest exponent of two in use, one below the type's own: 126 in float. In double less by 76, 946: s / Z is a double too, and
  // weights and upstream factors multiply it.
  static constexpr double last = std::numeric_limits<T>::max_exponent - 2 - (sizeof(T) == 8 ? 76 : 0);

  LOSSKIT_HD static bool serves(double s, RestRange rest, double classes) {
    return multiply_add(s / ln2, rest.high - rest.low, ::log2(classes + 1)) <= 2 * last;
  }

  // h keeps the sum below 2^(4/5 last) where the lower end allows it, so that s / sum stays a normal number. logb(m) + 1 is a
  // whole number above log2 m, and cheaper: rows with scales of their own come here one by one.
  LOSSKIT_HD static Bounded of(double s, RestRange rest, double classes) {
    double const exact = s / ln2, want = ::ceil(multiply_add(exact, rest.high, ::logb(classes + 1) + 1 - 0.8 * last)),
                 most = ::floor(multiply_add(exact, rest.low, last));
    T const k = T(exact);
    return {k, T(exact - double(k)), T(want < 0 ? 0 : want < most ? want : most)};
  }
};

// e = 2^(k (r - m) - h), relative to a large logit of the row: e is about 1 at r = top. In float a logit of at most twice the slack (in
// base 2) becomes a whole exponent h with m = 0, and the product k r is not rounded. Beyond, m = top and h = 0; r - m is exact for every
// r that counts: those up to the slack above top are within a factor of two of it, and so are those below, except where e < 2^-slack.
// In double m = top always: k is rounded, and a smaller factor r - m makes that error smaller. An e of 2^-127 (double: 2^-1023) or less
// is 0.
template <class T>
struct Paired {
  static constexpr bool paired = true;
  T k, k_low, m, h, floor;

  template <class X>
  LOSSKIT_HD PairedExp<X> of_numbers() const { return {X(k), X(k_low), X(m), exp2_shift(X(h)), X(floor)}; }
  LOSSKIT_HD double scale() const { return product(double(k) + double(k_low), ln2); }
  // As above. The difference comes before the products: near each other, huge logits lose nothing.
  LOSSKIT_HD double shift() const { return product(at(), ln2); }
  LOSSKIT_HD double shift_above(double psi) const {
    constexpr double high = 0x1.62e42fefa4p-1, low = -0x1.8432a1b0e2634p-43;  // of ln 2; h has 11 bits, so h * high is exact
    return multiply_add(double(h), high, product(scale(), double(m) - psi)) + product(double(h), low);
  }
  // The logit that e is relative to, in base 2.
  LOSSKIT_HD double at() const { return multiply_add(double(k) + double(k_low), double(m), double(h)); }

  LOSSKIT_HD static Paired of(double s) {
    double const exact = s / ln2;
    T const k = T(exact);
    return {k, T(exact - double(k)), T(0), T(0), T(0)};
  }
  LOSSKIT_HD Paired relative_to(double top) const {
    constexpr double least = 1 - std::numeric_limits<T>::max_exponent;  // 2^least is the largest power of two that becomes 0
    double const logit = (double(k) + double(k_low)) * top;
    bool const whole = sizeof(T) == 4 && ::fabs(logit) <= 2 * slack;
    double const exponent = whole ? ::rint(logit) : 0;
    T const none = -INFINITY;  // k = 0: nothing is far below
    return {k, k_low, whole ? T(0) : T(top), T(exponent), k > 0 ? T((exponent + least) / double(k)) : none};
  }
  // How far e may grow before it is taken relative to a larger logit: 2^60, in double 2^500.
  static constexpr double slack = sizeof(T) == 4 ? 60 : 500;
  LOSSKIT_HD bool reaches(double top) const { return multiply_add(double(k) + double(k_low), top - double(m), -double(h)) <= slack; }
};

}  // namespace losskit::inline LOSSKIT_ISA
