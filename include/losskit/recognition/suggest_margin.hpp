// The largest margin that an embedding of D dimensions has room for, with C classes.
//
// A perfect sample lies on its class's centre. A margin m, taken off the target's cosine, leaves it ahead of every other class only if
// 1 - m >= w_i . w_j for each pair of centres: m <= 1 - the cosine of the two nearest. The centres that lie furthest apart have
//
//   D >= C - 1      the simplex     all cosines -1/(C - 1)       m <= C/(C - 1)
//   D = 2           on a circle     neighbours cos(2 pi/C)       m <= 1 - cos(2 pi/C)
//   2 < D < C - 1   not all apart   one pair at least at 0       m <= 1
//   D = 1 < C - 1   -1 and 1 only   two centres are the same     m = 0
//
// The simplex: 0 <= |sum w_i|^2 = C + sum over i != j of w_i . w_j, so that the mean cosine, and the largest, are at least -1/(C - 1).
// Wang et al. 2018 (CosFace), arXiv:1801.09414, section 3.4, has the first two lines, and m "much smaller than C/(C - 1)" for the third,
// whose 1 is Rankin's: of D + 2 directions or more two are at most a right angle apart (Rankin 1955, The closest packing of spherical
// caps in n dimensions, theorem 1; reached up to C = 2 D, below 1 beyond). It is a bound, not advice: training asks for less than what
// perfect samples could fulfil. As an angle, for ArcMargin, the bound is that between the two nearest centres, acos(1 - m).
#pragma once
#include <cmath>
#include <numbers>

#include "losskit/core/expects.hpp"
#include "losskit/core/number.hpp"

namespace losskit::inline LOSSKIT_ISA {

// classes C >= 2; width D >= 1, the embedding's dimensions. Returns the largest m in cosine units, in [0, 2]. ParameterError for
// everything else.
inline double suggest_margin(idx classes, idx width) {
  if (classes < 2) fail<ParameterError>("suggest_margin: classes = %lld is below 2", static_cast<long long>(classes));
  if (width < 1) fail<ParameterError>("suggest_margin: width = %lld is below 1", static_cast<long long>(width));
  double const c = static_cast<double>(classes);
  if (width >= classes - 1) return c / (c - 1);
  if (width == 1) return 0;
  if (width > 2) return 1;
  double const half = std::sin(hidden(std::numbers::pi / c));  // 1 - cos(2 x) = 2 sin(x)^2 keeps its digits for many classes
  return 2 * half * half;
}

}  // namespace losskit::inline LOSSKIT_ISA
