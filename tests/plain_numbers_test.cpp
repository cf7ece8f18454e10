// Formulas on plain floats and doubles: every policy of the catalogue, and one that losskit has never seen.
#include <doctest/doctest.h>

#include <cmath>
#include <concepts>

#include "../examples/li_arc.hpp"
#include "losskit/catalogue.hpp"

using namespace losskit;

namespace {

// The plain answer has the bits of the formula on the library's own number, and the type of what was given.
template <class T, class Jet>
void same(Jet const& plain, auto const& number) {
  static_assert(std::same_as<decltype(plain.value), T> || std::same_as<decltype(plain.value), T const>);
  CHECK(plain.value == number.value.v);
  CHECK(plain.slope == number.slope.v);
}

template <class T>
void every_policy() {
  using X = Scalar<T>;
  for (T const c : {T(-1), T(-0.9), T(-0.3), T(0), T(0.3), T(0.95), T(1)}) {
    for_each(margins{}, [&](auto const& margin) {
      same<T>(margin.target(c), margin.target(X(c)));
      same<T>(value_and_slope(margin, c), margin.target(X(c)));
    });
    same<T>(value_and_slope(LiArc{}, c), LiArc{}.target(X(c)));
    for (T const threshold : {T(-0.5), T(0.5)})
      for_each(rests{}, [&](auto const& rest) { same<T>(value_and_slope(rest, c, threshold), rest.rest(X(c), X(threshold))); });
    for_each(point_losses{}, [&](auto const& loss) {
      for (T const truth : {T(0), T(1)}) same<T>(value_and_slope(loss, 20 * c, truth), loss(X(20 * c), X(truth)));
    });
  }
  for (T const log_p : {T(-40), T(-1), T(-1e-3)}) {
    same<T>(value_and_slope(CrossEntropy{}, log_p), CrossEntropy{}(X(log_p)));
    same<T>(value_and_slope(FocalLoss{}, log_p), FocalLoss{}(X(log_p)));
    auto const at = value_and_slope(LabelSmoothing{0.2}, log_p, T(-3));
    same<T>(at, LabelSmoothing{0.2}(X(log_p), X(-3)));
    CHECK(at.by_mean == T(-0.2));
  }
  for (T const norm : {T(0.5), T(3), T(30)}) same<T>(value_and_slope(FeatureNorm(1, 40, 2), norm), FeatureNorm(1, 40, 2)(X(norm)));
}

}  // namespace

TEST_CASE("every policy of the catalogue on plain floats and doubles") {
  every_policy<float>();
  every_policy<double>();
}

TEST_CASE("and what they say: the formulas of the papers") {
  auto const near = [](double x) { return doctest::Approx(x).epsilon(1e-14); };
  double const theta = std::acos(0.3);
  CHECK(ArcMargin{.5}.target(0.3).value == near(std::cos(theta + 0.5)));
  CHECK(ArcMargin{.5}.target(0.3).slope == near(std::sin(theta + 0.5) / std::sin(theta)));
  CHECK(double(ArcMargin{.5}.target(0.3F).value) == doctest::Approx(std::cos(theta + 0.5)).epsilon(1e-6));
  CHECK(CosMargin{.35}.target(0.3).value == near(-0.05));
  CHECK(SphereMargin{2}.target(0.3).value == near(2 * 0.09 - 1));
  CHECK(value_and_slope(WingLoss{}, 1.0, 3.0).value == near(10 * std::log(2.0)));
  CHECK(value_and_slope(WingLoss{}, 1.0, 3.0).slope == near(-2.5));
  CHECK(value_and_slope(HardNegatives{0.2}, 0.5, 0.4).value == near(0.8));
  CHECK(value_and_slope(LiArc{0.45}, 0.0).value == near(-2 * 0.45 / std::acos(-1.0)));
}
