// Edges: what is not an error but must be defined. Each on the serial and on the eigen backend.
#include <doctest/doctest.h>

#include <tuple>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/head/normalize.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "problem.hpp"

using namespace test;
using doctest::Approx;

namespace {

template <class F>
void on_both(F f) {
  SUBCASE("serial") { f(on::serial{}); }
  SUBCASE("eigen") { f(losskit::on::eigen{}); }
}
float const nan_f = std::numeric_limits<float>::quiet_NaN(), inf_f = std::numeric_limits<float>::infinity();

template <class T>
struct Result {
  Report report;
  Guarded<T> gradient;
  std::vector<T> row_losses, scale_gradient;
};
template <class B, class L, class T, class I>
Result<T> run(B const& backend, L const& loss, Batch<T, I> const& batch, Options const& options = {}) {
  idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
  Result<T> r{{}, Guarded<T>(rows, cols, 0, 0, T(7)), std::vector<T>(size(rows)), std::vector<T>(size(rows))};
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, rows, cols, Placement::accumulate));
  r.report = loss_and_gradient(backend, loss, batch, r.gradient.matrix(), view(workspace), options,
                               Outputs<T>{view(r.row_losses), view(r.scale_gradient), {}});
  return r;
}
AnyLoss loss_of(Margins margin, double scale = 20, AnyObjective objective = {}, AnyRest rest = {}) {
  return {margin, scale, objective, rest};
}

template <class T>
bool all_finite(Result<T> const& r, idx rows, idx cols) {
  bool finite = std::isfinite(r.report.loss);
  for (idx i = 0; i < rows; ++i) {
    finite = finite && std::isfinite(r.row_losses[size(i)]) && std::isfinite(r.scale_gradient[size(i)]);
    for (idx j = 0; j < cols; ++j) finite = finite && std::isfinite(r.gradient.at(i, j));
  }
  return finite;
}

}  // namespace

TEST_CASE("cosines at 1, one ulp inside and outside, at the border of 16 eps, and far out") {
  on_both([](auto const& backend) {
    auto const check = [&](auto zero) {
      using T = decltype(zero);
      T const eps = std::numeric_limits<T>::epsilon(), one = 1;
      // cosine, clamped?, out of range?, the cosine with the same value and slope
      std::tuple<T, int, int, T> const cases[] = {
          {one, 0, 0, one}, {one - eps / 2, 0, 0, one - eps / 2}, {one + eps, 1, 0, one}, {one + 16 * eps, 1, 0, one},
          {one + 17 * eps, 0, 1, one}, {T(1.5), 0, 1, one}, {T(50), 0, 1, one}, {std::numeric_limits<T>::max(), 0, 1, one}};
      for (auto const& margin : all_margins())
        for (auto const& one_case : cases)
          for (T const sign : {T(1), T(-1)})
            for (idx const where : {idx(1), idx(2)}) {  // as the target, as another class
              T const c = std::get<0>(one_case), like = std::get<3>(one_case);
              INFO(std::string(margin.own_name()) << ' ' << sign * c << " in column " << where);
              Problem<T> p(2, 5, 3), q = p;
              p.labels = q.labels = {1, 1};
              p.cosines.at(0, where) = sign * c;
              q.cosines.at(0, where) = sign * like;
              auto const loss = loss_of(margin, 10, {}, {HardNegatives<>{0.2}});
              auto const r = run(backend, loss, p.plain()), s = run(backend, loss, q.plain());
              CHECK(r.report.clamped == std::get<1>(one_case));
              CHECK(r.report.out_of_range == std::get<2>(one_case));
              CHECK(r.report.non_finite == 0);
              CHECK(all_finite(r, 2, 5));
              CHECK(r.report.loss == s.report.loss);
              CHECK(r.gradient.same_bits(s.gradient));  // and with it: the gradient is passed through
            }
    };
    check(0.0F);
    check(0.0);
  });
}

