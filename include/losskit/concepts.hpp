// What each kind of policy must offer. A policy is a small, trivially copyable class: one scalar formula and its
// derivative. It holds its parameters as doubles and sees no view, label, loop or batch.
#pragma once
#include <concepts>
#include <type_traits>

#include "losskit/core/jet.hpp"
#include "losskit/core/number.hpp"

namespace losskit {

// What one batch says; multi-device users combine the devices' values before they call next.
struct ScaleStatistics {
  idx rows;                     // N, ignored rows left out
  double log_mean_rest;         // ln B_avg at the scale of the state
  double median_target_cosine;  // cos(theta_med): the upper of the two middle cosines for even N
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

// A policy says its name, so that benchmarks, tests and tables are written from the catalogue.
template <class P>
concept Policy = std::is_trivially_copyable_v<P> && requires {
  { P::name } -> std::convertible_to<char const*>;
};

// Reshapes the target's cosine: psi(c) and d psi / d c. It sees one element a row and may use plain `if`.
// A margin may also offer raw(c), psi without its rule past pi: the threshold that rest rules compare with.
template <class M, class X = Scalar<double>>
concept Margin = Policy<M> && Number<X> && requires(M const m, X c) {
  { m.target(c) } -> std::same_as<Jet<X>>;
};

// Reshapes every other class, given the threshold of its row. Runs on every element: written with select. Optional: unit_slope,
// the slope is 1 everywhere; then no element is multiplied by it (times_slope).
template <class R, class X = Scalar<double>>
concept RestRule = Policy<R> && Number<X> && requires(R const r, X c, X threshold) {
  { r.rest(c, threshold) } -> std::same_as<Jet<X>>;
  { r.bound() } -> std::convertible_to<double>;  // sup |rest| over cosines in [-1, 1]; lowest(), its infimum, is optional
};

// The loss of a row as a function of the target's log-probability, and its derivative by it. One element a row.
template <class O, class X = Scalar<double>>
concept Objective = Policy<O> && Number<X> && requires(O const o, X log_p) {
  { o(log_p) } -> std::same_as<Jet<X>>;
};

// The loss of one (prediction, truth) and its derivative by the prediction. Runs on every element. Optional: truth_in_unit_interval,
// a truth outside [0, 1] is counted; long_chain, some hundred operations of which each waits for the one before: several packets
// are then worked on side by side (core/twice.hpp).
template <class L, class X = Scalar<double>>
concept PointLoss = Policy<L> && Number<X> && requires(L const l, X prediction, X truth) {
  { l(prediction, truth) } -> std::same_as<Jet<X>>;
};

// A scale that follows the batch: state is a plain struct of the caller's with the scale in it, next is pure. No scale passes
// the ceiling.
template <class S>
concept DynamicScale = Policy<S> && std::is_trivially_copyable_v<typename S::State> &&
                       requires(S const s, typename S::State const state, ScaleStatistics const batch) {
                         { s.start() } -> std::same_as<typename S::State>;
                         { state.scale } -> std::convertible_to<double>;
                         { s.ceiling() } -> std::convertible_to<double>;
                         { s.scale(state) } -> std::convertible_to<double>;
                         { s.next(state, batch) } -> std::same_as<typename S::State>;
                       };

// Where a policy's slope jumps. Checkers step around these points; each header says which side the slope takes.
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

// The threshold of a row: the margin without its rule past pi where it has one, else the margin itself.
template <class M, class X>
LOSSKIT_HD X threshold_of(M const& margin, X c) {
  if constexpr (requires { margin.raw(c); }) return margin.raw(c); else return margin.target(c).value;
}

// Target and threshold of one cosine, which a margin may compute together.
template <class X>
struct TargetAndRaw {
  Jet<X> target;
  X raw;
};
template <class M, class X>
LOSSKIT_HD TargetAndRaw<X> target_and_threshold_of(M const& margin, X c) {
  if constexpr (requires { margin.target_and_raw(c); }) return margin.target_and_raw(c);
  else return {margin.target(c), threshold_of(margin, c)};
}

}  // namespace losskit::inline LOSSKIT_ISA
