// SmoothL1Loss and HuberLoss: a square for small errors, the distance for large ones. With d = prediction - truth, a = |d|:
//
//   SmoothL1Loss(sigma)  a <  1 / sigma^2:  L = sigma^2 d^2 / 2            slope sigma^2 d
//                        a >= 1 / sigma^2:  L = a - 1 / (2 sigma^2)        slope sign(d)
//   HuberLoss(delta)     a <  delta:        L = d^2 / 2                    slope d
//                        a >= delta:        L = delta (a - delta / 2)      slope delta sign(d)
//
// HuberLoss(delta) = delta SmoothL1Loss(1 / sqrt(delta)). SmoothL1: Girshick 2015 (Fast R-CNN), arXiv:1504.08083, with the
// sigma of its later code; Huber 1964. d and delta in the unit of the coordinates, sigma in its inverse square root; both in
// [1e-9, 1e9]. C1, no kink: with b = min(a, limit) both branches are one sum, and the slope is a clamp. NaN stays NaN.
// When to choose one: boxes and other regressions with a few gross errors; Huber to say where these begin, SmoothL1 for the settings
// of detectors.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

class SmoothL1Loss {
 public:
  static constexpr char const* name = "SmoothL1Loss";

  // sigma as published. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"sigma", "1/sqrt(coordinate)", 1, Interval::closed(1e-9, 1e9)}};
  explicit SmoothL1Loss(double sigma = parameters[0].standard) : sigma2_(checked(name, parameters[0], sigma) * sigma) {}

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> operator()(X prediction, X truth) const {
    X const d = prediction - truth, a = abs(d), b = min(a, X(1 / sigma2_));
    return {multiply_add(0.5 * b, sigma2_ * b, a - b), min(max(sigma2_ * d, X(-1)), X(1))};
  }

 private:
  double sigma2_;
};

class HuberLoss {
 public:
  static constexpr char const* name = "HuberLoss";

  // delta = 1 makes it SmoothL1Loss(1). Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"delta", "coordinate", 1, Interval::closed(1e-9, 1e9)}};
  explicit HuberLoss(double delta = parameters[0].standard) : delta_(checked(name, parameters[0], delta)) {}

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> operator()(X prediction, X truth) const {
    X const d = prediction - truth, a = abs(d), b = min(a, X(delta_));
    return {multiply_add(X(delta_), a - b, 0.5 * b * b), min(max(d, X(-delta_)), X(delta_))};
  }

 private:
  double delta_;
};

}  // namespace losskit::inline LOSSKIT_ISA
