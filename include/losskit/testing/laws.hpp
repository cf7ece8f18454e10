// The laws of losskit, for our tests and for policies of your own:
//
//   testing::Verdict v = testing::check_margin(MyMargin{});
//   if (!v) std::puts(v.text);
//
// check_margin, check_rest, check_objective, check_point_loss: the slope is the derivative of the value (on dual numbers, and
// by central differences), nothing finite gives NaN or infinity, NaN stays NaN, float agrees with double, what promises to be
// monotone is. check_loss: a whole loss over a cosine matrix, its gradient against central differences through loss_value.
//
// Header of no framework: a Verdict is plain data. It says how much was checked, how much failed, and where first.
#pragma once
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "losskit/concepts.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/testing/dual.hpp"

namespace losskit::inline LOSSKIT_ISA {
namespace testing {

struct Verdict {
  int checked = 0;
  int failed = 0;
  char text[320] = "nothing was checked";  // the first failure: law, where, found, expected

  explicit operator bool() const { return checked > 0 && failed == 0; }

  void expect(bool holds, char const* policy, char const* law, double at, double found, double expected) {
    ++checked;
    if (failed == 0 && holds) std::snprintf(text, sizeof text, "%s: %d checks hold", policy, checked);
    if (!holds && failed++ == 0)
      std::snprintf(text, sizeof text, "%s: %s, at %.17g: %.17g, expected %.17g", policy, law, at, found, expected);
  }
  void expect_near(double found, double expected, double tolerance, char const* policy, char const* law, double at) {
    double const size = std::fabs(expected) > 1 ? std::fabs(expected) : 1;
    expect(std::fabs(found - expected) <= tolerance * size, policy, law, at, found, expected);
  }
};

// Cosines to check at: a grid of its own spacing, both ends and their neighbours.
inline std::vector<double> cosines_to_check() {
  std::vector<double> at;
  for (int i = -499; i <= 499; ++i) at.push_back(i / 500.0 + 1.234e-5);
  for (double const gap : {1e-3, 1e-5, 1e-8, 1e-12, 1.2e-16}) at.insert(at.end(), {1 - gap, -1 + gap});
  return at;
}

namespace detail {

inline bool near_kink(Kinks const& kinks, double x, double reach) {
  for (int i = 0; i < kinks.count; ++i)
    if (std::fabs(x - kinks.at[i]) <= reach) return true;
  return false;
}

template <class P>
constexpr bool slope_is_derivative() {
  if constexpr (requires { P::gradient_mode::name; }) return P::gradient_mode::name[0] == 'E'; else return true;
}

// f(X) -> Jet<X> on [low, high]: the two slope laws, finiteness, NaN, float against double.
template <class F>
void check_jet(Verdict& v, char const* name, F const& f, std::vector<double> const& points, Kinks const& kinks, bool exact,
               double low, double high) {
  for (double const x : points) {
    Jet<Scalar<double>> const at = f(Scalar<double>(x));
    v.expect(std::isfinite(at.value.v) && std::isfinite(at.slope.v), name, "value and slope are finite", x, at.value.v, 0);
    Jet<Scalar<float>> const narrow = f(Scalar<float>(x));
    Jet<Scalar<double>> const there = f(Scalar<double>(double(float(x))));
    v.expect(std::isfinite(narrow.value.v) && std::isfinite(narrow.slope.v), name, "float value and slope are finite", x,
             double(narrow.value.v), 0);
    bool const inside = x > low + 1e-4 && x < high - 1e-4;
    if (inside && !near_kink(kinks, x, 1e-6))
      v.expect_near(double(narrow.value.v), there.value.v, 2e-5, name, "float agrees with double", x);
    if (!exact || near_kink(kinks, x, 1e-9)) continue;
    Jet<Dual> const dual = f(Dual(x, 1));
    v.expect_near(at.slope.v, dual.value.d, 1e-10, name, "the slope is the derivative of the value (dual number)", x);
    double const h = 1e-6;
    if (inside && x - h > low && x + h < high && !near_kink(kinks, x, 2 * h)) {
      double const difference = (f(Scalar<double>(x + h)).value.v - f(Scalar<double>(x - h)).value.v) / (2 * h);
      v.expect_near(at.slope.v, difference, 2e-5, name, "the slope is the derivative of the value (central difference)", x);
    }
  }
  double const nan = std::numeric_limits<double>::quiet_NaN();
  v.expect(std::isnan(f(Scalar<double>(nan)).value.v), name, "NaN stays NaN", nan, f(Scalar<double>(nan)).value.v, nan);
}

}  // namespace detail

template <class M>
Verdict check_margin(M const& margin) {
  static_assert(Margin<M>, "losskit: this is not a Margin; it needs a name and: template <Number X> Jet<X> target(X c) const");
  Verdict v;
  auto const f = [&](auto c) { return margin.target(c); };
  detail::check_jet(v, M::name, f, cosines_to_check(), kinks_of(margin), detail::slope_is_derivative<M>(), -1, 1);
  for (double const c : {1.0, 1 + 1e-7, 50.0}) {
    auto const far = f(Scalar<double>(c)), end = f(Scalar<double>(1.0)), low = f(Scalar<double>(-c)), start = f(Scalar<double>(-1.0));
    v.expect_near(far.value.v, end.value.v, 0, M::name, "past 1 the value is that at 1", c);
    v.expect_near(low.value.v, start.value.v, 0, M::name, "past -1 the value is that at -1", -c);
    v.expect(std::isfinite(far.slope.v) && far.slope.v == end.slope.v, M::name, "past 1 the slope is that at 1, finite", c, far.slope.v,
             end.slope.v);
    v.expect(std::isfinite(low.slope.v) && low.slope.v == start.slope.v, M::name, "past -1 the slope is that at -1, finite", -c,
             low.slope.v, start.slope.v);
  }
  if constexpr (requires { M::monotone; }) {
    double highest = f(Scalar<double>(-1.0)).value.v;
    for (int i = -10000; M::monotone && i <= 10000; ++i) {
      double const psi = f(Scalar<double>(i / 10000.0)).value.v;
      v.expect(psi >= highest - 1e-14 * (1 + std::fabs(highest)), M::name, "psi never falls", i / 10000.0, psi, highest);
      highest = std::fmax(highest, psi);
    }
  }
  return v;
}

template <class R>
Verdict check_rest(R const& rest) {
  static_assert(RestRule<R>,
                "losskit: this is not a RestRule; it needs a name, bound() and: template <Number X> Jet<X> rest(X c, X threshold) const");
  Verdict v;
  for (double const threshold : {-1.3, -0.7, 0.0, 0.31, 1.5}) {
    auto const f = [&](auto c) { return rest.rest(c, decltype(c)(threshold)); };
    detail::check_jet(v, R::name, f, cosines_to_check(), Kinks{{threshold}, 1}, true, -1, 1);
    for (double const c : cosines_to_check()) {
      double const r = f(Scalar<double>(c)).value.v;
      v.expect(r <= rest_range(rest).high * (1 + 1e-14), R::name, "bound() bounds", c, r, rest_range(rest).high);
      v.expect(r >= rest_range(rest).low * (1 + 1e-14), R::name, "lowest() or -bound() bounds", c, r, rest_range(rest).low);
    }
  }
  return v;
}

template <class O>
Verdict check_objective(O const& objective) {
  static_assert(Objective<O>,
                "losskit: this is not an Objective; it needs a name and: template <Number X> Jet<X> operator()(X log_p) const");
  Verdict v;
  std::vector<double> points;
  for (double x = 1e-9; x < 300; x *= 1.37) points.push_back(-x);
  if constexpr (MeanObjective<O>) {  // each slope with the other argument held
    for (double const held : {-1e-9, -0.3, -2.0, -40.0}) {
      auto const by_log_p = [&](auto log_p) {
        auto const o = objective(log_p, decltype(log_p)(held));
        return Jet<decltype(log_p)>{o.value, o.slope};
      };
      auto const by_mean = [&](auto mean_log_p) {
        auto const o = objective(decltype(mean_log_p)(held), mean_log_p);
        return Jet<decltype(mean_log_p)>{o.value, o.by_mean};
      };
      detail::check_jet(v, O::name, by_log_p, points, kinks_of(objective), true, -1e300, 0);
      detail::check_jet(v, O::name, by_mean, points, kinks_of(objective), true, -1e300, 0);
    }
  } else {
    detail::check_jet(v, O::name, [&](auto log_p) { return objective(log_p); }, points, kinks_of(objective), true, -1e300, 0);
    auto const certain = objective(Scalar<double>(0.0));
    v.expect(std::isfinite(certain.value.v) && std::isfinite(certain.slope.v), O::name, "finite at p = 1", 0, certain.slope.v, 0);
  }
  return v;
}

// `truths`: where to hold the second argument. kinks() are in prediction - truth.
template <class L>
Verdict check_point_loss(L const& loss, std::vector<double> const& truths = {0, 1}) {
  static_assert(
      PointLoss<L>,
      "losskit: this is not a PointLoss; it needs a name and: template <Number X> Jet<X> operator()(X prediction, X truth) const");
  Verdict v;
  std::vector<double> points;
  for (double x = 1e-6; x < 1e4; x *= 1.23) points.insert(points.end(), {x, -x});
  for (double const truth : truths) {
    Kinks kinks = kinks_of(loss);
    for (int i = 0; i < kinks.count; ++i) kinks.at[i] += truth;
    detail::check_jet(v, L::name, [&](auto x) { return loss(x, decltype(x)(truth)); }, points, kinks, true, -1e300, 1e300);
  }
  return v;
}

// Loss and gradient of a composition over random cosines, with weights, an upstream factor and an ignored row, against
// central differences of loss_value in double.
template <class B, class L>
Verdict check_loss(B const& backend, L const& loss, idx rows = 5, idx cols = 23, unsigned seed = 1) {
  Verdict v;
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> cosine(-0.95, 0.95), weight(0.2, 2);
  auto const cells = static_cast<std::size_t>(rows * cols);
  std::vector<double> c(cells), gradient(cells), weights(static_cast<std::size_t>(rows)), class_weights(static_cast<std::size_t>(cols));
  std::vector<std::int64_t> labels(static_cast<std::size_t>(rows));
  for (double& x : c) x = cosine(random);
  for (double& w : weights) w = weight(random);
  for (double& w : class_weights) w = weight(random);
  for (auto& y : labels) y = static_cast<std::int64_t>(random() % static_cast<unsigned>(cols));
  if (rows > 2) labels[1] = -7;
  Options options{.upstream = 1.7, .ignore_label = -7};
  Batch batch(matrix(c, rows, cols), labels);
  batch.weights = view(weights);
  batch.class_weights = view(class_weights);
  std::vector<std::byte> workspace(workspace_bytes<double>(backend, rows, cols, Placement::out_of_place));
  double const value = loss_and_gradient(backend, loss, batch, matrix(gradient, rows, cols), workspace, options).loss;
  v.expect_near(value, loss_value(backend, loss, batch, workspace, options).loss, 1e-14, "loss",
                "loss_value is the loss of loss_and_gradient", 0);
  double const h = 1e-6;
  for (std::size_t k = 0; k < cells; ++k) {
    double const x = c[k];
    c[k] = x + h;
    double const up = loss_value(backend, loss, batch, workspace, options).loss;
    c[k] = x - h;
    double const down = loss_value(backend, loss, batch, workspace, options).loss;
    c[k] = x;
    v.expect_near(gradient[k], options.upstream * (up - down) / (2 * h), 3e-6, "loss", "the gradient is the derivative of the loss",
                  double(k));
  }
  return v;
}

}  // namespace testing
}  // namespace losskit::inline LOSSKIT_ISA
