// Golden values: every policy and the whole loss against an independent reference (golden/generate.py, 50 digits).
// Errors are measured in units of the tolerance, which is relative to the largest term of the formula in question:
// a sum of terms cannot be asked to be better than the rounding of its largest one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "golden/adacos.inc"
#include "golden/margins.inc"
#include "golden/objectives.inc"
#include "golden/points.inc"
#include "golden/presets.inc"
#include "golden/rest.inc"
#include "golden/schedules.inc"
#include "golden/whole.inc"
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/margin/annealed.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/combined.hpp"
#include "losskit/margin/cos.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/margin/presets.hpp"
#include "losskit/margin/sphere.hpp"
#include "losskit/objective/cross_entropy.hpp"
#include "losskit/objective/focal.hpp"
#include "losskit/point/adaptive_wing.hpp"
#include "losskit/point/sigmoid_focal.hpp"
#include "losskit/point/smooth_l1.hpp"
#include "losskit/point/wing.hpp"
#include "losskit/rest/hard_negatives.hpp"
#include "losskit/rest/plain.hpp"
#include "losskit/scale/adacos.hpp"
#include "losskit/schedule/lambda.hpp"
#include "losskit/schedule/warm_up.hpp"

namespace {

using losskit::Scalar;
using D = Scalar<double>;
using F = Scalar<float>;

constexpr double double_unit = 1e-14;
constexpr double float_ulp = 1.1920928955078125e-07;  // 2^-23

bool is_float(double x) { return static_cast<double>(static_cast<float>(x)) == x; }

// The largest error seen, in units of its tolerance, and where.
struct Worst {
  double error = 0;
  long compared = 0;
  char where[200] = "nowhere";

