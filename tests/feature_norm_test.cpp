// A loss whose scale is the embedding's length: the example's whole chain, from raw embeddings back to them.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "../examples/feature_norm.hpp"

namespace {

using losskit::FeatureNorm;

std::vector<double> const x{1.0, 0.5, -0.3, -0.2, 0.9, 0.55, 3.0, -4.0, 2.0},
    w{0.9, -0.1, 0.2, -0.4, 0.8, 0.1, 0.3, 0.4, -0.7, 0.2, 0.2, 0.9};
std::vector<int> const labels{2, 1, 0};

// The same loss in one expression an entry, psi of SphereFace for m = 2: cos(2 theta) while theta <= pi/2, then -cos(2 theta) - 2.
double plain_loss(double low, double high, double factor, std::vector<double> const& embeddings, std::vector<double> const& centres) {
  long double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    auto const dot = [&](double const* a, double const* b) {
      return (long double)a[0] * b[0] + (long double)a[1] * b[1] + (long double)a[2] * b[2];
    };
    double const* const e = &embeddings[3 * i];
    long double const n = std::sqrt(dot(e, e)), s = std::fmin(std::fmax((long double)factor * n, (long double)low), (long double)high);
    long double z = 0, target = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      double const* const centre = &centres[3 * j];
      long double const c = dot(e, centre) / (n * std::sqrt(dot(centre, centre))), twice = 2 * c * c - 1;
      bool const own = static_cast<int>(j) == labels[i];
      long double const logit = s * (!own ? c : c >= 0 ? twice : -twice - 2);
      z += std::exp(logit), target += own ? logit : 0;
    }
    sum += std::log(z) - target;
  }
  return static_cast<double>(sum / 3);
}

}  // namespace

TEST_CASE("a scale of factor |x|: the example's loss and both gradients, against the plain formula and its central differences") {
  struct Bounds { double low, high, factor; };  // no bound; the factor 1 of the paper; a bound each way (|x| is 1.16, 1.07 and 5.39)
  for (Bounds const& b : {Bounds{0, INFINITY, 2}, Bounds{0, INFINITY, 1}, Bounds{0.5, 6, 1.5}, Bounds{2, 100, 1.8}}) {
    std::vector<double> dx, dw;
    double const loss = feature_norm_loss(FeatureNorm(b.low, b.high, b.factor), x, w, labels, dx, dw);
    CHECK(loss == doctest::Approx(plain_loss(b.low, b.high, b.factor, x, w)).epsilon(1e-14));
    auto const difference = [&](std::vector<double> at, bool embedding, std::size_t k) {
      double const step = 2e-6, middle = at[k];
      auto const value = [&](double to) {
        at[k] = to;
        return plain_loss(b.low, b.high, b.factor, embedding ? at : x, embedding ? w : at);
      };
      return (value(middle + step) - value(middle - step)) / (2 * step);
    };
    for (std::size_t k = 0; k < x.size(); ++k) CHECK(std::fabs(dx[k] - difference(x, true, k)) < 1e-9);
    for (std::size_t k = 0; k < w.size(); ++k) CHECK(std::fabs(dw[k] - difference(w, false, k)) < 1e-9);
    // Along x_i alone: the length's part, which without a bound is what dL/dn leaves there.
    for (std::size_t i = 0; i < 3; ++i) {
      double along = 0;
      for (std::size_t k = 0; k < 3; ++k) along += dx[3 * i + k] * x[3 * i + k];
      bool const free = b.factor * std::sqrt(x[3 * i] * x[3 * i] + x[3 * i + 1] * x[3 * i + 1] + x[3 * i + 2] * x[3 * i + 2]) < b.high;
      if (b.high == INFINITY || !free) CHECK((std::fabs(along) > 1e-12) == free);
    }
  }
}
