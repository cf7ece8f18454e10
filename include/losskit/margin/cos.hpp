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
  using Angular = AngularMargin<PastPi, Mode>;

 public:
  static constexpr char const* name = "CosMargin";
  // The papers' m. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"m", "cosine", 0.35, Interval::finite()}};
  explicit CosMargin(double m = parameters[0].standard, PastPi rule = PastPi{})
      : Angular(name, 1, 0, checked(name, parameters[0], m), rule) {}

  // A margin a row (Batch::margins): m_i a cosine, finite. d psi / d m = -1, and 0 where Easy leaves the margin out.
  LOSSKIT_HD CosMargin at_row(RowContext const& row) const { return CosMargin(typename Angular::Unchecked{}, row.number, this->rule()); }
  static constexpr Interval row_numbers = parameters[0].range;
  template <Number X>
  LOSSKIT_HD MarginJet<X> margin_jet(X c) const {
    auto jet = Angular::margin_jet(c);
    jet.by_parameter = jet.threshold_by_parameter = -1;
    if constexpr (std::is_same_v<PastPi, Easy>)
      if (c <= this->rule().above) jet.by_parameter = 0;
    return jet;
  }

 private:
  LOSSKIT_HD CosMargin(typename Angular::Unchecked unchecked, double m, PastPi rule) : Angular(unchecked, 1, 0, m, rule) {}
};

}  // namespace losskit::inline LOSSKIT_ISA
