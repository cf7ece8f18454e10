// Packet<T>: as many floats or doubles as one register holds, as a Number. A thin wrapper of Eigen's packets.
//
// + - * / and comparisons are the compiler's own on its vector types: a function of Eigen's for each would cost users seconds of
// compilation. What has no operator is Eigen's; select and whatever looks at single bits go through vector types of whole numbers, so that
// double needs no integer packet. With AVX-512 a mask is a mask register and the exponent instructions are used.
// exp, log and their kin are in core/math.hpp. A Packet is not an Eigen type: no expression, no alignment demands.
#pragma once
#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "losskit/core/config.hpp"
#include "losskit/core/math.hpp"
#include "losskit/core/no_branch.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>  // half of what all of immintrin.h costs to read
#endif

namespace losskit::inline LOSSKIT_ISA {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // __m512 as a template argument loses an attribute nobody needs
#endif

template <class T>
class Packet {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "losskit: a Packet holds float or double");
  using Raw = typename Eigen::internal::packet_traits<T>::type;
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  typedef Word Words __attribute__((vector_size(sizeof(Raw))));
  static constexpr bool single = sizeof(T) == 4;
  static constexpr int mantissa = std::numeric_limits<T>::digits - 1;
  static constexpr Word bias = std::numeric_limits<T>::max_exponent - 1;
  static constexpr Word sign_bit = Word(1) << (8 * sizeof(T) - 1);

 public:
  using scalar = T;
  using part = Packet;
  static constexpr idx width = sizeof(Raw) / sizeof(T), parts = 1;  // lanes; registers
  static_assert(width > 1, "losskit: Eigen knows no SIMD packets for this machine (EIGEN_DONT_VECTORIZE?)");

  // --- one answer per lane ---------------------------------------------------------------------------------------
  class Mask {
   public:
    template <std::same_as<bool> B>
    operator B() const { return only_answer<B>(); }
#if defined(__AVX512F__)
    using Bits = std::conditional_t<single, __mmask16, __mmask8>;
    LOSSKIT_INLINE explicit Mask(Bits bits) : bits_(bits) {}
    friend LOSSKIT_INLINE Mask operator&(Mask a, Mask b) { return Mask(Bits(a.bits_ & b.bits_)); }
    friend LOSSKIT_INLINE Mask operator|(Mask a, Mask b) { return Mask(Bits(a.bits_ | b.bits_)); }
    LOSSKIT_INLINE Mask operator!() const { return Mask(Bits(~bits_)); }
    LOSSKIT_INLINE bool any() const { return bits_ != 0; }
    LOSSKIT_INLINE bool all() const { return bits_ == Bits(-1); }
    // The number of true lanes.
    LOSSKIT_INLINE int count() const { return std::popcount(bits_); }
    LOSSKIT_INLINE Bits bits() const { return bits_; }
#else
    using Bits = Words;
    LOSSKIT_INLINE explicit Mask(Bits bits) : bits_(bits) {}
    friend LOSSKIT_INLINE Mask operator&(Mask a, Mask b) { return Mask(a.bits_ & b.bits_); }
    friend LOSSKIT_INLINE Mask operator|(Mask a, Mask b) { return Mask(a.bits_ | b.bits_); }
    LOSSKIT_INLINE Mask operator!() const { return Mask(~bits_); }
    LOSSKIT_INLINE bool any() const { return moved() != 0; }
    LOSSKIT_INLINE bool all() const { return count() == width; }
    // The number of true lanes.
    LOSSKIT_INLINE int count() const { return std::popcount(moved()); }
    LOSSKIT_INLINE Bits bits() const { return bits_; }

   private:
    LOSSKIT_INLINE unsigned moved() const {  // one bit a lane
#if defined(__AVX__)
      if constexpr (single) return unsigned(_mm256_movemask_ps((__m256)bits_));
      else return unsigned(_mm256_movemask_pd((__m256d)bits_));
#elif defined(__SSE2__)
      if constexpr (single) return unsigned(_mm_movemask_ps((__m128)bits_));
      else return unsigned(_mm_movemask_pd((__m128d)bits_));
#else
      unsigned lanes = 0;
      for (int i = 0; i < width; ++i) lanes |= unsigned(bits_[i] & 1) << i;
      return lanes;
#endif
    }
#endif

