// CombinedMargin: all three margins at once. Deng et al. 2019 (ArcFace), arXiv:1801.07698, eq. 4.
//
//   psi(c)      = cos(m1 theta + m2) - m3         m1 in (0, 16], m2 in (-pi, pi) radians, m3 a finite cosine
//   d psi / d c = m1 sin(m1 theta + m2) / sin(theta)
//
// Break at m1 theta + m2 = pi (past_pi.hpp). Ends: slope m1^2 at c = 1 if m2 = 0, else unbounded (angular.hpp).
// (1, m, 0) is ArcMargin, (1, 0, m) CosMargin, (m, 0, 0) SphereMargin.
#pragma once
#include "losskit/margin/angular.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class CombinedMargin : public AngularMargin<PastPi, Mode> {
 public:
  static constexpr char const* name = "CombinedMargin";
  // The paper's best mix, (1, 0.3, 0.2). Throws ParameterError outside the ranges above.
  explicit CombinedMargin(double m1 = 1, double m2 = 0.3, double m3 = 0.2, PastPi rule = PastPi{})
      : AngularMargin<PastPi, Mode>(name, m1, m2, m3, rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
