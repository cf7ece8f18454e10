// LabelSmoothing: cross-entropy against a truth that is 1 - eps on the target and eps / C on every class, the target among them.
// Szegedy et al. 2016, arXiv:1512.00567, section 7, in the form of PyTorch's cross_entropy(label_smoothing). With a the mean
// log-probability over all classes:
//
//   L = -(1 - eps) log p - eps a         d L / d log p = -(1 - eps)        d L / d a = -eps
//
// eps in [0, 1]; 0 is CrossEntropy. Linear: no kink, no limit. By the logits: dL/dz_j = p_j - (1 - eps) [j = y] - eps / C.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

class LabelSmoothing {
 public:
  static constexpr char const* name = "LabelSmoothing";

  // The paper's eps. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"epsilon", "", 0.1, Interval::closed(0, 1)}};
  explicit LabelSmoothing(double epsilon = parameters[0].standard) : epsilon_(checked(name, parameters[0], epsilon)) {}

  template <Number X>
  LOSSKIT_HD ObjectiveJet<X> operator()(X log_p, X mean_log_p) const {
    X const on_target = -(1 - epsilon_), on_all = -epsilon_;
    return {multiply_add(on_target, log_p, on_all * mean_log_p), on_target, on_all};
  }

 private:
  double epsilon_;
};

}  // namespace losskit::inline LOSSKIT_ISA
