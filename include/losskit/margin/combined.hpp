// CombinedMargin: all three margins at once. Deng et al. 2019 (ArcFace), arXiv:1801.07698, eq. 4.
//
//   psi(c)      = cos(m1 theta + m2) - m3         m1 in (0, 16], m2 in (-pi, pi) radians, m3 a finite cosine
//   d psi / d c = m1 sin(m1 theta + m2) / sin(theta)
//
// Break at m1 theta + m2 = pi (past_pi.hpp). Ends: slope m1^2 at c = 1 if m2 = 0, else unbounded (angular.hpp).
// (1, m, 0) is ArcMargin, (1, 0, m) CosMargin, (m, 0, 0) SphereMargin.
#pragma once
#include <numbers>

#include "losskit/margin/angular.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class CombinedMargin : public AngularMargin<PastPi, Mode> {
 public:
  static constexpr char const* name = "CombinedMargin";
  // The paper's best mix. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"m1", "", 1, {0, 16, false}},
                                             {"m2", "rad", 0.3, Interval::open(-std::numbers::pi, std::numbers::pi)},
                                             {"m3", "cosine", 0.2, Interval::finite()}};
  explicit CombinedMargin(double m1 = parameters[0].standard, double m2 = parameters[1].standard, double m3 = parameters[2].standard,
                          PastPi rule = PastPi{})
      : AngularMargin<PastPi, Mode>(name, checked(name, parameters[0], m1), checked(name, parameters[1], m2),
                                    checked(name, parameters[2], m3), rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
