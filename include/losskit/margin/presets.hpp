// Margins as published peers compute them, by peer and era, to compare with or to go on from their checkpoints. Each returns a
// margin; the peer's own default scale is named beside it. Where a peer's backward is not the derivative of its forward, the
// preset has the forward's value, and says so. They agree with their peers for margins >= 0: with a negative one some peers break
// at cos(pi - m) where nothing breaks, or leave it out. At the break itself, to an ulp, peers differ in which side owns it.
#pragma once
#include <numbers>

#include "losskit/margin/arc.hpp"
#include "losskit/margin/combined.hpp"
#include "losskit/margin/cos.hpp"
#include "losskit/margin/sphere.hpp"

namespace losskit::inline LOSSKIT_ISA {
namespace presets {

inline constexpr double degree = std::numbers::pi / 180;  // in radians

// pytorch-metric-learning, ArcFaceLoss: the margin is in degrees, 28.6 (0.499164 rad). Scale 64.
inline ArcMargin<LegacyLinear> pytorch_metric_learning_arcface(double degrees = 28.6) { return ArcMargin<LegacyLinear>(degrees * degree); }
// pytorch-metric-learning, CosFaceLoss. Scale 64.
inline CosMargin<> pytorch_metric_learning_cosface(double m = 0.35) { return CosMargin<>(m); }

// insightface's PyTorch ArcFace has had three backwards. Scale 64.
// From 2021-03: acos and cos under autograd, nothing past pi.
inline ArcMargin<NoRule> insightface_2021(double m = 0.5) { return ArcMargin<NoRule>(m); }
// From 2022-01: the angle-sum formula with a linear fallback.
inline ArcMargin<LegacyLinear> insightface_2022_01(double m = 0.5) { return ArcMargin<LegacyLinear>(m); }
// From 2022-12 until now: the margin under no_grad, so every slope is 1; nothing past pi.
inline ArcMargin<NoRule, Detached> insightface_2022_12(double m = 0.5) { return ArcMargin<NoRule, Detached>(m); }
// insightface, CosFace. Scale 64.
inline CosMargin<> insightface_cosface(double m = 0.4) { return CosMargin<>(m); }
// insightface's MXNet "combined". Scale 64.
inline CombinedMargin<NoRule> insightface_mxnet_combined(double m1 = 1, double m2 = 0.3, double m3 = 0.2) {
  return CombinedMargin<NoRule>(m1, m2, m3);
}

// PaddlePaddle, margin_cross_entropy: exact, nothing past pi. Scale 64.
inline CombinedMargin<NoRule> paddle(double m1 = 1, double m2 = 0.5, double m3 = 0) { return CombinedMargin<NoRule>(m1, m2, m3); }
// PaddlePaddle's PLSC, SphereFace.
inline CombinedMargin<NoRule> paddle_sphereface(double m1 = 1.35) { return CombinedMargin<NoRule>(m1, 0, 0); }
// OneFlow, combined_margin_loss: exact, nothing past pi.
inline CombinedMargin<NoRule> oneflow(double m1 = 1, double m2 = 0, double m3 = 0) { return CombinedMargin<NoRule>(m1, m2, m3); }

// wespeaker and 3D-Speaker, ArcMarginProduct. Scale 32.
inline ArcMargin<ContinuousLinear> wespeaker(double m = 0.2) { return ArcMargin<ContinuousLinear>(m); }
// wespeaker, AddMarginProduct. Scale 32.
inline CosMargin<> wespeaker_cosface(double m = 0.2) { return CosMargin<>(m); }

// Keras_insightface, ArcfaceLoss: its one reflection, -2 (1 + m3) - psi past cos((pi - m2) / m1), is Monotone's first branch. The
// same while m2 >= 0 and pi <= m1 pi + m2 <= 2 pi; outside, the peer reflects too often or too seldom. Scale 64.
inline CombinedMargin<Monotone> keras_insightface(double m1 = 1, double m2 = 0.5, double m3 = 0) {
  return CombinedMargin<Monotone>(m1, m2, m3);
}

// opensphere: every slope is 1 ("characteristic gradient detachment"). Its ArcFace clips the angle at 3.14159, its SphereFace
// is psi with m = 1.7. (It also clips every cosine at 1 - 1e-5, which no value here repeats.) Scales 64 and 30.
inline ArcMargin<Clamp, Detached> opensphere_arcface(double m = 0.5) { return ArcMargin<Clamp, Detached>(m, Clamp(2.65e-6)); }
inline SphereMargin<Monotone, Detached> opensphere_sphereface(double m = 1.7) { return SphereMargin<Monotone, Detached>(m); }

// xiaoboCASIA/SV-X-Softmax (de3a82d, fc_layers.py), AM and Arc: the margin only where c > 0. Scale 32. Its MV-AM and MV-Arc are losses
// (compose/presets.hpp).
inline CosMargin<Easy> sv_x_am(double m = 0.35) { return CosMargin<Easy>(m); }
inline ArcMargin<Easy> sv_x_arc(double m = 0.35) { return ArcMargin<Easy>(m); }

// MagFace (Meng et al. 2021, arXiv:2103.06627; IrvingMeng/MagFace 719001a, models/magface.py): ArcFace with the margin of each row's
// length, only where c > 0. Scale 64. For a row of length n = |x|, before it is normalised:
//
//   m(n) = l_m + (u_m - l_m) / (u_a - l_a) (min(max(n, l_a), u_a) - l_a)        l_a = 10, u_a = 110, l_m = 0.45, u_m = 0.8
//
// magface_margin has m(n) in radians and dm/dn (0 outside [l_a, u_a], at an end that inside): fill Batch::margins with m(n_i); dL/dn_i is
// then Outputs::margin_gradient times dm/dn, for normalize_rows_backward. Its regulariser lambda_g (n / u_a^2 + 1 / n) is the caller's.
inline ArcMargin<Easy> magface(double m = 0.45) { return ArcMargin<Easy>(m); }
inline Jet<double> magface_margin(double norm, double l_a = 10, double u_a = 110, double l_m = 0.45, double u_m = 0.8) {
  double const slope = (u_m - l_m) / (u_a - l_a), n = norm < l_a ? l_a : norm > u_a ? u_a : norm;
  return {multiply_add(slope, n - l_a, l_m), norm < l_a || norm > u_a ? 0 : slope};
}

// NPCFace (Zeng et al. 2020, arXiv:2007.10172), as FaceX-Zoo has it (f8f3cf1, head/NPCFace.py): the margin only where c > 0, and larger
// the harder the row's hard classes are: m_i = 0.40 + 0.20 (mean cosine of the classes with c_j > cos(theta_y + 0.5); 0 if there are
// none), no gradient through m_i. Scale 64. npcface_margin gives m_i in radians for Batch::margins. (Its hard classes become 1.1 c_j + 0.2,
// which no rest rule here repeats.)
inline ArcMargin<Easy> npcface(double m = 0.40) { return ArcMargin<Easy>(m); }
inline double npcface_margin(double mean_hard_cosine, double m0 = 0.40, double m1 = 0.20) { return multiply_add(m1, mean_hard_cosine, m0); }

// FaceX-Zoo (a82aab3, head/MV_Softmax.py), the margin of its MV-AM: easy AM, only where c > m. Scale 32. The whole losses MV-AM and
// MV-Arc: compose/presets.hpp.
inline CosMargin<Easy> facex_zoo_easy_am(double m = 0.35) { return CosMargin<Easy>(m, Easy(m)); }
// FaceX-Zoo, ArcFace: past the break the plain cosine. Scale 32.
inline ArcMargin<FallToCosine> facex_zoo_arcface(double m = 0.35) { return ArcMargin<FallToCosine>(m); }
// AdaFace's repository, ArcFace: the angle clipped by 1e-4, no slope outside. (It also clips every cosine, of other classes too,
// at 1 - 1e-4, with no slope beyond, which no value here repeats.) Scale 64.
inline ArcMargin<Clamp> adaface_repository_arcface(double m = 0.5) { return ArcMargin<Clamp>(m, Clamp(1e-4)); }

// xialuxi/arcface-caffe, CosinAddm. They differ at c = 1, where the peer's slope is 1 on the CPU and its GPU leaves the logit as it
// is. Scale 64.
inline ArcMargin<LegacyLinear> xialuxi_caffe(double m = 0.5) { return ArcMargin<LegacyLinear>(m); }
// happynear/caffe-windows, LabelSpecificAdd (AM-Softmax): the margin only where c > m.
inline CosMargin<Easy> happynear_caffe(double m = 0.35) { return CosMargin<Easy>(m, Easy(m)); }

}  // namespace presets
}  // namespace losskit::inline LOSSKIT_ISA
