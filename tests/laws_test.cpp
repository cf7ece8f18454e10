// The laws over the whole catalogue: each policy alone, then every composition as a whole loss.
#include "losskit/testing/laws.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "problem.hpp"

using namespace test;
using doctest::Approx;

namespace {

// A verdict as one check, with its first failure as the message.
void expect(testing::Verdict const& v) { CHECK_MESSAGE(bool(v), v.text); }

std::vector<std::byte> workspace_for(idx rows, idx cols) {
  return std::vector<std::byte>(workspace_bytes<double>(on::serial{}, rows, cols, Placement::accumulate));
}

struct Result {
  Report report;
  Guarded<double> gradient;
  std::vector<double> row_losses, scale_gradient;
};
template <class L>
Result run(L const& loss, Batch<double, std::int64_t> const& batch, Options const& options = {}) {
  idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
  Result r{{}, Guarded<double>(rows, cols), std::vector<double>(size(rows)), std::vector<double>(size(rows))};
  auto workspace = workspace_for(rows, cols);
  r.report = loss_and_gradient(on::serial{}, loss, batch, r.gradient.matrix(), view(workspace), options,
                               Outputs<double>{view(r.row_losses), view(r.scale_gradient), {}});
  return r;
}

std::vector<AnyLoss> some_losses() {
  std::vector<AnyLoss> losses;
  for (auto const& margin : {Margins{{ArcMargin{0.5}}}, Margins{{SphereMargin{2.5}}}, Margins{{CosMargin{0.35}}}})
    for (auto const& rest : {AnyRest{}, AnyRest{HardNegatives<>{0.3}}})
      for (auto const& objective : {AnyObjective{}, AnyObjective{FocalLoss{2}}}) losses.emplace_back(margin, 12.0, objective, rest);
  return losses;
}

}  // namespace

TEST_CASE("policies: margins of the catalogue") {
  for_each(margins{}, [](auto margin) { expect(testing::check_margin(margin)); });
}

TEST_CASE("policies: margins with other rules and parameters") {
  for (auto const& any : all_margins()) std::visit([](auto const& margin) { expect(testing::check_margin(margin)); }, any.margin);
}

TEST_CASE("policies: rest rules") {
  for_each(rests{}, [](auto rest) { expect(testing::check_rest(rest)); });
  for (auto const& any : all_rests()) std::visit([](auto const& rest) { expect(testing::check_rest(rest)); }, any.rule);
}

TEST_CASE("policies: objectives") {
  for_each(objectives{}, [](auto objective) { expect(testing::check_objective(objective)); });
  for (double const gamma : {0.0, 1e-3, 0.5, 1.0, 3.5, 20.0}) expect(testing::check_objective(FocalLoss{gamma, 0.25}));
}

TEST_CASE("policies: point losses") {
  for_each(point_losses{}, [](auto loss) { expect(testing::check_point_loss(loss)); });
  expect(testing::check_point_loss(WingLoss{3.0, 0.5}, {-4, 0, 100}));
  expect(testing::check_point_loss(AdaptiveWingLoss{2.1, 10.0, 0.5, 0.3}, {0, 0.25, 0.5, 1}));
  expect(testing::check_point_loss(SmoothL1Loss{3.0}, {-4, 0, 100}));
  expect(testing::check_point_loss(HuberLoss{0.2}, {-4, 0, 100}));
  for (double const gamma : {0.0, 0.5, 1.0, 5.0}) expect(testing::check_point_loss(SigmoidFocalLoss{gamma, 0.75}, {0, 0.3, 1}));
}

// --- identities between policies -------------------------------------------------------------------------------------

namespace {
template <class M>
void same_as_cosine(M const& margin, double tolerance = 0, double from = -1, double to = 1) {
  for (double const c : testing::cosines_to_check()) {
    if (c < from || c > to) continue;
    INFO(M::name << " at " << c);
    auto const at = margin.target(Scalar<double>(c));
    CHECK(std::fabs(at.value.v - c) <= tolerance);
    CHECK(std::fabs(at.slope.v - 1) <= tolerance);
    auto const narrow = margin.target(Scalar<float>(c));
    CHECK(std::fabs(narrow.value.v - static_cast<float>(c)) <= static_cast<float>(tolerance > 0 ? 1e-6 : 0));
  }
}
template <class A, class B>
void same_margin(A const& a, B const& b, double tolerance = 1e-13) {
  for (int i = -99; i <= 99; ++i) {
    Scalar<double> const c = i / 100.0 + 1e-3 / 3;
    INFO(A::name << " and " << B::name << " at " << c.v);
    CHECK(a.target(c).value.v == Approx(b.target(c).value.v).epsilon(tolerance));
    CHECK(a.target(c).slope.v == Approx(b.target(c).slope.v).epsilon(tolerance));
  }
}
}  // namespace

