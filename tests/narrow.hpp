// Half and bfloat16 for the emulated lanes, with the layout and the rounding of CUDA's, and, like these, converting only where
// asked. Both are stored only: what computes is float.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "losskit/core/number.hpp"

namespace test {

// The upper half of a float.
struct Bfloat16 {
  std::uint16_t bits;

  Bfloat16() = default;
  explicit Bfloat16(float x) {
    auto const all = std::bit_cast<std::uint32_t>(x);
    // To the nearest, ties to even.
    bits = static_cast<std::uint16_t>((x != x ? all | 0x400000U : all + 0x7fffU + (all >> 16 & 1U)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
};

// IEEE binary16: 5 bits of exponent, 10 of fraction; below 2^-14 in steps of 2^-24.
struct Half {
  std::uint16_t bits;

  Half() = default;
  explicit Half(float x) {
    float const a = std::fabs(x);
    // nearbyint: to the nearest, ties to even. A fraction that rounds up to 1024 carries into the exponent, as it should.
    unsigned magnitude = 0x7c00;  // infinite
    if (a != a) magnitude = 0x7e00;
    else if (a < 0x1p-14F) magnitude = static_cast<unsigned>(std::nearbyint(a * 0x1p24F));
    else if (a < 65520) {
      int const e = std::ilogb(a);
      magnitude = (static_cast<unsigned>(e + 15) << 10) + static_cast<unsigned>(std::nearbyint(std::ldexp(a, 10 - e))) - 1024;
    }
    bits = static_cast<std::uint16_t>(magnitude | (std::signbit(x) ? 0x8000U : 0U));
  }
  explicit operator float() const {
    int const e = bits >> 10 & 31, fraction = bits & 1023;
    float const a = e == 31  ? (fraction ? NAN : HUGE_VALF)
                    : e == 0 ? std::ldexp(float(fraction), -24)
                             : std::ldexp(float(1024 + fraction), e - 25);
    return bits & 0x8000 ? -a : a;
  }
};

// Half the spacing of S's numbers at x: what storing x may change it by. 0 where what computes is what is stored.
template <class S>
long double half_spacing(long double) { return 0; }
template <>
inline long double half_spacing<Half>(long double x) {
  return std::ldexp(1.0L, std::max(std::ilogb(x), -14) - 11);
}
template <>
inline long double half_spacing<Bfloat16>(long double x) {
  return std::ldexp(1.0L, std::max(std::ilogb(x), -126) - 8);
}

}  // namespace test

namespace losskit {
template <>
struct stored_number<test::Half> {
  using computed = float;
  static constexpr double epsilon = 0x1p-10, largest = 65504;
};
template <>
struct stored_number<test::Bfloat16> {
  using computed = float;
  static constexpr double epsilon = 0x1p-7, largest = 0x1.fep127;
};
}  // namespace losskit