// 1 - eps / 2 is the neighbour of 1; the slope at 1 is the slope there unless the limit is finite.
TEST_CASE("the slope at the ends is that of the neighbour inside, or the finite limit") {
  auto const check = [](auto zero) {
    using T = decltype(zero);
    using X = Scalar<double, T>;
    double const inside = 1 - double(std::numeric_limits<T>::epsilon()) / 2;
    for (double const m : {0.1, 0.5, -0.4, 1.3}) {
      ArcMargin<NoRule> const margin{m};
      for (double const sign : {1.0, -1.0}) {
        CHECK(margin.target(X(sign)).slope.v == margin.target(X(sign * inside)).slope.v);
        CHECK(margin.target(X(50 * sign)).slope.v == margin.target(X(sign)).slope.v);
        double const theta = std::acos(sign * inside);
        CHECK(margin.target(X(sign)).slope.v == Approx(std::sin(theta + m) / std::sin(theta)).epsilon(1e-7));
      }
    }
    CHECK(SphereMargin{4.0}.target(X(1)).slope.v == 16);
    CHECK(SphereMargin{4.0}.target(X(-1)).slope.v == 16);
    CHECK(CombinedMargin{3.0, 0.0, 0.2}.target(X(7)).slope.v == 9);
    CHECK(SphereMargin{2.5}.target(X(-1)).slope.v == SphereMargin{2.5}.target(X(-inside)).slope.v);
  };
  check(0.0F);
  check(0.0);
}

TEST_CASE("a NaN or infinite cosine: its row is NaN and counted, no other row is touched") {
  on_both([](auto const& backend) {
    for (double const scale : {10.0, 300.0})
      for (float const bad : {nan_f, inf_f, -inf_f})
        for (idx const cols : {idx(3), idx(17), idx(4111)})
          for (idx const where : {idx(0), idx(1), cols / 2 + 1, cols - 1})  // label 1: as the target and as another class
            for (auto const& margin : {Margins{{ArcMargin{0.5}}}, Margins{{SphereMargin{4.0}}}, Margins{{ArcMargin<Clamp>{}}},
                                       Margins{{CosMargin<Easy>{}}}, Margins{{NoMargin{}}}, Margins{{ArcMargin<LegacyLinear>{}}}}) {
              INFO(scale << ' ' << bad << " at " << where << " of " << cols);
              Problem<float> p(3, cols, 5);
              p.labels = {1, 1, 1};
              auto const loss = loss_of(margin, scale, {FocalLoss{2}}, {HardNegatives<>{0.2}});
              Options const options{.reduction = Reduction::sum};
              auto const clean = run(backend, loss, p.plain(), options);
              p.cosines.at(1, where) = bad;
              auto const r = run(backend, loss, p.plain(), options);
              CHECK(r.report.non_finite == 1);
              CHECK(r.report.clamped + r.report.out_of_range == 0);
              CHECK(std::isnan(r.report.loss));
              CHECK(std::isnan(r.row_losses[1]));
              CHECK(std::isnan(r.scale_gradient[1]));
              bool all_nan = true;
              for (idx j = 0; j < cols; ++j) all_nan = all_nan && std::isnan(r.gradient.at(1, j));
              CHECK(all_nan);
              for (idx const i : {idx(0), idx(2)}) {
                CHECK(std::memcmp(r.gradient.row(i), clean.gradient.row(i), size(cols) * sizeof(float)) == 0);
                CHECK(r.row_losses[size(i)] == clean.row_losses[size(i)]);
              }
              // The same from a saved pass, and for the logits where they are of that class.
              std::vector<std::byte> workspace(workspace_bytes<float>(backend, 3, cols, Placement::no_gradient));
              std::vector<SavedRow> saved(3);
              loss_value(backend, loss, p.plain(), view(workspace), options, Outputs<float>{{}, {}, view(saved)});
              Guarded<float> later(3, cols), z(3, cols);
              loss_gradient(backend, loss, p.plain(), saved, later.matrix(), options);
              all_nan = true;
              for (idx j = 0; j < cols; ++j)
                all_nan = all_nan && std::isnan(later.at(1, j)) && !std::isnan(later.at(0, j)) && !std::isnan(later.at(2, j));
              CHECK(all_nan);
              CHECK(logits(backend, loss, p.plain(), z.matrix(), view(workspace), options).non_finite == 1);
              CHECK(std::isnan(z.at(1, where)));
            }
  });
}