TEST_CASE("m = 0 is the identity") {
  same_as_cosine(NoMargin{});
  same_as_cosine(CosMargin{0.0});
  same_as_cosine(CosMargin<Easy>{0.0});
  same_as_cosine(ArcMargin{0.0});
  same_as_cosine(ArcMargin<NoRule>{0.0});
  same_as_cosine(ArcMargin<LegacyLinear>{0.0});
  same_as_cosine(ArcMargin<ContinuousLinear>{0.0});
  same_as_cosine(ArcMargin<FallToCosine>{0.0});
  same_as_cosine(ArcMargin<Easy>{0.0});
  same_as_cosine(ArcMargin<Clamp>{0.0, Clamp{0}}, 1e-15);
  same_as_cosine(ArcMargin<Clamp>{0.0, Clamp{0.01}}, 1e-15, -std::cos(0.01), std::cos(0.01));
  same_as_cosine(ArcMargin<NoRule, Detached>{0.0});
  same_as_cosine(SphereMargin{1.0});
  same_as_cosine(SphereMargin<NoRule>{1.0});
  same_as_cosine(CombinedMargin{1.0, 0.0, 0.0});
  same_as_cosine(CombinedMargin<ContinuousLinear>{1.0, 0.0, 0.0});
  same_as_cosine(Annealed<>{SphereMargin{1.0}, 5}, 1e-15);
  same_as_cosine(Annealed<>{SphereMargin{4.0}, 1e12}, 1e-10);
}

TEST_CASE("inside [0, pi] every margin is cos(m1 theta + m2) - m3, whatever its rule past pi") {
  auto const by_angle = [](auto const& margin) {
    for (int i = 1; i < 200; ++i) {
      double const theta = i * 3.14159265358979323846 / 200, phi = margin.m1() * theta + margin.m2();
      if (phi < 0.2 || phi > 2.9) continue;
      auto const at = margin.target(Scalar<double>(std::cos(theta)));
      INFO(margin.m1() << ' ' << margin.m2() << ' ' << margin.m3() << " at " << theta);
      CHECK(at.value.v == Approx(std::cos(phi) - margin.m3()).epsilon(1e-13));
      CHECK(at.slope.v == Approx(margin.m1() * std::sin(phi) / std::sin(theta)).epsilon(1e-12));
      CHECK(threshold_of(margin, Scalar<double>(std::cos(theta))).v == Approx(std::cos(phi) - margin.m3()).epsilon(1e-13));
    }
  };
  for (double const m : {-0.6, 0.1, 0.5, 1.2}) {
    by_angle(CosMargin{m}), by_angle(ArcMargin{m}), by_angle(ArcMargin<NoRule>{m}), by_angle(ArcMargin<LegacyLinear>{m});
    by_angle(ArcMargin<ContinuousLinear>{m}), by_angle(ArcMargin<Clamp>{m, Clamp{0.1}}), by_angle(ArcMargin<FallToCosine>{m});
    by_angle(ArcMargin<Easy>{m, Easy{-1}});
    for (double const m1 : {0.4, 1.0, 1.7, 3.0}) {
      by_angle(SphereMargin{m1}), by_angle(CombinedMargin{m1, m, 0.2}), by_angle(CombinedMargin<NoRule>{m1, m, -0.3});
      by_angle(CombinedMargin<ContinuousLinear>{m1, m, 0.2}), by_angle(CombinedMargin<Clamp>{m1, m, 0.2, Clamp{0.1}});
    }
  }
}

// In double a whole m1 turns by powers and never sees the angle; here the angle is all there is.
TEST_CASE("a whole m1 turns as its angle does, at every half turn and at both ends") {
  long double const pi = std::acos(-1.0L);
  for (int m1 = 1; m1 <= 16; ++m1)
    for (double const m2 : {-3.0, -1.1, -1e-9, 0.0, 0.5, 3.0}) {
      CombinedMargin<> const margin{double(m1), m2, 0.0};
      for (int i = -400; i <= 400; ++i) {
        double const c = i == 399 ? std::nextafter(1.0, 0.0) : i == -399 ? std::nextafter(-1.0, 0.0) : std::sin(i * 3.14159265358979 / 800);
        long double const x = c, s = std::sqrt((1 - x) * (1 + x)), near = std::atan2(s, std::fabs(x)), theta = c < 0 ? pi - near : near;
        long double const phi = m1 * theta + m2, k = std::floor(phi / pi), sign = std::fmod(std::fabs(k), 2.0L) == 1 ? -1 : 1;
        auto const at = margin.target(Scalar<double>(c));
        INFO(m1 << ' ' << m2 << " at " << c);
        CHECK(std::fabs(double(at.value.v - (sign * std::cos(phi) - 2 * k))) <= 1.2e-15 * double(1 + 2 * std::fabs(k)));
        if (s == 0) continue;  // the ends' slopes have a test of their own
        long double const slope = m1 * std::fabs(std::sin(c < 0 ? m2 - m1 * near : m2 + m1 * near)) / s;
        CHECK(std::fabs(double(at.slope.v - slope)) <= 2e-15 * double(std::fmax(slope, m1 * near * m1 / s)));
      }
    }
}

