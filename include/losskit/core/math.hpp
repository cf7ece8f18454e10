// exp, log and their kin on SIMD packets, for float and double: Horner and fused multiply-add on what the packet supplies.
//
// The packet brings a few helpers that look at bits (backend/eigen_packet.hpp says what each promises): shifter and power2,
// scale2, split2 and unscale, product_minus, rounded. The rest is here, for any packet and any instruction set.
// Where two figures stand as a / b, a is for float and b for double. Errors are the largest seen (float against double, double against
// long double), in ulp of the result, with fused multiply-add; without it they are up to 0.5 ulp larger. tests/math_test.cpp keeps
// them. NaN stays NaN.
#pragma once
#include <limits>

#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class P>
concept Simd = requires(P p) {
  typename P::scalar;
  P::width;
  P::shifter;
  power2(p), scale2(p, p), split2(p), split2_normal(p), unscale(p, p), product_minus(p, p, p), rounded(p);
};

namespace detail {

// c0 + x (c1 + x (c2 + ...)), the constants rounded once to the packet's type.
template <Simd P>
LOSSKIT_INLINE P horner(P, double c) { return P(c); }
template <Simd P, class... C>
LOSSKIT_INLINE P horner(P x, double c, C... rest) { return multiply_add(x, horner(x, rest...), P(c)); }

template <Simd P>
inline constexpr bool is_float = sizeof(typename P::scalar) == 4;

// 2^f - 1 for |f| <= 1/2, from a minimax polynomial of 2^f with the constant 1: degree 6 (float) or 11 (double).
template <Simd P>
LOSSKIT_INLINE P exp2m1_reduced(P f) {
  if constexpr (is_float<P>)
    return f * horner(f, 0.693147182, 0.240226477, 0.0555035956, 0.00961849932, 0.00133909774, 0.000153293644);
  else
    return f * horner(f, 0.69314718055994529, 0.24022650695910172, 0.055504108664824567, 0.0096181291075771273,
                      0.0013333558145572982, 0.00015403530478707718, 1.5252734727358761e-5, 1.3215424596678297e-6,
                      1.0177663358546514e-7, 7.075589796664787e-9, 4.517709332904067e-10);
}

// e^x = 2^n (1 + g) in parts: n whole, and `shifted`, of which power2 makes 2^n; g = e^r - 1 with r = x - n ln 2, |r| <= ln(2) / 2,
// g = r + r^2 q(r). ln 2 in two parts, of which the first has so few bits that its product with n is exact; r_low is what rounding the
// second loses.
template <class P>
struct ExpParts { P n, shifted, g, r_low; };
template <Simd P>
LOSSKIT_INLINE ExpParts<P> exp_parts(P x) {
  P const shifted = multiply_add(x, P(1.4426950408889634), P(P::shifter)), n = shifted - P(P::shifter);
  if constexpr (is_float<P>) {
    P const low = -1.42860677e-06, rest = multiply_add(n, P(-0.693145751953125), x), r = multiply_add(n, low, rest);
    P const q = horner(r, 0.5, 0.166666657, 0.0416664928, 0.00833354611, 0.00139323249, 0.000197616959);
    return {n, shifted, multiply_add(r * r, q, r), multiply_add(n, low, rest - r)};
  } else {
    P const low = -1.9082149292705877e-10, rest = multiply_add(n, P(-0.69314718036912382), x), r = multiply_add(n, low, rest);
    P const q = horner(r, 0.5, 0.16666666666666677, 0.041666666666666713, 0.0083333333333213341, 0.001388888888884743,
                       0.00019841269887083772, 2.4801587426183354e-5, 2.7557243018391544e-6, 2.7557165680047033e-7,
                       2.5109536312270871e-8, 2.095406790149397e-9);
    return {n, shifted, multiply_add(r * r, q, r), multiply_add(n, low, rest - r)};
  }
}

// log of w + c, for a correction c far below w: f = m - 1 + c 2^-e.
//   float:  f - f^2 / 2 + f^3 q(f), q of degree 7
//   double: with s = f / (2 + f): f - (f^2 / 2 - s (f^2 / 2 + s^2 r(s^2))), r of degree 7 in s^2
// and e ln 2 is added in two parts of one sign, so that e = +-inf passes through.
template <Simd P>
LOSSKIT_INLINE P log_of(P f, P e) {
  if constexpr (is_float<P>) {
    P const q = horner(f, 0.333334506, -0.250000954, 0.199908629, -0.16647312, 0.144783705, -0.13161172, 0.104631089,
                       -0.0450759903);
    P const log_m = multiply_add(f * f, multiply_add(f, q, P(-0.5)), f);
    return multiply_add(e, P(0.693145751953125), multiply_add(e, P(1.42860677e-06), log_m));
  } else {
    P const s = f / (f + 2), u = s * s, h = f * f * 0.5;
    P const r = horner(u, 0.66666666666666596, 0.40000000000056929, 0.28571428555772149, 0.22222224302465143, 0.18181665531412322,
                       0.15391122835875337, 0.13173420745742237, 0.13844221774471474);
    return multiply_add(e, P(0.69314718036912382), f - (h - multiply_add(s, multiply_add(u, r, h), e * 1.9082149292705877e-10)));
  }
}

// s (1 + g): g s + s in one multiply-add where there is one; g s by itself would be flushed to 0 where s is tiny.
template <Simd P>
LOSSKIT_INLINE P grown(P s, P g) { return fuses ? multiply_add(g, s, s) : s * (g + 1); }

// A constant in two parts.
template <class T>
struct Parts { T high, low; };
template <class T>
inline constexpr Parts<T> third = sizeof(T) == 4 ? Parts<T>{T(0.333333343), T(-9.93410776e-09)}
                                                 : Parts<T>{T(0.33333333333333331), T(1.8503717077085941e-17)};
template <class T>
inline constexpr Parts<T> two_over_ln2 = sizeof(T) == 4 ? Parts<T>{T(2.88539004), T(3.85192598e-8)}
                                                        : Parts<T>{T(2.8853900817779268), T(4.0710547481862064e-17)};

}  // namespace detail

