// Number: what a formula is written on. One text then runs on a float, a double, a SIMD packet, a CUDA thread and a
// dual number.
//
// Every Number spells the same operations: + - * / unary -, comparisons that give a mask, select(mask, a, b), and,
// found by argument-dependent lookup, abs min max copysign multiply_add fma sqrt exp log log1p expm1 pow. It mixes with int and
// double literals and rounds them once, so that no float formula slips into double.
//
// Products and sums. Left alone, a compiler makes one rounding of a product and a later sum in one function and two in the next.
// Here the text says which, so that the bits depend on the instruction set alone, not on compiler flags or on what is inlined:
//
//   a * b                 rounded by itself: a * b + c rounds twice
//   multiply_add(a, b, c) rounds once where the instruction set can (`fuses`), else it is a * b + c
//   fma(a, b, c)          rounds once on every machine; where !fuses it is a library call for each number: once a row only
//
// A test builds one unit at many levels and habits of fusing with each compiler, and compares the bits.
//
// Plain floats and doubles have product(a, b) in place of a * b wherever a sum may follow, and the same multiply_add.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>

#include "losskit/core/config.hpp"

namespace losskit {

// What is known of a type that callers keep in memory. One that is stored only, such as half, names the type that computes
// for it (backend/half.cuh), in a specialisation in `namespace losskit`.
template <class S>
struct stored_number {
  using computed = S;
  static constexpr double epsilon = std::numeric_limits<S>::epsilon();
  static constexpr double largest = std::numeric_limits<S>::max();
};
template <class S>
using computed = typename stored_number<S>::computed;

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

template <class X>
concept Number = requires(X x) {
  typename X::scalar;      // the type of one lane
  X(0.5) + 1.0 * x - 2;
  select(x < x, x, x);
  abs(x), min(x, x), max(x, x), copysign(x, x), multiply_add(x, x, x), fma(x, x, x);
  sqrt(x), exp(x), log(x), log1p(x), expm1(x), pow(x, x);
};

// Whether the instruction set has a fused multiply-add: a product and a sum, rounded once.
#if defined(__CUDA_ARCH__) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline constexpr bool fuses = true;
#else
inline constexpr bool fuses = false;
#endif

// x itself, a float, a double or a SIMD register, hidden from the compiler, at the cost of no instruction: it can neither contract x
// with a later sum nor evaluate a library function of x while compiling (which may differ from the library in the last bit).
template <class R>
LOSSKIT_HD LOSSKIT_INLINE R hidden(R x) {
#if defined(__CUDA_ARCH__)  // ptxas contracts behind an asm: a GPU has instructions for products instead
#elif defined(__AVX512F__)
  __asm__("" : "+v"(x));
#elif defined(__SSE2__)
  __asm__("" : "+x"(x));
#elif defined(__ARM_NEON)
  __asm__("" : "+w"(x));
#elif defined(__GNUC__)
  __asm__("" : "+m"(x));
#endif
  return x;
}

// a b, rounded.
LOSSKIT_HD LOSSKIT_INLINE constexpr float product(float a, float b) {
  if (__builtin_is_constant_evaluated()) return a * b;
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return hidden(a * b);
#endif
}
LOSSKIT_HD LOSSKIT_INLINE constexpr double product(double a, double b) {
  if (__builtin_is_constant_evaluated()) return a * b;
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return hidden(a * b);
#endif
}

// a b + c, rounded once where the instruction set can.
LOSSKIT_HD LOSSKIT_INLINE float multiply_add(float a, float b, float c) {
  if constexpr (fuses) return ::fmaf(a, b, c); else return product(a, b) + c;
}
LOSSKIT_HD LOSSKIT_INLINE double multiply_add(double a, double b, double c) {
  if constexpr (fuses) return ::fma(a, b, c); else return product(a, b) + c;
}

// One floating-point number as a Number. `Stored` is the type that the caller keeps in memory, if narrower than the
// type T that computes: it sets which cosine is the nearest one below 1.
template <class T, class Stored = T>
struct Scalar {
  using scalar = T;
  using stored = Stored;
  T v;

  Scalar() = default;
  LOSSKIT_HD constexpr Scalar(double x) : v(static_cast<T>(x)) {}
  LOSSKIT_HD constexpr Scalar(float x) : v(static_cast<T>(x)) {}
  LOSSKIT_HD constexpr Scalar(int x) : v(static_cast<T>(x)) {}