// The angle may lie below 0 or past pi for some cosines, for none, or for all of them.
TEST_CASE("Clamp is cos(clip(phi, eps, pi - eps)) for every phi, its slope 0 outside") {
  long double const pi = std::acos(-1.0L);
  int below = 0, inside = 0, past = 0, all_below = 0, all_past = 0;
  for (double const m1 : {0.1, 0.5, 1.0, 1.7, 2.0, 4.0, 15.5})
    for (double const m2 : {-3.1415, -3.0, -1.7, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.7, 3.0, 3.1415})
      for (double const eps : {0.0, 1e-4, 0.1, 1.0, 1.57}) {
        CombinedMargin<Clamp> const margin{m1, m2, 0.2, Clamp{eps}};
        Kinks const kinks = margin.kinks();
        for (int k = 0; k < kinks.count; ++k) {
          long double const theta = std::acos(static_cast<long double>(kinks.at[k])), phi = m1 * theta + m2;
          CHECK(double(std::fmin(std::fabs(phi - eps), std::fabs(phi - (pi - eps)))) <= 1e-15 * (1 + m1 / double(std::sin(theta))));
        }
        CHECK(kinks.count == (m2 < eps && eps < m1 * pi + m2) + (m2 < pi - eps && pi - eps < m1 * pi + m2));
        all_below += m1 * pi + m2 < eps, all_past += m2 > pi - eps;
        for (int i = -100; i <= 100; ++i) {
          float const c = i == 100 ? 1.0F : i == -100 ? -1.0F : static_cast<float>(std::sin(i * 3.14159 / 200));
          long double const theta = std::acos(static_cast<long double>(c)), phi = m1 * theta + m2;
          if (std::fabs(phi - eps) < 1e-5L || std::fabs(phi - (pi - eps)) < 1e-5L) continue;
          bool const low = phi < eps, high = phi > pi - eps;
          (low ? below : high ? past : inside) += 1;
          auto const value = std::cos(low ? eps : high ? pi - eps : phi) - 0.2L;
          auto const at = margin.target(Scalar<double>(double(c)));
          auto const narrow = margin.target(Scalar<float>(c));
          INFO(m1 << ", " << m2 << ", " << eps << " at " << c);
          double const roundings = 2 + m1;  // phi has m1 times that of theta
          CHECK(std::fabs(double(at.value.v - value)) <= roundings * std::numeric_limits<double>::epsilon());
          CHECK(std::fabs(double(narrow.value.v - value)) <= roundings * double(std::numeric_limits<float>::epsilon()));
          if (low || high) {
            CHECK(at.slope.v == 0);
            CHECK(narrow.slope.v == 0);
          } else if (std::fabs(c) < 1) {  // the ends' slopes have a test of their own
            long double const s = std::sin(theta), slope = m1 * std::sin(phi) / s;
            CHECK(std::fabs(double(at.slope.v - slope)) <= 4e-15 * m1 * (1 + m1) / double(s));
            CHECK(std::fabs(double(narrow.slope.v - slope)) <= 1e-6 * m1 * (1 + m1) / double(s));
          }
        }
      }
  for (int const reached : {below, inside, past, all_below, all_past}) CHECK(reached > 10);
}

// Rest rules compare with the margin without its rule past pi; annealing mixes that one, not the value.
TEST_CASE("raw past the break: no rule, mixed by Annealed") {
  double const m = 0.9;
  for (double const c : {-0.99, -0.9, -0.7, 0.0, 0.5}) {
    double const plain = std::cos(std::acos(c) + m);
    Scalar<double> const x = c;
    CHECK(threshold_of(ArcMargin{m}, x).v == Approx(plain));
    CHECK(threshold_of(ArcMargin<LegacyLinear>{m}, x).v == Approx(plain));
    CHECK(threshold_of(CombinedMargin<Clamp>{1.0, m, 0.2}, x).v == Approx(plain - 0.2));
    CHECK(threshold_of(Annealed<ArcMargin<LegacyLinear>>{ArcMargin<LegacyLinear>{m}, 3}, x).v == Approx((3 * c + plain) / 4));
    CHECK(threshold_of(NoMargin{}, x).v == c);
  }
}