// 2^((k + k_low) c - h), h a whole number, shift = exp2_shift(h), for an exponent up to 126 / 1022 in size; one of just -127 / -1023
// gives 0. k_low is what k lost when it was rounded. The product k c is not rounded before it is raised. h costs nothing: it is part of
// the shift, the number whose addition rounds k c to a whole one, or to a fraction that a table holds.
// Polynomial of degree 6 / 11, largest error 1.2 / 1.3 ulp. With a table, in float: on AVX-512 degree 2, 1.8 ulp; on AVX2 degree 3, 1.2.
template <Simd P>
LOSSKIT_INLINE P exp2_of(P k, P k_low, P c, P shift) {
  if constexpr (P::fine_bits > 0) {  // 2^(i/32) or 2^(i/8) from a table, and a polynomial for what is left, |f| <= 1/64 or 1/16
    P const t = multiply_add(c, k, shift), s = fine_power2(t);
    P const f = multiply_add(c, k_low, product_minus(c, k, t - shift));
    if constexpr (P::fine_bits == 5) return detail::grown(s, f * detail::horner(f, 0.693157342, 0.240228862));
    else return detail::grown(s, f * detail::horner(f, 0.693147242, 0.240258113, 0.0554894321));
  } else {
    P const t = multiply_add(c, k, shift), f = product_minus(c, k, t - shift), s = power2(t);
    P const g = detail::exp2m1_reduced(detail::is_float<P> ? multiply_add(c, k_low, f) : f);
    return detail::grown(s, g);
  }
}

// What exp2_of takes for h. Hidden, so that it stays what it is: a compiler that runs out of registers would make it anew from h, each
// time. Of a single number it is h.
template <Simd P>
LOSSKIT_INLINE P exp2_shift(P h) {
  if constexpr (P::fine_bits > 0) return rounded(P::fine_shifter - h); else return rounded(P::shifter - h);
}
template <class X>
LOSSKIT_HD LOSSKIT_INLINE X exp2_shift(X h) { return h; }

// 2^((k + k_low) x - h) on one number. Rounded to float, an exponent of 90 would cost the result its last 5 bits: it is computed in
// double, or, where doubles are slow, split into a whole number and a rest of at most 1/2 with the product k x not rounded.
template <class T, class S>
LOSSKIT_HD Scalar<T, S> exp2_of(Scalar<T, S> k, Scalar<T, S> k_low, Scalar<T, S> x, Scalar<T, S> h) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) {
    float const shifter = 12582912 - h.v, t = fmaf(k.v, x.v, shifter), n = t - shifter;  // 1.5 2^23: n is whole
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(fmaf(k_low.v, x.v, fmaf(k.v, x.v, -n))));
    return power * __int_as_float((__float_as_int(t) << 23) + 0x3f800000);  // exact: a power of two may be contracted
  }
