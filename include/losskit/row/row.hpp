// The row: margin softmax over one row of cosines, written once for every team.
//
//   z_y = s psi(c_y)    z_j = s r(c_j)    e_j = exp(z_j)    Z = sum over j != y of e_j      the target is a hole, never added
//   odds = Z / e_y      -log p = log(1 + odds)   q = 1 - p = odds / (1 + odds)
//   L = O(log p)        dL/dz_y = O' q           dL/dz_j = -O' q e_j / Z
//   dL/dc_y = s psi' dL/dz_y    dL/dc_j = s r' dL/dz_j    dL/ds = sum over j of dL/dz_j z_j / s
//
// 1. open: e_j r'_j kept, and the sums of the row. 2. close: one scalar a row, in double. 3. the team scales what was kept.
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/team/cosines.hpp"
#include "losskit/row/exponential.hpp"

namespace losskit::inline LOSSKIT_ISA {

// A row's target: its cosine as stored, psi and its slope, and the threshold that rest rules compare with. Once a row, in
// double, with the slope's end taken where the stored type has it.
template <class T>
struct Target {
  T cosine;
  Jet<double> psi;
  T threshold;
};

template <class S, class M>
LOSSKIT_HD Target<computed<S>> target_of(M const& margin, S stored) {
  using T = computed<S>;
  using X = Scalar<double, S>;
  OddCosines not_counted;
  T const cosine = static_cast<T>(stored);
  X const c = double(clamped_cosine<T, S>(cosine, not_counted));
  TargetAndRaw<X> const at = target_and_threshold_of(margin, c);
  return {cosine, {at.target.value.v, at.target.slope.v}, T(at.raw.v)};
}

// A row without a target: no class is above its cosine or its threshold.
template <class T>
LOSSKIT_HD Target<T> no_target() { return {T(2), {0, 0}, T(2)}; }

// 1. One pass over any part of a row. `kept`: where the team lets e wait, or Nothing where no gradient follows.
template <class At, class Kept, class X>
LOSSKIT_HD LOSSKIT_INLINE void keep_at(At const& at, Kept kept, X const& x) { at.store(kept, x); }
template <class At, class X>
LOSSKIT_HD LOSSKIT_INLINE void keep_at(At const&, Nothing, X const&) {}

// A NaN cosine may pass a team unseen, but not the sum. `left`: what came of the cosines, or they themselves.
template <class Team, class Left>
LOSSKIT_HD idx count_non_finite(Team& team, Left left, idx n) {
  using Sums = DotSum<typename Team::number>;
  auto const f = [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA {
    auto const x = at.load(left);
    using X = std::remove_cv_t<decltype(x)>;
    sum.add({select(abs(x) <= X(stored_number<typename X::scalar>::largest), X(0), X(1))});
  };
  return static_cast<idx>(team.total(n, Sums{}, f).dot.v);
}

template <bool Moment, class Team, class S, class Kept, class Rest, class Exp>
LOSSKIT_HD auto open_row(Team& team, S const* c, idx n, idx y, Kept kept, Rest rest, Exp exp_of, Target<computed<S>> at_y,
                         OddCosines& odd) {
  using X = typename Team::number;
  using Sums = typename SumsOf<Exp, X, Moment>::type;
  X const c_y = at_y.cosine, threshold = at_y.threshold;
  auto const f = [=, exp_of = exp_of.template of_numbers<X>()](Sums& sums, auto at, X raw, X x) LOSSKIT_INLINE_LAMBDA {
    Jet<X> const r = rest.rest(x, threshold);
    X const e = exp_of(r.value);
    keep_at(at, kept, e * r.slope);
    sums.add(exp_of, e, r.value, !(raw < c_y), raw > threshold);
  };
  if constexpr (std::is_same_v<Kept, Nothing>) {
    auto const sums = team.sum(c, n, y, odd, Sums{}, f);
    if (!(sums.z.v <= HUGE_VAL)) odd.non_finite = count_non_finite(team, c, n);
    return sums;
  } else {
    auto const sums = team.sum_keeping(c, n, y, odd, Sums{}, f);
    if (!(sums.z.v <= HUGE_VAL)) odd.non_finite = count_non_finite(team, kept, n);
    return sums;
  }
}

// e as the sums know it: relative to the largest logit once that is known.
template <class T, class Sums>
LOSSKIT_HD Bounded<T> after_sums(Bounded<T> exp_of, Sums const&) { return exp_of; }
template <class T, class Sums>
LOSSKIT_HD Relative<T> after_sums(Relative<T> exp_of, Sums const& sums) { return {exp_of.s, T(sums.m.v)}; }

// 2. What the sums say: one scalar a row.
struct RowEnd {
  double loss = 0;         // weight * O(log p)
  double factor = 0;       // dL/dc_j = factor * kept[j]
  double slope = 0;        // dL/dc_y
  double scale_slope = 0;  // dL/ds
};

// `weight` is the row's own; reduction and upstream factors are the caller's to multiply.
template <class Sums, class Objective>
LOSSKIT_HD RowEnd close_row(Sums const& sums, Jet<double> psi, double s, double shift, Objective const& objective,
                            double weight) {
  double const z = sums.z.v, x = shift - s * psi.value;
  bool const alone = z == 0;                         // one class: p = 1
  double const odds = alone ? x - x : z * ::exp(x);  // a NaN target stays NaN
  bool const finite = odds <= 1e300;                 // beyond, p is 0 in every digit
  double const loss = finite ? ::log1p(odds) : ::log(z) + x, q = finite ? odds / (1 + odds) : z / z;
  Jet<Scalar<double>> const o = objective(Scalar<double>(-loss));
  double const d = weight * o.slope.v * q;  // dL/dz_y
  double mean = 0;                          // of r over the other classes, by their probability
  if constexpr (Sums::has_moment) mean = alone ? 0 : sums.moment.v / z;
  return {weight * o.value.v, alone ? 0 : -d * s / z, d * s * psi.slope, d * (psi.value - mean)};
}

// s q / Z can pass T's range while s q e_j / Z does not: where every e is tiny. Then a power of two moves from the factor into
// the e. 1 nearly always.
template <class T>
LOSSKIT_HD double lift_of(double factor) {
  return ::fabs(factor) < 0.5 * stored_number<T>::largest ? 1 : 18446744073709551616.0;  // 2^64
}

// The gradient of a row from its cosines, where e was not kept: dL/dc_j = factor e_j r'_j, and `slope` at the target.
template <class Team, class S, class Rest, class Exp>
LOSSKIT_HD void gradient_row(Team& team, S const* c, S* g, idx n, idx y, Rest rest, Exp exp_of, computed<S> threshold,
                             double factor, double slope, bool accumulate) {
  using T = computed<S>;
  using X = typename Team::number;
  bool const here = y >= 0 && y < n;
  T const before = here && accumulate ? static_cast<T>(g[y]) : T(0);
  double const lifted = lift_of<T>(factor);
  X const lift = T(lifted), k = T(factor / lifted), limit = threshold;
  OddCosines counted_before;
  team.sync();  // the target was read
  auto const f = [=, exp_of = exp_of.template of_numbers<X>()](NoSums&, auto at, X, X x) LOSSKIT_INLINE_LAMBDA {
    Jet<X> const r = rest.rest(x, limit);
    X const d = k * (lift * exp_of(r.value)) * r.slope;
    accumulate ? at.add(g, d) : at.store(g, d);
  };
  team.sum(c, n, y, counted_before, NoSums{}, f);
  team.once([=] { if (here) g[y] = static_cast<S>(before + T(slope)); });  // after the sum: its place is written last
}

}  // namespace losskit::inline LOSSKIT_ISA
