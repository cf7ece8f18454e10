// WingLoss: a logarithm for small errors, so that they keep pulling; the plain distance for large ones.
// Feng et al. 2018, arXiv:1711.06753, eq. 5. With d = prediction - truth:
//
//   |d| <  w:  L = w ln(1 + |d| / eps)     d L / d prediction = sign(d) w / (eps + |d|)
//   |d| >= w:  L = |d| - C                 sign(d)                        C = w - w ln(1 + w / eps), negative for w = 10, eps = 2
//
// d in the unit of the coordinates, w and eps too: pixels in the paper. w and eps in [1e-9, 1e9].
// Kinks: at |d| = w the slope steps from w / (w + eps) to 1 and is that of the outer branch; at d = 0 it steps from -w / eps
// to w / eps and is 0. Limits: L ~ w |d| / eps as d -> 0; L is continuous at w and grows like |d|. NaN stays NaN.
// When to choose it: key points as coordinates, where many small errors decide.
#pragma once
#include <cmath>

#include "losskit/concepts.hpp"
#include "losskit/core/math.hpp"

namespace losskit::inline LOSSKIT_ISA {

class WingLoss {
 public:
  static constexpr char const* name = "WingLoss";
  static constexpr bool long_chain = true;

  // The paper's numbers. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"w", "coordinate", 10, Interval::closed(1e-9, 1e9)},
                                             {"eps", "coordinate", 2, Interval::closed(1e-9, 1e9)}};
  explicit WingLoss(double w = parameters[0].standard, double eps = parameters[1].standard)
      : w_(checked(name, parameters[0], w)),
        eps_(checked(name, parameters[1], eps)),
        c_(multiply_add(-w, std::log1p(hidden(w / eps)), w)) {}

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> operator()(X prediction, X truth) const {
    X const d = prediction - truth, a = abs(d);
    auto const [value, steepness] = select(a >= w_, Jet<X>{a - c_, X(1)}, Jet<X>{w_ * log1p_bounded(a * (1 / eps_)), w_ / (eps_ + a)});
    return {value, select(a <= 0, X(0), copysign(steepness, d))};
  }

  constexpr Kinks kinks() const { return {{-w_, 0, w_}, 3}; }
  double w() const { return w_; }
  double eps() const { return eps_; }

 private:
  double w_, eps_, c_;
};

}  // namespace losskit::inline LOSSKIT_ISA
