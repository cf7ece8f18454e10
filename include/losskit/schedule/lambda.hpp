// LambdaSchedule: how fast the plain cosine leaves an Annealed margin. Liu et al. 2017 (SphereFace), arXiv:1704.08063,
// with the constants of its published training files:
//
//   lambda(n) = max(lambda_min, base (1 + gamma n)^-power)          n = 0, 1, 2 ... the training step; the first is 0
//
// SphereFace's own layer and its descendants count a step before they use it: their first is lambda(1).
//
// base, gamma, power and lambda_min are finite and >= 0. lambda(0) = max(lambda_min, base); it never rises; power = 0 holds it.
// A pure function of the step: nothing to save, and evaluation cannot move it.
#pragma once
#include <cmath>

#include "losskit/core/expects.hpp"
#include "losskit/core/number.hpp"
#include "losskit/core/parameter.hpp"

namespace losskit::inline LOSSKIT_ISA {

class LambdaSchedule {
 public:
  static constexpr char const* name = "LambdaSchedule";

  // SphereFace's numbers. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"base", "", 1000, Interval::not_negative()},
                                             {"gamma", "1/step", 0.12, Interval::not_negative()},
                                             {"power", "", 1, Interval::not_negative()},
                                             {"lambda_min", "", 5, Interval::not_negative()}};
  explicit LambdaSchedule(double base = parameters[0].standard, double gamma = parameters[1].standard,
                          double power = parameters[2].standard, double lambda_min = parameters[3].standard)
      : base_(checked(name, parameters[0], base)),
        gamma_(checked(name, parameters[1], gamma)),
        power_(checked(name, parameters[2], power)),
        lambda_min_(checked(name, parameters[3], lambda_min)) {}

  // lambda of a step >= 0. Throws ParameterError otherwise.
  double operator()(idx step) const {
    if (step < 0) fail<ParameterError>("LambdaSchedule: step = %lld is negative; the first is 0", static_cast<long long>(step));
    return std::fmax(lambda_min_, base_ * std::pow(multiply_add(gamma_, static_cast<double>(step), 1.0), -power_));
  }

 private:
  double base_, gamma_, power_, lambda_min_;
};

}  // namespace losskit::inline LOSSKIT_ISA
