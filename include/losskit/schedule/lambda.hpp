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

namespace losskit::inline LOSSKIT_ISA {

class LambdaSchedule {
 public:
  static constexpr char const* name = "LambdaSchedule";

  // SphereFace's base = 1000, gamma = 0.12, power = 1, lambda_min = 5. Throws ParameterError outside the ranges above.
  explicit LambdaSchedule(double base = 1000, double gamma = 0.12, double power = 1, double lambda_min = 5)
      : base_(base), gamma_(gamma), power_(power), lambda_min_(lambda_min) {
    check("base", base), check("gamma", gamma), check("power", power), check("lambda_min", lambda_min);
  }

  // lambda of a step >= 0. Throws ParameterError otherwise.
  double operator()(idx step) const {
    if (step < 0) fail<ParameterError>("LambdaSchedule: step = %lld is negative; the first is 0", static_cast<long long>(step));
    return std::fmax(lambda_min_, base_ * std::pow(multiply_add(gamma_, static_cast<double>(step), 1.0), -power_));
  }

 private:
  static void check(char const* parameter, double x) {
    if (!(x >= 0 && std::isfinite(x))) fail<ParameterError>("LambdaSchedule: %s = %g is not a finite number >= 0", parameter, x);
  }

  double base_, gamma_, power_, lambda_min_;
};

}  // namespace losskit::inline LOSSKIT_ISA
