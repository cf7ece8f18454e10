// What each kind of policy must offer. A policy is a small, trivially copyable class: one scalar formula and its
// derivative. It holds its parameters as doubles and sees no view, label, loop or batch.
#pragma once
#include <concepts>
#include <type_traits>

#include "losskit/core/jet.hpp"
#include "losskit/core/number.hpp"
#include "losskit/core/parameter.hpp"

namespace losskit {

// The largest scale that any call accepts, for every type.
inline constexpr double largest_scale = 1e6;

// Statistics of a batch, which advance gathers for a policy's next. With several devices combine their values before calling next.
struct TargetStatistics {
  idx rows;                   // N, ignored rows left out
  double mean_target_cosine;  // over them, clamped to [-1, 1]
};
struct ScaleStatistics {
  idx rows;                     // N, ignored rows left out
  double log_mean_rest;         // ln B_avg at the scale of the state
  double median_target_cosine;  // cos(theta_med): the upper of the two middle cosines for even N
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

// A policy says its name, so that benchmarks, tests and tables are written from the catalogue. One with numbers lists them
// (core/parameter.hpp): `parameters`, in the order of its constructor.
template <class P>
concept Policy = std::is_trivially_copyable_v<P> && requires {
  { P::name } -> std::convertible_to<char const*>;
};

// What a policy may see of its row. `number`: that of Batch::margins for a margin, of Batch::rest for a rest rule.
struct RowContext {
  idx row, label;
  bool given;  // whether the batch has a number for this row
  double number;
};
// The policy of one row: p.at_row(row) where p has that, else p itself. Bound as the row runs, on host and device.
template <class P>
LOSSKIT_HD P at_row(P const& policy, RowContext const& row) {
  if constexpr (requires { policy.at_row(row); }) return row.given ? policy.at_row(row) : policy; else return policy;
}
// The numbers that p.at_row takes: p.row_numbers, static or of the object.
template <class P>
constexpr Interval row_numbers_of(P const& p) {
  if constexpr (requires(RowContext row) { p.at_row(row); }) return p.row_numbers;
  else return Interval::none();
}

// Whether a policy works on logits, any numbers, instead of cosines in [-1, 1].
template <class P>
inline constexpr bool takes_logits = requires { requires P::logits; };

// What a margin says of a target's cosine: psi(c); psi without its rule past pi, the threshold that rest rules compare with; and
// the derivatives of both by the margin's number of this row.
template <class X>
struct MarginJet {
  Jet<X> target, threshold;
  X by_parameter, threshold_by_parameter;
};

// Reshapes the target's cosine: psi(c) and d psi / d c. It sees one element a row and may use plain `if`.
// Optional: margin_jet(c), all of a MarginJet at once; without it the threshold is psi itself. at_row (above).
template <class M, class X = Scalar<double>>
concept Margin = Policy<M> && Number<X> && requires(M const m, X c) {
  { m.target(c) } -> std::same_as<Jet<X>>;
};
template <class M, class X>
LOSSKIT_HD MarginJet<X> margin_jet_of(M const& margin, X c) {
  if constexpr (requires { margin.margin_jet(c); }) {
    return margin.margin_jet(c);
  } else {
    Jet<X> const at = margin.target(c);
    return {at, at, X(0), X(0)};
  }
}
template <class M, class X>
LOSSKIT_HD X threshold_of(M const& margin, X c) { return margin_jet_of(margin, c).threshold.value; }

// r(c), d r / d c and d r / d threshold, for a rest rule that pulls on its threshold: its value depends smoothly on the
// threshold, through which the target gets a further gradient.
template <class X>
struct RestJet { X value, slope, by_threshold; };
template <class J, class X>
concept RestResult = std::same_as<J, Jet<X>> || std::same_as<J, RestJet<X>>;

// Reshapes every other class, given the threshold of its row. Runs on every element: written with select. Optional: unit_slope,
// the slope is 1 everywhere; then no element is multiplied by it (times_slope). at_row (above).
template <class R, class X = Scalar<double>>
concept RestRule = Policy<R> && Number<X> && requires(R const r, X c, X threshold) {
  { r.rest(c, threshold) } -> RestResult<X>;
  { r.bound() } -> std::convertible_to<double>;  // sup |rest| over cosines in [-1, 1]; optional: lowest(), the infimum of rest
};
template <class R>
inline constexpr bool pulls_on_threshold = requires(R const r, Scalar<double> c) {
  { r.rest(c, c) } -> std::same_as<RestJet<Scalar<double>>>;
};

// L(log p, a), and its derivatives by both: a is the mean log-probability over all classes.
template <class X>
struct ObjectiveJet { X value, slope, by_mean; };

// The loss of a row as a function of the target's log-probability, and its derivative by it; or of that and of the mean
// log-probability over all classes. One element a row.
template <class O, class X = Scalar<double>>
concept PlainObjective = Policy<O> && Number<X> && requires(O const o, X log_p) {
  { o(log_p) } -> std::same_as<Jet<X>>;
};
template <class O, class X = Scalar<double>>
concept MeanObjective = Policy<O> && Number<X> && requires(O const o, X log_p, X mean_log_p) {
  { o(log_p, mean_log_p) } -> std::same_as<ObjectiveJet<X>>;
};
template <class O, class X = Scalar<double>>
concept Objective = PlainObjective<O, X> || MeanObjective<O, X>;
template <class O, class X>
LOSSKIT_HD ObjectiveJet<X> objective_jet_of(O const& objective, X log_p, X mean_log_p) {
  if constexpr (MeanObjective<O, X>) {
    return objective(log_p, mean_log_p);
  } else {
    Jet<X> const at = objective(log_p);
    return {at.value, at.slope, X(0)};
  }
}

// The loss of one (prediction, truth) and its derivative by the prediction. Runs on every element. Optional: truth_in_unit_interval,
// truths outside [0, 1] are counted; long_chain, the formula is one dependent chain of some hundred operations: several packets are
// then interleaved (core/twice.hpp).
template <class L, class X = Scalar<double>>
concept PointLoss = Policy<L> && Number<X> && requires(L const l, X prediction, X truth) {
  { l(prediction, truth) } -> std::same_as<Jet<X>>;
};

// A policy that follows the batch, such as AdaCosScale or CurricularRest: its state is a plain struct of the caller's, next is a
// pure function. `Statistics` says what next needs of a batch (loss/advance.hpp); at(state) is the policy that a loss then holds. On a
// device the state stays where it is: the row reads its number through a view (Batch::scale, Batch::rest).
template <class P>
concept Stateful = Policy<P> && std::is_trivially_copyable_v<typename P::State> &&
                   requires(P const p, typename P::State const state, typename P::Statistics const batch) {
                     { p.start() } -> std::same_as<typename P::State>;
                     { p.next(state, batch) } -> std::same_as<typename P::State>;
                     { p.at(state) } -> Policy;
                   };

// What gives the scale s: one number; each row's own, from the length of its feature, with the derivative; or one that follows the
// batch, held by a state.
template <class S>
concept ConstantScale = Policy<S> && requires(S const s) {
  { s.scale() } -> std::convertible_to<double>;
};
template <class S, class X = Scalar<double>>
concept RowScale = Policy<S> && Number<X> && requires(S const s, X norm) {
  { s(norm) } -> std::same_as<Jet<X>>;
};
template <class S>
concept StateScale = Stateful<S> && requires(S const s, typename S::State const state) {
  { s.scale(state) } -> std::convertible_to<double>;
};
template <class S>
concept Scale = ConstantScale<S> || RowScale<S> || StateScale<S>;

// A loss over the rows of a Batch: what MarginSoftmax and SoftmaxLoss hold, plain members. A policy alone is none.
template <class L>
concept Loss = requires(L const loss) {
  requires Margin<std::remove_cvref_t<decltype(loss.margin)>>;
  requires RestRule<std::remove_cvref_t<decltype(loss.rest)>>;
  requires Objective<std::remove_cvref_t<decltype(loss.objective)>>;
  { loss.scale } -> std::convertible_to<double>;
};

namespace detail {

template <class T>
LOSSKIT_HD Jet<T> plain(Jet<Scalar<T>> const& at) {
  return {at.value.v, at.slope.v};
}
template <class T>
LOSSKIT_HD RestJet<T> plain(RestJet<Scalar<T>> const& at) {
  return {at.value.v, at.slope.v, at.by_threshold.v};
}
template <class T>
LOSSKIT_HD ObjectiveJet<T> plain(ObjectiveJet<Scalar<T>> const& at) {
  return {at.value.v, at.slope.v, at.by_mean.v};
}

}  // namespace detail

// A policy's formula on plain floats or doubles, with the arithmetic, and so the bits, that a call on a host has:
//
//   value_and_slope(ArcMargin{0.5}, 0.3)        psi(0.3) and its derivative, a Jet<double>
//   value_and_slope(WingLoss{}, 1.0, 3.0)       of a prediction and a truth; of a rest rule: of a cosine and a threshold
//
// Every kind of policy, and your own. Margins of the catalogue take plain numbers as they are: ArcMargin{0.5}.target(0.3).
template <class P, std::floating_point T, std::same_as<T>... More>
LOSSKIT_HD auto value_and_slope(P const& policy, T x, More... more) {
  using X = Scalar<T>;
  if constexpr (requires { policy.target(X(x), X(more)...); }) {
    return detail::plain(policy.target(X(x), X(more)...));
  } else if constexpr (requires { policy.rest(X(x), X(more)...); }) {
    return detail::plain(policy.rest(X(x), X(more)...));
  } else {
    static_assert(
        requires { policy(X(x), X(more)...); },
        "losskit: the policy has no formula of so many numbers: a margin takes a cosine, a rest rule a cosine and a threshold, "
        "an objective log p (and the mean log p), a point loss a prediction and a truth, a scale of rows a norm");
    return detail::plain(policy(X(x), X(more)...));
  }
}

// Where a policy's slope jumps, or its second derivative is infinite. Checkers step around these points; each header says which side
// the slope takes.
struct Kinks {
  double at[4] = {};
  int count = 0;
};
template <class P>
constexpr Kinks kinks_of(P const& policy) {
  if constexpr (requires { policy.kinks(); }) return policy.kinks(); else return {};
}

// x times the slope of rest rule R.
template <class R, class X>
LOSSKIT_HD LOSSKIT_INLINE X times_slope(X x, X slope) {
  if constexpr (requires { requires R::unit_slope; }) return x; else return x * slope;
}

}  // namespace losskit::inline LOSSKIT_ISA