TEST_CASE("one class: certain, no loss, no gradient") {
  on_both([](auto const& backend) {
    for (double const scale : {1e-6, 10.0, 300.0, 1e4})
      for (auto const& margin : all_margins()) {
        Problem<float> p(3, 1, 1);
        auto const r = run(backend, loss_of(margin, scale, {}, {HardNegatives<>{0.2}}), p.plain());
        CHECK(r.report.loss == 0);
        CHECK(r.report.top1 == 3);
        for (idx i = 0; i < 3; ++i) {
          CHECK(r.gradient.at(i, 0) == 0);
          CHECK(r.scale_gradient[size(i)] == 0);
        }
        CHECK(run(backend, loss_of(margin, scale, {FocalLoss{2}}), p.plain()).report.loss == 0);
        p.cosines.at(1, 0) = nan_f;
        auto const odd = run(backend, loss_of(margin, scale), p.plain());
        CHECK(std::isnan(odd.gradient.at(1, 0)));
        CHECK(std::isnan(odd.row_losses[1]));
        CHECK(odd.gradient.at(0, 0) == 0);
        CHECK(odd.report.top1 == 2);  // a NaN is wrong
      }
  });
}

TEST_CASE("two classes: a logistic loss") {
  on_both([](auto const& backend) {
    std::vector<double> c{0.3, -0.2};
    std::vector<std::int32_t> labels{1};
    auto const r = run(backend, MarginSoftmax{NoMargin{}, 3.0}, Batch(losskit::matrix(c, 1, 2), labels));
    double const p = 1 / (1 + std::exp(3 * 0.5));
    CHECK(r.report.loss == Approx(-std::log(p)).epsilon(1e-14));
    CHECK(r.gradient.at(0, 1) == Approx(3 * (p - 1)).epsilon(1e-14));
    CHECK(r.gradient.at(0, 0) == Approx(3 * (1 - p)).epsilon(1e-14));
    CHECK(r.scale_gradient[0] == Approx(0.5 * (1 - p)).epsilon(1e-14));
  });
}

TEST_CASE("all cosines equal: uniform, and a collapsed embedding has no accuracy") {
  on_both([](auto const& backend) {
    for (idx const cols : {idx(2), idx(5), idx(6), idx(100), idx(4097)}) {
      Problem<float> p(3, cols, 1, 0, 0, 0);
      auto const r = run(backend, MarginSoftmax{NoMargin{}, 64.0}, p.plain(), {.reduction = Reduction::sum});
      CHECK(r.report.loss == Approx(3 * std::log(double(cols))).epsilon(1e-6));
      CHECK(r.report.top1 == 0);
      CHECK(r.report.topk == (cols <= 5 ? 3 : 0));
      CHECK(r.report.hard_negatives == 0);
      CHECK(r.report.mean_target_angle == Approx(1.5707963267948966));
      for (idx i = 0; i < 3; ++i) {
        CHECK(r.gradient.at(i, p.labels[size(i)]) == Approx(-64 * (1 - 1.0 / double(cols))).epsilon(1e-6));
        CHECK(r.gradient.at(i, (p.labels[size(i)] + 1) % cols) == Approx(64.0 / double(cols)).epsilon(1e-6));
      }
    }
  });
}

// The factor s / Z of a gradient may leave the range of a double where the gradient does not: every cosine at -1, a scale of 700.
template <class T>
void uniform_anywhere() {
  on_both([](auto const& backend) {
    for (double const s : {1e-3, 30.0, 64.0, 80.0, 86.0, 88.0, 300.0, 500.0, 640.0, 650.0, 690.0, 700.0, 707.0, 709.0, 1e4})
      for (double const c : {-1.0, -0.5, 0.0, 0.5, 1.0})
        for (idx const cols : {idx(2), idx(7), idx(1000)}) {
          Problem<T> p(1, cols);
          for (idx j = 0; j < cols; ++j) p.cosines.at(0, j) = T(c);
          auto const r = run(backend, MarginSoftmax{NoMargin{}, s}, p.plain(), {.reduction = Reduction::sum});
          double const tolerance = sizeof(T) == 4 ? 3e-7 : 3e-13;
          INFO("s = " << s << ", every cosine " << c << ", C = " << cols << ", bytes " << sizeof(T));
          CHECK(r.report.loss == Approx(std::log(double(cols))).epsilon(tolerance));
          CHECK(double(r.gradient.at(0, p.labels[0])) == Approx(-s * (1 - 1.0 / double(cols))).epsilon(tolerance));
          CHECK(double(r.gradient.at(0, (p.labels[0] + 1) % cols)) == Approx(s / double(cols)).epsilon(tolerance));
        }
  });
}
TEST_CASE("equal cosines are uniform at every scale, wherever they lie (float)") { uniform_anywhere<float>(); }
TEST_CASE("equal cosines are uniform at every scale, wherever they lie (double)") { uniform_anywhere<double>(); }

