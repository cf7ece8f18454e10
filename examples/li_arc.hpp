// A margin of one's own: one class with one formula. my_margin.cpp checks and uses it.
//
// LiArc: a margin that is a straight line in the angle. With theta = acos(c):
//
//   psi(c)      = 1 - 2 (theta + m) / pi            1 - 2m/pi at theta = 0, falling with the same slope everywhere
//   d psi / d c = 2 / (pi sqrt((1 - c)(1 + c)))     since d theta / d c = -1 / sin(theta)
//
// The slope grows without end as |c| -> 1; it is taken at the nearest cosine inside (-1, 1), as losskit's own margins do.
#pragma once
#include "losskit/losskit.hpp"

class LiArc {
 public:
  static constexpr char const* name = "LiArc";
  static constexpr bool monotone = true;  // psi never falls as the cosine rises: a promise, which the laws check

  explicit LiArc(double m = 0.45) : m_(m) {
    if (!(m >= 0 && m < 3.14)) losskit::fail<losskit::ParameterError>("LiArc: m = %g is outside [0, 3.14) radians", m);
  }

  template <losskit::Number X>
  LOSSKIT_HD losskit::Jet<X> target(X c) const {
    X const v = min(max(c, X(-1)), X(1));  // out of range: the value at the end
    double const nearest = 1 - losskit::below_one<X>;
    X const inside = min(max(c, X(-nearest)), X(nearest));
    X const theta = atan2(sqrt((1 - v) * (1 + v)), v);
    return {1 - two_over_pi * (theta + m_), two_over_pi / sqrt((1 - inside) * (1 + inside))};
  }

 private:
  static constexpr double two_over_pi = 0.63661977236758134308;
  double m_;
};
