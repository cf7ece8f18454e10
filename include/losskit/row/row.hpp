// The row: margin softmax over one row of cosines, in four phases, each written once for every team.
//
//   z_y = s psi(c_y)    z_j = s r(c_j)    e_j = exp(z_j)    Z = sum over j != y of e_j      the target is a hole, never added
//   odds = Z / e_y      -log p = log(1 + odds)   q = 1 - p = odds / (1 + odds)
//   L = O(log p, a)     a = mean over all j of log p_j, which few objectives use: O' by log p, A by a
//   dL/dz_y = O' q + A (q - (C - 1) / C)         dL/dz_j = -(O' + A) q e_j / Z + A / C
//   dL/dc_y = s psi' dL/dz_y    dL/dc_j = s r' dL/dz_j    dL/ds = sum over j of dL/dz_j z_j / s
//
// 1. target   what the margin makes of the target's cosine, in double
// 2. open     on any part of the row: e_j r'_j is kept, and the row's sums grow
// 3. close    one scalar a row from the sums, in double
// 4. finish   on any part: what was kept becomes the gradient
//
// Between them goes a RowState. A whole row is the four in one, its state in registers (loss/rows.hpp). Cut at multiples of the
// team's block, parts that are opened one after the other give the bits of the whole row. A device's row is never cut.
//
// What happens once a row is in double, whatever the stored type: psi, the objective, and the end of the row from its odds, with one
// exponential that does not wait for the sum and one log1p that nothing waits for. The factor on e is taken apart where it alone would
// leave the type's range, so that no gradient is lost while its row has one (lifted, below).
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/core/twice.hpp"
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

// A row's target: its cosine as stored, psi and its slope, and the threshold that rest rules compare with. Computed once a row, in
// double; for |c| >= 1 the slope is that at the stored type's nearest number below 1.
template <class T>
struct Target {
  T cosine;
  Jet<double> psi;
  T threshold;
  double threshold_slope = 0;  // by the cosine
  double by_parameter = 0, threshold_by_parameter = 0;  // of psi and of the threshold, by the margin's number of this row
};

template <class S, class M>
LOSSKIT_HD Target<computed<S>> target_of(M const& margin, S stored) {
  using T = computed<S>;
  using X = Scalar<double, S>;
  T const cosine = static_cast<T>(stored);
  T seen = cosine;
  if constexpr (takes_logits<M>) {
    if (cosine > T(stored_number<S>::largest)) seen = T(NAN);
  } else {
    OddCosines not_counted;
    seen = clamped_cosine<T, S>(cosine, not_counted);
  }
  MarginJet<X> const at = margin_jet_of(margin, X(double(seen)));
  return {cosine, {at.target.value.v, at.target.slope.v}, T(at.threshold.value.v), at.threshold.slope.v,
          at.by_parameter.v, at.threshold_by_parameter.v};
}

// A row without a target: no class is above its cosine or its threshold.
template <class T>
LOSSKIT_HD Target<T> no_target() {
  T const above_all = INFINITY;
  return {above_all, {0, 0}, above_all};
}

// What the parts of a row share: its target, and what its classes have added so far.
template <class T, class Exp, class List>
struct RowState {
  Target<T> target;
  std::conditional_t<Exp::paired, PairedSums<List>, RowSums<Scalar<double>, List>> sums{};
  OddCosines odd{};
};

// --- 2. open -------------------------------------------------------------------------------------------------------------------

struct Nothing {};

// What is done with each class. `kept`: where the team keeps e r', or Nothing where e is not kept.
template <class X, class Rest, class Exp, class Kept, class List>
class OpenClass {
 public:
  using Sums = RowSums<X, List>;
  static constexpr bool paired = Exp::paired, logits = takes_logits<Rest>, adds = Sums::template has<RestSum>;

  LOSSKIT_HD OpenClass(Rest rest, Exp exp_of, X c_y, X threshold, Kept kept)
      : rest_(rest), exp_of_(exp_of), number_exp_of_(exp_of.template of_numbers<X>()), c_y_(c_y), threshold_(threshold), kept_(kept) {}