TEST_CASE("top-1 and top-k: of the raw cosines, ties and NaN count as wrong") {
  on_both([](auto const& backend) {
    //                           target first
    std::vector<float> const rows[] = {{0.9F, 0.1F, 0.2F, 0.3F}, {0.5F, 0.5F, 0.2F, 0.3F},  {0.5F, 0.6F, 0.7F, 0.1F},
                                       {0.1F, 0.2F, 0.3F, 0.4F}, {0.5F, nan_f, 0.2F, 0.1F}, {nan_f, 0.1F, 0.1F, 0.1F},
                                       {1.5F, 1.25F, 1.0F, 0.0F}};
    int const wrong[] = {0, 1, 2, 3, 1, 4, 0};  // classes not below the target; a NaN does not beat itself either
    for (std::size_t k = 0; k < 7; ++k)
      for (int const top : {1, 2, 3, 4}) {
        std::vector<float> c = rows[k];
        std::vector<std::int64_t> labels{0};
        // With a margin so large that every class would be above the margined target.
        auto const r = run(backend, MarginSoftmax{ArcMargin{3.0}, 10.0}, Batch(losskit::matrix(c, 1, 4), labels), {.top_k = top});
        INFO("row " << k << ", top " << top);
        CHECK(r.report.top1 == (wrong[k] == 0));
        CHECK(r.report.topk == (wrong[k] < top));
      }
  });
}

TEST_CASE("report: mean target angle, hard negatives, counts over valid rows") {
  on_both([](auto const& backend) {
    std::vector<double> c{0.5, 0.2, -0.1, 2.0,  /**/ 0.1, 0.6, 0.3, -0.4,  /**/ -1.0, 0.2, 0.9, 3.0};
    std::vector<std::int64_t> labels{0, 1, -1};
    auto const r = run(backend, MarginSoftmax{CosMargin{0.35}, 10.0}, Batch(losskit::matrix(c, 3, 4), labels), {.ignore_label = -1});
    CHECK(r.report.rows == 3);
    CHECK(r.report.valid == 2);
    CHECK(r.report.mean_target_angle == Approx((std::acos(0.5) + std::acos(0.6)) / 2));
    CHECK(r.report.hard_negatives == 3);  // 0.2 and 2.0 above 0.15; 0.3 above 0.25
    CHECK(r.report.out_of_range == 1);    // not the one in the ignored row
    CHECK(r.report.top1 == 1);
    // A threshold is the margin without its rule past pi: cos(theta + 0.5) = 1 at theta = pi, phi = pi + 0.5.
    std::vector<double> back{-1, -0.95, -0.8, 0};
    std::vector<std::int64_t> first{0};
    CHECK(run(backend, MarginSoftmax{ArcMargin<Monotone>{0.5}, 10.0}, Batch(losskit::matrix(back, 1, 4), first)).report.hard_negatives ==
          2);
  });
}

TEST_CASE("all rows ignored, and NaN inside ignored rows: zero") {
  on_both([](auto const& backend) {
    for (auto const reduction : {Reduction::none, Reduction::sum, Reduction::mean, Reduction::batch_mean, Reduction::weighted_mean})
      for (double const scale : {10.0, 300.0}) {
        Problem<float> p(4, 19, 1);
        p.labels = {-100, -100, -100, -100};
        for (idx j = 0; j < 19; ++j) p.cosines.at(2, j) = nan_f;
        p.cosines.at(1, 3) = inf_f;
        auto batch = p.weighted();
        batch.scales = view(p.scales);
        Options options{.reduction = reduction, .ignore_label = -100};
        auto const r = run(backend, loss_of({{ArcMargin{0.5}}}, scale), batch, options);
        CHECK(r.report.loss == 0);
        CHECK(r.report.valid == 0);
        CHECK(r.report.non_finite == 0);
        CHECK(r.report.mean_target_angle == 0);
        for (idx i = 0; i < 4; ++i) {
          CHECK(r.row_losses[size(i)] == 0);
          CHECK(r.scale_gradient[size(i)] == 0);
          for (idx j = 0; j < 19; ++j) CHECK(r.gradient.at(i, j) == 0);
        }
        // Accumulating leaves what is there.
        std::vector<std::byte> workspace(workspace_bytes<float>(backend, 4, 19, Placement::accumulate));
        Guarded<float> held(4, 19, 0, 0, 0.75F);
        options.write = Write::accumulate;
        loss_and_gradient(backend, loss_of({{ArcMargin{0.5}}}, scale), batch, held.matrix(), view(workspace), options);
        for (idx i = 0; i < 4; ++i)
          for (idx j = 0; j < 19; ++j) CHECK(held.at(i, j) == 0.75F);
      }
  });
}