   private:
    Bits bits_;
  };

#if !defined(__AVX512F__)
  // How often each lane's answer was true. A true lane is -1 as a whole number, so that counting is one integer subtraction, which leaves
  // the floating-point units alone. (With AVX-512 an addition under a mask is as cheap.)
  class Count {
   public:
    LOSSKIT_INLINE Count(int x) : lanes_(Words{} + static_cast<Word>(x)) {}
    friend LOSSKIT_INLINE Count counted(Count n, Mask where) { return Count(hidden(n.lanes_ - where.bits())); }
    friend LOSSKIT_INLINE Count operator+(Count a, Count b) { return Count(a.lanes_ + b.lanes_); }
    friend LOSSKIT_INLINE Count select(Mask m, Count a, Count b) { return Count((m.bits() & a.lanes_) | (~m.bits() & b.lanes_)); }
    LOSSKIT_INLINE double sum() const {
      Word sum = 0;
      for (int i = 0; i < width; ++i) sum += lanes_[i];
      return static_cast<double>(sum);
    }

   private:
    LOSSKIT_INLINE explicit Count(Words lanes) : lanes_(lanes) {}
    Words lanes_;
  };
#endif

  // --- in and out --------------------------------------------------------------------------------------------------
  Packet() = default;
  LOSSKIT_INLINE Packet(T x) : raw_(x - Raw{}) {}  // x in every lane: less 0 it is x, the sign of 0 included
  LOSSKIT_INLINE Packet(int x) : Packet(static_cast<T>(x)) {}
  LOSSKIT_INLINE Packet(double x) requires(sizeof(T) == 4) : Packet(static_cast<T>(x)) {}

  static LOSSKIT_INLINE Packet load(T const* p) { return Packet(Eigen::internal::ploadu<Raw>(p), raw_tag{}); }
  LOSSKIT_INLINE void store(T* p) const { Eigen::internal::pstoreu(p, raw_); }

  // Past the caches, to an address that is a multiple of the packet's size; finish with fence_streams().
  LOSSKIT_INLINE void stream(T* p) const {
#if defined(__AVX512F__)
    if constexpr (single) _mm512_stream_ps(p, raw_); else _mm512_stream_pd(p, raw_);
#elif defined(__AVX__)
    if constexpr (single) _mm256_stream_ps(p, raw_); else _mm256_stream_pd(p, raw_);
#elif defined(__SSE2__)
    if constexpr (single) _mm_stream_ps(p, raw_); else _mm_stream_pd(p, raw_);
#else
    store(p);
#endif
  }

