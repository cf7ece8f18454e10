// Loss and gradient against a loop in long double that shares nothing with the library, over very long rows and over every scale:
// in ulp of the loss and of the row's largest term. The scale is the true one: s / ln 2 is kept in two parts and costs nothing.
#include <doctest/doctest.h>

#include <cstdio>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/none.hpp"
#include "problem.hpp"

using namespace test;

namespace {

struct Row {
  long double loss;
  std::vector<long double> gradient;
};

// ArcFace by its definition, with an angle. The largest logit is taken off, so that any scale will do.
template <class T>
Row arc_face(std::vector<T> const& c, idx y, long double m, long double s) {
  Row r{0, std::vector<long double>(c.size())};
  long double const theta = std::acos(static_cast<long double>(c[size(y)])), target = s * std::cos(theta + m);
  long double top = target;
  for (std::size_t j = 0; j < c.size(); ++j)
    if (j != size(y)) top = std::max(top, s * static_cast<long double>(c[j]));
  long double others = 0, rounding = 0;  // Kahan
  for (std::size_t j = 0; j < c.size(); ++j) {
    if (j == size(y)) continue;
    long double const term = (r.gradient[j] = std::exp(s * static_cast<long double>(c[j]) - top)) - rounding, sum = others + term;
    rounding = (sum - others) - term;
    others = sum;
  }
  long double const own = std::exp(target - top), sum = others + own;
  r.loss = others < own ? std::log1p(others / own) : std::log(sum) + (top - target);
  for (auto& g : r.gradient) g *= s / sum;
  r.gradient[size(y)] = -s * others / sum * std::sin(theta + m) / std::sin(theta);
  return r;
}

// The largest error of a row's loss, and of its gradient made apart, in place and later.
struct Off { double loss, gradient; };
template <class T, class B, class M = ArcMargin<>>
Off off_by(B const& backend, std::vector<T> const& c, idx y, double s, Row const& truth, M const& margin = M{0.5}) {
  idx const cols = static_cast<idx>(c.size());
  std::vector<T> g(c.size()), in_place(c), later(c.size()), row_losses(1), value(1);
  std::vector<SavedRow> saved(1);
  std::vector<std::int64_t> labels{y};
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, 1, cols, Placement::out_of_place));
  MarginSoftmax const loss{margin, s};
  Batch const batch(losskit::matrix(c, 1, cols), labels);
  loss_and_gradient(backend, loss, batch, losskit::matrix(g, 1, cols), view(workspace), {}, Outputs<T>{view(row_losses), {}, {}});
  loss_and_gradient(backend, loss, Batch(losskit::matrix(in_place, 1, cols), labels), losskit::matrix(in_place, 1, cols), view(workspace));
  loss_value(backend, loss, batch, view(workspace), {}, Outputs<T>{view(value), {}, view(saved)});
  loss_gradient(backend, loss, batch, saved, losskit::matrix(later, 1, cols));
  long double largest = 0, off_loss = 0, off = 0;
  for (long double x : truth.gradient) largest = std::max(largest, std::fabs(x));
  auto const see = [](long double& worst, T x, long double expected) {
    long double const e = std::fabs(static_cast<long double>(x) - expected);
    if (!(e <= worst)) worst = e;  // a NaN too
  };
  for (auto const* losses : {&row_losses, &value}) see(off_loss, (*losses)[0], truth.loss);
  for (auto const* gradient : {&g, &in_place, &later})
    for (std::size_t j = 0; j < c.size(); ++j) see(off, (*gradient)[j], truth.gradient[j]);
  return {static_cast<double>(off_loss / ulp<T>(truth.loss)), static_cast<double>(off / ulp<T>(largest))};
}

// Of all scales: where one shift for every row ends in float (79 to 88), and far beyond.
constexpr double scales[] = {30, 64, 79, 80, 84, 88, 100, 200, 1000, 1e4, 1e5, largest_scale};

