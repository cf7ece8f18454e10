// FeatureNorm: each row's own norm, times a factor, is its scale, z_ij = f |x_i| psi(c_ij). Liu et al. 2017 (SphereFace),
// arXiv:1704.08063, with f = 1.
//
//   s(n) = min(max(f n, low), high)       d s / d n = f where low <= f n <= high, else 0       n = |x_i| >= 0
//
// f > 0 is pytorch-metric-learning's `scale` of SphereFaceLoss, s |x|; low and high bound the scale, the paper has no bounds (0,
// infinity). Kinks: at a bound the slope is f.
//
// Fill Batch::scales with s(n_i); a call then gives dL/ds_i in Outputs::scale_gradient, and
//   dL/dx_i = (dL/dc chained through the normalisation) + dL/ds_i s'(n_i) x_i / n_i
// which normalize_rows_backward adds when it is given dL/dn_i = dL/ds_i s'(n_i) (head/normalize.hpp). examples/feature_norm.cpp does it.
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
                                             {"high", "", Interval::infinity, Interval::closed(0, Interval::infinity)},
                                             {"factor", "", 1, Interval::positive()}};
  explicit FeatureNorm(double low = parameters[0].standard, double high = parameters[1].standard, double factor = parameters[2].standard)
      : low_(checked(name, parameters[0], low)), high_(checked(name, parameters[1], high)), factor_(checked(name, parameters[2], factor)) {
    if (!(low <= high)) fail<ParameterError>("FeatureNorm: [%g, %g] is not a range with low <= high", low, high);
  }

  template <Number X>
  LOSSKIT_HD Jet<X> operator()(X norm) const {
    X const s = factor_ * norm;
    if (s < low_) return {X(low_), X(0)};
    if (s > high_) return {X(high_), X(0)};
    return {s, X(factor_)};
  }

 private:
  double low_, high_, factor_;
};

}  // namespace losskit::inline LOSSKIT_ISA
