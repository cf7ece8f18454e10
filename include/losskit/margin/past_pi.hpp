// What a margin does where phi = m1 theta + m2 leaves [0, pi], and how its slope is taken: named rules, each a template
// parameter of the margins. Every peer has another rule; names and peers:
//
//   NoRule            cos(phi), rises again past pi                        insightface, Paddle, OneFlow
//   LegacyLinear      c - m2 sin(m2), a jump down at the break; m1 = 1     pytorch-metric-learning, old insightface
//   ContinuousLinear  c - 1 - cos(theta_b), theta_b = (pi - m2) / m1       wespeaker, 3D-Speaker
//   Monotone          (-1)^k cos(phi) - 2k, k = floor(phi / pi)            SphereFace, Keras_insightface; the default
//   Clamp             cos(clip(phi, eps, pi - eps)), slope 0 outside       AdaFace; opensphere, Detached
//   FallToCosine      c, a jump up at the break; m1 = 1                    FaceX-Zoo
//   Easy              the margin only where c > above, else plain c; m1 = 1    MagFace, SV-X, happynear
//
// The break is where phi = pi: a cosine c > cos(theta_b) has the margin, c <= cos(theta_b) the fallback. The constant m3
// is subtracted on both sides; under Easy the other side is the plain cosine.
#pragma once
#include <numbers>

#include "losskit/core/expects.hpp"
#include "losskit/core/parameter.hpp"

namespace losskit::inline LOSSKIT_ISA {

struct NoRule { static constexpr char const* name = "NoRule"; };
struct LegacyLinear { static constexpr char const* name = "LegacyLinear"; };
struct ContinuousLinear { static constexpr char const* name = "ContinuousLinear"; };
struct Monotone { static constexpr char const* name = "Monotone"; };
struct FallToCosine { static constexpr char const* name = "FallToCosine"; };

// A rule with a number is made from it: ArcMargin<Easy>{0.5, 0.2} is ArcMargin{0.5, Easy{0.2}}.
struct Clamp {
  static constexpr char const* name = "Clamp";
  static constexpr Parameter parameters[] = {{"eps", "rad", 1e-4, {0, std::numbers::pi / 2, true, false}}};
  double eps;
  Clamp(double eps_ = parameters[0].standard) : eps(checked(name, parameters[0], eps_)) {}
};

struct Easy {
  static constexpr char const* name = "Easy";
  static constexpr Parameter parameters[] = {{"above", "cosine", 0, Interval::closed(-1, 1)}};
  double above;  // the comparison is strict
  Easy(double above_ = parameters[0].standard) : above(checked(name, parameters[0], above_)) {}
};

// The slope is the derivative of the value: what finite differences see.
struct Exact { static constexpr char const* name = "Exact"; };
// The slope is 1: the margin moves the value only (insightface since 2022-12; opensphere's "characteristic gradient").
struct Detached { static constexpr char const* name = "Detached"; };

}  // namespace losskit::inline LOSSKIT_ISA