TEST_CASE("the margins are one formula") {
  for (double const m : {-0.7, 0.1, 0.5, 1.3}) {
    same_margin(ArcMargin{m}, CombinedMargin{1.0, m, 0.0});
    same_margin(ArcMargin<ContinuousLinear>{m}, CombinedMargin<ContinuousLinear>{1.0, m, 0.0});
    same_margin(CosMargin{m}, CombinedMargin{1.0, 0.0, m});
  }
  for (double const m : {0.6, 1.0, 2.0, 3.7}) {
    same_margin(SphereMargin{m}, CombinedMargin{m, 0.0, 0.0});
    same_margin(SphereMargin{m}, Annealed<>{SphereMargin{m}, 0});
  }
  // m1 = 1 has a form of its own, without angles; next to it the general one must agree.
  for (double const m : {-0.7, 0.5, 1.3}) {
    same_margin(CombinedMargin{1.0, m, 0.1}, CombinedMargin{1 + 1e-15, m, 0.1}, 1e-11);
    same_margin(CombinedMargin<Clamp>{1.0, m, 0.1, Clamp{0.1}}, CombinedMargin<Clamp>{1 + 1e-15, m, 0.1, Clamp{0.1}}, 1e-11);
    same_margin(CombinedMargin<ContinuousLinear>{1.0, m, 0.1}, CombinedMargin<ContinuousLinear>{1 + 1e-15, m, 0.1}, 1e-11);
  }
  for (int i = -9; i <= 9; ++i) {
    Scalar<double> const c = i / 10.0, p = -0.1 * (i + 10), low = -2;
    CHECK(HardNegatives<>{0.0}.rest(c, low).value.v == c.v);
    CHECK(HardNegatives<Fixed>{0.0}.rest(c, low).slope.v == 1);
    CHECK(FocalLoss{0}(p).value.v == CrossEntropy{}(p).value.v);
    CHECK(FocalLoss{0}(p).slope.v == CrossEntropy{}(p).slope.v);
    CHECK(FocalLoss(3, 0.5)(p).value.v == Approx(0.5 * FocalLoss(3, 1)(p).value.v));
  }
}

TEST_CASE("Monotone is C1 and ContinuousLinear C0 across every break") {
  auto const across = [](auto const& margin, bool slope_too) {
    // phi = k pi at theta = (k pi - m2) / m1
    for (int k = 0; k <= 17; ++k) {
      double const theta = (k * 3.14159265358979323846 - margin.m2()) / margin.m1();
      if (!(theta > 1e-3 && theta < 3.14)) continue;
      auto const before = margin.target(Scalar<double>(std::cos(theta - 1e-7))),
                 after = margin.target(Scalar<double>(std::cos(theta + 1e-7)));
      INFO(margin.m1() << ' ' << margin.m2() << " k = " << k);
      CHECK(before.value.v == Approx(after.value.v).epsilon(1e-5));
      if (slope_too) CHECK(std::fabs(before.slope.v - after.slope.v) < 1e-4);
    }
  };
  for (double const m1 : {0.3, 1.0, 1.7, 4.0, 5.5, 16.0})
    for (double const m2 : {-1.1, 0.0, 0.5, 2.9}) {
      across(CombinedMargin{m1, m2, 0.2}, true);
      double const theta = (3.14159265358979323846 - m2) / m1;
      if (theta < 3.14) {
        CombinedMargin<ContinuousLinear> const line{m1, m2, 0.2};
        CHECK(line.target(Scalar<double>(std::cos(theta - 1e-8))).value.v ==
              Approx(line.target(Scalar<double>(std::cos(theta + 1e-8))).value.v).epsilon(1e-6));
      }
    }
}

TEST_CASE("Detached has the value of Exact and the slope 1") {
  same_margin(ArcMargin<NoRule>{0.5}, ArcMargin<NoRule>{0.5});
  for (int i = -10; i <= 10; ++i) {
    Scalar<double> const c = i / 10.0;
    CHECK(ArcMargin<NoRule, Detached>{0.5}.target(c).value.v == ArcMargin<NoRule>{0.5}.target(c).value.v);
    CHECK(ArcMargin<NoRule, Detached>{0.5}.target(c).slope.v == 1);
    CHECK(SphereMargin<Monotone, Detached>{1.7}.target(c).value.v == SphereMargin{1.7}.target(c).value.v);
  }
}

TEST_CASE("a finite slope at the ends is exact") {
  for (double const m : {1.0, 2.0, 3.0, 4.0, 7.0}) {
    CHECK(SphereMargin{m}.target(Scalar<double>(1)).slope.v == m * m);
    CHECK(SphereMargin{m}.target(Scalar<double>(-1)).slope.v == m * m);
    CHECK(SphereMargin{m}.target(Scalar<float>(1)).slope.v == float(m * m));
    CHECK(SphereMargin{m}.target(Scalar<double>(-1)).value.v == Approx(1 - 2 * m));
    CHECK(SphereMargin{m + 0.5}.target(Scalar<double>(1)).slope.v == (m + 0.5) * (m + 0.5));
  }
}

// --- whole losses ------------------------------------------------------------------------------------------------------

TEST_CASE("whole loss: gradient against central differences, every margin x objective x rest rule") {
  unsigned seed = 1;
  for (auto const& margin : all_margins()) {
    if (!margin.exact()) continue;
    for (auto const& objective : all_objectives())
      for (auto const& rest : all_rests()) {
        INFO(margin.own_name());
        double const scale = ++seed % 3 == 0 ? 40 : 12;
        expect(testing::check_loss(on::serial{}, AnyLoss{margin, scale, objective, rest}, 3, 7, seed));
      }
  }
}

