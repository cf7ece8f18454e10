// The weight map of AdaptiveWingLoss: Wang, Bo and Fuxin 2019, arXiv:1904.07399, section 4.3. A heatmap's foreground and the
// hard background beside it weigh more:
//
//   weight = W M + 1,   M = 1 where the largest truth of the 3 x 3 neighbours is >= threshold, else 0
//
// The paper's W = 10, threshold = 0.2. One heatmap a call; neighbours outside it do not exist. Goes into PointOutputs::weights.
#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA {

// `truth` and `weights`: two matrices of one shape whose memory does not overlap. Throws ParameterError, ShapeError,
// StrideError or AliasError before it writes.
template <class Truth, class Weights>
void adaptive_wing_weights(Truth&& truth, Weights&& weights, double weight = 10, double threshold = 0.2) {
  auto const y = view(truth);
  auto const w = view(weights);
  using T = typename decltype(w)::value;
  static_assert(std::is_same_v<std::remove_const_t<typename decltype(y)::value>, T>,
                "losskit: truth and weights must be of one type, and weights must not be const");
  if (!(weight >= 0 && std::isfinite(weight)))
    fail<ParameterError>("adaptive_wing_weights: weight = %g is not a finite number >= 0", weight);
  if (!std::isfinite(threshold)) fail<ParameterError>("adaptive_wing_weights: threshold = %g is not finite", threshold);
  if (y.rows != w.rows || y.cols != w.cols || y.rows < 0 || y.cols < 0)
    fail<ShapeError>("adaptive_wing_weights: truth is %lld x %lld, weights %lld x %lld", static_cast<long long>(y.rows),
                     static_cast<long long>(y.cols), static_cast<long long>(w.rows), static_cast<long long>(w.cols));
  idx const rows = y.rows, cols = y.cols;
  if (rows == 0 || cols == 0) return;
  if (!y.data || !w.data) fail<ShapeError>("adaptive_wing_weights: %s is null", y.data ? "weights" : "truth");
  if (y.stride < cols || w.stride < cols)
    fail<StrideError>("adaptive_wing_weights: strides %lld and %lld, but %lld columns", static_cast<long long>(y.stride),
                      static_cast<long long>(w.stride), static_cast<long long>(cols));
  auto const address = [](T const* p) { return reinterpret_cast<std::uintptr_t>(p); };
  if (address(y.data) < address(w.row(rows - 1) + cols) && address(w.data) < address(y.row(rows - 1) + cols))
    fail<AliasError>("adaptive_wing_weights: truth and weights overlap");
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) {
      bool high = false;
      for (idx p = i > 0 ? i - 1 : 0; p <= i + 1 && p < rows; ++p)
        for (idx q = j > 0 ? j - 1 : 0; q <= j + 1 && q < cols; ++q) high = high || y.row(p)[q] >= static_cast<T>(threshold);
      w.row(i)[j] = static_cast<T>(high ? weight + 1 : 1);
    }
}

}  // namespace losskit::inline LOSSKIT_ISA
