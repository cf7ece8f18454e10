// SoftmaxLoss: an objective over the softmax of plain logits, any finite numbers. No angle, no margin, no clamp, nothing out of range.
//
//   p = softmax(z)_y      L = O(log p)      with CrossEntropy: dL/dz_j = p_j - [j = y]
//
//   SoftmaxLoss{}                        cross-entropy
//   SoftmaxLoss{FocalLoss{2}}            SoftmaxLoss{LabelSmoothing{0.1}}
//
// Every call takes it in place of a MarginSoftmax; the batch's "cosines" are the logits. Batch::scales or Batch::scale are inverse
// temperatures. A class at -infinity has probability and gradient 0; a target there has an infinite loss and a finite gradient. NaN or
// +infinity makes its row NaN and is counted in Report::non_finite. In double, logits beyond 1e308 may overflow.
#pragma once
#include "losskit/concepts.hpp"
#include "losskit/objective/cross_entropy.hpp"

namespace losskit::inline LOSSKIT_ISA {

// The logits as they are, for target and rest.
struct PlainLogits {
  static constexpr char const* name = "PlainLogits";
  static constexpr bool logits = true, unit_slope = true, monotone = true;

  template <Number X>
  LOSSKIT_HD Jet<X> target(X z) const { return {z, X(1)}; }
  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X z, X) const { return {z, X(1)}; }
  LOSSKIT_HD double bound() const { return 1; }  // for the concept; not used, logits have no bound
};

template <class O = CrossEntropy>
class SoftmaxLoss {
  static_assert(Objective<O>,
                "losskit: this is not an Objective; it needs a name and: template <Number X> Jet<X> operator()(X log_p) const");

 public:
  PlainLogits margin{}, rest{};
  double scale = 1;  // on every logit, in [0, largest_scale]: an inverse temperature
  O objective;

  explicit SoftmaxLoss(O objective_ = O{}) : objective(objective_) {}
};
SoftmaxLoss() -> SoftmaxLoss<>;
template <class O>
SoftmaxLoss(O) -> SoftmaxLoss<O>;

}  // namespace losskit::inline LOSSKIT_ISA
