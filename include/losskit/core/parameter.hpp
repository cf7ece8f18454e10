// Parameters: what a policy's numbers are called, their units, defaults and ranges. A policy lists its own once: its constructor checks
// by the list, and the C ABI, Python's signatures and the README's table are made from it.
//
//   static constexpr Parameter parameters[] = {{"m", "rad", 0.5, Interval::open(-pi, pi)}};
//   explicit ArcMargin(double m = parameters[0].standard) : m_(checked(name, parameters[0], m)) {}
#pragma once
#include <cstdio>
#include <limits>
#include <numbers>

#include "losskit/core/expects.hpp"

namespace losskit::inline LOSSKIT_ISA {

// The numbers from low to high. Each end is in it or not; NaN never is.
struct Interval {
  double low, high;
  bool has_low = true, has_high = true;

  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr Interval closed(double low, double high) { return {low, high}; }
  static constexpr Interval open(double low, double high) { return {low, high, false, false}; }
  static constexpr Interval finite() { return open(-infinity, infinity); }
  static constexpr Interval positive() { return open(0, infinity); }
  static constexpr Interval not_negative() { return {0, infinity, true, false}; }
  static constexpr Interval none() { return {1, 0}; }

  LOSSKIT_HD constexpr bool empty() const { return !(low <= high); }
  LOSSKIT_HD constexpr bool contains(double x) const { return (has_low ? x >= low : x > low) && (has_high ? x <= high : x < high); }
};

struct Parameter {
  char const* name;
  char const* unit;  // "rad", "cosine", ...; "" for a plain number
  double standard;   // where none is given: the paper's
  Interval range;
  bool whole = false;  // an integer
};

namespace detail {

// "(-pi, pi)", "[0, inf)"
struct IntervalText {
  char text[64];
  explicit IntervalText(Interval range) {
    char low[24], high[24];
    std::snprintf(text, sizeof text, "%c%s, %s%c", range.has_low ? '[' : '(', end(range.low, low), end(range.high, high),
                  range.has_high ? ']' : ')');
  }

 private:
  static char const* end(double x, char (&text)[24]) {
    using std::numbers::pi;
    if (x == pi) return "pi";
    if (x == -pi) return "-pi";
    if (x == pi / 2) return "pi/2";
    std::snprintf(text, sizeof text, "%.7g", x);
    return text;
  }
};

}  // namespace detail

// x, if it is in the parameter's range; else ParameterError, `who` being the policy.
inline double checked(char const* who, Parameter const& parameter, double x) {
  if (!parameter.range.contains(x))
    fail<ParameterError>("%s: %s = %g is outside %s%s%s", who, parameter.name, x, detail::IntervalText(parameter.range).text,
                         *parameter.unit ? " " : "", parameter.unit);
  return x;
}

}  // namespace losskit::inline LOSSKIT_ISA
