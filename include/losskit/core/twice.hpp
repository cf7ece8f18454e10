// Twice<P>: two packets as one Number. Every operation is done on one and then on the other, which interleaves two independent
// chains of arithmetic. A formula such as SigmoidFocalLoss is one dependent chain as long as a processor's out-of-order window, some
// hundred or two hundred instructions: the processor alone would not find the next packet's work.
#pragma once
#include <concepts>
#include <type_traits>

#include "losskit/core/no_branch.hpp"
#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class P>
class Twice {
 public:
  using scalar = typename P::scalar;
  using part = typename P::part;  // what it is made of: the packet of one register
  static constexpr idx width = 2 * P::width, parts = 2 * P::parts;
  static constexpr scalar shifter = P::shifter;
  static constexpr int fine_bits = 0;

  struct Mask {
    typename P::Mask a, b;
    friend LOSSKIT_INLINE Mask operator&(Mask x, Mask y) { return {x.a & y.a, x.b & y.b}; }
    friend LOSSKIT_INLINE Mask operator|(Mask x, Mask y) { return {x.a | y.a, x.b | y.b}; }
    LOSSKIT_INLINE Mask operator!() const { return {!a, !b}; }
    template <std::same_as<bool> B>
    operator B() const { return only_answer<B>(); }
  };

  Twice() = default;
  LOSSKIT_INLINE Twice(P a, P b) : a_(a), b_(b) {}
  template <class X>
    requires std::is_arithmetic_v<X>
  LOSSKIT_INLINE Twice(X x) : a_(x), b_(x) {}

  LOSSKIT_INLINE P first() const { return a_; }
  LOSSKIT_INLINE P second() const { return b_; }

  static LOSSKIT_INLINE Twice load(scalar const* p) { return {P::load(p), P::load(p + P::width)}; }
  LOSSKIT_INLINE void store(scalar* p) const { a_.store(p), b_.store(p + P::width); }
  LOSSKIT_INLINE void stream(scalar* p) const { a_.stream(p), b_.stream(p + P::width); }
  static LOSSKIT_INLINE void fence_streams() { P::fence_streams(); }
  static LOSSKIT_INLINE Twice load_some(scalar const* p, idx m) {
    return m > P::width ? Twice(P::load(p), P::load_some(p + P::width, m - P::width)) : Twice(P::load_some(p, m), P(0));
  }
  LOSSKIT_INLINE void store_some(scalar* p, idx m) const {
    if (m > P::width) a_.store(p), b_.store_some(p + P::width, m - P::width); else a_.store_some(p, m);
  }
  static LOSSKIT_INLINE Mask first_lanes(idx m) {
    return {P::first_lanes(m < P::width ? m : P::width), P::first_lanes(m > P::width ? m - P::width : 0)};
  }
  LOSSKIT_INLINE scalar sum() const { return (a_ + b_).sum(); }
  // x as the k-th of its parts; the others are 0.
  static LOSSKIT_INLINE Twice with_part(idx k, part x) {
    return k < P::parts ? Twice(P::with_part(k, x), P(0)) : Twice(P(0), P::with_part(k - P::parts, x));
  }

  friend LOSSKIT_INLINE Twice operator+(Twice x, Twice y) { return {x.a_ + y.a_, x.b_ + y.b_}; }
  friend LOSSKIT_INLINE Twice operator-(Twice x, Twice y) { return {x.a_ - y.a_, x.b_ - y.b_}; }
  friend LOSSKIT_INLINE Twice operator*(Twice x, Twice y) { return {x.a_ * y.a_, x.b_ * y.b_}; }
  friend LOSSKIT_INLINE Twice operator/(Twice x, Twice y) { return {x.a_ / y.a_, x.b_ / y.b_}; }
  friend LOSSKIT_INLINE Twice operator-(Twice x) { return {-x.a_, -x.b_}; }
  friend LOSSKIT_INLINE Mask operator<(Twice x, Twice y) { return {x.a_ < y.a_, x.b_ < y.b_}; }
  friend LOSSKIT_INLINE Mask operator>(Twice x, Twice y) { return {x.a_ > y.a_, x.b_ > y.b_}; }
  friend LOSSKIT_INLINE Mask operator<=(Twice x, Twice y) { return {x.a_ <= y.a_, x.b_ <= y.b_}; }
  friend LOSSKIT_INLINE Mask operator>=(Twice x, Twice y) { return {x.a_ >= y.a_, x.b_ >= y.b_}; }
  friend LOSSKIT_INLINE Twice select(Mask m, Twice x, Twice y) { return {select(m.a, x.a_, y.a_), select(m.b, x.b_, y.b_)}; }
  friend LOSSKIT_INLINE Twice max(Twice x, Twice y) { return {max(x.a_, y.a_), max(x.b_, y.b_)}; }
  friend LOSSKIT_INLINE Twice min(Twice x, Twice y) { return {min(x.a_, y.a_), min(x.b_, y.b_)}; }
  friend LOSSKIT_INLINE Twice copysign(Twice x, Twice y) { return {copysign(x.a_, y.a_), copysign(x.b_, y.b_)}; }
  friend LOSSKIT_INLINE Twice multiply_add(Twice x, Twice y, Twice z) {
    return {multiply_add(x.a_, y.a_, z.a_), multiply_add(x.b_, y.b_, z.b_)};
  }
  friend LOSSKIT_INLINE Twice fma(Twice x, Twice y, Twice z) { return {fma(x.a_, y.a_, z.a_), fma(x.b_, y.b_, z.b_)}; }
  friend LOSSKIT_INLINE Twice product_minus(Twice x, Twice y, Twice z) {
    return {product_minus(x.a_, y.a_, z.a_), product_minus(x.b_, y.b_, z.b_)};
  }
  friend LOSSKIT_INLINE Twice abs(Twice x) { return {abs(x.a_), abs(x.b_)}; }
  friend LOSSKIT_INLINE Twice sqrt(Twice x) { return {sqrt(x.a_), sqrt(x.b_)}; }
  friend LOSSKIT_INLINE Twice rounded(Twice x) { return {rounded(x.a_), rounded(x.b_)}; }
  friend LOSSKIT_INLINE Twice power2(Twice x) { return {power2(x.a_), power2(x.b_)}; }
  friend LOSSKIT_INLINE Twice scale2(Twice x, Twice n) { return {scale2(x.a_, n.a_), scale2(x.b_, n.b_)}; }
  friend LOSSKIT_INLINE Twice unscale(Twice x, Twice m) { return {unscale(x.a_, m.a_), unscale(x.b_, m.b_)}; }
  struct Split { Twice m, e; };
  friend LOSSKIT_INLINE Split split2(Twice x) {
    auto const a = split2(x.a_), b = split2(x.b_);
    return {{a.m, b.m}, {a.e, b.e}};
  }
  friend LOSSKIT_INLINE Split split2_normal(Twice x) {
    auto const a = split2_normal(x.a_), b = split2_normal(x.b_);
    return {{a.m, b.m}, {a.e, b.e}};
  }

 private:
  P a_, b_;
};

}  // namespace losskit::inline LOSSKIT_ISA