TEST_CASE("weights of zero: no gradient, no loss, and nothing divided by zero") {
  on_both([](auto const& backend) {
    Problem<float> p(3, 9, 1);
    for (auto& w : p.weights) w = 0;
    for (auto const reduction : {Reduction::sum, Reduction::mean, Reduction::weighted_mean}) {
      auto const r = run(backend, loss_of({{ArcMargin{0.5}}}, 64), p.weighted(), {.reduction = reduction});
      CHECK(r.report.loss == 0);
      CHECK(r.report.valid == 3);
      for (idx i = 0; i < 3; ++i)
        for (idx j = 0; j < 9; ++j) CHECK(r.gradient.at(i, j) == 0);
    }
    p.weights[1] = 2;
    auto const mean = run(backend, loss_of({{ArcMargin{0.5}}}, 64), p.weighted(), {.reduction = Reduction::weighted_mean});
    CHECK(mean.report.loss == Approx(mean.row_losses[1] / (2 * p.class_weights[size(p.labels[1])])).epsilon(1e-6));
    // A scale of zero is allowed per row: a uniform softmax.
    p.scales = {0, 1, 2};
    auto batch = p.plain();
    batch.scales = view(p.scales);
    auto const r = run(backend, loss_of({{ArcMargin{0.5}}}, 64), batch);
    CHECK(r.row_losses[0] == Approx(std::log(9.0)));
    CHECK(r.gradient.at(0, 0) == 0);
    CHECK(r.scale_gradient[0] != 0);
  });
}

// b = s sup |r|: one shift serves while 2 b + ln C <= 175 (float), pairs carry the rest. Both sides of that border, and far
// from it, against the plain loop. Float: an ulp of the logit is s ulp of e once the logit itself is rounded.
TEST_CASE("scales from 1e-6 to 1e4, around both borders, against the plain loop") {
  on_both([](auto const& backend) {
    for (double const s : {1e-6, 1e-3, 1.0, 30.12, 64.0, 79.0, 82.0, 83.5, 84.0, 84.5, 85.0, 87.0, 88.0, 100.0, 200.0, 700.0, 1e4})
      for (auto const& rest : {AnyRest{}, AnyRest{HardNegatives<Fixed>{0.05}}})
        for (double const spread : {0.3, 1.0})
          for (idx const cols : {idx(2), idx(50), idx(5000)}) {
            auto const check = [&](auto zero) {
              using T = decltype(zero);
              INFO("s = " << s << ", C = " << cols << ", cosines within " << spread << ", " << sizeof(T));
              Problem<T> p(3, cols, 11, 0, 0, spread);
              auto const loss = loss_of({{ArcMargin{0.5}}}, s, {}, rest);
              auto const t = truth_of(loss, p.weighted());
              auto const r = run(backend, loss, p.weighted());
              // Logits of s (1 + |psi|) at most, each wrong by an ulp or so.
              double const ulps = 16 + 4 * s * (1 + rest.bound());
              CHECK(all_finite(r, 3, cols));
              CHECK(worst_ulp(r.gradient, t, 3, cols) <= ulps);
              for (idx i = 0; i < 3; ++i) {
                double const truth = static_cast<double>(t.row_losses[size(i)]);
                CHECK(std::fabs(double(r.row_losses[size(i)]) - truth) <=
                      ulps * double(std::numeric_limits<T>::epsilon()) * std::max(1.0, std::fabs(truth)));
              }
              CHECK(r.report.loss == Approx(static_cast<double>(t.loss)).epsilon(sizeof(T) == 4 ? 1e-5 : 1e-13));
            };
            check(0.0F);
            check(0.0);
          }
  });
}

