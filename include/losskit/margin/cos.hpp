// CosMargin: a cosine taken off the target's cosine. Wang et al. 2018 (CosFace), arXiv:1801.09414, eq. 4;
// Wang et al. 2018 (AM-Softmax), arXiv:1801.05599.
//
//   psi(c) = c - m,   d psi / d c = 1          m is a cosine, finite; 0 <= m <= C / (C - 1) can be fulfilled
//
// No kink, and nothing past pi. Under the rule Easy (SV-X: above = 0; happynear's Caffe layer: above = m) the margin holds
// only where c > above: psi jumps there, the slope stays 1.
#pragma once
#include "losskit/margin/angular.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class PastPi = Monotone, class Mode = Exact>
class CosMargin : public AngularMargin<PastPi, Mode> {
 public:
  static constexpr char const* name = "CosMargin";
  // The papers' m = 0.35. Throws ParameterError unless finite.
  explicit CosMargin(double m = 0.35, PastPi rule = PastPi{}) : AngularMargin<PastPi, Mode>(name, 1, 0, m, rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
