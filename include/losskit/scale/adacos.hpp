// AdaCosScale: a scale that follows the batch. Zhang et al. 2019 (AdaCos), arXiv:1905.00292, eqs. 12, 15 to 17.
//
// Over the N rows of a training batch with C classes, theta_i the target's angle of row i:
//
//   s_0     = sqrt(2) ln(C - 1)                                                      the fixed scale
//   B_avg   = 1/N sum over i of sum over j != y_i of exp(s_(t-1) c_ij)               non-targets only
//   s_t     = ln B_avg / cos(min(pi/4, theta_med))                                   the dynamic scale
//   theta_med = median of the N theta_i; for even N the lower of the two middle ones
//
// No margin, and no gradient through s. C >= 3: with two classes ln(C - 1) = 0 and nothing would learn; give a FixedScale
// from suggest_scale instead.
//
// ln B_avg comes from a log-sum-exp and does not overflow. Where ln B_avg <= 0 (few, opposed classes) the formula would give
// s <= 0: the state is kept and `kept` counts it. The recursion grows without end while one non-target cosine stays above
// cos(min(pi/4, theta_med)); a ceiling stops it, a floor keeps s useful for small C. Both are ours; the ceiling is largest_scale by
// default, the floor 0.
//
// The state is the caller's: save it, broadcast it. Evaluation cannot move it: only advance (loss/advance.hpp) makes the next.
#pragma once
#include <cmath>
#include <limits>

#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"
#include "losskit/scale/fixed.hpp"

namespace losskit {

struct AdaCosState {
  double scale;   // in [floor, ceiling]
  idx steps = 0;  // batches seen
  idx kept = 0;   // of these, how many left the scale as it was
  // To be seen, not used: what the last batch gave, finite or not. 0 before the first.
  double log_mean_rest = 0;        // ln B_avg, at the scale before
  double median_target_angle = 0;  // theta_med in radians
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

class AdaCosScale {
 public:
  static constexpr char const* name = "AdaCosScale";
  using State = AdaCosState;
  using Statistics = ScaleStatistics;

  // C >= 3 classes; floor <= ceiling. Throws ParameterError otherwise.
  static constexpr Parameter parameters[] = {{"classes", "", 1000, Interval::closed(3, 0x1p53), true},
                                             {"floor", "", 0, Interval::closed(0, largest_scale)},
                                             {"ceiling", "", largest_scale, Interval::closed(0, largest_scale)}};
  explicit AdaCosScale(idx classes = static_cast<idx>(parameters[0].standard), double floor = parameters[1].standard,
                       double ceiling = parameters[2].standard)
      : classes_(classes), floor_(checked(name, parameters[1], floor)), ceiling_(checked(name, parameters[2], ceiling)) {
    if (classes < 3)
      fail<ParameterError>("AdaCosScale: %lld classes, at least 3 needed; use FixedScale with suggest_scale",
                           static_cast<long long>(classes));
    if (!(floor <= ceiling)) fail<ParameterError>("AdaCosScale: [%g, %g] is not a range with floor <= ceiling", floor, ceiling);
  }

  // The fixed scale, and the state that training starts from.
  double fixed() const { return within(std::sqrt(2.0) * std::log(hidden(double(classes_ - 1)))); }
  State start() const { return {fixed()}; }
  double scale(State const& state) const { return state.scale; }
  FixedScale at(State const& state) const { return FixedScale(state.scale); }
  double ceiling() const { return ceiling_; }

  // Pure. Rows = 0 or a statistic that is not finite also keeps the scale.
  LOSSKIT_HD State next(State state, ScaleStatistics const& batch) const {
    ++state.steps;
    state.log_mean_rest = batch.log_mean_rest;
    double const median = batch.median_target_cosine;
    state.median_target_angle = ::acos(hidden(median < -1 ? -1 : median > 1 ? 1 : median));
    double const middle = ::fmax(::sqrt(0.5), median);  // cos falls: min of angles, max of cosines
    if (batch.rows > 0 && batch.log_mean_rest > 0 && batch.log_mean_rest <= largest && ::fabs(median) <= largest)
      state.scale = within(batch.log_mean_rest / ::fmin(middle, 1.0));
    else
      ++state.kept;
    return state;
  }

 private:
  static constexpr double largest = std::numeric_limits<double>::max();
  LOSSKIT_HD double within(double s) const { return ::fmin(::fmax(s, floor_), ceiling_); }

  idx classes_;
  double floor_, ceiling_;
};

}  // namespace losskit::inline LOSSKIT_ISA
