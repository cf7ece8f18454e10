// NoBranch: a Number whose comparisons do not convert to bool. A formula that compiles on it runs on packets too, whose comparisons
// have one answer a lane; one with an `if` or `?:` does not compile, and the first error says what to write.
#pragma once
#include <concepts>
#include <type_traits>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

// The conversion to bool of every mask with more than one lane: a compile error.
template <std::same_as<bool> B>
LOSSKIT_HD constexpr B only_answer() {
  static_assert(!std::same_as<B, bool>,
                "losskit: this formula runs on many numbers at once: write select(condition, a, b), not if or ?:");
  return false;
}

// Computes nothing. Has the operations that every Number has, and no others.
struct NoBranch {
  using scalar = double;

  struct Mask {
    template <std::same_as<bool> B>
    LOSSKIT_HD constexpr operator B() const { return only_answer<B>(); }
    friend LOSSKIT_HD constexpr Mask operator&(Mask, Mask) { return {}; }
    friend LOSSKIT_HD constexpr Mask operator|(Mask, Mask) { return {}; }
    LOSSKIT_HD constexpr Mask operator!() const { return {}; }
  };

  NoBranch() = default;
  template <class T>
    requires std::is_arithmetic_v<T>
  LOSSKIT_HD constexpr NoBranch(T) {}

  friend LOSSKIT_HD constexpr NoBranch operator+(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch operator-(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch operator*(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch operator/(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch operator-(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr Mask operator<(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr Mask operator>(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr Mask operator<=(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr Mask operator>=(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch select(Mask, NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch abs(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch min(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch max(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch copysign(NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch multiply_add(NoBranch, NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch fma(NoBranch, NoBranch, NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch sqrt(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch exp(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch log(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch log1p(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch expm1(NoBranch) { return {}; }
  friend LOSSKIT_HD constexpr NoBranch pow(NoBranch, NoBranch) { return {}; }
};

}  // namespace losskit::inline LOSSKIT_ISA
