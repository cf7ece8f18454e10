// The one angular formula. Arc, cos, sphere and combined margins are its parameters, not copies of it.
//
//   theta = acos(c)     phi = m1 theta + m2     psi(c) = cos(phi) - m3,     0 < m1 <= 16, -pi < m2 < pi, m3 finite
//   d psi / d c = m1 sin(phi) / sin(theta)      since d theta / d c = -1 / sin(theta)
//
// and for phi outside [0, pi] one of the rules of past_pi.hpp. The default, Monotone, is the psi of SphereFace for real
// m1 (Liu et al. 2017, arXiv:1704.08063, eq. 7; combined form: Deng et al. 2019, arXiv:1801.07698, eq. 4):
//
//   psi(c) = (-1)^k cos(phi) - 2k - m3,  k = floor(phi / pi)       d psi / d c = m1 |sin(phi)| / sin(theta) >= 0
//
// continuous, monotone and C1 for every m1; k = -1 where a negative m2 makes phi < 0.
//
// How it is computed. sin(theta) = sqrt(1 - c^2), where 1 - c^2 is rounded once and so does not cancel. No acos: with t = the
// angle to the nearer pole, t = atan2(sin(theta), |c|), both ends of [-1, 1] keep full relative precision:
//
//   c >= 0:  phi = P + m1 t,  P = m2           c < 0:  phi = P - m1 t,  P = m1 pi + m2
//
// A whole m1 needs no angle at all. cos(m1 t) + i sin(m1 t) = (|c| + i sin(theta))^m1, and
//
//   cos(phi) = cos(P) cos(m1 t) -+ sin(P) sin(m1 t)       sin(phi) = sin(P) cos(m1 t) +- cos(P) sin(m1 t)
//
// In float that holds for m1 = 1 only: a power would add its roundings up. Otherwise whole half turns n pi are taken off P first,
// and what is left of phi is kept as x + e, e the roundings that made x:
//
//   cos(phi) = (-1)^n (cos(x) - e sin(x))           sin(phi) = (-1)^n (sin(x) + e cos(x))
//
// Ends. c outside [-1, 1] has the value at +-1. The slope grows like sin(P) / sin(theta) as |c| -> 1; for |c| >= 1 it is the
// slope at the nearest number below 1 of the stored type. Where sin(P) = 0 (m2 = 0 at c = 1; an integer m1 too at c = -1)
// the limit is finite, +-m1^2, and returned exactly. NaN stays NaN.
#pragma once
#include <cmath>
#include <numbers>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"
#include "losskit/margin/past_pi.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class AngularMargin {
  static_assert(requires { PastPi::name; },
                "losskit: after its numbers a margin takes a rule, such as Easy{0.2}; the scale stands in MarginSoftmax{margin, scale}");
  static constexpr double pi = std::numbers::pi;
  template <class Rule>
  static constexpr bool is = std::is_same_v<PastPi, Rule>;

 public:
  using past_pi = PastPi;
  using gradient_mode = Mode;

  // Factor m1 on the angle, angle m2 in radians, cosine m3, each in the range of the margin that `who` names in errors.
  AngularMargin(char const* who, double m1, double m2, double m3, PastPi rule = PastPi{}) : AngularMargin(Unchecked{}, m1, m2, m3, rule) {
    if ((is<LegacyLinear> || is<FallToCosine> || is<Easy>)&&m1 != 1)
      fail<ParameterError>("%s: the rule %s is published for m1 = 1 only, not m1 = %g; use Monotone", who, PastPi::name, m1);
  }

  double m1() const { return m1_; }
  double m2() const { return m2_; }
  double m3() const { return m3_; }

  // psi and d psi / d c at a cosine.
  template <Number X>
  LOSSKIT_HD Jet<X> target(X c) const {
    return margin_jet(c).target;
  }
  template <std::floating_point T>
  LOSSKIT_HD Jet<T> target(T c) const {
    return value_and_slope(*this, c);
  }

  // psi, and the threshold cos(phi) - m3 without the rule past pi, from one angle. The parameter is m2, in radians.
  template <Number X>
  LOSSKIT_HD MarginJet<X> margin_jet(X c) const {
    X const v = min(max(c, X(-1)), X(1));
    auto const at = turned(v);
    X const psi = value(v, at), plain = at.cos - m3_, by_m2 = slope_by_m2(v, at);
    if constexpr (std::is_same_v<Mode, Detached>) {
      return {{psi, X(1)}, {plain, X(1)}, by_m2, -at.sin};
    } else {
      X const nearest = 1 - below_one<X>, steep = slope_of_angle(v, at, min(max(c, -nearest), nearest));
      return {{psi, slope(v, steep)}, {plain, steep}, by_m2, -at.sin};
    }
  }

  // Where the slope jumps. It takes the side of the smaller cosine.
  Kinks kinks() const {
    if constexpr (is<LegacyLinear> || is<ContinuousLinear> || is<FallToCosine>) {
      if (break_ > -1) return {{break_}, 1};
    } else if constexpr (is<Clamp>) {
      Kinks k;
      for (double const phi : {pi - rule_.eps, rule_.eps})
        if (double const theta = (phi - m2_) / m1_; theta > 0 && theta < pi) k.at[k.count++] = std::cos(theta);
      return k;
    } else if constexpr (is<Easy>) {
      return {{rule_.above}, 1};
    }
    return {};
  }

  // Whether psi never falls as the cosine rises.
  static constexpr bool monotone = is<Monotone> || is<ContinuousLinear>;

 protected:
  // For a row's own margin, on host and device: the call has checked it.
  struct Unchecked {};
  LOSSKIT_HD AngularMargin(Unchecked, double m1, double m2, double m3, PastPi rule) : m1_(m1), m2_(m2), m3_(m3), rule_(rule) {
    m1 = hidden(m1), m2 = hidden(m2);  // cos and sin are the library's, never folded by the compiler
    double const whole = ::floor(m1), turn = ::fmod(whole, 2.0) == 0 ? 1 : -1, part = multiply_add(m1 - whole, pi, m2);
    near_ = {::cos(m2), ::sin(m2), m2, 0, 1};
    far_ = {turn * ::cos(part), turn * ::sin(part), part, whole, turn};
    if constexpr (is<Clamp>) {
      double const first = (rule.eps - m2) / m1, last = (pi - rule.eps - m2) / m1;
      clip_above_ = first < 0 ? 2 : first > pi ? -2 : ::cos(first);
      clip_below_ = last > pi ? -2 : last < 0 ? 2 : ::cos(last);
    }
    break_ = (pi - m2) / m1 < pi ? (m1 == 1 ? -near_.cos : ::cos((pi - m2) / m1)) : -2;
  }
  LOSSKIT_HD PastPi rule() const { return rule_; }

 private:
  struct Pole { double cos, sin, rest, turns, sign; };  // P = turns pi + rest, cos(P) = sign cos(rest), sin(P) = sign sin(rest)
  template <class X>
  struct Turned { X cos, sin, half_turns; };  // of phi = m1 theta + m2: its cosine, its sine, k = floor(phi / pi)

  template <class X>
  LOSSKIT_HD Turned<X> turned(X c) const {
    X const a = abs(c), q = fma(-c, c, X(1)), s = sqrt(q);
    bool const upper = c >= 0;
    Pole const p = upper ? near_ : far_;
    X const side = upper ? 1 : -1;
    if (m1_ == 1 || (sizeof(typename X::scalar) == 8 && m1_ == ::floor(m1_))) {
      X cos_t = a, sin_t = s;  // of m1 t
      int h = 0;               // half turns of m1 t: t is at most half of one, so each change of the sine's sign is one more
      for (int i = 1; i < m1_; ++i) {
        bool const below = sin_t < 0;
        X const next = multiply_add(a, cos_t, -(s * sin_t));
        sin_t = multiply_add(a, sin_t, s * cos_t), cos_t = next;
        h += (sin_t < 0) != below;
      }
      // k: the half turn of phi - m2. m2 may carry phi into the next one, or back into the one before: the sign of its sine shows it
      int const k = upper ? h : static_cast<int>(m1_) - 1 - h;
      X const y = multiply_add(X(p.sin), cos_t, side * p.cos * sin_t);
      bool const carried = m2_ != 0 && (y < 0) != (k % 2 == 1);
      return {multiply_add(X(p.cos), cos_t, -(side * p.sin * sin_t)), y, k + (carried ? (m2_ > 0 ? 1 : -1) : 0)};
    }
    // m1 (t + dt) + rest = x + e. dt is what the root loses, (q - s^2) / (2 s), times d t / d s = a; e is the rounding of x, what
    // the difference d loses (in two steps, whichever of rest and x is larger), m1 dt, and what X loses of m1 and of rest.
    X const t = side * atan2(s, a), dt = side * a * fma(-s, s, q) / (2 * max(s, X(1e-30)));
    X const m = m1_, rest = p.rest, x = fma(m, t, rest), d = rest - x, back = d - rest;
    X const e = fma(m, t, d) + (rest - (d - back)) - (x + back) + fma(m, dt, lost<X>(m1_) * t) + lost<X>(p.rest);
    X const cos_x = cos(x), sin_x = sin(x);
    return {p.sign * fma(-e, sin_x, cos_x), p.sign * fma(e, cos_x, sin_x), p.turns + floor(x * (1 / pi))};
  }

  // Clamp: which end of [eps, pi - eps] holds phi: 1 past pi - eps, -1 below eps, 0 inside or NaN.
  template <class X>
  LOSSKIT_HD int clipped(X c) const {
    return exceeds(c, clip_above_) ? -1 : !exceeds(c, clip_below_) && c <= c ? 1 : 0;
  }

  template <class X>
  LOSSKIT_HD bool past_break(X c) const {
    return !exceeds(c, break_) && c <= c;  // not for NaN
  }

  template <class X>
  LOSSKIT_HD X value(X c, Turned<X> const& at) const {
    if (m1_ == 1 && m2_ == 0 && !is<Easy> && !is<Clamp>) return c - m3_;
    if constexpr (is<LegacyLinear>) {
      if (past_break(c)) return c - product(m2_, near_.sin) - m3_;
    } else if constexpr (is<ContinuousLinear>) {
      if (past_break(c)) return c - (1 + break_) - m3_;
    } else if constexpr (is<FallToCosine>) {
      if (past_break(c)) return c - m3_;
    } else if constexpr (is<Easy>) {
      if (c <= rule_.above) return c;
      if (m2_ == 0) return c - m3_;
    }
    if constexpr (is<Monotone>) {
      X const k = at.half_turns, sign = 1 - 2 * abs(k - 2 * floor(k * 0.5));  // (-1)^k
      return sign * at.cos - 2 * k - m3_;
    } else if constexpr (is<Clamp>) {
      if (int const end = clipped(c)) return X(-end * ::cos(rule_.eps)) - m3_;
    }
    return at.cos - m3_;
  }

  // d psi / d c, from the slope with no rule past pi.
  template <class X>
  LOSSKIT_HD X slope(X c, X steep) const {
    if (m1_ == 1 && m2_ == 0 && !is<Clamp>) return c <= c ? X(1) : c;
    if constexpr (is<LegacyLinear> || is<ContinuousLinear> || is<FallToCosine>) {
      if (past_break(c)) return 1;
    } else if constexpr (is<Easy>) {
      if (c <= rule_.above) return 1;
    } else if constexpr (is<Clamp>) {
      if (clipped(c)) return 0;
    }
    if constexpr (is<Monotone>) return abs(steep); else return steep;
  }

  // m1 sin(phi) / sin(theta), with no rule past pi. c is the clamped cosine, inside its nearest neighbour with |inside| < 1.
  template <class X>
  LOSSKIT_HD X slope_of_angle(X c, Turned<X> const& at, X inside) const {
    if (m1_ == 1 && m2_ == 0) return c <= c ? X(1) : c;
    X ratio;  // sin(phi) / sin(theta)
    bool const upper = c >= 0;
    if ((c >= 1 || c <= -1) && (upper ? near_ : far_).sin == 0)
      ratio = upper ? m1_ * near_.cos : -m1_ * far_.cos;
    else
      ratio = (inside < c || c < inside ? turned(inside) : at).sin / sqrt(fma(-inside, inside, X(1)));
    return multiply_add(X(m1_), ratio, lost<X>(m1_) * ratio);  // m1 ratio, rounded once
  }

  // d psi / d m2 = -sin(phi) where the margin holds, under Monotone -|sin(phi)|.
  template <class X>
  LOSSKIT_HD X slope_by_m2(X c, Turned<X> const& at) const {
    if constexpr (is<LegacyLinear>) {
      if (past_break(c)) return -(near_.sin + m2_ * X(near_.cos));
    } else if constexpr (is<ContinuousLinear>) {
      if (past_break(c)) return -X(::sin((pi - m2_) / m1_) / m1_);
    } else if constexpr (is<FallToCosine>) {
      if (past_break(c)) return 0;
    } else if constexpr (is<Easy>) {
      if (c <= rule_.above) return 0;
    } else if constexpr (is<Clamp>) {
      if (clipped(c)) return 0;
    }
    if constexpr (is<Monotone>) return -abs(at.sin); else return -at.sin;
  }

  double m1_, m2_, m3_;
  PastPi rule_;
  Pole near_, far_;  // P = m2, and P = m1 pi + m2
  double break_;          // the cosine where phi = pi; -2 where there is none
  // Clamp: phi < eps where c > clip_above_, phi >= pi - eps where c <= clip_below_. +-2 where that is so for every theta or for none.
  double clip_above_ = 2, clip_below_ = -2;
};

}  // namespace losskit::inline LOSSKIT_ISA
