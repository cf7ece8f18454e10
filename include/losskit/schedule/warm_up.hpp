// LinearWarmUp, ExponentialWarmUp: a margin that grows from one value to another between two steps, as speaker recognisers
// train (wespeaker, 3D-Speaker). With n the training step, the first being 0, and x = (n - start) / (end - start):
//
//   n < start:  from          start <= n < end:  from + (to - from) r(x)          n >= end:  to
//
//   LinearWarmUp       r(x) = x
//   ExponentialWarmUp  r(x) = 1 - rest^x,  rest = 1e-3 / (1 + 1e-6): fast first; at `end` the last thousandth is a jump
//
// from and to in the margin's unit, finite; 0 <= start <= end. A pure function of the step; a negative one is a ParameterError.
#pragma once
#include <cmath>

#include "losskit/core/expects.hpp"
#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

class WarmUp {
 protected:
  WarmUp(char const* who, double from, double to, idx start, idx end) : from_(from), to_(to), start_(start), end_(end) {
    if (!std::isfinite(from)) fail<ParameterError>("%s: from = %g is not finite", who, from);
    if (!std::isfinite(to)) fail<ParameterError>("%s: to = %g is not finite", who, to);
    if (!(start >= 0 && start <= end))
      fail<ParameterError>("%s: start = %lld and end = %lld are not 0 <= start <= end", who, static_cast<long long>(start),
                           static_cast<long long>(end));
  }

  template <class R>
  double at(char const* who, idx step, R r) const {
    if (step < 0) fail<ParameterError>("%s: step = %lld is negative; the first is 0", who, static_cast<long long>(step));
    if (step < start_) return from_;
    if (step >= end_) return to_;
    return multiply_add(to_ - from_, r(static_cast<double>(step - start_) / static_cast<double>(end_ - start_)), from_);
  }

 private:
  double from_, to_;
  idx start_, end_;
};

}  // namespace detail

class LinearWarmUp : detail::WarmUp {
 public:
  static constexpr char const* name = "LinearWarmUp";

  // wespeaker's margins, over the first thousand steps. Throws ParameterError outside the ranges above.
  explicit LinearWarmUp(double from = 0, double to = 0.2, idx start = 0, idx end = 1000) : WarmUp(name, from, to, start, end) {}

  double operator()(idx step) const {
    return at(name, step, [](double x) { return x; });
  }
};

class ExponentialWarmUp : detail::WarmUp {
 public:
  static constexpr char const* name = "ExponentialWarmUp";

  // wespeaker's margins, over the first thousand steps. Throws ParameterError outside the ranges above.
  explicit ExponentialWarmUp(double from = 0, double to = 0.2, idx start = 0, idx end = 1000) : WarmUp(name, from, to, start, end) {}

  double operator()(idx step) const {
    return at(name, step, [](double x) { return -std::expm1(x * std::log(1e-3 / (1 + 1e-6))); });
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
