// CrossEntropy: L = -log p, d L / d log p = -1, with p the target's probability. Domain log p <= 0; no kink.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

struct CrossEntropy {
  static constexpr char const* name = "CrossEntropy";

  template <Number X>
  LOSSKIT_HD Jet<X> operator()(X log_p) const {
    return {-log_p, -1};
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