TEST_CASE("whole loss: the compositions as users write them") {
  expect(testing::check_loss(on::serial{}, MarginSoftmax{ArcMargin{0.5}, 16.0}));
  expect(testing::check_loss(on::serial{}, MarginSoftmax{CosMargin{0.35}, 16.0, FocalLoss{2}}));
  expect(testing::check_loss(on::serial{}, MarginSoftmax{SphereMargin{4.0}, 9.0, CrossEntropy{}, HardNegatives{0.2}}));
  expect(testing::check_loss(on::serial{}, MarginSoftmax{Annealed<>{}, 9.0, FocalLoss{1.5}, HardNegatives<Fixed>{0.2}}));
}

TEST_CASE("whole loss: agrees with the plain loop, report and every reduction") {
  for (auto const& loss : some_losses())
    for (auto const reduction : {Reduction::none, Reduction::sum, Reduction::mean, Reduction::batch_mean, Reduction::weighted_mean}) {
      Problem<double> p(6, 19, 3);
      p.labels[2] = -1;
      Options const options{.reduction = reduction, .upstream = -1.3, .ignore_label = -1};
      for (bool const weighted : {false, true}) {
        auto batch = weighted ? p.weighted() : p.plain();
        if (weighted) batch.scales = view(p.scales);
        auto const t = truth_of(loss, batch, options);
        auto const r = run(loss, batch, options);
        CHECK(r.report.loss == Approx(static_cast<double>(t.loss)).epsilon(1e-13));
        CHECK(worst_ulp(r.gradient, t, p.rows, p.cols) < 200);
        for (idx i = 0; i < p.rows; ++i) {
          CHECK(r.row_losses[size(i)] == Approx(static_cast<double>(t.row_losses[size(i)])).epsilon(1e-13));
          CHECK(r.scale_gradient[size(i)] == Approx(static_cast<double>(t.scale_gradient[size(i)])).epsilon(1e-11));
        }
      }
    }
}

TEST_CASE("whole loss: a gradient from upstream is the derivative of the weighted sum of row losses") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(4, 9, 11);
    auto batch = p.weighted();
    Options const options{.reduction = Reduction::none, .upstream = 0.7};
    auto const r = run(loss, batch, options);
    auto const objective = [&] {
      auto const at = run(loss, batch, options);
      double sum = 0;
      for (idx i = 0; i < p.rows; ++i) sum += 0.7 * p.upstream[size(i)] * at.row_losses[size(i)];
      return sum;
    };
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) {
        double& c = p.cosines.at(i, j);
        double const x = c, h = 1e-6;
        c = x + h;
        double const up = objective();
        c = x - h;
        double const down = objective();
        c = x;
        CHECK(std::fabs(r.gradient.at(i, j) - (up - down) / (2 * h)) < 1e-6);
      }
  }
}

// dL/dc_j = s r'_j dL/dz_j and dL/dc_y = s psi' dL/dz_y, and softmax does not see a constant added to all logits: the
// dL/dz of a row sum to zero. (The dL/dc do not, once a slope is not 1.)
TEST_CASE("whole loss: the gradient by the logits sums to zero over a row") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(8, 13, 21);
    auto const batch = p.weighted();
    auto const r = run(loss, batch);
    for (idx i = 0; i < p.rows; ++i) {
      Scalar<double> const c_y = p.cosines.at(i, p.labels[size(i)]);
      Scalar<double> const threshold = threshold_of(loss.margin, c_y);
      double sum = 0, largest = 0;
      for (idx j = 0; j < p.cols; ++j) {
        double const slope = j == p.labels[size(i)] ? loss.margin.target(c_y).slope.v
                                                    : loss.rest.rest(Scalar<double>(p.cosines.at(i, j)), threshold).slope.v;
        sum += r.gradient.at(i, j) / slope;
        largest = std::max(largest, std::fabs(r.gradient.at(i, j) / slope));
      }
      CHECK(largest > 0);
      CHECK(std::fabs(sum) <= 1e-14 * largest * double(p.cols));
    }
  }
}

TEST_CASE("whole loss: logits, a softmax of one's own, and logits_backward are the same loss") {
  for (auto const& loss : some_losses()) {
    if (loss.objective.objective.index() != 0) continue;
    Problem<double> p(5, 17, 31);
    p.labels[3] = -9;
    Options const options{.reduction = Reduction::sum, .upstream = 1.25, .ignore_label = -9};
    auto batch = p.plain();
    batch.upstream = view(p.upstream);
    batch.scales = view(p.scales);
    auto const r = run(loss, batch, options);
    Guarded<double> z(p.rows, p.cols), gradient(p.rows, p.cols);
    std::vector<double> scale_gradient(size(p.rows));
    auto workspace = workspace_for(p.rows, p.cols);
    Report const report = logits(on::serial{}, loss, batch, z.matrix(), view(workspace), options);
    CHECK(report.top1 == r.report.top1);
    CHECK(report.hard_negatives == r.report.hard_negatives);
    double total = 0;
    for (idx i = 0; i < p.rows; ++i) {
      double sum = 0;
      idx const y = p.labels[size(i)];
      for (idx j = 0; j < p.cols; ++j) sum += std::exp(z.at(i, j));
      if (y >= 0) total += std::log(sum) - z.at(i, y);
      for (idx j = 0; j < p.cols; ++j) z.at(i, j) = y < 0 ? 0 : std::exp(z.at(i, j)) / sum - (j == y ? 1 : 0);
    }
    CHECK(total == Approx(r.report.loss).epsilon(1e-12));
    logits_backward(on::serial{}, loss, batch, z.matrix(), gradient.matrix(), options, view(scale_gradient));
    for (idx i = 0; i < p.rows; ++i) {
      CHECK(scale_gradient[size(i)] == Approx(r.scale_gradient[size(i)]).epsilon(1e-10));
      for (idx j = 0; j < p.cols; ++j) CHECK(gradient.at(i, j) == Approx(r.gradient.at(i, j)).epsilon(1e-11).scale(1e-3));
    }
  }
}

