// AdaptiveWingLoss: a wing for heatmaps, sharp where the truth is 1 and smooth on the background.
// Wang, Bo and Fuxin 2019, arXiv:1904.07399, eq. 5. With y the truth, d = prediction - y, a = |d|, q = alpha - y:
//
//   a <  theta:  V(a) = omega ln(1 + (a / eps)^q)     S(a) = d V / d a = omega q (a / eps)^(q - 1) / (eps (1 + (a / eps)^q))
//   a >= theta:  the tangent V(theta) + S(theta) (a - theta)        (the paper's A a - C: A = S(theta), C = theta A - V(theta))
//   L = V(b) + S(b) (a - b) with b = min(a, theta) is both             d L / d prediction = sign(d) S(b)
//
// y in [0, 1], heatmap values; one outside is clamped to it, in q and in d, and counted by the caller's report.
// alpha > 2, so that q > 1 and the slope at d = 0 is 0 for every truth; omega, eps and theta in [1e-9, 1e9].
// C1 everywhere; at d = 0 the second derivative is infinite where q < 2, at a = theta it jumps. Limits: L ~ omega (a / eps)^q as
// a -> 0, linear beyond theta. NaN stays NaN. Some ports divide by omega where eps belongs: their loss jumps at theta.
//
// With t = a / eps, q - 1 = alpha - 1 - y is kept in two parts h + l: rounded to one float it would move t^(q - 1) by |ln t| ulp
// and more.
// When to choose it: key points as heatmaps, most of whose pixels are background.
#pragma once
#include <cmath>

#include "losskit/concepts.hpp"
#include "losskit/core/math.hpp"

namespace losskit::inline LOSSKIT_ISA {

class AdaptiveWingLoss {
 public:
  static constexpr char const* name = "AdaptiveWingLoss";
  static constexpr bool truth_in_unit_interval = true, long_chain = true;

  // The paper's numbers. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"alpha", "", 2.1, {2, 1e3, false}},
                                             {"omega", "", 14, Interval::closed(1e-9, 1e9)},
                                             {"eps", "heat", 1, Interval::closed(1e-9, 1e9)},
                                             {"theta", "heat", 0.5, Interval::closed(1e-9, 1e9)}};
  explicit AdaptiveWingLoss(double alpha = parameters[0].standard, double omega = parameters[1].standard,
                            double eps = parameters[2].standard, double theta = parameters[3].standard)
      : head_(as_float(alpha - 1)),
        tail_(alpha - 1 - head_),
        steep_head_(as_float(alpha * omega / eps)),
        steep_tail_(alpha * omega / eps - steep_head_),
        omega_(omega),
        eps_(eps),
        theta_(theta) {
    checked(name, parameters[0], alpha), checked(name, parameters[1], omega);
    checked(name, parameters[2], eps), checked(name, parameters[3], theta);
  }

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> operator()(X prediction, X truth) const {
    X const y = min(max(truth, X(0)), X(1)), d = prediction - y, a = abs(d), b = min(a, X(theta_)), t = b * (1 / eps_);
    X const h = head_ - y, l = ((head_ - h) - y) + tail_;
    X const factor = steep_head_ + multiply_add(X(-omega_ / eps_), y, X(steep_tail_));  // q omega / eps
    auto const [power, steep] = powers(t, h, l, factor);  // t^(q - 1), and the factor times it
    X const whole = t * power, sum = multiply_add(t, power, X(1)), value = omega_ * log1p(whole);
    // Where t^q is small, steep / (1 + t^q) as a small part off steep: one rounding less.
    X const slope = select(whole < 0.5, multiply_add(-steep, whole / sum, steep), steep / sum);
    return {multiply_add(slope, a - b, value), copysign(slope, d)};
  }

  constexpr Kinks kinks() const { return {{0}, 1}; }  // no jump: where q < 2 the second derivative is infinite there

 private:
  static double as_float(double x) { return static_cast<double>(static_cast<float>(x)); }

  double head_, tail_;              // alpha - 1 = head + tail, head a float
  double steep_head_, steep_tail_;  // alpha omega / eps, likewise
  double omega_, eps_, theta_;
};

}  // namespace losskit::inline LOSSKIT_ISA
