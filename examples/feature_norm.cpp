// A scale that is the embedding's own length, times a factor (feature_norm.hpp): a hundred steps of training on raw embeddings. The
// right classes win, and because longer embeddings are surer ones, right ones grow.
#include <cmath>
#include <cstdio>
#include <vector>

#include "feature_norm.hpp"

int main() {
  losskit::FeatureNorm const scale(0, 64, 2);  // s = 2 |x|, at most 64
  std::vector<double> x{1.0,  0.5, -0.3,       // two samples x three dimensions, of lengths 1.16 and 1.07
                        -0.2, 0.9, 0.55};
  std::vector<double> w{0.9,  -0.1, 0.2,  // three classes
                        -0.4, 0.8,  0.1,  //
                        0.3,  0.4,  -0.7};
  std::vector<int> const labels{2, 1};
  std::vector<double> dx, dw;
  auto const length = [&](std::size_t i) {
    return std::sqrt(x[3 * i] * x[3 * i] + x[3 * i + 1] * x[3 * i + 1] + x[3 * i + 2] * x[3 * i + 2]);
  };
  for (int step = 0; step <= 100; ++step) {
    double const loss = feature_norm_loss(scale, x, w, labels, dx, dw);
    if (step % 50 == 0) std::printf("step %3d: loss %.4f, lengths %.3f and %.3f\n", step, loss, length(0), length(1));
    for (std::size_t k = 0; k < x.size(); ++k) x[k] -= 0.3 * dx[k];
    for (std::size_t k = 0; k < w.size(); ++k) w[k] -= 0.3 * dw[k];
  }
}