TEST_CASE("the extremes of every scale stay finite: target at -1 against a class at 1, and the reverse") {
  on_both([](auto const& backend) {
    for (double const s : {1e-6, 64.0, 83.0, 84.0, 88.0, 200.0, 1e4, 1e6})
      for (auto const& margin : all_margins())
        for (auto const& objective : all_objectives())
          for (float const sign : {1.0F, -1.0F}) {
            Problem<float> p(2, 20, 1, 0, 0, 1);
            for (idx i = 0; i < 2; ++i) {
              for (idx j = 0; j < 20; ++j) p.cosines.at(i, j) = i == 0 ? sign : p.cosines.at(i, j);
              p.cosines.at(i, p.labels[size(i)]) = -sign;
            }
            INFO(std::string(margin.own_name()) << ", s = " << s);
            CHECK(all_finite(run(backend, loss_of(margin, s, objective), p.plain()), 2, 20));
          }
  });
}

TEST_CASE("normalised rows: zero, tiny, huge and NaN rows") {
  on_both([](auto const& backend) {
    std::vector<float> x{0, 0, 0,  3e-25F, 4e-25F, 0,  3e30F, -4e30F, 0,  1e-39F, 0, 0,  nan_f, 1, 2,  3, 0, 4}, y(18), norms(6), dx(18, 9);
    std::vector<float> dy{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3};
    normalize_rows(backend, losskit::matrix(x, 6, 3), losskit::matrix(y, 6, 3), norms);
    normalize_rows_backward(backend, losskit::matrix(y, 6, 3), norms, losskit::matrix(dy, 6, 3), losskit::matrix(dx, 6, 3));
    for (std::size_t k : {0U, 1U, 2U, 9U, 10U, 11U}) {  // no direction
      CHECK(y[k] == 0);
      CHECK(dx[k] == 0);
    }
    CHECK(y[3] == Approx(0.6).epsilon(1e-6));
    CHECK(norms[1] == Approx(5e-25).epsilon(1e-6));
    CHECK(y[7] == Approx(-0.8).epsilon(1e-6));
    CHECK(norms[2] == Approx(5e30).epsilon(1e-6));
    CHECK(std::isfinite(dx[3]));
    CHECK(std::isnan(y[13]));
    CHECK(std::isnan(dx[13]));
    CHECK(y[15] == Approx(0.6).epsilon(1e-6));
    CHECK(dx[15] == Approx((1 - 0.6 * (0.6 + 2.4)) / 5).epsilon(1e-5));
  });
}

// --- point losses --------------------------------------------------------------------------------------------------------

TEST_CASE("point losses: truths outside [0, 1] are counted, NaN elements too, and touch no other") {
  on_both([](auto const& backend) {
    std::vector<float> x{0.2F, 0.4F, nan_f, 0.9F, 0.1F}, truth{-0.5F, 1.5F, 0.5F, 1.0F, 0.0F}, g(5), losses(5);
    std::vector<std::byte> workspace(point_workspace_bytes(1, 5));
    auto const r = loss_and_gradient(backend, AdaptiveWingLoss{}, x, truth, g, view(workspace), {},
                                     PointOutputs<float>{{}, losskit::matrix(losses, 1, 5)});
    CHECK(r.truth_clamped == 2);
    CHECK(r.non_finite == 1);
    CHECK(r.elements == 5);
    CHECK(std::isnan(g[2]));
    for (std::size_t k : {0U, 1U, 3U, 4U}) CHECK(std::isfinite(g[k]));
    truth = {0, 1, 0.5F, 1, 0};
    std::vector<float> again(5);
    auto const s = loss_and_gradient(backend, AdaptiveWingLoss{}, x, truth, again, view(workspace));
    CHECK(s.truth_clamped == 0);
    CHECK(again[0] == g[0]);
    CHECK(again[1] == g[1]);
    for (auto const reduction : {Reduction::sum, Reduction::mean, Reduction::batch_mean, Reduction::weighted_mean}) {
      x[2] = 0.3F;
      std::vector<float> weights{1, 0, 2, 1, 0.5F};
      auto const w = loss_value(backend, SmoothL1Loss{}, x, truth, view(workspace), {.reduction = reduction},
                                PointOutputs<float>{losskit::matrix(weights, 1, 5), {}});
      double const sum = 0.5 * (0.04 + 2 * 0.04 + 0.01 + 0.5 * 0.01);
      double const divisor = reduction == Reduction::mean ? 5 : reduction == Reduction::weighted_mean ? 4.5 : 1;
      CHECK(w.loss == Approx(sum / divisor).epsilon(1e-5));
    }
  });
}

