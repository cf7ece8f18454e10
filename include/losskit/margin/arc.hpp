// ArcMargin: an angle added to the target's angle. Deng et al. 2019 (ArcFace), arXiv:1801.07698, eq. 3.
//
//   psi(c)        = cos(theta + m) = c cos(m) - sin(theta) sin(m)          theta = acos(c), m in radians, (-pi, pi)
//   d psi / d c   = sin(theta + m) / sin(theta) = cos(m) + sin(m) c / sin(theta)
//
// Break at c = -cos(m), where theta + m = pi: see past_pi.hpp for what follows; Monotone: psi = -cos(theta + m) - 2.
// Ends: psi(1) = cos(m); the slope grows like sin(m) / sqrt(2 (1 - c)) as c -> 1 (angular.hpp).
#pragma once
#include <numbers>

#include "losskit/margin/angular.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class ArcMargin : public AngularMargin<PastPi, Mode> {
  using Angular = AngularMargin<PastPi, Mode>;

 public:
  static constexpr char const* name = "ArcMargin";
  // The paper's m. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"m", "rad", 0.5, Interval::open(-std::numbers::pi, std::numbers::pi)}};
  explicit ArcMargin(double m = parameters[0].standard, PastPi rule = PastPi{})
      : Angular(name, 1, checked(name, parameters[0], m), 0, rule) {}

  // A margin a row (Batch::margins): m_i in radians, (-pi, pi). Outputs::margin_gradient then is dJ/dm_i.
  LOSSKIT_HD ArcMargin at_row(RowContext const& row) const { return ArcMargin(typename Angular::Unchecked{}, row.number, this->rule()); }
  static constexpr Interval row_numbers = parameters[0].range;

 private:
  LOSSKIT_HD ArcMargin(typename Angular::Unchecked unchecked, double m, PastPi rule) : Angular(unchecked, 1, m, 0, rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
