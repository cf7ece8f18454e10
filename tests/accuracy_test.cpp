// Float loss and gradient of very long rows against a loop in long double that shares nothing with the library: in ulp of the
// row's largest term. The scale is the true one: s / ln 2 is kept in two parts and costs nothing.
#include <doctest/doctest.h>

#include <cstdio>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/margin/arc.hpp"
#include "problem.hpp"

using namespace test;

namespace {

struct Row {
  long double loss;
  std::vector<long double> gradient;
};

// ArcFace by its definition, with an angle.
template <class T>
Row arc_face(std::vector<T> const& c, idx y, long double m, long double s) {
  Row r{0, std::vector<long double>(c.size())};
  long double const theta = std::acos(static_cast<long double>(c[size(y)])), target = s * std::cos(theta + m);
  long double others = 0, rounding = 0;  // Kahan
  for (std::size_t j = 0; j < c.size(); ++j) {
    if (j == size(y)) continue;
    long double const term = (r.gradient[j] = std::exp(s * static_cast<long double>(c[j]))) - rounding, sum = others + term;
    rounding = (sum - others) - term;
    others = sum;
  }
  long double const sum = others + std::exp(target);
  r.loss = std::log(sum) - target;
  for (auto& g : r.gradient) g *= s / sum;
  r.gradient[size(y)] = -s * others / sum * std::sin(theta + m) / std::sin(theta);
  return r;
}

struct Off { double loss, gradient; };
template <class T, class B>
Off off_by(B const& backend, std::vector<T> const& c, idx y, double s, Row const& truth) {
  idx const cols = static_cast<idx>(c.size());
  std::vector<T> g(c.size()), row_losses(1);
  std::vector<std::int64_t> labels{y};
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, 1, cols, Placement::out_of_place));
  loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, s}, Batch(losskit::matrix(c, 1, cols), labels), losskit::matrix(g, 1, cols),
                    view(workspace), {}, Outputs<T>{view(row_losses), {}, {}});
  long double largest = 0, off = 0;
  for (long double x : truth.gradient) largest = std::max(largest, std::fabs(x));
  for (std::size_t j = 0; j < g.size(); ++j) off = std::max(off, std::fabs(static_cast<long double>(g[j]) - truth.gradient[j]));
  return {static_cast<double>(std::fabs(static_cast<long double>(row_losses[0]) - truth.loss) / ulp<T>(truth.loss)),
          static_cast<double>(off / ulp<T>(largest))};
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
