// MarginSoftmax: a margin, a scale, an objective and a rest rule made into one loss, at compile time.
//
//   z_y = s psi(c_y)      z_j = s r(c_j), j != y      p = softmax(z)_y      L = O(log p)
//
//   MarginSoftmax{ArcMargin{0.5}, 64.0}                                   ArcFace
//   MarginSoftmax{NoMargin{}, 30.0}                                       normalised softmax
//   MarginSoftmax{CosMargin{0.35}, 64.0, FocalLoss{2}}                    focal CosFace
//   MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, HardNegatives{}}  MV-Arc-Softmax
//
// The scale is a number: what a scale policy's state says, or one per row from Batch::scales (then s is not used).
#pragma once
#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"
#include "losskit/objective/cross_entropy.hpp"
#include "losskit/rest/plain.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class M, class O = CrossEntropy, class R = PlainRest>
class MarginSoftmax {
  static_assert(Margin<M>,
                "losskit: this is not a Margin; it needs a name and: template <Number X> Jet<X> target(X c) const");
  static_assert(Objective<O>,
                "losskit: this is not an Objective; it needs a name and: template <Number X> Jet<X> operator()(X log_p) const");
  static_assert(RestRule<R>,
                "losskit: this is not a RestRule; it needs a name, bound() and: template <Number X> Jet<X> rest(X c, X threshold) const");

 public:
  M margin;
  double scale;  // in (0, largest_scale]
  O objective;
  R rest;

  // Throws ParameterError for a scale outside its range.
  MarginSoftmax(M margin_, double scale_, O objective_ = O{}, R rest_ = R{})
      : margin(margin_), scale(scale_), objective(objective_), rest(rest_) {
    if (!(scale > 0 && scale <= largest_scale))
      fail<ParameterError>("MarginSoftmax: scale = %g is outside (0, largest_scale = %g]", scale, largest_scale);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
