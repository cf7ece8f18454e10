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
#include "losskit/core/parameter.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

class WarmUp {
 public:
  // wespeaker's margins, over the first thousand steps.
  static constexpr Parameter parameters[] = {{"from", "margin", 0, Interval::finite()},
                                             {"to", "margin", 0.2, Interval::finite()},
                                             {"start", "step", 0, Interval::closed(0, 0x1p53), true},
                                             {"end", "step", 1000, Interval::closed(0, 0x1p53), true}};

 protected:
  WarmUp(char const* who, double from, double to, idx start, idx end)
      : from_(checked(who, parameters[0], from)), to_(checked(who, parameters[1], to)), start_(start), end_(end) {
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
  using WarmUp::parameters;

  // Throws ParameterError outside the ranges.
  explicit LinearWarmUp(double from = parameters[0].standard, double to = parameters[1].standard,
                        idx start = static_cast<idx>(parameters[2].standard), idx end = static_cast<idx>(parameters[3].standard))
      : WarmUp(name, from, to, start, end) {}

  double operator()(idx step) const {
    return at(name, step, [](double x) { return x; });
  }
};

class ExponentialWarmUp : detail::WarmUp {
 public:
  static constexpr char const* name = "ExponentialWarmUp";
  using WarmUp::parameters;

  // Throws ParameterError outside the ranges.
  explicit ExponentialWarmUp(double from = parameters[0].standard, double to = parameters[1].standard,
                             idx start = static_cast<idx>(parameters[2].standard), idx end = static_cast<idx>(parameters[3].standard))
      : WarmUp(name, from, to, start, end) {}

  double operator()(idx step) const {
    return at(name, step, [](double x) { return -std::expm1(x * std::log(1e-3 / (1 + 1e-6))); });
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
