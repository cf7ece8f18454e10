// The scale s that a normalised softmax needs to be able to call its classes apart.
//
// C class centres lie furthest apart as a simplex: a perfect sample has cosine 1 with its own centre and
// -1/(C - 1) with the others. With a margin m taken off the target's cosine, its probability is then
//
//   P = e^{s (1 - m)} / (e^{s (1 - m)} + (C - 1) e^{-s / (C - 1)})
//
// so that P is within reach only from the scale
//
//   s = ln((C - 1) P / (1 - P)) / (C / (C - 1) - m),       m = 0:  s = (C - 1)/C ln((C - 1) P / (1 - P))
//
// Wang et al. 2018 (CosFace), arXiv:1801.09414. The simplex needs an embedding of at least C - 1
// dimensions; with fewer, s is a lower bound. In m goes what the margin takes at theta = 0: m for CosMargin,
// 1 - cos m for ArcMargin, 1 - cos(m2) + m3 for CombinedMargin.
//
// Why it matters: at the first step every cosine is about 0 and the loss is ln(1 + (C - 1) e^{-s psi(0)}),
// psi being the margin. The settings made for 10^5 faces, ArcMargin 0.5 (psi(0) = -0.479) at s = 64, start at
// 39.95 for 10575 classes, and at 30.7 for two, with a gradient of about s on every cosine, whatever the
// error: two classes do not train. For two classes and P = 0.999, s = 3.45 is enough.
#pragma once
#include <cmath>

#include "losskit/core/expects.hpp"

namespace losskit::inline LOSSKIT_ISA {

// classes C >= 2; probability P in (1/C, 1), above chance; margin m in [0, C/(C - 1)), in cosine units.
// Returns s > 0. ParameterError for everything else, NaN included.
inline double suggest_scale(idx classes, double probability, double margin = 0) {
  if (classes < 2)
    fail<ParameterError>("suggest_scale: classes = %lld is below 2", static_cast<long long>(classes));
  double const others = static_cast<double>(classes) - 1;
  double const log_odds = std::log(others * probability / (1 - probability));  // P outside [0, 1]: NaN
  if (!(log_odds > 0 && std::isfinite(log_odds)))
    fail<ParameterError>("suggest_scale: probability = %g is outside (1/C, 1) = (%g, 1)", probability,
                         1 / (others + 1));
  double const spread = (others + 1) / others;
  if (!(margin >= 0 && margin < spread))
    fail<ParameterError>("suggest_scale: margin = %g is outside [0, C/(C - 1)) = [0, %g)", margin, spread);
  return log_odds / (spread - margin);
}

}  // namespace losskit::inline LOSSKIT_ISA