#endif
  double const exponent = multiply_add(double(k.v) + double(k_low.v), double(x.v), -double(h.v));
  return exponent < 1.5 - std::numeric_limits<T>::max_exponent ? T(0) : T(::exp2(exponent));
}

// e^x for every x: above 88.72 (709.78) infinity, below -103.97 (-745.13) zero, denormal numbers in between.
// Polynomial of degree 7 / 12; largest error 1.0 / 1.0 ulp.
template <Simd P>
LOSSKIT_INLINE P exp(P x) {
  auto const e = detail::exp_parts(detail::is_float<P> ? min(max(x, P(-104)), P(89)) : min(max(x, P(-746)), P(710)));
  return scale2(e.g + 1, e.n);
}

// e^x - 1 for every x, small ones included; -1 far below.
// Polynomial of degree 7 / 12; largest error 1.5 / 1.8 ulp.
template <Simd P>
LOSSKIT_INLINE P expm1(P x) {
  auto const e = detail::exp_parts(detail::is_float<P> ? min(max(x, P(-40)), P(89)) : min(max(x, P(-60)), P(710)));
  P const half = power2(e.shifted - 1);  // 2^(n - 1): 2^n itself may be infinite
  return select(abs(x) < std::numeric_limits<typename P::scalar>::epsilon() / 4, x, 2 * multiply_add(half, e.g, half - 0.5));
}

// The natural logarithm: of 0 -infinity, of infinity itself, of a negative number NaN; denormal numbers included.
// Polynomial of degree 10 / 17 in the mantissa; largest error 0.95 / 0.95 ulp.
template <Simd P>
LOSSKIT_INLINE P log(P x) {
  auto const [m, e] = split2(x);
  return detail::log_of(m - 1, e);
}

// log(1 + u) for u >= -1, small u included: what the addition loses is put back into the mantissa.
// Polynomial as for log; largest error 0.95 / 0.95 ulp.
template <Simd P>
LOSSKIT_INLINE P log1p(P u) {
  P const w = rounded(u + 1);
  auto const [m, e] = split2(w);
  P const f = m - 1, lost = u - (w - 1);
  return detail::log_of(select(u <= 1e30, multiply_add(lost, unscale(w, m), f), f), e);
}

// The same for u in [0, 1e30] alone, which needs no care for infinite, negative and tiny numbers: beyond, any number. Of a NaN it is NaN.
template <class X>
LOSSKIT_HD LOSSKIT_INLINE X log1p_bounded(X u) { return log1p(u); }
template <Simd P>
LOSSKIT_INLINE P log1p_bounded(P u) {
  P const w = rounded(u + 1);
  auto const [m, e] = split2_normal(w);
  return detail::log_of(multiply_add(u - (w - 1), unscale(w, m), m - 1), e);
}

// The parts of the logistic function: with u = e^-a, a >= 0, they are 1 / (1 + u), u / (1 + u) and log(1 + u). Each is a sum of two
// numbers, for products of several of them: the low part is the rounding error of the first, or 0 where that is not computed (single
// numbers, and packets of doubles: there the largest error is 2.5 ulp, of the logarithm 2.0).
template <class X>
struct Logistic { X larger, larger_low, smaller, smaller_low, log1p, log1p_low; };

template <class X>
LOSSKIT_HD LOSSKIT_INLINE Logistic<X> logistic(X a) {
  X const u = exp(-a), larger = 1 / (1 + u);
  return {larger, X(0), u * larger, X(0), log1p(u), X(0)};
}
// On packets of floats no reduction of the logarithm is needed, u being in [0, 1]: u + u^2 r(u), r of degree 8. A u below 2^-126 is 0.
// The error of every rounding before the parts is carried on. Largest error in float: of a sum of two 0.95 ulp, of the logarithm 1.4 ulp,
// near u = 1.
template <Simd P>
  requires detail::is_float<P>
LOSSKIT_INLINE Logistic<P> logistic(P a) {
  auto const [n, shifted, g, r_low] = detail::exp_parts(max(-a, P(-88.02)));  // n = -127 there, and s = 0
  P const s = power2(shifted), u = detail::grown(s, g), u_low = multiply_add(s, r_low, product_minus(s, g, u - s));
  P const larger = 1 / (u + 1), smaller = u * larger;
  // left: 1 - larger (1 + u). 1 - larger is exact, larger being at least 1/2.
  P const left = multiply_add(-larger, u_low, -product_minus(larger, u, 1 - larger));
  P const smaller_low = multiply_add(smaller, left, multiply_add(larger, u_low, product_minus(u, larger, smaller)));
  P const r = detail::horner(u, -0.499999344, 0.333305478, -0.249587327, 0.196949244, -0.153508022, 0.106679156, -0.0574968532,
                             0.0200948026, -0.00328995753);
  P const bent = multiply_add(u * u, r, u_low * larger), log = u + bent;
  return {larger, larger * left, smaller, smaller_low, log, (u - log) + bent};
}