  // Makes streamed stores visible to other threads before anything that follows.
  static LOSSKIT_INLINE void fence_streams() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
  }

  // The first m lanes, 0 <= m <= width: memory beyond p + m is neither read nor written; the other lanes are 0.
  static LOSSKIT_INLINE Packet load_some(T const* p, idx m) {
#if defined(__AVX512F__)
    if constexpr (single) return Packet(_mm512_maskz_loadu_ps(first_lanes(m).bits(), p), raw_tag{});
    else return Packet(_mm512_maskz_loadu_pd(first_lanes(m).bits(), p), raw_tag{});
#else
    T lanes[width] = {};
    for (idx i = 0; i < m; ++i) lanes[i] = p[i];
    return load(lanes);
#endif
  }
  LOSSKIT_INLINE void store_some(T* p, idx m) const {
#if defined(__AVX512F__)
    if constexpr (single) _mm512_mask_storeu_ps(p, first_lanes(m).bits(), raw_);
    else _mm512_mask_storeu_pd(p, first_lanes(m).bits(), raw_);
#else
    T lanes[width];
    store(lanes);
    for (idx i = 0; i < m; ++i) p[i] = lanes[i];
#endif
  }

  // 0, 1, 2 ... and the mask of lanes below m.
  static LOSSKIT_INLINE Packet iota() { return Packet(Eigen::internal::plset<Raw>(T(0)), raw_tag{}); }
  static LOSSKIT_INLINE Mask first_lanes(idx m) {
#if defined(__AVX512F__)
    return Mask(typename Mask::Bits((1u << m) - 1u));
#else
    return iota() < Packet(static_cast<T>(m));
#endif
  }

  // The sum of all lanes, always in the same order.
  LOSSKIT_INLINE T sum() const { return Eigen::internal::predux(raw_); }

  // Of one part there is the whole (core/twice.hpp).
  static LOSSKIT_INLINE Packet with_part(idx, Packet x) { return x; }

  // --- arithmetic ----------------------------------------------------------------------------------------------------
  friend LOSSKIT_INLINE Packet operator+(Packet a, Packet b) { return {a.raw_ + b.raw_, raw_tag{}}; }
  friend LOSSKIT_INLINE Packet operator-(Packet a, Packet b) { return {a.raw_ - b.raw_, raw_tag{}}; }
  friend LOSSKIT_INLINE Packet operator*(Packet a, Packet b) { return {hidden(a.raw_ * b.raw_), raw_tag{}}; }
  friend LOSSKIT_INLINE Packet operator/(Packet a, Packet b) { return {a.raw_ / b.raw_, raw_tag{}}; }
  friend LOSSKIT_INLINE Packet operator-(Packet a) { return {-a.raw_, raw_tag{}}; }  // folds into a multiply-add

  friend LOSSKIT_INLINE Mask operator<(Packet a, Packet b) { return compared<Less>(a, b); }
  friend LOSSKIT_INLINE Mask operator>(Packet a, Packet b) { return compared<Less>(b, a); }
  friend LOSSKIT_INLINE Mask operator<=(Packet a, Packet b) { return compared<NotAbove>(a, b); }
  friend LOSSKIT_INLINE Mask operator>=(Packet a, Packet b) { return compared<NotAbove>(b, a); }
  // !(a < b) in one instruction.
  friend LOSSKIT_INLINE Mask not_less(Packet a, Packet b) { return compared<NotLess>(a, b); }
  friend LOSSKIT_INLINE Packet select(Mask chosen, Packet a, Packet b) {
#if defined(__AVX512F__)
    if constexpr (single) return {_mm512_mask_blend_ps(chosen.bits(), b.raw_, a.raw_), raw_tag{}};
    else return {_mm512_mask_blend_pd(chosen.bits(), b.raw_, a.raw_), raw_tag{}};
#elif defined(__AVX__)
    if constexpr (single) return {_mm256_blendv_ps(b.raw_, a.raw_, (__m256)chosen.bits()), raw_tag{}};
    else return {_mm256_blendv_pd(b.raw_, a.raw_, (__m256d)chosen.bits()), raw_tag{}};
#else
    return of_bits((chosen.bits() & a.bits()) | (~chosen.bits() & b.bits()));
#endif
  }

  friend LOSSKIT_INLINE Packet multiply_add(Packet a, Packet b, Packet c) {
    if constexpr (fuses) return {Eigen::internal::pmadd(a.raw_, b.raw_, c.raw_), raw_tag{}}; else return a * b + c;
  }
  friend LOSSKIT_INLINE Packet fma(Packet a, Packet b, Packet c) {
    if constexpr (fuses) return multiply_add(a, b, c);
    T x[width], y[width], z[width];
    a.store(x), b.store(y), c.store(z);
    for (idx i = 0; i < width; ++i) z[i] = std::fma(x[i], y[i], z[i]);
    return load(z);
  }
  // A NaN in the first argument is returned, one in the second is not: x86's instructions with their operands swapped.
  friend LOSSKIT_INLINE Packet max(Packet a, Packet b) {
#if defined(__SSE2__)
    return {Eigen::internal::pmax(a.raw_, b.raw_), raw_tag{}};
#else
    return select(a < b, b, a);
#endif
  }
  friend LOSSKIT_INLINE Packet min(Packet a, Packet b) {
#if defined(__SSE2__)
    return {Eigen::internal::pmin(a.raw_, b.raw_), raw_tag{}};
#else
    return select(b < a, b, a);
#endif
  }
  friend LOSSKIT_INLINE Packet abs(Packet a) { return of_bits(a.bits() & ~sign_bit); }
  friend LOSSKIT_INLINE Packet copysign(Packet a, Packet b) {
    return of_bits((a.bits() & ~sign_bit) | (b.bits() & sign_bit));
  }
  friend LOSSKIT_INLINE Packet sqrt(Packet a) {  // rounded correctly; Eigen's is an estimate
#if defined(__AVX512F__)
    if constexpr (single) return {_mm512_sqrt_ps(a.raw_), raw_tag{}}; else return {_mm512_sqrt_pd(a.raw_), raw_tag{}};
#elif defined(__AVX__)
    if constexpr (single) return {_mm256_sqrt_ps(a.raw_), raw_tag{}}; else return {_mm256_sqrt_pd(a.raw_), raw_tag{}};
#elif defined(__SSE2__)
    if constexpr (single) return {_mm_sqrt_ps(a.raw_), raw_tag{}}; else return {_mm_sqrt_pd(a.raw_), raw_tag{}};
#elif defined(__aarch64__)
    if constexpr (single) return {vsqrtq_f32(a.raw_), raw_tag{}}; else return {vsqrtq_f64(a.raw_), raw_tag{}};
#else
    return {Eigen::internal::psqrt(a.raw_), raw_tag{}};
#endif
  }

  // Whether any |x| > 1 in four packets. A NaN may be missed (team/simd.hpp).
  static LOSSKIT_INLINE bool any_outside(Packet a, Packet b, Packet c, Packet d) {
#if defined(__AVX512DQ__)
    constexpr int larger_size = 0b1011;  // of two numbers, without its sign
    if constexpr (single) {
      auto const larger = [](__m512 x, __m512 y) { return _mm512_range_ps(x, y, larger_size); };
      return _mm512_cmp_ps_mask(larger(larger(a.raw_, b.raw_), larger(c.raw_, d.raw_)), _mm512_set1_ps(1), _CMP_NLE_UQ) != 0;
    } else {
      auto const larger = [](__m512d x, __m512d y) { return _mm512_range_pd(x, y, larger_size); };
      return _mm512_cmp_pd_mask(larger(larger(a.raw_, b.raw_), larger(c.raw_, d.raw_)), _mm512_set1_pd(1), _CMP_NLE_UQ) != 0;
    }
#else
#if defined(__AVX2__)
    if constexpr (single) {  // the order of sizes is that of their bits; a NaN's are larger than those of 1
      auto const size = [](Packet x) { return (__m256i)(x.bits() & ~sign_bit); };
      __m256i const largest = _mm256_max_epi32(_mm256_max_epi32(size(a), size(b)), _mm256_max_epi32(size(c), size(d)));
      return _mm256_movemask_ps((__m256)_mm256_cmpgt_epi32(largest, _mm256_set1_epi32(0x3f800000))) != 0;
    }
#endif
    return !(max(max(abs(a), abs(b)), max(abs(c), abs(d))) <= Packet(T(1))).all();
#endif
  }

  // --- what core/math.hpp asks for ---------------------------------------------------------------------------------
  // Adding `shifter` rounds to a whole number n and leaves n + bias in the lowest bits; power2 makes 2^n of them,
  // for n in [1 - bias, bias].
  static constexpr T shifter = T(1.5) / std::numeric_limits<T>::epsilon() + T(bias);
  friend LOSSKIT_INLINE Packet power2(Packet shifted) { return of_bits(shifted.bits() << mantissa); }

  // A register as a table of 2^(i / 2^b), b = fine_bits; 0: there is none. Adding `fine_shifter` rounds x to multiples of 2^-b and leaves
  // 2^b x in the lowest bits; fine_power2 makes 2^x of them: the table holds the bits of 2^(i / 2^b) less i << (23 - b), so that one
  // addition of 2^b x << (23 - b) sets fraction and exponent.