  template <class At>
  LOSSKIT_HD LOSSKIT_INLINE void operator()(Sums& sums, At const& at, X raw, X x) const {
    X const e = but_e(sums, at, raw, x);
    sums.z = sums.z + e;
  }
  // Four packets: their e are summed first, so that a running sum of thousands of equal e rounds less often. In double, whose exponential
  // is a chain as long as a processor's window, the four are made in lockstep (core/twice.hpp).
  template <class At>
  LOSSKIT_INLINE void four(Sums& sums, At const& at, idx width, X x0, X x1, X x2, X x3) const {
    At const at1{at.j + width}, at2{at.j + 2 * width}, at3{at.j + 3 * width};
    if constexpr (sizeof(typename X::scalar) == 8) {
      using Four = Twice<Twice<X>>;
      auto const r0 = rest_.rest(x0, threshold_), r1 = rest_.rest(x1, threshold_), r2 = rest_.rest(x2, threshold_),
                 r3 = rest_.rest(x3, threshold_);
      auto const four_exp_of = number_exp_of_.map([](X x) LOSSKIT_INLINE_LAMBDA { return Four({x, x}, {x, x}); });
      Four const e = four_exp_of(Four({r0.value, r1.value}, {r2.value, r3.value}));
      X const e0 = e.first().first(), e1 = e.first().second(), e2 = e.second().first(), e3 = e.second().second();
      add_but_e(sums, at, x0, r0, e0), add_but_e(sums, at1, x1, r1, e1);
      add_but_e(sums, at2, x2, r2, e2), add_but_e(sums, at3, x3, r3, e3);
      sums.z = sums.z + ((e0 + e1) + (e2 + e3));
    } else {
      X const e0 = but_e(sums, at, x0, x0), e1 = but_e(sums, at1, x1, x1), e2 = but_e(sums, at2, x2, x2), e3 = but_e(sums, at3, x3, x3);
      sums.z = sums.z + ((e0 + e1) + (e2 + e3));
    }
  }

  // For pairs (team/cosines.hpp): r, of which the largest of the next classes is sought; e is relative to that from then on, unless
  // the logit that it is relative to is at most Paired::slack below.
  LOSSKIT_HD LOSSKIT_INLINE X rest_of(X x) const { return rest_.rest(x, threshold_).value; }
  LOSSKIT_HD bool reaches(double top) const { return relative_ && exp_of_.reaches(top); }
  LOSSKIT_HD void set_relative_to(double top) {
    relative_ = true;
    top_ = top;
    exp_of_ = exp_of_.relative_to(top);
    number_exp_of_ = exp_of_.template of_numbers<X>();
  }
  LOSSKIT_HD double at() const { return exp_of_.at(); }

  // The sums of classes as the row's sums take them.
  LOSSKIT_HD auto placed(RowSums<Scalar<double>, List> const& sums) const {
    if constexpr (paired) return PairedSums<List>{sums, top_, exp_of_.at()}; else return sums;
  }
  // Clears what was kept of the hole: its e may be infinite or NaN, and must not be counted as odd.
  template <class At>
  LOSSKIT_HD void forget(At const& at, int lane) const {
    if constexpr (!std::is_same_v<Kept, Nothing>) at.clear(kept_, lane);
  }

 private:
  // Adds a class to every sum but z; returns its e.
  template <class At>
  LOSSKIT_HD LOSSKIT_INLINE X but_e(Sums& sums, At const& at, X raw, X x) const {
    auto const r = rest_.rest(x, threshold_);
    X const e = number_exp_of_(r.value);
    add_but_e(sums, at, raw, r, e);
    return e;
  }
  template <class At, class R>
  LOSSKIT_HD LOSSKIT_INLINE void add_but_e(Sums& sums, At const& at, X raw, R const& r, X e) const {
    if constexpr (!std::is_same_v<Kept, Nothing>) at.store(kept_, times_slope<Rest>(e, r.slope));
    sums.add_but_e(ClassTerms<X, decltype(raw > raw)>{e, r.value, slope_by_threshold(r), not_less(raw, c_y_), raw > threshold_});
  }
  template <class R>
  LOSSKIT_HD LOSSKIT_INLINE static X slope_by_threshold(R const& r) {
    if constexpr (requires { r.by_threshold; }) return r.by_threshold; else return X(0);
  }

  Rest rest_;
  Exp exp_of_;
  decltype(std::declval<Exp>().template of_numbers<X>()) number_exp_of_;
  X c_y_, threshold_;
  Kept kept_;
  bool relative_ = false;
  double top_ = 0;
};