TEST_CASE("whole loss: permuting classes and their weights permutes the gradient") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(5, 23, 41), q = p;
    std::vector<idx> order(size(p.cols));
    std::iota(order.begin(), order.end(), idx(0));
    std::shuffle(order.begin(), order.end(), std::mt19937(5));
    for (idx j = 0; j < p.cols; ++j) {
      idx const to = order[size(j)];
      q.class_weights[size(to)] = p.class_weights[size(j)];
      for (idx i = 0; i < p.rows; ++i) {
        q.cosines.at(i, to) = p.cosines.at(i, j);
        if (p.labels[size(i)] == j) q.labels[size(i)] = to;
      }
    }
    auto const a = run(loss, p.weighted()), b = run(loss, q.weighted());
    CHECK(a.report.loss == Approx(b.report.loss).epsilon(1e-14));
    CHECK(a.report.top1 == b.report.top1);
    CHECK(a.report.topk == b.report.topk);
    CHECK(a.report.hard_negatives == b.report.hard_negatives);
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j)
        CHECK(a.gradient.at(i, j) == Approx(b.gradient.at(i, order[size(j)])).epsilon(1e-12));
  }
}

TEST_CASE("whole loss: scaling laws") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(6, 15, 51), q = p;
    // Powers of two pass through every product exactly.
    for (auto& w : q.weights) w *= 4;
    for (auto& u : q.upstream) u *= 2;
    auto const a = run(loss, p.weighted()), b = run(loss, q.weighted(), {.upstream = 0.5});
    CHECK(b.report.loss == 4 * a.report.loss);
    auto const weighted = run(loss, q.weighted(), {.reduction = Reduction::weighted_mean});
    CHECK(weighted.report.loss == run(loss, p.weighted(), {.reduction = Reduction::weighted_mean}).report.loss);
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) CHECK(b.gradient.at(i, j) == 4 * a.gradient.at(i, j));
    // mean = sum / B, and accumulating adds.
    auto const sum = run(loss, p.weighted(), {.reduction = Reduction::sum});
    CHECK(sum.report.loss == Approx(6 * a.report.loss).epsilon(1e-15));
    auto workspace = workspace_for(p.rows, p.cols);
    auto twice = a.gradient;
    loss_and_gradient(on::serial{}, loss, p.weighted(), twice.matrix(), view(workspace), {.write = Write::accumulate});
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) CHECK(twice.at(i, j) == Approx(2 * a.gradient.at(i, j)).epsilon(1e-15));
  }
}

TEST_CASE("whole loss: with a cosine margin a constant on every cosine changes nothing") {
  Problem<double> p(6, 15, 61, 0, 0, 0.5), q = p;
  for (idx i = 0; i < p.rows; ++i)
    for (idx j = 0; j < p.cols; ++j) q.cosines.at(i, j) += 0.25;
  for (auto const& loss :
       {AnyLoss{Margins{{CosMargin{0.35}}}, 20, {}, {}}, AnyLoss{Margins{{NoMargin{}}}, 20, AnyObjective{FocalLoss{}}, {}}}) {
    auto const a = run(loss, p.weighted()), b = run(loss, q.weighted());
    CHECK(a.report.loss == Approx(b.report.loss).epsilon(1e-13));
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) CHECK(a.gradient.at(i, j) == Approx(b.gradient.at(i, j)).epsilon(1e-12));
  }
}

TEST_CASE("whole loss: dL/ds of each row against central differences") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(5, 11, 71);
    p.labels[4] = -1;
    auto batch = p.weighted();
    batch.scales = view(p.scales);
    Options const options{.reduction = Reduction::weighted_mean, .upstream = 1.5, .ignore_label = -1};
    auto const r = run(loss, batch, options);
    std::vector<SavedRow> saved(size(p.rows));
    auto workspace = workspace_for(p.rows, p.cols);
    loss_value(on::serial{}, loss, batch, view(workspace), options, Outputs<double>{{}, {}, view(saved)});
    std::vector<double> later(size(p.rows));
    Guarded<double> gradient(p.rows, p.cols);
    loss_gradient(on::serial{}, loss, batch, saved, gradient.matrix(), options, view(later));
    auto no_upstream = batch;
    no_upstream.upstream = {};
    for (idx i = 0; i < p.rows; ++i) {
      double& s = p.scales[size(i)];
      double const x = s, h = 1e-5;
      s = x + h;
      double const up = run(loss, no_upstream, options).report.loss;
      s = x - h;
      double const down = run(loss, no_upstream, options).report.loss;
      s = x;
      double const expected = 1.5 * p.upstream[size(i)] * (up - down) / (2 * h);
      CHECK(std::fabs(r.scale_gradient[size(i)] - expected) < 1e-8);
      CHECK(later[size(i)] == Approx(r.scale_gradient[size(i)]).epsilon(1e-13));
    }
    CHECK(r.scale_gradient[4] == 0);
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) CHECK(gradient.at(i, j) == Approx(r.gradient.at(i, j)).epsilon(1e-13));
  }
}