// The worst of each scale, over rows whose hardest classes are within 10 / s of each other, with the target behind, level and
// ahead. `m`: the margin in radians.
template <class T, class B, class M>
void every_scale(B const& backend, M const& margin, double m, double (*allowed)(double s)) {
  for (double const s : scales) {
    Off worst{0, 0};
    char loss_where[100] = "", gradient_where[100] = "";
    for (idx const cols : {idx(2), idx(1000), idx(100003)})
      for (double const lead : {-HUGE_VAL, -30.0, -3.0, 0.0, 2.0, 12.0, 40.0}) {
        std::mt19937 random(static_cast<unsigned>(s));
        std::uniform_real_distribution<float> below(-0.9F, 0.55F), near(0, 1);
        constexpr double hardest = 0.6;
        std::vector<T> c(size(cols));
        for (auto& x : c) x = T(below(random));
        idx const y = cols / 3;
        c[size((y + 1) % cols)] = T(hardest);
        for (idx k = 2; k <= 7; ++k) c[size((y + k) % cols)] = T(hardest - 10 / s * double(near(random)));
        c[size(y)] = T(lead == -HUGE_VAL ? -0.4 : std::cos(std::acos(hardest + lead / std::max(s, 200.0)) - m));
        Off const off = off_by(backend, c, y, s, arc_face(c, y, static_cast<long double>(m), static_cast<long double>(s)), margin);
        auto const see = [&](double& most, double x, auto& where) {
          if (x <= most) return;
          most = x;
          std::snprintf(where, sizeof where, "C = %lld, target %g ahead", static_cast<long long>(cols), lead);
        };
        see(worst.loss, off.loss, loss_where), see(worst.gradient, off.gradient, gradient_where);
      }
    INFO("s = " << s << ": loss " << worst.loss << " ulp (" << loss_where << "), gradient " << worst.gradient << " ulp ("
                << gradient_where << ")");
    CHECK(worst.loss <= allowed(s));
    CHECK(worst.gradient <= allowed(s));
  }
}

}  // namespace

TEST_CASE("float against long double, 100003 and 1000003 classes") {
  for (idx const cols : {idx(100003), idx(1000003)})
    for (double const s : {30.0, 30.12, 45.3, 64.0}) {
      // A trained row, an early one, and one whose target is lost behind a hard class.
      for (auto const& kind : {std::pair{0.2, 0.8F}, {0.9, 0.1F}, {0.3, -0.3F}}) {
        double const spread = kind.first;
        Problem<float> p(1, cols, 9, 0, 0, spread);
        std::vector<float> c(p.cosines.row(0), p.cosines.row(0) + cols);
        idx const y = cols / 3;
        c[size(y)] = kind.second;
        Row const truth = arc_face(c, y, 0.5L, static_cast<long double>(s));
        auto const check = [&](auto const& backend) {
          Off const off = off_by(backend, c, y, s, truth);
          INFO("C = " << cols << ", s = " << s << ", cosines within " << spread << ": loss " << off.loss << ", gradient " << off.gradient
                      << " ulp");
          CHECK(off.loss <= 4);
          CHECK(off.gradient <= 4);
        };
        check(losskit::on::eigen{});
        if (cols < 200000) check(on::serial{});
      }
    }
}

TEST_CASE("double against long double, 100003 classes") {
  for (double const s : {30.12, 64.0}) {
    Problem<double> p(1, 100003, 9);
    std::vector<double> c(p.cosines.row(0), p.cosines.row(0) + 100003);
    c[5] = 0.3;
    Off const a = off_by(losskit::on::eigen{}, c, 5, s, arc_face(c, 5, 0.5L, static_cast<long double>(s)));
    INFO("loss " << a.loss << " gradient " << a.gradient << " ulp");
    CHECK(a.loss <= 64);  // the target's logit s psi is a double, its rounding is s ulp of e
    CHECK(a.gradient <= 64);
  }
}

TEST_CASE("float against long double, every scale") {
  auto const allowed = [](double) { return 4.0; };
  SUBCASE("serial") { every_scale<float>(on::serial{}, ArcMargin{0.5}, 0.5, allowed); }
  SUBCASE("eigen") { every_scale<float>(losskit::on::eigen{}, ArcMargin{0.5}, 0.5, allowed); }
}

// Two doubles as large as a logit are rounded, s psi and the shift of the row: half an ulp of each is s / 2 epsilon of e, or s ulp
// where what is compared lies just below a power of two. Without a margin psi itself is exact.
TEST_CASE("double against long double, every scale") {
  auto const allowed = [](double s) { return std::max(64.0, 2 * s); };
  SUBCASE("serial") { every_scale<double>(on::serial{}, NoMargin{}, 0, allowed); }
  SUBCASE("eigen") { every_scale<double>(losskit::on::eigen{}, NoMargin{}, 0, allowed); }
}