  template <class... A>
  void see(double got, double want, double tolerance, char const* format, A... values) {
    ++compared;
    double const e =
        std::isfinite(got) ? std::fabs(got - want) / tolerance : std::numeric_limits<double>::infinity();
    if (e <= error) return;
    error = e;
    int const n = std::snprintf(where, sizeof where, "got %.17g, want %.17g at ", got, want);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    std::snprintf(where + n, sizeof where - static_cast<std::size_t>(n), format, values...);
#pragma GCC diagnostic pop
  }
};

void judge(Worst const& worst, char const* what) {
  INFO(what, ": ", worst.compared, " values, largest error ", worst.error,
       " of the tolerance: ", worst.where);
  CHECK(worst.compared > 0);
  CHECK(worst.error <= 1);
  std::printf("  %-34s %6ld values, largest error %.3f of the tolerance\n", what, worst.compared,
              worst.error);
}

// ------------------------------------------------------------------------------------------------------- margins

// Calls f with the margin that a golden case describes.
template <class Rule, class Mode, class Function>
void with_rule(golden::Kind kind, double m1, double m2, double m3, Rule rule, Function f) {
  switch (kind) {
    case golden::Kind::none:
      f(losskit::NoMargin{});
      break;
    case golden::Kind::arc:
      f(losskit::ArcMargin<Rule, Mode>{m2, rule});
      break;
    case golden::Kind::cos:
      f(losskit::CosMargin<Rule, Mode>{m3, rule});
      break;
    case golden::Kind::sphere:
      f(losskit::SphereMargin<Rule, Mode>{m1, rule});
      break;
    case golden::Kind::combined:
      f(losskit::CombinedMargin<Rule, Mode>{m1, m2, m3, rule});
      break;
  }
}

template <class Mode = losskit::Exact, class Case, class Function>
void with_margin(Case const& at, Function f) {
  auto const pass = [&](auto rule) {
    with_rule<decltype(rule), Mode>(at.kind, at.m1, at.m2, at.m3, rule, f);
  };
  if (at.lambda >= 0) {
    REQUIRE(at.rule == golden::Rule::monotone);
    if (at.kind == golden::Kind::sphere) f(losskit::Annealed{losskit::SphereMargin{at.m1}, at.lambda});
    else f(losskit::Annealed{losskit::ArcMargin{at.m2}, at.lambda});
    return;
  }
  switch (at.rule) {
    case golden::Rule::none:
      pass(losskit::NoRule{});
      break;
    case golden::Rule::legacy_linear:
      pass(losskit::LegacyLinear{});
      break;
    case golden::Rule::continuous_linear:
      pass(losskit::ContinuousLinear{});
      break;
    case golden::Rule::monotone:
      pass(losskit::Monotone{});
      break;
    case golden::Rule::clamp:
      pass(losskit::Clamp{at.eps});
      break;
    case golden::Rule::fall_to_cosine:
      pass(losskit::FallToCosine{});
      break;
    case golden::Rule::easy:
      pass(losskit::Easy{});
      break;
  }
}

// The largest terms: value 1 + |m3| + what the branch adds; slope m1 (|sin P| / sin(theta) + m1) with P = phi at the end
// that is nearer, since phi = P +- m1 t with t -> 0 there.
double value_term(golden::MarginCase const& at, double want) {
  return std::max(1 + std::fabs(at.m3), std::fabs(want));
}
// What computes in float rounds m1 t itself, up to m1 pi / 2: that angle is then the largest term.
double angle_term(golden::MarginCase const& at, double c) {
  return at.m1 == 1 ? 0 : at.m1 * std::acos(std::fabs(c));
}
double slope_term(golden::MarginCase const& at, double c, double inside) {
  double const x = std::min(std::max(c, -inside), inside), sine = std::sqrt((1 - x) * (1 + x));
  double const end = c < 0 ? at.m1 * 3.14159265358979323846 + at.m2 : at.m2;
  return std::max(1.0, at.m1 * (std::fabs(std::sin(end)) / sine + at.m1));
}

TEST_CASE("margins: value and slope in double") {
  Worst value, slope;
  for (golden::MarginCase const& at : golden::margin_cases) {
    with_margin(at, [&](auto const& margin) {
      for (int i = at.first; i < at.first + at.count; ++i) {
        auto const [c, psi, dpsi] = golden::margin_points[i];
        auto const got = margin.target(D(c));
        char const* text = "kind %d rule %d (%g, %g, %g) lambda %g, c = %.17g";
        int const kind = static_cast<int>(at.kind), rule = static_cast<int>(at.rule);
        value.see(got.value.v, psi, double_unit * value_term(at, psi), text, kind, rule, at.m1, at.m2, at.m3,
                  at.lambda, c);
        bool const finite_limit = std::fabs(c) == 1 && std::fabs(dpsi) == at.m1 * at.m1;
        slope.see(got.slope.v, dpsi, finite_limit ? 1e-300 : double_unit * slope_term(at, c, 1 - 0x1p-53),
                  text, kind, rule, at.m1, at.m2, at.m3, at.lambda, c);
      }
    });
  }
  judge(value, "margin values, double");
  judge(slope, "margin slopes, double");
}

// X computes; cosines are stored as float in both uses, so that the slope at +-1 is that of the nearest float inside.
template <class X>
void check_stored_float(double unit, char const* value_name, char const* slope_name) {
  Worst value, slope;
  double const inside = 1 - 0x1p-24;
  bool const single = sizeof(typename X::scalar) == sizeof(float);
  for (golden::MarginCase const& at : golden::margin_cases) {
    with_margin(at, [&](auto const& margin) {
      golden::Point const* const points = golden::margin_points + at.first;
      auto const slope_at = [&](double c) {
        return std::find_if(points, points + at.count, [&](auto const& p) { return p.c == c; })->slope;
      };
      for (int i = 0; i < at.count; ++i) {
        auto const [c, psi, dpsi] = points[i];
        if (!is_float(c)) continue;
        auto const got = margin.target(X(static_cast<float>(c)));
        double const angle = single ? angle_term(at, c) : 0;
        char const* text = "kind %d rule %d (%g, %g, %g) lambda %g, c = %.17g";
        int const kind = static_cast<int>(at.kind), rule = static_cast<int>(at.rule);
        value.see(got.value.v, psi, unit * std::max(value_term(at, psi), angle), text, kind, rule, at.m1,
                  at.m2, at.m3, at.lambda, c);
        bool const end = std::fabs(c) == 1, flat = std::fabs(dpsi) <= at.m1 * at.m1;
        double const want = end && !flat ? slope_at(c * inside) : dpsi;
        slope.see(got.slope.v, want, unit * std::max(1.0, angle) * slope_term(at, c, inside), text, kind,
                  rule, at.m1, at.m2, at.m3, at.lambda, c);
      }
    });
  }
  judge(value, value_name);
  judge(slope, slope_name);
}

TEST_CASE("margins: value and slope in float, within 4 ulp of the largest term") {
  check_stored_float<F>(4 * float_ulp, "margin values, float", "margin slopes, float");
}

TEST_CASE("margins: value and slope of a stored float, computed in double") {
  check_stored_float<Scalar<double, float>>(double_unit, "margin values, float in double",
                                            "margin slopes, float in double");
}

TEST_CASE("margins: cosines beyond the ends count as the ends") {
  for (golden::MarginCase const& at : golden::margin_cases) {
    with_margin(at, [&](auto const& margin) {
      for (double const end : {-1.0, 1.0}) {
        auto const want = margin.target(D(end));
        for (double const c : {end * (1 + 0x1p-52), end * 1.001, end * 50.0, end * 1e300}) {
          auto const got = margin.target(D(c));
          CHECK(got.value.v == want.value.v);
          CHECK(got.slope.v == want.slope.v);
        }
      }
    });
  }
}

TEST_CASE("margins: Detached keeps the value, its slope is 1") {
  Worst value, slope;
  for (golden::MarginCase const& at : golden::margin_cases) {
    if (at.lambda >= 0) continue;
    with_margin<losskit::Detached>(at, [&](auto const& margin) {
      for (int i = at.first; i < at.first + at.count; ++i) {
        auto const [c, psi, ignored] = golden::margin_points[i];
        auto const got = margin.target(D(c));
        value.see(got.value.v, psi, double_unit * value_term(at, psi), "(%g, %g, %g), c = %.17g", at.m1,
                  at.m2, at.m3, c);
        slope.see(got.slope.v, 1, 1e-300, "(%g, %g, %g), c = %.17g", at.m1, at.m2, at.m3, c);
      }
    });
  }
  judge(value, "margin values, detached");
  judge(slope, "margin slopes, detached");
}

// ---------------------------------------------------------------------------------------- rest rules, objectives

TEST_CASE("rest rules: value and slope") {
  Worst worst;
  for (golden::RestPoint const& at : golden::rest_points) {
    auto const check = [&](auto const& rule) {
      auto const got = rule.rest(D(at.c), D(at.threshold));
      worst.see(got.value.v, at.value, 1e-15, "rest kind %d, c = %g, threshold %g", static_cast<int>(at.kind),
                at.c, at.threshold);
      worst.see(got.slope.v, at.slope, 1e-15, "rest kind %d (slope), c = %g, threshold %g",
                static_cast<int>(at.kind), at.c, at.threshold);
      CHECK(std::fabs(at.value) <= rule.bound() + 1e-15);
    };
    if (at.kind == golden::Rest::plain) check(losskit::PlainRest{});
    else if (at.kind == golden::Rest::adaptive) check(losskit::HardNegatives<losskit::Adaptive>{at.t});
    else check(losskit::HardNegatives<losskit::Fixed>{at.t});
  }
  judge(worst, "rest rules");
}

// The two terms of the slope have the same sign: nothing cancels, so both are held to a relative error. Below the
// smallest normal number only the spacing there can be asked for.
TEST_CASE("objectives: value and slope") {
  Worst value, slope, in_float;
  for (golden::ObjectivePoint const& at : golden::objective_points) {
    losskit::FocalLoss const focal{at.gamma, at.alpha};
    auto const got = focal(D(at.log_p));
    double const tiny = std::numeric_limits<double>::min();
    char const* text = "gamma %g, alpha %g, log p = %.17g";
    double const unit = 4e-15;
    value.see(got.value.v, at.value, unit * std::fabs(at.value) + tiny, text, at.gamma, at.alpha, at.log_p);
    slope.see(got.slope.v, at.slope, unit * std::fabs(at.slope) + tiny, text, at.gamma, at.alpha, at.log_p);
    if (at.gamma == 0 && at.alpha == 1) {
      auto const plain = losskit::CrossEntropy{}(D(at.log_p));
      CHECK(plain.value.v == at.value);
      CHECK(plain.slope.v == at.slope);
    }
    if (is_float(at.log_p)) {
      auto const single = focal(F(static_cast<float>(at.log_p)));
      double const ulp = 4 * float_ulp, least = std::numeric_limits<float>::min();
      in_float.see(single.value.v, at.value, ulp * std::fabs(at.value) + least, text, at.gamma, at.alpha,
                   at.log_p);
      in_float.see(single.slope.v, at.slope, ulp * std::fabs(at.slope) + least, text, at.gamma, at.alpha,
                   at.log_p);
    }
  }
  judge(value, "objective values, double");
  judge(slope, "objective slopes, double");
  judge(in_float, "objectives, float");
}

// --------------------------------------------------------------------------------------------------- whole losses

// The margin of a golden case, chosen at run time, so that one composition runs all of them.
struct GoldenMargin {
  static constexpr char const* name = "GoldenMargin";
  golden::WholeCase at;