TEST_CASE("whole loss: an ignored row has no loss, no gradient, no part in the mean") {
  for (auto const& loss : some_losses()) {
    Problem<double> p(5, 11, 81), q(4, 11, 81);
    p.labels[4] = 100;
    for (idx i = 0; i < 4; ++i) q.labels[size(i)] = p.labels[size(i)];
    for (idx i = 0; i < 4; ++i)
      for (idx j = 0; j < 11; ++j) q.cosines.at(i, j) = p.cosines.at(i, j);
    auto const a = run(loss, p.plain(), {.ignore_label = 100}), b = run(loss, q.plain());
    CHECK(a.report.loss == b.report.loss);
    CHECK(a.report.valid == 4);
    CHECK(a.report.rows == 5);
    CHECK(a.row_losses[4] == 0);
    for (idx j = 0; j < 11; ++j) {
      CHECK(a.gradient.at(4, j) == 0);
      CHECK(a.gradient.at(1, j) == b.gradient.at(1, j));
    }
  }
}

// --- the head ------------------------------------------------------------------------------------------------------------

namespace {

struct Head {
  idx rows, classes, width;
  std::vector<double> x, w, unit_x, unit_w, norms_x, norms_w, cosines, dcosines, dx, dw;
  std::vector<std::int64_t> labels;

  Head(idx rows_, idx classes_, idx width_, unsigned seed)
      : rows(rows_), classes(classes_), width(width_), x(size(rows * width)), w(size(classes * width)), unit_x(x), unit_w(w),
        norms_x(size(rows)), norms_w(size(classes)), cosines(size(rows * classes)), dcosines(cosines), dx(x), dw(w) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    for (double& v : x) v = 3 * normal(random);
    for (double& v : w) v = 0.1 * normal(random);
    for (idx i = 0; i < rows; ++i) labels.push_back(static_cast<std::int64_t>(random() % static_cast<unsigned>(classes)));
  }
  CosineLayer<double> layer() {
    return {losskit::matrix(unit_x, rows, width), losskit::matrix(unit_w, classes, width), view(norms_x), view(norms_w)};
  }
  void forward() {
    cosine_layer(on::serial{}, losskit::matrix(x, rows, width), losskit::matrix(w, classes, width), layer(),
                 losskit::matrix(cosines, rows, classes));
  }
  void backward(VectorView<double const> dnorms = {}) {
    cosine_layer_backward(on::serial{}, layer(), losskit::matrix(dcosines, rows, classes), losskit::matrix(dx, rows, width),
                          losskit::matrix(dw, classes, width), {}, Write::assign, dnorms);
  }
};

}  // namespace

TEST_CASE("head: x . dx = 0 and w . dW = 0") {
  for (auto const& loss : some_losses()) {
    Head h(6, 9, 5, 1);
    h.forward();
    Batch const batch(losskit::matrix(h.cosines, h.rows, h.classes), h.labels);
    auto workspace = workspace_for(h.rows, h.classes);
    loss_and_gradient(on::serial{}, loss, batch, losskit::matrix(h.dcosines, h.rows, h.classes), view(workspace));
    h.backward();
    auto const orthogonal = [&](std::vector<double> const& a, std::vector<double> const& d, idx n) {
      for (idx i = 0; i < n; ++i) {
        double dot = 0, size_a = 0, size_d = 0;
        for (idx k = 0; k < h.width; ++k) {
          double const u = a[size(i * h.width + k)], g = d[size(i * h.width + k)];
          dot += u * g, size_a += u * u, size_d += g * g;
        }
        CHECK(size_d > 0);
        CHECK(std::fabs(dot) <= 1e-13 * std::sqrt(size_a * size_d));
      }
    };
    orthogonal(h.x, h.dx, h.rows);
    orthogonal(h.w, h.dw, h.classes);
  }
}

