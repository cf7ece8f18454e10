// Losses as published peers compute them, whose rest rule is their own: margin, scale, objective and rest rule in one. The margins of
// peers that have none are in margin/presets.hpp.
//
// MV-Softmax (Wang et al. 2020, arXiv:1912.00833; SV-X-Softmax in its repository): a class that beats the margined target by its raw
// formula, c_j > c_y - m or cos(theta_y + m), weighs more; the target keeps its margin only where it is already easy.
#pragma once
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/margin/presets.hpp"
#include "losskit/rest/hard_negatives.hpp"

namespace losskit::inline LOSSKIT_ISA {
namespace presets {

// xiaoboCASIA/SV-X-Softmax (de3a82d, fc_layers.py): MV-AM and MV-Arc, m = 0.35, t = 0.2, s = 32, the margin where c > 0. Its other line
// for hard classes, in a comment, is HardNegatives<Fixed>.
inline MarginSoftmax<CosMargin<Easy>, CrossEntropy, HardNegatives<>> sv_x_mv_am(double m = 0.35, double t = 0.2, double scale = 32) {
  return {sv_x_am(m), scale, CrossEntropy{}, HardNegatives<>(t)};
}
inline MarginSoftmax<ArcMargin<Easy>, CrossEntropy, HardNegatives<>> sv_x_mv_arc(double m = 0.35, double t = 0.2, double scale = 32) {
  return {sv_x_arc(m), scale, CrossEntropy{}, HardNegatives<>(t)};
}

// JDAI-CV/FaceX-Zoo (a82aab3, head/MV_Softmax.py): the same, but its weight w = 1.12 is t = w - 1, and MV-AM's margin holds where c > m.
inline MarginSoftmax<CosMargin<Easy>, CrossEntropy, HardNegatives<>> facex_zoo_mv_am(double m = 0.35, double w = 1.12, double scale = 32) {
  return {facex_zoo_easy_am(m), scale, CrossEntropy{}, HardNegatives<>(w - 1)};
}
inline MarginSoftmax<ArcMargin<Easy>, CrossEntropy, HardNegatives<>> facex_zoo_mv_arc(double m = 0.35, double w = 1.12, double scale = 32) {
  return {ArcMargin<Easy>(m), scale, CrossEntropy{}, HardNegatives<>(w - 1)};
}

}  // namespace presets
}  // namespace losskit::inline LOSSKIT_ISA
