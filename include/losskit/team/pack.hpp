// Pack: as many numbers as one access of 16 bytes moves, as a Number. What a lane of a LaneTeam works on.
//
// S is what the caller keeps in memory; the type that computes for it does the arithmetic: 4 floats, 2 doubles, 8 halves.
#pragma once
#include <concepts>
#include <cstdint>

#include "losskit/core/math.hpp"
#include "losskit/core/no_branch.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class S>
struct alignas(16) Pack {
  using scalar = computed<S>;
  using stored = S;
  using Lane = Scalar<scalar, S>;
  static constexpr int width = 16 / static_cast<int>(sizeof(S));
  Lane v[width];

  Pack() = default;
  template <class X>
    requires std::is_arithmetic_v<X>
  LOSSKIT_HD LOSSKIT_INLINE Pack(X x) {
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) v[i] = Lane(x);
  }

  // --- memory: one access where p lies on a boundary of 16 bytes; lanes [from, to) only -------------------------------------
  struct alignas(16) Memory { S v[width]; };
  static LOSSKIT_HD LOSSKIT_INLINE bool aligned(S const* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }
  static LOSSKIT_HD LOSSKIT_INLINE Pack load(S const* p) {
    Memory const m = *reinterpret_cast<Memory const*>(p);
    return each([&](int i) { return Lane(static_cast<scalar>(m.v[i])); });
  }
  LOSSKIT_HD LOSSKIT_INLINE void store(S* p) const {
    Memory m;
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) m.v[i] = static_cast<S>(v[i].v);
    *reinterpret_cast<Memory*>(p) = m;
  }
  static LOSSKIT_HD LOSSKIT_INLINE Pack load_some(S const* p, int from, int to) {
    return each([&](int i) { return Lane(i >= from && i < to ? static_cast<scalar>(p[i]) : scalar(0)); });
  }
  LOSSKIT_HD LOSSKIT_INLINE void store_some(S* p, int from, int to) const {
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i)
      if (i >= from && i < to) p[i] = static_cast<S>(v[i].v);
  }

  static LOSSKIT_HD LOSSKIT_INLINE void copy_some(void* to, S const* p, int from, int until) {
    Memory m;
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) m.v[i] = i >= from && i < until ? p[i] : static_cast<S>(scalar(0));
    *static_cast<Memory*>(to) = m;
  }

  // --- lane by lane -----------------------------------------------------------------------------------------------------------
  struct Mask {
    bool v[width];
    friend LOSSKIT_HD LOSSKIT_INLINE Mask operator&(Mask const& a, Mask const& b) { return mask([&](int i) { return a.v[i] && b.v[i]; }); }
    friend LOSSKIT_HD LOSSKIT_INLINE Mask operator|(Mask const& a, Mask const& b) { return mask([&](int i) { return a.v[i] || b.v[i]; }); }
    friend LOSSKIT_HD LOSSKIT_INLINE Mask operator!(Mask const& a) { return mask([&](int i) { return !a.v[i]; }); }
    template <std::same_as<bool> B>
    LOSSKIT_HD operator B() const { return only_answer<B>(); }
  };
  template <class F>
  static LOSSKIT_HD LOSSKIT_INLINE Pack each(F f) {
    Pack r;
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) r.v[i] = f(i);
    return r;
  }
  template <class F>
  static LOSSKIT_HD LOSSKIT_INLINE Mask mask(F f) {
    Mask r;
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) r.v[i] = f(i);
    return r;
  }

  friend LOSSKIT_HD LOSSKIT_INLINE Pack operator+(Pack const& a, Pack const& b) { return each([&](int i) { return a.v[i] + b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack operator-(Pack const& a, Pack const& b) { return each([&](int i) { return a.v[i] - b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack operator*(Pack const& a, Pack const& b) { return each([&](int i) { return a.v[i] * b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack operator/(Pack const& a, Pack const& b) { return each([&](int i) { return a.v[i] / b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack operator-(Pack const& a) { return each([&](int i) { return -a.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Mask operator<(Pack const& a, Pack const& b) { return mask([&](int i) { return a.v[i] < b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Mask operator>(Pack const& a, Pack const& b) { return mask([&](int i) { return a.v[i] > b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Mask operator<=(Pack const& a, Pack const& b) { return mask([&](int i) { return a.v[i] <= b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Mask operator>=(Pack const& a, Pack const& b) { return mask([&](int i) { return a.v[i] >= b.v[i]; }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack select(Mask const& m, Pack const& a, Pack const& b) {
    return each([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
  }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack abs(Pack const& a) { return each([&](int i) { return abs(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack floor(Pack const& a) { return each([&](int i) { return floor(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack sqrt(Pack const& a) { return each([&](int i) { return sqrt(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack exp(Pack const& a) { return each([&](int i) { return exp(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack log(Pack const& a) { return each([&](int i) { return log(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack log1p(Pack const& a) { return each([&](int i) { return log1p(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack expm1(Pack const& a) { return each([&](int i) { return expm1(a.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack min(Pack const& a, Pack const& b) { return each([&](int i) { return min(a.v[i], b.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack max(Pack const& a, Pack const& b) { return each([&](int i) { return max(a.v[i], b.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack copysign(Pack const& a, Pack const& b) {
    return each([&](int i) { return copysign(a.v[i], b.v[i]); });
  }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack pow(Pack const& a, Pack const& b) { return each([&](int i) { return pow(a.v[i], b.v[i]); }); }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack multiply_add(Pack const& a, Pack const& b, Pack const& c) {
    return each([&](int i) { return multiply_add(a.v[i], b.v[i], c.v[i]); });
  }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack fma(Pack const& a, Pack const& b, Pack const& c) {
    return each([&](int i) { return fma(a.v[i], b.v[i], c.v[i]); });
  }
  friend LOSSKIT_HD LOSSKIT_INLINE Pack exp2_of(Pack const& k, Pack const& k_low, Pack const& x, Pack const& h) {
    return each([&](int i) { return exp2_of(k.v[i], k_low.v[i], x.v[i], h.v[i]); });
  }

  LOSSKIT_HD LOSSKIT_INLINE scalar sum() const {  // in pairs
    scalar s[width];
    LOSSKIT_UNROLL for (int i = 0; i < width; ++i) s[i] = v[i].v;
    LOSSKIT_UNROLL for (int d = width / 2; d > 0; d /= 2)
      LOSSKIT_UNROLL for (int i = 0; i < d; ++i) s[i] += s[i + d];
    return s[0];
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
