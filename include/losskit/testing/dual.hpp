// Dual: a number that carries its derivative. A formula written on a Number runs on it unchanged, and what comes out is the
// derivative of the written value, to compare with the written slope. It shares no code with any slope.
#pragma once
#include <cmath>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {
namespace testing {

struct Dual {
  using scalar = double;
  double v, d;  // value, derivative

  Dual() = default;
  constexpr Dual(double value, double derivative = 0) : v(value), d(derivative) {}

  friend Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
  friend Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
  friend Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
  friend Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d * b.v - a.v * b.d) / (b.v * b.v)}; }
  friend Dual operator-(Dual a) { return {-a.v, -a.d}; }
  friend bool operator<(Dual a, Dual b) { return a.v < b.v; }
  friend bool operator>(Dual a, Dual b) { return a.v > b.v; }
  friend bool operator<=(Dual a, Dual b) { return a.v <= b.v; }
  friend bool operator>=(Dual a, Dual b) { return a.v >= b.v; }
  friend Dual select(bool chosen, Dual a, Dual b) { return chosen ? a : b; }
  friend Dual max(Dual a, Dual b) { return a.v < b.v ? b : a; }
  friend Dual min(Dual a, Dual b) { return b.v < a.v ? b : a; }
  friend Dual abs(Dual a) { return a.v < 0 ? -a : a; }
  friend Dual copysign(Dual a, Dual b) { return std::signbit(a.v) == std::signbit(b.v) ? a : -a; }
  friend Dual multiply_add(Dual a, Dual b, Dual c) { return a * b + c; }
  friend Dual fma(Dual a, Dual b, Dual c) { return {std::fma(a.v, b.v, c.v), std::fma(a.d, b.v, std::fma(a.v, b.d, c.d))}; }
  friend Dual floor(Dual a) { return {std::floor(a.v), 0}; }
  friend Dual sqrt(Dual a) { return {std::sqrt(a.v), a.d == 0 ? 0 : a.d / (2 * std::sqrt(a.v))}; }
  friend Dual exp(Dual a) { return {std::exp(a.v), std::exp(a.v) * a.d}; }
  friend Dual log(Dual a) { return {std::log(a.v), a.d / a.v}; }
  friend Dual log1p(Dual a) { return {std::log1p(a.v), a.d / (1 + a.v)}; }
  friend Dual expm1(Dual a) { return {std::expm1(a.v), std::exp(a.v) * a.d}; }
  friend Dual sin(Dual a) { return {std::sin(a.v), std::cos(a.v) * a.d}; }
  friend Dual cos(Dual a) { return {std::cos(a.v), -std::sin(a.v) * a.d}; }
  friend Dual atan2(Dual y, Dual x) { return {std::atan2(y.v, x.v), (y.d * x.v - y.v * x.d) / (x.v * x.v + y.v * y.v)}; }
  // x^y for x >= 0; at x = 0 the derivative's limit for y > 1.
  friend Dual pow(Dual x, Dual y) {
    double const p = std::pow(x.v, y.v);
    return {p, (x.d == 0 ? 0 : x.d * y.v * std::pow(x.v, y.v - 1)) + (y.d == 0 || x.v == 0 ? 0 : y.d * p * std::log(x.v))};
  }
};

}  // namespace testing
}  // namespace losskit::inline LOSSKIT_ISA
