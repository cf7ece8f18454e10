// SigmoidFocalLoss: binary cross-entropy on a logit that fades where the answer is already right.
// Lin et al. 2017 (RetinaNet), arXiv:1708.02002, eq. 5. With x the logit, truth 1 or 0 (above 0.5 means 1),
// z = x or -x, p = 1 / (1 + e^-z) the probability of the truth, q = 1 - p:
//
//   L       = -alpha_t q^gamma ln p                       alpha_t = alpha for truth 1, 1 - alpha for truth 0
//   d L / d z = alpha_t q^gamma (gamma p ln p - q)        d L / d x is that for truth 1, its negative for truth 0
//
// gamma >= 0, at most 1e3; alpha in [0, 1], or no_alpha = -1: alpha_t = 1 for both (gamma = 0 then is cross-entropy). No kink.
// Limits: z -> inf: ln p ~ -q, L -> alpha_t q^(gamma + 1) -> 0, slope -> 0; z -> -inf: L -> -alpha_t z, slope -> -alpha_t.
// Everything comes from u = e^-|z| <= 1, so nothing overflows or cancels: p and q are 1 / (1 + u) and u / (1 + u),
// ln p = min(z, 0) - ln(1 + u). q^gamma is all that is raised, never q^(gamma - 1). A NaN in either argument stays NaN.
// Reduction of the paper: the sum over the number of positive truths.
// When to choose it: many yes-or-no answers of which few are yes, as in detection.
#pragma once
#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"
#include "losskit/core/math.hpp"

namespace losskit::inline LOSSKIT_ISA {

class SigmoidFocalLoss {
 public:
  static constexpr char const* name = "SigmoidFocalLoss";
  static constexpr double no_alpha = -1;
  static constexpr bool long_chain = true;

  // The paper's numbers. Throws ParameterError outside the ranges; of alpha those below 0 are no_alpha alone.
  static constexpr Parameter parameters[] = {{"gamma", "", 2, Interval::closed(0, 1e3)},
                                             {"alpha", "", 0.25, Interval::closed(no_alpha, 1)}};
  explicit SigmoidFocalLoss(double gamma = parameters[0].standard, double alpha = parameters[1].standard)
      : gamma_(gamma), hit_(alpha == no_alpha ? 1 : alpha), miss_(alpha == no_alpha ? 1 : 1 - alpha) {
    checked(name, parameters[0], gamma);
    if (!((alpha >= 0 && alpha <= 1) || alpha == no_alpha))
      fail<ParameterError>("SigmoidFocalLoss: alpha = %g is outside [0, 1] and not no_alpha = -1", alpha);
    for (int i = 0; i <= 4; ++i)
      if (gamma == i) whole_ = i;
  }

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> operator()(X prediction, X truth) const {
    auto const hit = truth > 0.5;
    X const z = multiply_add(truth, X(0), select(hit, prediction, -prediction));  // + 0 truth: a NaN there is not lost
    auto const parts = logistic(abs(z));
    auto const right = z >= 0;
    X const q = select(right, parts.smaller, parts.larger), q_low = select(right, parts.smaller_low, parts.larger_low);
    X const p = select(right, parts.larger, parts.smaller);
    X const log_p = min(X(0), z) - parts.log1p, rising = gamma_ * p;
    X const weight = faded(select(hit, X(hit_), X(-miss_)), q, q_low);  // -alpha_t q^gamma for truth 0
    X const low = multiply_add(-rising, parts.log1p_low, -q_low);  // gamma p ln p - q begins with its low parts
    X const size = abs(weight);
    return {multiply_add(-size, log_p, size * parts.log1p_low), weight * multiply_add(rising, log_p, low - q)};
  }

 private:
  // a (q + q_low)^gamma, |q_low| below an ulp of q. The square is rounded once. The floor of 1e-37 avoids 0 / 0 where q = 0.
  template <class X>
  LOSSKIT_HD LOSSKIT_INLINE X faded(X a, X q, X q_low) const {
    X const b = a * q, b_low = multiply_add(a, q_low, multiply_add(a, q, -b)),
            square = multiply_add(b, q, multiply_add(b, q_low, b_low * q));
    switch (whole_) {
      case 0: return a;
      case 1: return multiply_add(a, q, a * q_low);
      case 2: return square;
      case 3: return multiply_add(square, q, square * q_low);
      case 4: return square * multiply_add(q, q, 2 * q * q_low);
      default: return powers(q, X(gamma_), X(0), a, q_low / max(q, X(1e-37))).multiple;
    }
  }

  double gamma_, hit_, miss_;
  int whole_ = -1;  // gamma where it is a small whole number
};

}  // namespace losskit::inline LOSSKIT_ISA