// Up to the largest norm of the type, whose inverse is no normal number any more.
template <class T, class B>
void normalised_at_every_length(B const& backend) {
  idx const width = 37;  // some whole packets and some odd elements
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> direction(size(width)), upstream(size(width));
  double length = 0, along = 0;
  for (double& d : direction) d = normal(random), length += d * d;
  for (double& d : direction) d /= std::sqrt(length);
  for (double& g : upstream) g = normal(random);
  for (idx j = 0; j < width; ++j) along += direction[size(j)] * upstream[size(j)];
  double const largest = std::numeric_limits<T>::max(), tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;
  for (double const n : {smallest_norm<T> * 1.01, smallest_norm<T> * 1e9, 1e-12, 1.0, 1e9, 1e25, 1e31, largest * 1e-6, largest / 8,
                         largest / 4, largest * 0.41, largest * 0.99})
    for (double const unit : {1.0, n}) {  // of dL/dy: that of a loss, and one whose dL/dx has elements of order 1
      INFO(n << ", " << unit);
      std::vector<T> x(size(width)), y(size(width)), dy(size(width)), dx(size(width)), norms(1);
      for (idx j = 0; j < width; ++j) x[size(j)] = T(n * direction[size(j)]), dy[size(j)] = T(unit * 1e-2 * upstream[size(j)]);
      normalize_rows(backend, losskit::matrix(x, 1, width), losskit::matrix(y, 1, width), norms);
      normalize_rows_backward(backend, losskit::matrix(y, 1, width), norms, losskit::matrix(dy, 1, width), losskit::matrix(dx, 1, width));
      CHECK(double(norms[0]) == Approx(n).epsilon(tolerance));
      for (idx j = 0; j < width; ++j) {
        double const d = direction[size(j)], slope = unit / n * 1e-2 * (upstream[size(j)] - d * along);
        CHECK(std::fabs(double(y[size(j)]) - d) <= tolerance);
        // What is below the smallest normal number may be 0.
        CHECK(std::fabs(double(dx[size(j)]) - slope) <= 20 * tolerance * 1e-2 * unit / n + 2 * double(std::numeric_limits<T>::min()));
      }
    }
}
TEST_CASE("normalised rows and their gradient, at every length up to the largest number") {
  normalised_at_every_length<float>(on::serial{});
  normalised_at_every_length<float>(losskit::on::eigen{});
  normalised_at_every_length<double>(on::serial{});
  normalised_at_every_length<double>(losskit::on::eigen{});
}

// With FeatureNorm the logit is |x| psi(c): its gradient reaches x through the direction and through the length.
TEST_CASE("head: dx and dw against central differences, with a fixed scale and through the feature norm") {
  for (bool const through_norm : {false, true})
    for (auto const& loss : some_losses()) {
      Head h(4, 6, 5, 2);
      FeatureNorm const policy(0, 8, 1.25);
      std::vector<double> scales(size(h.rows)), slopes(size(h.rows)), scale_gradient(size(h.rows));
      auto workspace = workspace_for(h.rows, h.classes);
      auto const value = [&] {
        h.forward();
        Batch batch(losskit::matrix(h.cosines, h.rows, h.classes), h.labels);
        for (idx i = 0; i < h.rows; ++i) {
          auto const s = policy(Scalar<double>(h.norms_x[size(i)]));
          scales[size(i)] = s.value.v, slopes[size(i)] = s.slope.v;
        }
        if (through_norm) batch.scales = view(scales);
        return loss_and_gradient(on::serial{}, loss, batch, losskit::matrix(h.dcosines, h.rows, h.classes), view(workspace), {},
                                 Outputs<double>{{}, view(scale_gradient), {}}).loss;
      };
      value();
      std::vector<double> dnorms(size(h.rows));
      for (idx i = 0; i < h.rows; ++i) dnorms[size(i)] = scale_gradient[size(i)] * slopes[size(i)];
      h.backward(through_norm ? VectorView<double const>(view(dnorms)) : VectorView<double const>{});
      auto const difference = [&](double& at) {
        double const x = at, step = 1e-6;
        at = x + step;
        double const up = value();
        at = x - step;
        double const down = value();
        at = x;
        return (up - down) / (2 * step);
      };
      auto const dx = h.dx, dw = h.dw;
      for (std::size_t k = 0; k < h.x.size(); ++k) CHECK(std::fabs(dx[k] - difference(h.x[k])) < 1e-7);
      for (std::size_t k = 0; k < h.w.size(); ++k) CHECK(std::fabs(dw[k] - difference(h.w[k])) < 3e-6);
    }
}

TEST_CASE("head: FeatureNorm's slope is the derivative of its value") {
  for (double const factor : {1.0, 0.5, 3.0}) {
    FeatureNorm const policy(2, 5, factor);
    for (double const s : {0.5, 1.99, 2.01, 3.0, 4.99, 5.01, 80.0}) {
      double const n = s / factor;
      CHECK(policy(testing::Dual(n, 1)).value.d == policy(Scalar<double>(n)).slope.v);
      CHECK(policy(Scalar<double>(n)).value.v == Approx(std::clamp(s, 2.0, 5.0)).epsilon(1e-15));
      CHECK(policy(Scalar<double>(n)).slope.v == (s > 2 && s < 5 ? factor : 0));
    }
  }
  FeatureNorm const policy(2, 5);  // at a bound
  CHECK(policy(Scalar<double>(2)).slope.v == 1);
  CHECK(policy(Scalar<double>(5)).slope.v == 1);
}
