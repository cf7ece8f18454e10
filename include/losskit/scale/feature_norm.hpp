// FeatureNorm: each row's own norm is its scale, z_ij = |x_i| psi(c_ij). Liu et al. 2017 (SphereFace), arXiv:1704.08063.
//
//   s(n) = min(max(n, low), high)       d s / d n = 1 inside [low, high], 0 outside       n = |x_i| >= 0
//
// Fill Batch::scales with s(n_i); a call then gives dL/ds_i in Outputs::scale_gradient, and
//   dL/dx_i = (dL/dc chained through the normalisation) + dL/ds_i s'(n_i) x_i / n_i
// which normalize_rows_backward adds when it is given dL/dn_i = dL/ds_i s'(n_i) (head/normalize.hpp).
// The paper has no bounds (0, infinity). At a bound the slope is 1.
#pragma once
#include <cmath>
#include <limits>

#include "losskit/core/expects.hpp"
#include "losskit/core/jet.hpp"
#include "losskit/core/number.hpp"
#include "losskit/core/parameter.hpp"

namespace losskit::inline LOSSKIT_ISA {

class FeatureNorm {
 public:
  static constexpr char const* name = "FeatureNorm";

  // low <= high. Throws ParameterError otherwise.
  static constexpr Parameter parameters[] = {{"low", "", 0, Interval::closed(0, Interval::infinity)},
                                             {"high", "", Interval::infinity, Interval::closed(0, Interval::infinity)}};
  explicit FeatureNorm(double low = parameters[0].standard, double high = parameters[1].standard)
      : low_(checked(name, parameters[0], low)), high_(checked(name, parameters[1], high)) {
    if (!(low <= high)) fail<ParameterError>("FeatureNorm: [%g, %g] is not a range with low <= high", low, high);
  }

  template <Number X>
  LOSSKIT_HD Jet<X> operator()(X norm) const {
    if (norm < low_) return {X(low_), X(0)};
    if (norm > high_) return {X(high_), X(0)};
    return {norm, X(1)};
  }

 private:
  double low_, high_;
};

}  // namespace losskit::inline LOSSKIT_ISA
