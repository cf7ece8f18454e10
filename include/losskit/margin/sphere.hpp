// SphereMargin: the target's angle multiplied. Liu et al. 2017 (SphereFace), arXiv:1704.08063, eq. 7.
//
//   psi(c)      = (-1)^k cos(m theta) - 2k,  k = floor(m theta / pi)       m in (0, 16]; the paper's m is an integer
//   d psi / d c = m |sin(m theta)| / sin(theta)
//
// C1 everywhere (the slope is 0 at theta = k pi / m inside). Ends: psi(1) = 1 with slope m^2; for integer m,
// psi(-1) = 1 - 2m with slope m^2 too. The paper leaves the feature norm in the logit: see FeatureNorm, and Annealed for
// its lambda. SphereFace-R v1 (Liu et al. 2022) has the value of SphereMargin<Clamp>{m, Clamp{0}}; its published code detaches the
// margin, so that every slope is 1: SphereMargin<Clamp, Detached>.
#pragma once
#include "losskit/margin/angular.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class SphereMargin : public AngularMargin<PastPi, Mode> {
 public:
  static constexpr char const* name = "SphereMargin";
  // The paper's m. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"m", "", 4, {0, 16, false}}};
  explicit SphereMargin(double m = parameters[0].standard, PastPi rule = PastPi{})
      : AngularMargin<PastPi, Mode>(name, checked(name, parameters[0], m), 0, 0, rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
