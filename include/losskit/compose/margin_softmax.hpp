// MarginSoftmax: a margin, a scale, an objective and a rest rule made into one loss, at compile time.
//
//   z_y = s psi(c_y)      z_j = s r(c_j), j != y      p = softmax(z)_y      L = O(log p)
//
//   MarginSoftmax{ArcMargin{0.5}, 64.0}                                   ArcFace
//   MarginSoftmax{NoMargin{}, 30.0}                                       normalised softmax
//   MarginSoftmax{CosMargin{0.35}, 64.0, FocalLoss{2}}                    focal CosFace
//   MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, HardNegatives{}}  MV-Arc-Softmax
//
// The scale is a number or a FixedScale. For a scale that follows the batch give the state's number, scale.scale(state); where
// Batch::scales or Batch::scale is given, s is not used.
#pragma once
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"
#include "losskit/core/no_branch.hpp"
#include "losskit/objective/cross_entropy.hpp"
#include "losskit/rest/plain.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class M, class O = CrossEntropy, class R = PlainRest>
class MarginSoftmax {
  static_assert(Margin<M>,
                "losskit: the first of MarginSoftmax{margin, scale, objective, rest} is not a Margin; it needs a name and: "
                "template <Number X> Jet<X> target(X c) const");
  static_assert(!RestRule<O>,
                "losskit: a rest rule is not an Objective; it comes last: MarginSoftmax{margin, scale, CrossEntropy{}, rest}");
  static_assert(Objective<O> || RestRule<O>,
                "losskit: the third of MarginSoftmax{margin, scale, objective, rest} is not an Objective; it needs a name and: "
                "template <Number X> Jet<X> operator()(X log_p) const");
  static_assert(RestRule<R>,
                "losskit: the fourth of MarginSoftmax{margin, scale, objective, rest} is not a RestRule; it needs a name, bound() and: "
                "template <Number X> Jet<X> rest(X c, X threshold) const");

 public:
  M margin;
  double scale;  // in (0, largest_scale]
  O objective;
  R rest;

  // scale: a number, or a FixedScale. Throws ParameterError for one outside its range.
  template <class S>
  MarginSoftmax(M margin_, S const& scale_, O objective_ = O{}, R rest_ = R{})
      : margin(margin_), scale(number_of(scale_)), objective(objective_), rest(rest_) {
    if (!(scale > 0 && scale <= largest_scale))
      fail<ParameterError>("MarginSoftmax: scale = %g is outside (0, largest_scale = %g]", scale, largest_scale);
    // Compiled, never called: a rest rule that only one number at a time could follow is refused on every backend.
    [[maybe_unused]] auto const on_many_numbers = [](R const& rule) { rule.rest(NoBranch{}, NoBranch{}); };
  }

 private:
  template <class S>
  static double number_of(S const& s) {
    static_assert(!StateScale<S>, "losskit: this scale follows the batch: give MarginSoftmax its number, scale.scale(state)");
    static_assert(std::is_convertible_v<S, double> || ConstantScale<S> || StateScale<S>,
                  "losskit: the second of MarginSoftmax{margin, scale, objective, rest} is no scale: give a number or a FixedScale (one "
                  "a row: Batch::scales)");
    if constexpr (std::is_convertible_v<S, double>) return static_cast<double>(s);
    else if constexpr (ConstantScale<S>) return s.scale();
    else return 0;
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
