// Annealed: a margin mixed with the plain cosine while training settles. Liu et al. 2017 (SphereFace), section 4.1.
//
//   psi(c)      = (lambda c + psi_M(c)) / (1 + lambda)          lambda >= 0, finite
//   d psi / d c = (lambda + d psi_M / d c) / (1 + lambda)
//
// The slope is at least lambda / (1 + lambda) where M is monotone: annealing removes the flat spots of SphereMargin.
// lambda comes from a schedule (schedule/lambda.hpp); lambda = 0 is M itself. Kinks are those of M.
#pragma once
#include "losskit/margin/sphere.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class M = SphereMargin<>>
class Annealed {
  static_assert(Margin<M>, "losskit: Annealed wraps a Margin; it needs: template <Number X> Jet<X> target(X c) const");

 public:
  static constexpr char const* name = "Annealed";
  static constexpr bool monotone = M::monotone;

  // The paper's final lambda. Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"lambda", "", 5, Interval::not_negative()}};
  explicit Annealed(M margin = M{}, double lambda = parameters[0].standard)
      : margin_(margin), lambda_(checked(name, parameters[0], lambda)) {}

  template <Number X>
  LOSSKIT_HD Jet<X> target(X c) const {
    return mixed(c, margin_.target(c));
  }
  template <std::floating_point T>
  LOSSKIT_HD Jet<T> target(T c) const {
    return value_and_slope(*this, c);
  }
  template <Number X>
  LOSSKIT_HD MarginJet<X> margin_jet(X c) const {
    auto const at = margin_jet_of(margin_, c);
    return {mixed(c, at.target), mixed(c, at.threshold), at.by_parameter / (1 + lambda_), at.threshold_by_parameter / (1 + lambda_)};
  }
  Kinks kinks() const { return kinks_of(margin_); }
  M const& margin() const { return margin_; }
  double lambda() const { return lambda_; }

 private:
  template <class X>
  LOSSKIT_HD X mixed(X c, X psi) const {
    return multiply_add(X(lambda_), min(max(c, X(-1)), X(1)), psi) / (1 + lambda_);
  }

  template <class X>
  LOSSKIT_HD Jet<X> mixed(X c, Jet<X> psi) const {
    return {mixed(c, psi.value), (lambda_ + psi.slope) / (1 + lambda_)};
  }

  M margin_;
  double lambda_;
};

}  // namespace losskit::inline LOSSKIT_ISA
