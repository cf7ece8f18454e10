// CurricularRest: hard classes weigh more and more as training goes on. Huang et al. 2020 (CurricularFace), arXiv:2004.00288,
// eqs. 9 to 11. With T the row's threshold, the margin without its rule past pi:
//
//   r(c) = c (t + c)  where c > T, else c          slope t + 2 c, else 1
//   t'   = alpha mean(c_y) + (1 - alpha) t         over the rows of a batch, before the batch's loss
//
// t in [-1, 1], begun at 0; alpha = 0.01. The mask is not differentiated, nor is t. r jumps at c = T by T (t + T - 1); at the kink the
// slope is that of c. Over [-1, 1], r lies in [-1, 2]. The paper's margin is ArcMargin{0.5}, its scale 64.
#pragma once
#include <cmath>

#include "losskit/concepts.hpp"

namespace losskit {

struct CurricularState {
  double t;       // in [-1, 1]
  idx steps = 0;  // batches seen
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

class CurricularRest {
 public:
  static constexpr char const* name = "CurricularRest";
  using State = CurricularState;
  using Statistics = TargetStatistics;

  // momentum: the paper's alpha. Throws ParameterError outside the ranges.
  static constexpr Parameter parameters[] = {{"t", "cosine", 0, Interval::closed(-1, 1)}, {"momentum", "", 0.01, Interval::closed(0, 1)}};
  explicit CurricularRest(double t = parameters[0].standard, double momentum = parameters[1].standard)
      : t_(checked(name, parameters[0], t)), momentum_(checked(name, parameters[1], momentum)) {}
  LOSSKIT_HD double bound() const { return 2; }
  LOSSKIT_HD double lowest() const { return -1; }

  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X c, X threshold) const {
    X const t = t_;
    return select(c > threshold, Jet<X>{c * (t + c), multiply_add(X(2), c, t)}, Jet<X>{c, X(1)});
  }

  // t of a row, in [-1, 1], from Batch::rest: on a device the t of a state in its memory.
  LOSSKIT_HD CurricularRest at_row(RowContext const& row) const {
    CurricularRest one = *this;
    one.t_ = row.number;
    return one;
  }
  static constexpr Interval row_numbers = parameters[0].range;

  State start() const { return {t_}; }
  CurricularRest at(State const& state) const { return CurricularRest(state.t, momentum_); }
  // Pure. With no rows, or a mean outside [-1, 1] or NaN, t stays.
  LOSSKIT_HD State next(State state, TargetStatistics const& batch) const {
    ++state.steps;
    if (batch.rows > 0 && ::fabs(batch.mean_target_cosine) <= 1)
      state.t = multiply_add(momentum_, batch.mean_target_cosine, product(1 - momentum_, state.t));
    return state;
  }

 private:
  double t_, momentum_;
};

}  // namespace losskit::inline LOSSKIT_ISA