  template <losskit::Number X>
  losskit::Jet<X> target(X c) const {
    losskit::Jet<X> psi{X(0), X(0)};
    auto const take = [&](auto const& margin) { psi = margin.target(c); };
    if (at.detached) with_margin<losskit::Detached>(at, take);
    else with_margin(at, take);
    return psi;
  }
  template <losskit::Number X>
  X raw(X c) const {
    X threshold = 0;
    with_margin(at, [&](auto const& margin) { threshold = losskit::threshold_of(margin, c); });
    return threshold;
  }
};

// How far a row's numbers may be off. Every logit s r carries a rounding error of s |r| / 2 units, which the exponential
// turns into a relative error of p: the largest entry of the row times that is what a difference may be.
double rounding(double unit, double s, double span, double gamma) {
  return unit * (6 + s * span) * (1 + gamma);
}

struct WholeWorst {
  Worst loss, gradient, scale;
};

template <class T, class Backend, class Loss>
void run_whole(Backend const& backend, Loss const& loss, int number, WholeWorst& worst) {
  golden::WholeCase const& at = golden::whole_cases[number];
  golden::Matrix const& matrix = golden::matrices[at.matrix];
  std::size_t const cols = static_cast<std::size_t>(matrix.classes), size = 5 * cols;
  double const* const from = golden::matrix_cosines + matrix.first;
  double const* const want = golden::whole_gradients + at.first;
  golden::WholeRows const& rows = golden::whole_rows[number];

  std::vector<T> cosines(size), gradient(size), weights(5), scales(5), row_losses(5), scale_gradient(5);
  std::transform(from, from + size, cosines.begin(), [](double c) { return static_cast<T>(c); });
  std::vector<std::int64_t> const labels(matrix.labels, matrix.labels + 5);
  losskit::Batch batch{losskit::matrix(cosines, 5, matrix.classes), labels};
  for (std::size_t i = 0; i < 5; ++i) {
    weights[i] = static_cast<T>(at.weighted ? golden::whole_weights[i] : 1);
    scales[i] = static_cast<T>(at.row_scales ? golden::whole_row_scales[i] : at.scale);
  }
  if (at.weighted) batch.weights = losskit::view(std::as_const(weights));
  if (at.row_scales) batch.scales = losskit::view(std::as_const(scales));
  std::vector<std::byte> workspace(
      losskit::workspace_bytes<T>(backend, 5, matrix.classes, losskit::Placement::out_of_place));
  losskit::Options options;
  options.reduction = losskit::Reduction::sum;
  losskit::Outputs<T> outputs;
  outputs.row_losses = losskit::view(row_losses);
  outputs.scale_gradient = losskit::view(scale_gradient);
  losskit::Report const report =
      losskit::loss_and_gradient(backend, loss, batch, losskit::matrix(gradient, 5, matrix.classes),
                                 losskit::view(workspace), options, outputs);

  double const unit = std::numeric_limits<T>::epsilon() / 2, least = std::numeric_limits<T>::min();
  double total = 0, total_term = least;
  char const* text = "case %d, row %d, class %d";
  for (int i = 0; i < 5; ++i) {
    double const* const c = from + static_cast<std::size_t>(i) * cols;
    double const* const g = want + static_cast<std::size_t>(i) * cols;
    double const w = at.weighted ? golden::whole_weights[i] : 1,
                 s = at.row_scales ? golden::whole_row_scales[i] : at.scale;
    int const y = matrix.labels[i];
    double const psi = GoldenMargin{at}.target(D(c[y])).value.v;
    double span = 0, largest = 0, others = 0;
    for (int j = 0; j < matrix.classes; ++j) {
      span = std::max(span, std::fabs(c[j]) + std::fabs(psi) + at.t);
      largest = std::max(largest, std::fabs(g[j]));
      if (j != y) others += std::fabs(g[j]);
    }
    double const relative = rounding(unit, s, span, at.gamma);
    worst.loss.see(row_losses[static_cast<std::size_t>(i)], w * rows.loss[i],
                   relative * w * rows.loss[i] + least, text, number, i, y);
    total += w * rows.loss[i];
    total_term += relative * w * rows.loss[i];
    for (int j = 0; j < matrix.classes; ++j)
      worst.gradient.see(gradient[static_cast<std::size_t>(i) * cols + static_cast<std::size_t>(j)], g[j],
                         relative * largest + s * least, text, number, i, j);
    worst.scale.see(scale_gradient[static_cast<std::size_t>(i)], rows.scale_gradient[i],
                    relative * others * span / s + least, text, number, i, y);
  }
  worst.loss.see(report.loss, total, total_term, text, number, -1, -1);
  CHECK(report.valid == 5);
}

// The composition of a golden case around a margin.
template <class M, class Function>
void with_loss(golden::WholeCase const& at, M const& margin, Function f) {
  auto const rest = [&](auto const& objective) {
    switch (at.rest) {
      case golden::Rest::plain:
        f(losskit::MarginSoftmax{margin, at.scale, objective});
        break;
      case golden::Rest::adaptive:
        f(losskit::MarginSoftmax{margin, at.scale, objective,
                                 losskit::HardNegatives<losskit::Adaptive>{at.t}});
        break;
      case golden::Rest::fixed:
        f(losskit::MarginSoftmax{margin, at.scale, objective, losskit::HardNegatives<losskit::Fixed>{at.t}});
        break;
    }
  };
  if (at.gamma == 0 && at.alpha == 1) rest(losskit::CrossEntropy{});
  else rest(losskit::FocalLoss{at.gamma, at.alpha});
}

template <class T, class Backend>
void check_whole(Backend const& backend, char const* what) {
  WholeWorst worst;
  for (int number = 0; number < static_cast<int>(std::size(golden::whole_cases)); ++number) {
    golden::WholeCase const& at = golden::whole_cases[number];
    // Targets on the ends: the slope there belongs to the stored type, and the table to double.
    if (sizeof(T) == sizeof(float) && at.matrix == 4) continue;
    with_loss(at, GoldenMargin{at}, [&](auto const& loss) { run_whole<T>(backend, loss, number, worst); });
  }
  std::string const name = what;
  judge(worst.loss, (name + " loss").c_str());
  judge(worst.gradient, (name + " gradient").c_str());
  judge(worst.scale, (name + " dL/ds").c_str());
}

TEST_CASE("whole losses: serial backend") {
  check_whole<double>(losskit::on::serial{}, "serial, double:");
  check_whole<float>(losskit::on::serial{}, "serial, float:");
}

TEST_CASE("whole losses: the compositions as a user writes them") {
  WholeWorst worst;
  for (int number = 0; number < static_cast<int>(std::size(golden::whole_cases)); ++number) {
    golden::WholeCase const& at = golden::whole_cases[number];
    if (at.rest != golden::Rest::plain || at.gamma != 0 || at.alpha != 1 ||
        at.rule != golden::Rule::monotone || at.detached)
      continue;
    with_margin(at, [&](auto const& margin) {
      run_whole<double>(losskit::on::serial{}, losskit::MarginSoftmax{margin, at.scale}, number, worst);
    });
  }
  judge(worst.loss, "compositions: loss");
  judge(worst.gradient, "compositions: gradient");
  judge(worst.scale, "compositions: dL/ds");
}

TEST_CASE("whole losses: eigen backend") {
  check_whole<double>(losskit::on::eigen{}, "eigen, double:");
  check_whole<float>(losskit::on::eigen{}, "eigen, float:");
}

// --------------------------------------------------------------------------------------------------------- AdaCos

template <class T, class Backend>
void check_adacos(Backend const& backend, double unit, char const* what) {
  Worst worst;
  losskit::AdaCosScale const scale{10};
  losskit::AdaCosState state = scale.start();
  losskit::idx kept = 0;
  for (golden::AdaCosStep const& at : golden::adacos_steps) {
    if (at.step == 0) {
      state = scale.start();
      state.scale = at.before;
      kept = 0;
    }
    std::size_t const size = static_cast<std::size_t>(at.rows) * 10;
    std::vector<T> cosines(size);
    double const* const from = golden::adacos_cosines + at.first_cosine;
    std::transform(from, from + size, cosines.begin(), [](double c) { return static_cast<T>(c); });
    std::vector<std::int32_t> const labels(golden::adacos_labels + at.first_label,
                                           golden::adacos_labels + at.first_label + at.rows);
    std::vector<std::byte> workspace(losskit::advance_workspace_bytes(at.rows));
    losskit::Batch const batch{losskit::matrix(std::as_const(cosines), at.rows, 10), labels};
    state = losskit::advance(backend, scale, state, batch, losskit::view(workspace));
    kept += at.kept;
    worst.see(scale.scale(state), at.after, unit * at.after, "sequence %d, step %d", at.sequence, at.step);
    CHECK(state.kept == kept);
    CHECK(state.steps == at.step + 1);
  }
  judge(worst, what);
}

TEST_CASE("AdaCos: the fixed scale, and the state over batches") {
  for (golden::AdaCosFixed const& at : golden::adacos_fixed) {
    losskit::AdaCosScale const scale{at.classes};
    CHECK(std::fabs(scale.start().scale - at.scale) <= double_unit * at.scale);
    CHECK(std::fabs(scale.fixed() - at.scale) <= double_unit * at.scale);
  }
  check_adacos<double>(losskit::on::serial{}, double_unit, "AdaCos, serial, double");
  check_adacos<float>(losskit::on::serial{}, 2 * float_ulp, "AdaCos, serial, float");
  check_adacos<double>(losskit::on::eigen{}, double_unit, "AdaCos, eigen, double");
  check_adacos<float>(losskit::on::eigen{}, 2 * float_ulp, "AdaCos, eigen, float");
}

// -------------------------------------------------------------------------------------------------------- presets

template <class M>
void see_preset(Worst& worst, std::string const& name, M const& margin) {
  long const before = worst.compared;
  for (golden::PresetPoint const& at : golden::preset_points) {
    if (name != at.preset) continue;
    auto const got = margin.target(D(at.c));
    worst.see(got.value.v, at.value, 2e-14, "%s, c = %g", at.preset, at.c);
    worst.see(got.slope.v, at.slope, 1e-14 * std::max(4.0, std::fabs(at.slope)), "%s (slope), c = %g",
              at.preset, at.c);
  }
  INFO(name);
  CHECK(worst.compared >= before + 18);
}

TEST_CASE("presets: the published settings of the peers, by era") {
  namespace presets = losskit::presets;
  Worst worst;
  see_preset(worst, "pytorch_metric_learning_arcface", presets::pytorch_metric_learning_arcface());
  see_preset(worst, "pytorch_metric_learning_cosface", presets::pytorch_metric_learning_cosface());
  see_preset(worst, "insightface_2021_03_arcface", presets::insightface_2021());
  see_preset(worst, "insightface_2022_01_arcface", presets::insightface_2022_01());
  see_preset(worst, "insightface_2022_12_arcface", presets::insightface_2022_12());
  see_preset(worst, "insightface_cosface", presets::insightface_cosface());
  see_preset(worst, "insightface_mxnet_combined", presets::insightface_mxnet_combined());
  see_preset(worst, "paddle_arcface", presets::paddle());
  see_preset(worst, "paddle_sphereface", presets::paddle_sphereface());
  see_preset(worst, "oneflow_combined_0.3_0.5_0.4", presets::oneflow(0.3, 0.5, 0.4));
  see_preset(worst, "oneflow_combined_1_0.5_0", presets::oneflow(1, 0.5, 0));
  see_preset(worst, "oneflow_combined_1_0_0.4", presets::oneflow(1, 0, 0.4));
  see_preset(worst, "oneflow_combined_0.3_0_0", presets::oneflow(0.3, 0, 0));
  see_preset(worst, "wespeaker_arc", presets::wespeaker());
  see_preset(worst, "wespeaker_cos", presets::wespeaker_cosface());
  see_preset(worst, "keras_insightface_arcface", presets::keras_insightface());
  see_preset(worst, "keras_insightface_combined", presets::keras_insightface(1, 0.3, 0.2));
  see_preset(worst, "adaface_repository_arcface", presets::adaface_repository_arcface());
  see_preset(worst, "opensphere_arcface", presets::opensphere_arcface());
  see_preset(worst, "opensphere_sphereface", presets::opensphere_sphereface());
  see_preset(worst, "facex_zoo_arcface", presets::facex_zoo_arcface());
  see_preset(worst, "xialuxi_arcface", presets::xialuxi_caffe());
  see_preset(worst, "sphereface_caffe", losskit::SphereMargin<>{});
  see_preset(worst, "happynear_am", presets::happynear_caffe());
  CHECK(worst.compared == 2 * static_cast<long>(std::size(golden::preset_points)));
  judge(worst, "presets");
}

// --------------------------------------------------------------------------------------------------- point losses

template <class Function>
void with_point_loss(golden::PointLossPoint const& at, Function f) {
  switch (at.kind) {
    case golden::PointKind::wing:
      f(losskit::WingLoss{at.a, at.b});
      break;
    case golden::PointKind::adaptive_wing:
      f(losskit::AdaptiveWingLoss{at.a, at.b, at.c, at.d});
      break;
    case golden::PointKind::smooth_l1:
      f(losskit::SmoothL1Loss{at.a});
      break;
    case golden::PointKind::huber:
      f(losskit::HuberLoss{at.a});
      break;
    case golden::PointKind::sigmoid_focal:
      f(losskit::SigmoidFocalLoss{at.a, at.b});
      break;
  }
}

// Beyond its last joint a loss is a difference: slope times distance minus a constant.
double point_value_term(golden::PointLossPoint const& at) {
  double const distance =
      at.kind == golden::PointKind::sigmoid_focal ? 0 : std::fabs(at.slope * (at.prediction - at.truth));
  return std::max(std::fabs(at.value), distance);
}

void see_point(Worst& value, Worst& slope, golden::PointLossPoint const& at, double got_value,
               double got_slope, double unit, double least) {
  char const* text = "kind %d (%g, %g, %g, %g), prediction %.17g, truth %g";
  int const kind = static_cast<int>(at.kind);
  value.see(got_value, at.value, unit * point_value_term(at) + least, text, kind, at.a, at.b, at.c, at.d,
            at.prediction, at.truth);
  slope.see(got_slope, at.slope, unit * std::fabs(at.slope) + least, text, kind, at.a, at.b, at.c, at.d,
            at.prediction, at.truth);
}

bool exact_in_float(golden::PointLossPoint const& at) {
  return is_float(at.prediction) && is_float(at.truth) && is_float(at.prediction - at.truth);
}

TEST_CASE("point losses: value and slope") {
  Worst value, slope, single_value, single_slope;
  for (golden::PointLossPoint const& at : golden::point_loss_points) {
    with_point_loss(at, [&](auto const& loss) {
      auto const got = loss(D(at.prediction), D(at.truth));
      see_point(value, slope, at, got.value.v, got.slope.v, 4e-15, std::numeric_limits<double>::min());
      if (!exact_in_float(at)) return;
      auto const single = loss(F(static_cast<float>(at.prediction)), F(static_cast<float>(at.truth)));
      see_point(single_value, single_slope, at, single.value.v, single.slope.v, 4 * float_ulp,
                std::numeric_limits<float>::min());
    });
  }
  judge(value, "point values, double");
  judge(slope, "point slopes, double");
  judge(single_value, "point values, float");
  judge(single_slope, "point slopes, float");
}

// All points of one parameter set in one call: element losses, gradient, and the sum.
template <class T, class Backend>
void check_points(Backend const& backend, double unit, char const* what) {
  Worst value, slope;
  double const least = std::numeric_limits<T>::min();
  auto const begin = std::begin(golden::point_loss_points), end = std::end(golden::point_loss_points);
  for (auto from = begin; from != end;) {
    auto const to = std::find_if(from, end, [&](auto const& p) {
      return p.kind != from->kind || p.a != from->a || p.b != from->b || p.c != from->c || p.d != from->d;
    });
    std::vector<golden::PointLossPoint> points;
    std::copy_if(from, to, std::back_inserter(points),
                 [](auto const& p) { return sizeof(T) == sizeof(double) || exact_in_float(p); });
    losskit::idx const n = static_cast<losskit::idx>(points.size());
    std::vector<T> prediction, truth, gradient(points.size()), losses(points.size());
    double sum = 0, sum_term = 0;
    losskit::idx outside = 0;
    for (auto const& p : points) {
      prediction.push_back(static_cast<T>(p.prediction));
      truth.push_back(static_cast<T>(p.truth));
      sum += p.value;
      sum_term += point_value_term(p);
      outside += p.kind == golden::PointKind::adaptive_wing && (p.truth < 0 || p.truth > 1);
    }
    std::vector<std::byte> workspace(losskit::point_workspace_bytes(1, n));
    losskit::PointOptions options;
    options.reduction = losskit::Reduction::sum;
    losskit::PointOutputs<T> extra;
    extra.element_losses = losskit::matrix(losses, 1, n);
    with_point_loss(*from, [&](auto const& loss) {
      auto const report = losskit::loss_and_gradient(backend, loss, prediction, truth, gradient,
                                                     losskit::view(workspace), options, extra);
      CHECK(report.elements == n);
      CHECK(report.truth_clamped == outside);
      CHECK(report.non_finite == 0);
      CHECK(std::fabs(report.loss - sum) <= unit * sum_term + least);
    });
    for (std::size_t i = 0; i < points.size(); ++i)
      see_point(value, slope, points[i], losses[i], gradient[i], unit, least);
    from = to;
  }
  std::string const name = what;
  judge(value, (name + " values").c_str());
  judge(slope, (name + " slopes").c_str());
}

TEST_CASE("point losses: the calls") {
  check_points<double>(losskit::on::serial{}, 4e-15, "points, serial, double:");
  check_points<float>(losskit::on::serial{}, 4 * float_ulp, "points, serial, float:");
  check_points<double>(losskit::on::eigen{}, 4e-15, "points, eigen, double:");
  check_points<float>(losskit::on::eigen{}, 4 * float_ulp, "points, eigen, float:");
}

// ------------------------------------------------------------------------------------------------------ schedules

TEST_CASE("schedules: lambda and margin warm-up") {
  Worst lambda, margin;
  for (golden::LambdaStep const& at : golden::lambda_steps)
    lambda.see(losskit::LambdaSchedule{at.base, at.gamma, at.power, at.minimum}(at.step), at.lambda,
               2e-15 * at.lambda, "base %g, gamma %g, power %g, step %lld", at.base, at.gamma, at.power,
               static_cast<long long>(at.step));
  for (golden::WarmUpStep const& at : golden::warm_up_steps) {
    double const got = at.exponential ? losskit::ExponentialWarmUp{at.from, at.to, at.start, at.end}(at.step)
                                      : losskit::LinearWarmUp{at.from, at.to, at.start, at.end}(at.step);
    margin.see(got, at.margin, 1e-15, "exponential %d, from %g to %g, step %lld", at.exponential, at.from,
               at.to, static_cast<long long>(at.step));
  }
  judge(lambda, "lambda schedule");
  judge(margin, "margin warm-up");
}

}  // namespace