#if defined(__AVX512F__)
  static constexpr int fine_bits = single ? 5 : 0;
#elif defined(__AVX2__)
  static constexpr int fine_bits = single ? 3 : 0;
#else
  static constexpr int fine_bits = 0;
#endif
  static constexpr T fine_shifter = T(1.5) / std::numeric_limits<T>::epsilon() / T(1 << fine_bits);
#if defined(__AVX2__)
  friend LOSSKIT_INLINE Packet fine_power2(Packet shifted) requires(fine_bits > 0) {
#if defined(__AVX512F__)
    alignas(64) static constexpr std::uint32_t table[32] = {
        0x3f800000, 0x3f7ecd87, 0x3f7daac3, 0x3f7c980f, 0x3f7b95c2, 0x3f7aa43a, 0x3f79c3d3, 0x3f78f4f0,
        0x3f7837f0, 0x3f778d3a, 0x3f76f532, 0x3f767043, 0x3f75fed7, 0x3f75a15b, 0x3f75583f, 0x3f7523f6,
        0x3f7504f3, 0x3f74fbaf, 0x3f7508a4, 0x3f752c4d, 0x3f75672a, 0x3f75b9be, 0x3f76248c, 0x3f76a81e,
        0x3f7744fd, 0x3f77fbb8, 0x3f78ccdf, 0x3f79b907, 0x3f7ac0c7, 0x3f7be4ba, 0x3f7d257d, 0x3f7e83b3};
    __m512i const x = (__m512i)shifted.raw_;
    return {(Raw)_mm512_add_epi32(_mm512_permutex2var_epi32(_mm512_load_si512(table), x, _mm512_load_si512(table + 16)),
                                  _mm512_slli_epi32(x, 18)),
            raw_tag{}};
#else
    __m256i const x = (__m256i)shifted.raw_;
    __m256i const table = _mm256_setr_epi32(0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7);
    return {(Raw)_mm256_add_epi32(_mm256_permutevar8x32_epi32(table, x), _mm256_slli_epi32(x, 20)), raw_tag{}};
#endif
  }
