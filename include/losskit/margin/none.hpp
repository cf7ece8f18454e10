// NoMargin: the cosine itself, psi(c) = c, slope 1. With a scale this is the normalised softmax.
// Wang et al. 2017 (NormFace), arXiv:1704.06369. Domain [-1, 1]; no kink.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

struct NoMargin {
  static constexpr char const* name = "NoMargin";
  static constexpr bool monotone = true;

  template <Number X>
  LOSSKIT_HD Jet<X> target(X c) const {
    return {min(max(c, X(-1)), X(1)), 1};
  }
  template <std::floating_point T>
  LOSSKIT_HD Jet<T> target(T c) const {
    return value_and_slope(*this, c);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
