// FocalLoss: cross-entropy that fades where the target is already likely. Lin et al. 2017, arXiv:1708.02002, eq. 4,
// on the softmax probability p of the target. With q = 1 - p:
//
//   L                = -alpha q^gamma log p
//   d L / d log p    = alpha q^gamma (gamma (p / q) log p - 1)                 since d q / d log p = -p
//
// gamma >= 0, alpha > 0, both finite. gamma = 0 is alpha times CrossEntropy, exactly. Domain log p <= 0; no kink.
// Limits: p -> 1: log p / q -> -1, so L -> alpha q^(gamma + 1) -> 0 and the slope -> -alpha (gamma + 1) q^gamma, which is 0 at
// p = 1 for gamma > 0. p -> 0: p log p -> 0, L -> -alpha log p, slope -> -alpha.
// q = -expm1(log p) keeps its digits near p = 1, and q^gamma (not q^(gamma - 1)) is all that is raised: no gamma makes a NaN.
// This is the softmax form of one weight per row; the per-class sigmoid form is SigmoidFocalLoss.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

class FocalLoss {
 public:
  static constexpr char const* name = "FocalLoss";

  // The paper's gamma. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"gamma", "", 2, Interval::not_negative()}, {"alpha", "", 1, Interval::positive()}};
  explicit FocalLoss(double gamma = parameters[0].standard, double alpha = parameters[1].standard)
      : gamma_(checked(name, parameters[0], gamma)), alpha_(checked(name, parameters[1], alpha)) {}

  template <Number X>
  LOSSKIT_HD Jet<X> operator()(X log_p) const {
    if (gamma_ == 0) return {-alpha_ * log_p, X(-alpha_)};
    X const q = -expm1(log_p);
    if (q <= 0) return {-alpha_ * log_p * 0, X(0)};  // p = 1
    X const weight = alpha_ * (gamma_ == 2 ? q * q : gamma_ == 1 ? q : pow(q, X(gamma_)));
    X const finite = max(log_p, X(-1e30f));  // p = 0: p log p is 0
    return {-weight * log_p, weight * multiply_add(gamma_ * exp(finite), finite / q, X(-1))};
  }

 private:
  double gamma_, alpha_;
};

}  // namespace losskit::inline LOSSKIT_ISA