// --- AdaCos -----------------------------------------------------------------------------------------------------------------

namespace {
template <class B, class T>
AdaCosState step(B const& backend, AdaCosScale const& policy, AdaCosState const& state, Batch<T, std::int64_t> const& batch,
                 Options const& options = {}) {
  std::vector<std::byte> workspace(advance_workspace_bytes(batch.cosines.rows));
  return advance(backend, policy, state, batch, view(workspace), options);
}
}  // namespace

TEST_CASE("AdaCos: formula, even and odd N, ignored rows, weights and row scales without a part in it") {
  on_both([](auto const& backend) {
    for (idx const rows : {idx(1), idx(2), idx(3), idx(4), idx(7)}) {
      Problem<double> p(rows, 40, 9);
      for (idx i = 0; i < rows; ++i) p.cosines.at(i, p.labels[size(i)]) = 0.72 + 0.03 * double((i * 5) % rows);  // angles below pi/4
      AdaCosScale const policy(40);
      AdaCosState const state = policy.start();
      CHECK(state.scale == Approx(std::sqrt(2.0) * std::log(39.0)));
      long double sum = 0;
      std::vector<double> angles;
      for (idx i = 0; i < rows; ++i) {
        for (idx j = 0; j < 40; ++j)
          if (j != p.labels[size(i)]) sum += std::exp(static_cast<long double>(state.scale * p.cosines.at(i, j)));
        angles.push_back(std::acos(p.cosines.at(i, p.labels[size(i)])));
      }
      std::sort(angles.begin(), angles.end());
      double const median = angles[(size(rows) - 1) / 2];  // for even N the lower
      double const expected =
          static_cast<double>(std::log(sum / static_cast<long double>(rows))) / std::cos(std::min(median, 0.78539816339744831));
      auto const next = step(backend, policy, state, p.plain());
      CHECK(next.scale == Approx(expected).epsilon(1e-12));
      CHECK(next.steps == 1);
      CHECK(next.kept == 0);
      CHECK(next.log_mean_rest == Approx(double(std::log(sum / static_cast<long double>(rows)))).epsilon(1e-12));
      CHECK(next.median_target_angle == Approx(median).epsilon(1e-12));
      CHECK(state.log_mean_rest == 0);
      CHECK(state.median_target_angle == 0);
      auto weighted = p.weighted();
      weighted.scales = view(p.scales);
      CHECK(step(backend, policy, state, weighted).scale == next.scale);
      // Two more rows that are ignored, one of them NaN, are not there.
      Problem<double> more(rows + 2, 40, 9);
      for (idx i = 0; i < rows; ++i) {
        more.labels[size(i)] = p.labels[size(i)];
        for (idx j = 0; j < 40; ++j) more.cosines.at(i, j) = p.cosines.at(i, j);
      }
      more.labels[size(rows)] = more.labels[size(rows) + 1] = -1;
      more.cosines.at(rows, 3) = std::nan("");
      CHECK(step(backend, policy, state, more.plain(), {.ignore_label = -1}).scale == next.scale);
    }
  });
}