#endif

  // p 2^n for a whole number n, however far p or 2^n alone would leave the range; |n| <= 2 bias - 2.
  friend LOSSKIT_INLINE Packet scale2(Packet p, Packet n) {
#if defined(__AVX512F__)
    if constexpr (single) return {_mm512_scalef_ps(p.raw_, n.raw_), raw_tag{}};
    else return {_mm512_scalef_pd(p.raw_, n.raw_), raw_tag{}};
#else
    Packet const half = multiply_add(n, T(0.5), shifter) - shifter;
    return p * power2(half + shifter) * power2((n - half) + shifter);
#endif
  }

  // x = m 2^e with m in [3/4, 3/2). 0: m = 1, e = -inf; inf: m = 1, e = inf; negative or NaN: m = NaN.
  struct Split { Packet m, e; };
  friend LOSSKIT_INLINE Split split2(Packet x) {
#if defined(__AVX512F__)
    return split2_normal(x);
#else
    using limits = std::numeric_limits<T>;
    constexpr int up = single ? 24 : 54;  // raises denormal numbers
    Mask const tiny = x < Packet(limits::min());
    auto const [m, e] = split2_normal(select(tiny, x * T(std::uint64_t{1} << up), x));
    return {select(x >= 0, m, limits::quiet_NaN()),
            select(x > 0, select(x <= limits::max(), select(tiny, e - up, e), limits::infinity()), -limits::infinity())};
#endif
  }
  // The same for a positive normal x alone.
  friend LOSSKIT_INLINE Split split2_normal(Packet x) {
#if defined(__AVX512F__)
    if constexpr (single) {
      auto const m = _mm512_getmant_ps(x.raw_, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
      return {{m, raw_tag{}}, {_mm512_sub_ps(_mm512_getexp_ps(x.raw_), _mm512_getexp_ps(m)), raw_tag{}}};
    } else {
      auto const m = _mm512_getmant_pd(x.raw_, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
      return {{m, raw_tag{}}, {_mm512_sub_pd(_mm512_getexp_pd(x.raw_), _mm512_getexp_pd(m)), raw_tag{}}};
    }
#else
    constexpr Word three_quarters = (bias << mantissa) - (Word(1) << (mantissa - 1));
    constexpr T carrier = T(1) / std::numeric_limits<T>::epsilon();  // its lowest bit counts ones
    Words const u = x.bits(), k = (u - (three_quarters - (bias << mantissa))) >> mantissa;  // e + bias
    return {of_bits(u - (k << mantissa) + (bias << mantissa)), of_bits(k | std::bit_cast<Word>(carrier)) - (carrier + T(bias))};
#endif
  }
  // 2^-e for a positive normal x and the m that split2 gave for it: their mantissas are the same.
  friend LOSSKIT_INLINE Packet unscale(Packet x, Packet m) {
    return of_bits((m.bits() - x.bits()) + (bias << mantissa));
  }

  // a b - c with the product not rounded, for c near a b: the rounding error of a product, or its distance from a whole number.
  friend LOSSKIT_INLINE Packet product_minus(Packet a, Packet b, Packet c) {
    if constexpr (fuses) {
      return multiply_add(a, b, -c);
    } else {  // in halves, whose products are exact (the last one nearly so in double)
      constexpr Word low = (Word(1) << (single ? 12 : 27)) - 1;
      Packet const ah = of_bits(a.bits() & ~low), bh = of_bits(b.bits() & ~low), al = a - ah, bl = b - bh;
      return ((ah * bh - c) + ah * bl + al * bh) + al * bl;
    }
  }
  // The same number, hidden from the compiler, which else might simplify the expression of its rounding error to 0.
  friend LOSSKIT_INLINE Packet rounded(Packet a) { return {hidden(a.raw_), raw_tag{}}; }

 private:
  struct raw_tag {};
  LOSSKIT_INLINE Packet(Raw raw, raw_tag) : raw_(raw) {}
  LOSSKIT_INLINE Words bits() const { return (Words)raw_; }
  static LOSSKIT_INLINE Packet of_bits(Words w) { return {(Raw)w, raw_tag{}}; }

  enum Comparison { Less, NotAbove, NotLess };
  template <Comparison how>
  static LOSSKIT_INLINE Mask compared(Packet a, Packet b) {
#if defined(__AVX__)
    constexpr int op = how == Less ? _CMP_LT_OQ : how == NotAbove ? _CMP_LE_OQ : _CMP_NLT_UQ;
#endif
#if defined(__AVX512F__)
    if constexpr (single) return Mask(_mm512_cmp_ps_mask(a.raw_, b.raw_, op));
    else return Mask(_mm512_cmp_pd_mask(a.raw_, b.raw_, op));
#elif defined(__AVX__)
    if constexpr (single) return Mask((Words)_mm256_cmp_ps(a.raw_, b.raw_, op));
    else return Mask((Words)_mm256_cmp_pd(a.raw_, b.raw_, op));
#else
    if constexpr (how == Less) return Mask((Words)(a.raw_ < b.raw_));
    else if constexpr (how == NotAbove) return Mask((Words)(a.raw_ <= b.raw_));
    else return !Mask((Words)(a.raw_ < b.raw_));
#endif
  }

  Raw raw_;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

// While it lives, arguments and results of this thread too small for a normal number (1.2e-38 in float, 2.2e-308 in double) count as 0:
// the gradients of a solved row can all be that small, and each would cost as much as a hundred others. The destructor restores the
// mode. On x86 only; elsewhere it does nothing.
class FlushTiny {
#if defined(__SSE2__)
 public:
  FlushTiny() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // flush to zero, denormals are zero
  ~FlushTiny() { _mm_setcsr(before_); }
  FlushTiny(FlushTiny const&) = delete;
  FlushTiny& operator=(FlushTiny const&) = delete;

 private:
  unsigned before_;
#else
 public:
  FlushTiny() {}
#endif
};

}  // namespace losskit::inline LOSSKIT_ISA
