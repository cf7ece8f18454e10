// HardNegatives: classes that beat the margined target weigh more. Wang et al. 2020 (MV-Softmax; SV-X-Softmax),
// arXiv:1912.00833, eqs. 7 and 8. With T the row's threshold, the margin without its rule past pi:
//
//   Adaptive:  r(c) = (1 + t) c + t  where c > T, else c       slope 1 + t, else 1
//   Fixed:     r(c) = c + t          where c > T, else c       slope 1
//
// t >= 0, a cosine; the mask is not differentiated. r jumps at c = T by t (c + 1), or t. At the kink the slope is that of c.
// Over [-1, 1], r lies in [-1, 1 + 2t], or [-1, 1 + t]. FaceX-Zoo's weight w is t = w - 1. MV-Softmax with a margin of 0 is SV-Softmax.
#pragma once
#include <type_traits>

#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

struct Adaptive { static constexpr char const* name = "Adaptive"; };
struct Fixed { static constexpr char const* name = "Fixed"; };

template <class Weight = Adaptive>
class HardNegatives {
  static constexpr bool adaptive = std::is_same_v<Weight, Adaptive>;

 public:
  static constexpr char const* name = "HardNegatives";
  static constexpr bool unit_slope = !adaptive;
  using weight = Weight;

  // The paper's t. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"t", "cosine", 0.2, Interval::not_negative()}};
  explicit HardNegatives(double t = parameters[0].standard) : t_(checked(name, parameters[0], t)) {}
  LOSSKIT_HD double bound() const { return adaptive ? 1 + 2 * t_ : 1 + t_; }
  LOSSKIT_HD double lowest() const { return -1; }

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X c, X threshold) const {
    X const t = t_;
    if constexpr (adaptive)
      return select(c > threshold, Jet<X>{multiply_add(t, c + 1, c), 1 + t}, Jet<X>{c, X(1)});
    else
      return {select(c > threshold, c + t, c), X(1)};
  }

 private:
  double t_;
};

}  // namespace losskit::inline LOSSKIT_ISA
