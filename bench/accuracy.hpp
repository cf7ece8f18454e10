// How far float is from double: loss and gradient of rows of up to a million classes against a plain loop in double, in ulp
// of the row's largest term (of the loss: ln Z or the target's logit; of the gradient: its largest element).
#pragma once
#include <cmath>

#include "losskit/backend/eigen.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/margin/arc.hpp"
#include "memory.hpp"

namespace bench {

struct RowErrors {
  double loss = 0, gradient = 0;
};

inline double ulp_of(double x) { return std::ldexp(1, std::ilogb(x) - 23); }

// ArcFace with m = 0.5 by acos and cos, as the paper writes it: nothing here is the library's.
inline void compare_row(float const* c, idx n, idx y, double s, float loss, float const* gradient, RowErrors& worst) {
  double const pi = std::acos(-1.0), theta = std::acos(double(c[y])), phi = theta + 0.5;
  double const psi = phi > pi ? -std::cos(phi) - 2 : std::cos(phi), slope = std::fabs(std::sin(phi)) / std::sin(theta);
  double top = s * psi, rest = 0, largest = 0;
  for (idx j = 0; j < n; ++j)
    if (j != y) top = std::max(top, s * c[j]);
  for (idx j = 0; j < n; ++j)
    if (j != y) rest += std::exp(s * c[j] - top);
  double const own = std::exp(s * psi - top), log_z = top + std::log(rest + own);
  worst.loss = std::max(worst.loss, std::fabs(loss - (log_z - s * psi)) / ulp_of(std::max(std::fabs(log_z), std::fabs(s * psi))));
  auto const reference = [&](idx j) { return j == y ? -s * slope * rest / (rest + own) : s * std::exp(s * c[j] - log_z); };
  double error = 0;
  for (idx j = 0; j < n; ++j) {
    double const g = reference(j);
    largest = std::max(largest, std::fabs(g));
    error = std::max(error, std::fabs(gradient[j] - g));
  }
  worst.gradient = std::max(worst.gradient, error / ulp_of(largest));
}

struct AccuracyErrors {
  RowErrors folded, exact;  // against the s that float's exponent stands for, and against the s that was asked for
};

// Rows of normal and of uniform cosines; targets from hopeless to all but certain.
inline AccuracyErrors accuracy(idx cols, idx rows) {
  AccuracyErrors worst;
  std::mt19937 random(11);
  auto const count = static_cast<std::size_t>(rows);
  std::vector<float> cosines(count * static_cast<std::size_t>(cols)), gradient(cosines.size()), losses(count);
  std::vector<std::int64_t> labels(count);
  double const targets[] = {0.6, -0.3, 0.999, 0.9, -0.97, 0.1};
  for (idx i = 0; i < rows; ++i) {
    std::normal_distribution<float> normal(0.0f, 0.045f);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    auto const at = cosines.begin() + i * cols;
    std::generate_n(at, cols, [&] { return i % 4 == 3 ? uniform(random) : normal(random); });
    labels[std::size_t(i)] = i * 7919 % cols;
    at[labels[std::size_t(i)]] = float(targets[i % 6]);
  }
  losskit::on::eigen const backend{two_threads};
  std::vector<std::byte> workspace(losskit::workspace_bytes<float>(backend, rows, cols, losskit::Placement::out_of_place));
  for (double const s : {30.0, 30.12, 45.3, 64.0}) {
    losskit::Options options;
    options.reduction = losskit::Reduction::sum;
    losskit::Outputs<float> out;
    out.row_losses = losskit::view(losses);
    losskit::loss_and_gradient(backend, losskit::MarginSoftmax{losskit::ArcMargin{0.5}, s},
                               losskit::Batch{losskit::matrix(cosines, rows, cols), labels}, losskit::matrix(gradient, rows, cols),
                               losskit::view(workspace), options, out);
    double const folded = losskit::Bounded<float>::of(s, {-1, 1}, double(cols)).scale();
    std::vector<AccuracyErrors> errors(count);
    two_threads.run(rows, [&](idx i) {
      float const *const c = cosines.data() + i * cols, *const g = gradient.data() + i * cols;
      auto const k = std::size_t(i);
      compare_row(c, cols, labels[k], folded, losses[k], g, errors[k].folded);
      compare_row(c, cols, labels[k], s, losses[k], g, errors[k].exact);
    });
    for (AccuracyErrors const& e : errors) {
      worst.folded = {std::max(worst.folded.loss, e.folded.loss), std::max(worst.folded.gradient, e.folded.gradient)};
      worst.exact = {std::max(worst.exact.loss, e.exact.loss), std::max(worst.exact.gradient, e.exact.gradient)};
    }
  }
  return worst;
}

}  // namespace bench
