// Gradients as Caffe's GradientChecker looks at them: through Forward and Backward alone, by central differences of every element of
// every bottom that is checked and of every parameter. The objective is half the sum of squares of the tops, or, one after the other,
// twice one element of a top, so that the upstream gradient is never 1.
#pragma once
#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/layer_factory.hpp"

namespace test {

using Bottoms = std::vector<caffe::Blob<double>*>;

struct GradientChecker {
  double step = 1e-5, threshold = 1e-6;  // threshold: relative to a gradient above 1, else absolute

  // What differs, or nothing. check_bottom: -1 for all.
  std::string check(caffe::Layer<double>& layer, Bottoms const& bottom, Bottoms const& top, int check_bottom = 0) const {
    layer.SetUp(bottom, top);
    std::string off = check_objective(layer, bottom, top, check_bottom, -1, -1);
    for (std::size_t i = 0; i < top.size(); ++i)
      for (int k = 0; k < top[i]->count(); ++k) off += check_objective(layer, bottom, top, check_bottom, static_cast<int>(i), k);
    return off;
  }

 private:
  static double objective(Bottoms const& top, int which, int element) {
    double value = 0;
    for (std::size_t i = 0; i < top.size(); ++i)
      for (int k = 0; k < top[i]->count(); ++k) {
        double const x = top[i]->cpu_data()[k];
        bool const one = static_cast<int>(i) == which && k == element;
        top[i]->mutable_cpu_diff()[k] = which < 0 ? x : one ? 2 : 0;
        value += which < 0 ? x * x / 2 : one ? 2 * x : 0;
      }
    return value;
  }

  std::string check_objective(caffe::Layer<double>& layer, Bottoms const& bottom, Bottoms const& top, int check_bottom, int which,
                              int element) const {
    Bottoms checked;
    std::vector<bool> wanted(bottom.size());
    for (auto const& blob : layer.blobs()) {
      checked.push_back(blob.get());
      std::fill_n(blob->mutable_cpu_diff(), blob->count(), 0.0);
    }
    for (std::size_t i = 0; i < bottom.size(); ++i)
      if (check_bottom == -1 || check_bottom == static_cast<int>(i)) {
        checked.push_back(bottom[i]);
        wanted[i] = true;
      }
    layer.Forward(bottom, top);
    objective(top, which, element);
    layer.Backward(top, wanted, bottom);
    std::vector<std::vector<double>> computed;
    for (caffe::Blob<double> const* blob : checked) computed.emplace_back(blob->cpu_diff(), blob->cpu_diff() + blob->count());

    std::ostringstream off;
    for (std::size_t b = 0; b < checked.size(); ++b)
      for (int k = 0; k < checked[b]->count(); ++k) {
        double& x = checked[b]->mutable_cpu_data()[k];
        double const here = x;
        x = here + step;
        layer.Forward(bottom, top);
        double const above = objective(top, which, element);
        x = here - step;
        layer.Forward(bottom, top);
        double const below = objective(top, which, element);
        x = here;
        double const expected = (above - below) / (2 * step), is = computed[b][static_cast<std::size_t>(k)];
        if (!(std::abs(is - expected) <= threshold * std::max({1.0, std::abs(is), std::abs(expected)})))
          off << "blob " << b << "[" << k << "] by top " << which << "[" << element << "]: " << is << ", differences give " << expected
              << "\n";
      }
    return off.str();
  }
};

}  // namespace test