// SIMD range checks may miss a NaN; a NaN sum triggers this exact recount. `left`: what was kept, or the cosines.
template <bool InfinityIsFine, class Team, class Left>
LOSSKIT_HD idx count_non_finite(Team& team, Left left, idx n) {
  using Sums = DotSum<typename Team::number>;
  auto const f = [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA {
    auto const x = at.load(left);
    using X = std::remove_cv_t<decltype(x)>;
    X const size = InfinityIsFine ? x : abs(x);  // fine: a logit of -infinity, of a class with probability 0
    sum.add({select(size <= X(stored_number<typename X::scalar>::largest), X(0), X(1))});
  };
  return static_cast<idx>(team.total(n, Sums{}, f).dot.v);
}

// c: the cosines of this part. Returns the logits that what was kept is relative to.
template <class List, class Team, class S, class Kept, class Rest, class Exp>
LOSSKIT_HD typename Team::kept_stretches open_row(Team& team, S const* c, Classes part, idx y, Kept kept, Rest rest, Exp exp_of,
                              RowState<computed<S>, Exp, List>& state) {
  using X = typename Team::number;
  using T = computed<S>;
  using Open = OpenClass<X, Rest, Exp, Kept, List>;
  constexpr bool keeps = !std::is_same_v<Kept, Nothing>, logits = takes_logits<Rest>;
  Open f(rest, exp_of, X(state.target.cosine), X(state.target.threshold), kept);
  if constexpr (Exp::paired)
    if (state.sums.begun()) f.set_relative_to(state.sums.top);  // where the part before ended: the bits are those of a whole row
  OddCosines odd;
  typename Team::kept_stretches stretches;
  idx const hole = part.place_of(y);
  if constexpr (keeps) team.sum_keeping(c, part.count, hole, odd, typename Open::Sums{}, state.sums, f, stretches);
  else team.sum(c, part.count, hole, odd, typename Open::Sums{}, state.sums, f);
  T const size = logits ? state.target.cosine : T(::fabs(state.target.cosine));
  idx const lost = hole >= 0 && !(size <= T(stored_number<S>::largest));  // the target, which no sum has seen
  if (!(state.sums.z.v <= HUGE_VAL)) {
    if constexpr (keeps) odd.non_finite = count_non_finite<false>(team, kept, part.count) + lost;
    else odd.non_finite = count_non_finite<logits>(team, c, part.count);
  } else if (logits) {
    odd.non_finite = lost;
  }
  state.odd.add(odd);
  return stretches;
}

// e relative to the logit that the row's sums are relative to in the end.
template <class T, class Sums>
LOSSKIT_HD Bounded<T> after_sums(Bounded<T> exp_of, Sums const&) { return exp_of; }
template <class T, class Sums>
LOSSKIT_HD Paired<T> after_sums(Paired<T> exp_of, Sums const& sums) { return exp_of.relative_to(sums.top); }

// --- 3. close ------------------------------------------------------------------------------------------------------------------

// What the sums say: a few scalars a row. The gradient of the other classes is g_j = (pull / z e_j + uniform) r'_j.
struct RowEnd {
  double loss = 0;  // weight * O(log p, a)
  double pull = 0, z = 1, uniform = 0;
  double slope = 0;         // dL/dc_y
  double scale_slope = 0;   // dL/ds
  double margin_slope = 0;  // dL/dm, m the margin's number of this row
};

// s: the scale; above: how far the logit that e is relative to lies above the target's. `weight` is the row's own; reduction and
// upstream factors are the caller's to multiply.
template <class T, class Sums, class Objective>
LOSSKIT_HD RowEnd close_row(Sums const& sums, Target<T> const& target, double s, double above, idx classes, Objective const& objective,
                            double weight) {
  using D = Scalar<double>;  // no compiler chooses how its products are rounded
  constexpr bool uniform = Sums::template has<RestSum>;
  D const scale = s, psi = target.psi.value, z = sums.z + sums.lost, x = above, count = double(classes);
  bool const alone = z.v == 0;                         // one class: p = 1
  D const odds = alone ? x - x : z * D(::exp(x.v));    // a NaN target stays NaN
  bool const finite = !(odds.v > 1e300);               // beyond, q rounds to 1 and log(1 + odds) to log(odds)
  D const loss = finite ? D(::log1p(odds.v)) : D(::log(z.v)) + x, q = finite ? odds / (1 + odds) : D(1);
  D mean_log_p = 0;
  if constexpr (uniform)  // sum over j of log p_j = s sum of r - (C - 1) z_y - C loss
    mean_log_p = scale * multiply_add(-(count - 1), psi, sums.template get<RestSum>()) / count - loss;
  ObjectiveJet<D> const o = objective(-loss, mean_log_p);
  D const w = weight, all = o.slope + o.by_mean, pull = -w * all * q;
  D by_z = w * all * q;  // dL/dz_y
  D spread = 0;          // w A / C, the same for every class
  if constexpr (uniform) {
    spread = w * o.by_mean / count;
    by_z = by_z - spread * (count - 1);
  }
  RowEnd end{(w * o.value).v, (pull * scale).v, alone ? 1 : z.v, (spread * scale).v};
  D by_psi = by_z * scale, by_threshold = 0;
  if constexpr (Sums::template has<ThresholdSum>) by_threshold = alone ? D(0) : pull * scale * (sums.template get<ThresholdSum>() / z);
  end.slope = multiply_add(by_threshold, D(target.threshold_slope), by_psi * target.psi.slope).v;
  end.margin_slope = multiply_add(by_threshold, D(target.threshold_by_parameter), by_psi * target.by_parameter).v;
  if constexpr (Sums::template has<MomentSum>) {
    D const mean = alone ? D(0) : sums.template get<MomentSum>() / z;  // of r over the other classes, by their probability
    D by_scale = multiply_add(by_z, psi, pull * mean);
    if constexpr (uniform) by_scale = multiply_add(spread, sums.template get<RestSum>(), by_scale);
    end.scale_slope = by_scale.v;
  }
  return end;
}

// --- 4. finish -----------------------------------------------------------------------------------------------------------------

// pull / z as a number of T, split for factor * (lift * e). The factor alone can leave T's range while the products are good numbers:
// above it where every e is tiny, below it where e is large and the row nearly solved. The lift is a power of two, 1 nearly always.
template <class T>
struct LiftedFactor { T factor, lift; };
template <class T>
LOSSKIT_HD LiftedFactor<T> lifted(double pull, double z) {
  constexpr bool single = sizeof(T) == 4;
  constexpr double up = single ? 0x1p64 : 0x1p512, largest = stored_number<T>::largest / 2;
  constexpr double small = single ? 0x1p-100 : 0x1p-900, down = single ? 0x1p-64 : 0x1p-512;
  constexpr double tiny = single ? 0x1p-164 : 0x1p-1000, far_down = single ? 0x1p-126 : 0x1p-1000;
  double const size = ::fabs(pull), lift = size >= largest * z                ? up
                                           : !(size < small * z) || size == 0 ? 1
                                           : size >= tiny * z                 ? down
                                                                              : far_down;
  return {T(pull / (z * lift)), T(lift)};
}

// The gradient of a part from what was kept of it. Adds: end.uniform counts. `at`: the logit, in base 2, that the row's sums are
// relative to; `upstream` multiplies everything.
template <bool Adds, class Team, class Kept, class S>
LOSSKIT_HD void finish_row(Team& team, Kept kept, typename Team::kept_stretches const& stretches, double at, S* g, Classes part, idx y,
                           RowEnd const& end, double upstream) {
  using X = typename Team::number;
  using T = typename X::scalar;
  double pull = upstream * end.pull;
  if (stretches.count > 0) pull *= team.settle(kept, part.count, stretches, at);
  auto const ending = lifted<T>(pull, end.z);
  if (ending.lift != 1) {
    X const raise = ending.lift;
    team.each(part.count, [=](auto at_class) LOSSKIT_INLINE_LAMBDA { at_class.store(kept, raise * at_class.load(kept)); });
  }
  team.finish(kept, g, part.count, part.place_of(y),
              RowEnding<T, Adds>{ending.factor, T(product(upstream, end.slope)), T(upstream * end.uniform)});
}

// The same from the cosines, where e was not kept.
template <bool Adds, class Team, class S, class Rest, class Exp>
LOSSKIT_HD void finish_row_from_cosines(Team& team, S const* c, S* g, Classes part, idx y, Rest rest, Exp exp_of, computed<S> threshold,
                                        RowEnd const& end, double upstream, bool accumulate) {
  using T = computed<S>;
  using X = typename Team::number;
  idx const place = part.place_of(y);
  T const before = place >= 0 && accumulate ? static_cast<T>(g[place]) : T(0);
  auto const ending = lifted<T>(upstream * end.pull, end.z);
  X const raise = ending.lift, limit = threshold;
  RowEnding<X, Adds> const scaled{X(ending.factor), X(T(0)), X(T(upstream * end.uniform))};
  T const slope = T(product(upstream, end.slope));
  OddCosines counted_before;
  NoSums none;
  team.sync();  // the target was read
  auto const f = [=, exp_of = exp_of.template of_numbers<X>()](NoSums&, auto at, X, X x) LOSSKIT_INLINE_LAMBDA {
    auto const r = rest.rest(x, limit);
    X const d = times_slope<Rest>(scaled.of(raise * exp_of(r.value)), r.slope);
    accumulate ? at.add(g, d) : at.store(g, d);
  };
  if constexpr (takes_logits<Rest>) team.sum(c, part.count, place, counted_before, NoSums{}, none, OverLogits<decltype(f)>{f});
  else team.sum(c, part.count, place, counted_before, NoSums{}, none, f);
  team.once([=] { if (place >= 0) g[place] = static_cast<S>(before + slope); });  // after the sum: its place is written last
}

}  // namespace losskit::inline LOSSKIT_ISA