TEST_CASE("AdaCos: three classes, kept states, bounds, wide angles, huge scales") {
  on_both([](auto const& backend) {
    AdaCosScale const three(3);
    CHECK(three.fixed() == Approx(std::sqrt(2.0) * std::log(2.0)));
    std::vector<double> opposed{0.9, -0.9, -0.9};
    std::vector<std::int64_t> labels{0};
    auto const kept = step(backend, three, three.start(), Batch(losskit::matrix(opposed, 1, 3), labels));  // ln B_avg < 0
    CHECK(kept.scale == three.fixed());
    CHECK(kept.steps == 1);
    CHECK(kept.kept == 1);
    auto const ignored = step(backend, three, three.start(), Batch(losskit::matrix(opposed, 1, 3), labels), {.ignore_label = 0});
    CHECK(ignored.kept == 1);
    std::vector<double> odd{0.9, std::nan(""), 0.2};
    CHECK(step(backend, three, three.start(), Batch(losskit::matrix(odd, 1, 3), labels)).kept == 1);
    odd = {std::nan(""), 0.1, 0.2};
    CHECK(step(backend, three, three.start(), Batch(losskit::matrix(odd, 1, 3), labels)).kept == 1);

    std::vector<double> wide{-0.5, 0.4, 0.4};  // the median angle is above pi/4: cos(pi/4) counts
    double const s = three.fixed();
    CHECK(step(backend, three, three.start(), Batch(losskit::matrix(wide, 1, 3), labels)).scale ==
          Approx(std::log(2 * std::exp(0.4 * s)) * std::sqrt(2.0)));
    std::vector<double> far{50, 0.4, 0.4};  // clamped
    CHECK(step(backend, three, three.start(), Batch(losskit::matrix(far, 1, 3), labels)).scale == Approx(std::log(2 * std::exp(0.4 * s))));

    CHECK(AdaCosScale(1000, 20, 30).fixed() == 20);
    CHECK(step(backend, AdaCosScale(3, 0, 1), {1}, Batch(losskit::matrix(wide, 1, 3), labels)).scale == 1);
    CHECK(step(backend, AdaCosScale(3, 5), {5}, Batch(losskit::matrix(wide, 1, 3), labels)).scale == 5);

    for (double const huge : {200.0, 1e4, 1e6}) {  // log-sum-exp: ln B = 0.4 s + ln 2, no overflow
      CHECK(step(backend, three, {huge}, Batch(losskit::matrix(far, 1, 3), labels)).scale ==
            Approx(0.4 * huge + std::log(2.0)).epsilon(1e-12));
      std::vector<float> narrow{50, 0.4F, 0.4F};
      CHECK(step(backend, three, {huge}, Batch(losskit::matrix(narrow, 1, 3), labels)).scale ==
            Approx(0.4 * huge + std::log(2.0)).epsilon(1e-6));
    }
    AdaCosState state{25, 7, 2};  // steps and kept go on from where they were
    auto const next = step(backend, three, state, Batch(losskit::matrix(wide, 1, 3), labels));
    CHECK(next.steps == 8);
    CHECK(next.kept == 2);
  });
}

TEST_CASE("AdaCos: evaluation cannot move the state") {
  on_both([](auto const& backend) {
    Problem<float> p(4, 30, 1);
    AdaCosScale const policy(30);
    AdaCosState const state{policy.start()};  // const: a loss takes the number, and advance gives the next state
    MarginSoftmax loss{NoMargin{}, policy.scale(state)};
    run(backend, loss, p.plain());
    step(backend, policy, state, p.plain());
    CHECK(state.scale == policy.fixed());
    CHECK(state.steps == 0);
  });
}

// Long rows are checked several packets at a time: an odd cosine anywhere in one must be seen.
TEST_CASE("odd cosines in the middle of a long row") {
  using namespace losskit;
  idx const cols = 1001;
  for (idx const at : {idx(0), idx(1), idx(255), idx(500), idx(990), idx(1000)}) {
    std::vector<float> cosines(static_cast<std::size_t>(cols), 0.1f);
    cosines[static_cast<std::size_t>(at)] = 1 + 1e-6f;
    cosines[static_cast<std::size_t>((at + 137) % cols)] = -50;
    std::vector<int> const labels{static_cast<int>((at + 300) % cols)};
    std::vector<float> ours(cosines.size()), theirs(cosines.size());
    std::vector<std::byte> workspace(workspace_bytes<float>(on::eigen{}, 1, cols, Placement::out_of_place));
    MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
    Batch const batch(matrix(cosines, 1, cols), labels);
    Report const a = loss_and_gradient(on::eigen{}, loss, batch, matrix(ours, 1, cols), view(workspace));
    Report const b = loss_and_gradient(on::serial{}, loss, batch, matrix(theirs, 1, cols), view(workspace));
    CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-6));
    CHECK(a.clamped == 1);
    CHECK(a.out_of_range == 1);
    CHECK(b.clamped == 1);
    CHECK(b.out_of_range == 1);
    for (std::size_t j = 0; j < ours.size(); ++j) CHECK(std::fabs(ours[j] - theirs[j]) <= 1e-4f);
  }
}
