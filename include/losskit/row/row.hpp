// The row: margin softmax over one row of cosines, in four phases, each written once for every team.
//
//   z_y = s psi(c_y)    z_j = s r(c_j)    e_j = exp(z_j)    Z = sum over j != y of e_j      the target is a hole, never added
//   odds = Z / e_y      -log p = log(1 + odds)   q = 1 - p = odds / (1 + odds)
//   L = O(log p)        dL/dz_y = O' q           dL/dz_j = -O' q e_j / Z
//   dL/dc_y = s psi' dL/dz_y    dL/dc_j = s r' dL/dz_j    dL/ds = sum over j of dL/dz_j z_j / s
//
// 1. target   what the margin makes of the target's cosine, in double
// 2. open     on any part of the row: e_j r'_j is kept, and the row's sums grow
// 3. close    one scalar a row from the sums, in double
// 4. finish   on any part: what was kept becomes the gradient
//
// Between them goes a RowState. A whole row is the four in one, its state in registers (loss/rows.hpp). Cut at multiples of the
// team's block, parts that are opened one after the other give the bits of the whole row.
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/row/exponential.hpp"
#include "losskit/team/cosines.hpp"

namespace losskit::inline LOSSKIT_ISA {

// The classes that a part of a row holds: `count` of them from class `first`, of `total` in the whole row.
struct Classes {
  idx first, count, total;

  LOSSKIT_HD static Classes whole(idx n) { return {0, n, n}; }
  // Where class y is in this part; -1: elsewhere, or y is no class.
  LOSSKIT_HD idx place_of(idx y) const { return y >= first && y < first + count ? y - first : -1; }
};

// --- 1. target -----------------------------------------------------------------------------------------------------------------

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

// What the parts of a row share: its target, and what its classes have added so far.
template <class T, class Exp, bool Moment>
struct RowState {
  Target<T> target;
  typename SumsOf<Exp, Scalar<double>, Moment>::type sums{};
  OddCosines odd{};
};

// --- 2. open -------------------------------------------------------------------------------------------------------------------

// `kept`: where the team lets e wait, or Nothing where no gradient follows from it.
template <class At, class Kept, class X>
LOSSKIT_HD LOSSKIT_INLINE void keep_at(At const& at, Kept kept, X const& x) { at.store(kept, x); }
template <class At, class X>
LOSSKIT_HD LOSSKIT_INLINE void keep_at(At const&, Nothing, X const&) {}

// SIMD range checks may miss a NaN; a NaN sum triggers this exact recount. `left`: what came of the cosines, or they themselves.
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

// c: the cosines of this part.
template <bool Moment, class Team, class S, class Kept, class Rest, class Exp>
LOSSKIT_HD void open_row(Team& team, S const* c, Classes part, idx y, Kept kept, Rest rest, Exp exp_of,
                         RowState<computed<S>, Exp, Moment>& state) {
  using X = typename Team::number;
  using Sums = typename SumsOf<Exp, X, Moment>::type;
  X const c_y = state.target.cosine, threshold = state.target.threshold;
  auto const f = [=, exp_of = exp_of.template of_numbers<X>()](Sums& sums, auto at, X raw, X x) LOSSKIT_INLINE_LAMBDA {
    Jet<X> const r = rest.rest(x, threshold);
    X const e = exp_of(r.value);
    keep_at(at, kept, e * r.slope);
    sums.add(exp_of, e, r.value, !(raw < c_y), raw > threshold);
  };
  OddCosines odd;
  idx const hole = part.place_of(y);
  constexpr bool keeps = !std::is_same_v<Kept, Nothing>;
  if constexpr (keeps) team.sum_keeping(c, part.count, hole, odd, Sums{}, state.sums, f);
  else team.sum(c, part.count, hole, odd, Sums{}, state.sums, f);
  if (!(state.sums.z.v <= HUGE_VAL)) {
    if constexpr (keeps) odd.non_finite = count_non_finite(team, kept, part.count);
    else odd.non_finite = count_non_finite(team, c, part.count);
  }
  state.odd.add(odd);
}

// e as the sums know it: relative to the largest logit once that is known.
template <class T, class Sums>
LOSSKIT_HD Bounded<T> after_sums(Bounded<T> exp_of, Sums const&) { return exp_of; }
template <class T, class Sums>
LOSSKIT_HD Relative<T> after_sums(Relative<T> exp_of, Sums const& sums) { return {exp_of.s, T(sums.m.v)}; }

// --- 3. close ------------------------------------------------------------------------------------------------------------------

// What the sums say: one scalar a row.
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

// --- 4. finish -----------------------------------------------------------------------------------------------------------------

// s q / Z can pass T's range while s q e_j / Z does not: where every e is tiny. Then a power of two moves from the factor into
// the e. 1 nearly always.
template <class T>
LOSSKIT_HD double lift_of(double factor) {
  return ::fabs(factor) < 0.5 * stored_number<T>::largest ? 1 : 18446744073709551616.0;  // 2^64
}

// The gradient of a part from what was kept of it: dL/dc_j = factor kept[j], and `slope` at the target.
template <class Team, class Kept, class S>
LOSSKIT_HD void finish_row(Team& team, Kept kept, S* g, Classes part, idx y, double factor, double slope) {
  using X = typename Team::number;
  using T = typename X::scalar;
  double const lift = lift_of<T>(factor);
  if (lift != 1) team.each(part.count, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(kept, X(T(lift)) * at.load(kept)); });
  team.finish(kept, g, part.count, part.place_of(y), RowScale{factor / lift, slope});
}

// The same from the cosines, where e was not kept: dL/dc_j = factor e_j r'_j.
template <class Team, class S, class Rest, class Exp>
LOSSKIT_HD void finish_row_from_cosines(Team& team, S const* c, S* g, Classes part, idx y, Rest rest, Exp exp_of, computed<S> threshold,
                                        double factor, double slope, bool accumulate) {
  using T = computed<S>;
  using X = typename Team::number;
  idx const place = part.place_of(y);
  T const before = place >= 0 && accumulate ? static_cast<T>(g[place]) : T(0);
  double const lifted = lift_of<T>(factor);
  X const lift = T(lifted), k = T(factor / lifted), limit = threshold;
  OddCosines counted_before;
  NoSums none;
  team.sync();  // the target was read
  auto const f = [=, exp_of = exp_of.template of_numbers<X>()](NoSums&, auto at, X, X x) LOSSKIT_INLINE_LAMBDA {
    Jet<X> const r = rest.rest(x, limit);
    X const d = k * (lift * exp_of(r.value)) * r.slope;
    accumulate ? at.add(g, d) : at.store(g, d);
  };
  team.sum(c, part.count, place, counted_before, NoSums{}, none, f);
  team.once([=] { if (place >= 0) g[place] = static_cast<S>(before + T(slope)); });  // after the sum: its place is written last
}

}  // namespace losskit::inline LOSSKIT_ISA