  friend LOSSKIT_HD constexpr Scalar operator+(Scalar a, Scalar b) { return a.v + b.v; }
  friend LOSSKIT_HD constexpr Scalar operator-(Scalar a, Scalar b) { return a.v - b.v; }
  friend LOSSKIT_HD constexpr Scalar operator*(Scalar a, Scalar b) { return product(a.v, b.v); }
  friend LOSSKIT_HD constexpr Scalar operator/(Scalar a, Scalar b) { return a.v / b.v; }
  friend LOSSKIT_HD constexpr Scalar operator-(Scalar a) { return -a.v; }
  friend LOSSKIT_HD constexpr bool operator<(Scalar a, Scalar b) { return a.v < b.v; }
  friend LOSSKIT_HD constexpr bool operator>(Scalar a, Scalar b) { return a.v > b.v; }
  friend LOSSKIT_HD constexpr bool operator<=(Scalar a, Scalar b) { return a.v <= b.v; }
  friend LOSSKIT_HD constexpr bool operator>=(Scalar a, Scalar b) { return a.v >= b.v; }
  friend LOSSKIT_HD constexpr Scalar select(bool chosen, Scalar a, Scalar b) { return chosen ? a : b; }

  // A NaN in the first argument is returned, one in the second is not: min(max(x, low), high) keeps a NaN x.
  friend LOSSKIT_HD constexpr Scalar max(Scalar a, Scalar b) { return a.v < b.v ? b : a; }
  friend LOSSKIT_HD constexpr Scalar min(Scalar a, Scalar b) { return b.v < a.v ? b : a; }

  friend LOSSKIT_HD Scalar abs(Scalar a) { return T(::fabs(a.v)); }
  friend LOSSKIT_HD Scalar floor(Scalar a) { return T(::floor(a.v)); }
  friend LOSSKIT_HD Scalar copysign(Scalar a, Scalar b) {
    if constexpr (sizeof(T) == 4) return ::copysignf(a.v, b.v); else return ::copysign(a.v, b.v);
  }
  friend LOSSKIT_HD Scalar multiply_add(Scalar a, Scalar b, Scalar c) { return losskit::multiply_add(a.v, b.v, c.v); }
  friend LOSSKIT_HD Scalar fma(Scalar a, Scalar b, Scalar c) {
    if constexpr (sizeof(T) == 4) return ::fmaf(a.v, b.v, c.v); else return ::fma(a.v, b.v, c.v);
  }
  friend LOSSKIT_HD Scalar sqrt(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::sqrtf(a.v); else return ::sqrt(a.v);
  }
  friend LOSSKIT_HD Scalar exp(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::expf(a.v); else return ::exp(a.v);
  }
  friend LOSSKIT_HD Scalar log(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::logf(a.v); else return ::log(a.v);
  }
  friend LOSSKIT_HD Scalar log1p(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::log1pf(a.v); else return ::log1p(a.v);
  }
  friend LOSSKIT_HD Scalar expm1(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::expm1f(a.v); else return ::expm1(a.v);
  }
  friend LOSSKIT_HD Scalar pow(Scalar a, Scalar b) {
    if constexpr (sizeof(T) == 4) return ::powf(a.v, b.v); else return ::pow(a.v, b.v);
  }
  friend LOSSKIT_HD Scalar sin(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::sinf(a.v); else return ::sin(a.v);
  }
  friend LOSSKIT_HD Scalar cos(Scalar a) {
    if constexpr (sizeof(T) == 4) return ::cosf(a.v); else return ::cos(a.v);
  }
  friend LOSSKIT_HD Scalar atan2(Scalar a, Scalar b) {
    if constexpr (sizeof(T) == 4) return ::atan2f(a.v, b.v); else return ::atan2(a.v, b.v);
  }
};

// True where a is not below b, or either is NaN. A packet has one instruction for it.
template <class X>
LOSSKIT_HD LOSSKIT_INLINE auto not_less(X a, X b) { return !(a < b); }

// x > limit, with the limit kept in double: a float next to an irrational break lands on the same side as in double.
template <class X>
LOSSKIT_HD bool exceeds(X const& x, double limit) { return x > limit; }
template <class T, class Stored>
LOSSKIT_HD bool exceeds(Scalar<T, Stored> x, double limit) { return x.v > limit; }

// The rounding error of a double in X's type: k = X(k) + lost<X>(k). 0 where X is made of doubles.
template <class X>
LOSSKIT_HD constexpr double lost(double k) { return k - static_cast<double>(static_cast<typename X::scalar>(k)); }

// The type whose spacing decides what "nearest below 1" means for a Number: what is stored, else what computes.
template <class X>
struct stored_of { using type = typename X::scalar; };
template <class T, class Stored>
struct stored_of<Scalar<T, Stored>> { using type = Stored; };

// 1 - below_one is the largest number of the stored type that is less than 1: 2^-24 for float, 2^-53 for double, 2^-11 for half,
// 2^-8 for bfloat16.
template <class X>
inline constexpr double below_one = stored_number<typename stored_of<X>::type>::epsilon / 2;

}  // namespace losskit::inline LOSSKIT_ISA
