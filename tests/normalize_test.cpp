// normalize_rows with an eps: rows divided by max(|x|, eps), as torch.nn.functional.normalize divides them.
#include "losskit/head/normalize.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "expect_error.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"

using namespace losskit;

namespace {

constexpr idx width = 19;
std::size_t size(idx n) { return static_cast<std::size_t>(n); }

template <class T>
struct Row {
  std::vector<T> x, y = x, dy = x, dx = x, norm{0}, dnorm{T(0.75)};
  explicit Row(double length) : x(size(width)) {
    double squares = 0;
    for (idx j = 0; j < width; ++j) squares += std::pow(std::sin(double(j + 1)), 2);
    for (idx j = 0; j < width; ++j) x[size(j)] = T(length * std::sin(double(j + 1)) / std::sqrt(squares));
    y = dx = x, dy.resize(x.size());
    for (idx j = 0; j < width; ++j) dy[size(j)] = T(std::cos(double(3 * j)));
  }
  void run(auto const& backend, double eps, Write write = Write::assign) {
    auto const m = [](std::vector<T>& v) { return losskit::matrix(v, 1, width); };
    normalize_rows(backend, m(x), m(y), norm, eps);
    normalize_rows_backward(backend, m(y), norm, m(dy), m(dx), write, view(dnorm), eps);
  }
};

// y = x / max(n, eps) in long double, and the gradient of (y . dy + dnorm n) by x as its formula.
template <class T>
void as_the_formula(auto const& backend, double length, double eps) {
  INFO(length, " ", eps);
  Row<T> row(length);
  long double squares = 0, along = 0;
  for (T const v : row.x) squares += (long double)v * v;
  long double const n = std::sqrt(squares), divisor = std::fmax(n, (long double)eps);
  row.run(backend, eps);
  double const tolerance = 8 * double(std::numeric_limits<T>::epsilon());
  CHECK(std::fabs(double(row.norm[0]) - double(n)) <= tolerance * double(n));
  bool const raised = double(row.norm[0]) < eps;
  for (idx j = 0; j < width; ++j) along += raised ? 0 : (long double)row.x[size(j)] * row.dy[size(j)] / divisor;
  for (idx j = 0; j < width; ++j) {
    long double const v = row.x[size(j)], y = v / divisor, unit = n > 0 ? v / n : 0;
    long double const slope = ((long double)row.dy[size(j)] - y * along) / divisor + (long double)row.dnorm[0] * unit;
    CHECK(std::fabs(double(row.y[size(j)]) - double(y)) <= tolerance);
    CHECK(std::fabs(double(row.dx[size(j)]) - double(slope)) <= 4 * tolerance * (1 / double(divisor) + 1));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("an eps: shorter rows, longer rows, a row of zeros, and one at the border", T, float, double) {
  for (double const eps : {1e-12, 1e-5, 0.5})
    for (double const length : {0.0, 0.01, 0.9, 0.999, 1.001, 1.1, 1e6}) {
      as_the_formula<T>(on::serial{}, length * eps, eps);
      as_the_formula<T>(on::eigen{}, length * eps, eps);
    }
}

TEST_CASE_TEMPLATE("an eps that no row is below, and none: the same bits", T, float, double) {
  for (double const length : {1e-20, 0.3, 7e5}) {
    Row<T> with(length), without(length);
    with.run(on::eigen{}, 1e-21), without.run(on::eigen{}, 0);
    CHECK(with.y == without.y);
    CHECK(with.dx == without.dx);
  }
}

TEST_CASE("at |x| = eps the gradient is that of longer rows; below, dx = dy / eps by central differences too") {
  std::vector<double> x{0.3, 0.4}, y(2), n(1), dy{1, 0}, dx(2);
  auto const m = [](std::vector<double>& v) { return losskit::matrix(v, 1, 2); };
  auto const gradient = [&](double eps) {
    normalize_rows(on::serial{}, m(x), m(y), n, eps);
    normalize_rows_backward(on::serial{}, m(y), n, m(dy), m(dx), Write::assign, {}, eps);
  };
  gradient(0.5);
  CHECK(n[0] == 0.5);
  CHECK(dx[0] == doctest::Approx(2 * (1 - 0.36)).epsilon(1e-15));
  CHECK(dx[1] == doctest::Approx(2 * -0.48).epsilon(1e-15));
  gradient(0.6);
  CHECK(y[0] == doctest::Approx(0.5).epsilon(1e-15));
  CHECK(dx[0] == doctest::Approx(1 / 0.6).epsilon(1e-15));
  CHECK(dx[1] == 0);
  gradient(0);
  CHECK(y[0] == doctest::Approx(0.6).epsilon(1e-15));
}

TEST_CASE("a NaN row stays NaN, gradients are added, and what is refused") {
  Row<double> row(0.1);
  row.run(on::serial{}, 0.5);
  std::vector<double> const once = row.dx;
  row.run(on::serial{}, 0.5, Write::accumulate);
  for (std::size_t j = 0; j < once.size(); ++j) CHECK(row.dx[j] == doctest::Approx(2 * once[j]).epsilon(1e-15));
  row.x[3] = std::nan("");
  row.run(on::serial{}, 0.5);
  for (double const v : row.y) CHECK(v != v);
  for (double const v : row.dx) CHECK(v != v);
  std::vector<double> const before = row.y;
  row.x = once;
  for (double const bad : {-1e-12, 1e-300, 1.5, std::nan(""), double(INFINITY)}) {
    test::expect_error<ParameterError>([&] { row.run(on::serial{}, bad); }, {"eps", "outside [1e-280, 1]"});
    CHECK(std::isnan(row.y[0]));  // nothing was written
  }
  Row<float> narrow(0.1);
  test::expect_error<ParameterError>([&] { narrow.run(on::serial{}, 1e-40); }, {"eps", "outside [1e-30, 1]"});
}