// (x (1 + x_low))^(y + y_low) for x >= 0, |x_low| below an ulp of 1 and |y_low| below an ulp of y (in X's type), and a factor times
// that, both rounded once.
template <class X>
struct Power { X power, multiple; };

template <class X>
LOSSKIT_HD LOSSKIT_INLINE Power<X> powers(X x, X y, X y_low, X factor, X x_low = X(0)) {
  X const e = multiply_add(y_low, log(max(x, X(1e-37))), y * x_low);
  X const power = pow(x, y) * multiply_add(e, multiply_add(X(0.5), e, X(1)), X(1));  // e^(y_low ln x + y x_low) to three terms
  return {power, factor * power};
}
// 2^(y log2 x) with log2 x in two parts: 2 / ln(2) atanh(s), s = (m - 1) / (m + 1), of which s, s^3 / 3 and all products that
// carry them are kept to twice the precision.
template <Simd P>
LOSSKIT_INLINE Power<P> powers(P x, P y, P y_low, P factor, P x_low = P(0)) {
  using T = typename P::scalar;
  constexpr bool single = detail::is_float<P>;
  auto const [m, e] = split2(x);
  // s + sl = (m - 1) / (m + 1), m + 1 = d + dl
  P const f = m - 1, d = rounded(m + 1), dl = f - (d - 2), inverse = 1 / d;
  P const s = f * inverse, sl = -inverse * multiply_add(s, dl, product_minus(s, d, f));
  // u + ul = s^2,  v + vl = 1/3 + s^2 (1/5 + ...)
  P const u = s * s, ul = multiply_add(s + s, sl, product_minus(s, s, u));
  P q;
  if constexpr (single)
    q = u * detail::horner(u, 0.20000197, 0.142626718, 0.119391613);
  else
    q = u * detail::horner(u, 0.20000000000010223, 0.14285714281290626, 0.11111111838123931, 0.090908485610416756,
                           0.07695115859040505, 0.065933040353054959, 0.068822405817474341);
  P const v = q + detail::third<T>.high, vl = (detail::third<T>.high - v) + q + detail::third<T>.low;
  // w + wl = s^2 (v + vl),  a + al = atanh(s) = s + s w
  P const w = u * v, wl = multiply_add(u, vl, multiply_add(ul, v, product_minus(u, v, w)));
  P const z = s * w, zl = multiply_add(s, wl, multiply_add(sl, w, product_minus(s, w, z)));
  P const a = s + z, al = (s - a) + z + (zl + sl);
  // b + bl = log2(m) = 2 / ln(2) (a + al),  g + gl = e + b + bl + x_low / ln(2)
  P const k = detail::two_over_ln2<T>.high, b = a * k,
          bl = multiply_add(al, k, multiply_add(a, P(detail::two_over_ln2<T>.low), product_minus(a, k, b)));
  P const g = e + b, gl = multiply_add(x_low, P(1.4426950408889634), (e - g) + b + bl);
  // y (g + gl) = n + r
  P const yg = y * g, n = (yg + P::shifter) - P::shifter;
  P const r = multiply_add(y_low, g, multiply_add(y, gl, product_minus(y, g, n)));
  P const f2 = detail::exp2m1_reduced(r), far = select(yg > 0, P(std::numeric_limits<T>::infinity()), P(0));
  auto const beyond = abs(yg) >= (single ? 160 : 1100), never = abs(y) <= 0;
  return {select(never, P(1), select(beyond, far, scale2(f2 + 1, n))),
          select(never, factor, select(beyond, far * factor, scale2(multiply_add(factor, f2, factor), n)))};
}

// x^y for x >= 0. x^0 = 1 for every x; negative x gives NaN. Largest error 1.0 / 1.7 ulp, however large y log x is.
template <Simd P>
LOSSKIT_INLINE P pow(P x, P y) { return powers(x, y, P(0), P(1)).power; }

}  // namespace losskit::inline LOSSKIT_ISA
