// advance: the next state of a policy that follows the batch, such as AdaCosScale or CurricularRest, from one read of the cosines.
//
//   state = advance(backend, policy, state, batch, workspace);      once a training step, before the step's loss
//   loss.scale = scale.scale(state);                                of an AdaCosScale
//   loss.rest = rest.at(state);                                     of a CurricularRest
//
// or with the state in the backend's memory, so that a device's state is never copied to the host:
//
//   advance(backend, policy, states, batch, workspace);             states: a vector of one State, replaced
//   batch.scale = scale_of(states);        batch.rest = rest_of(states);
//
// Which statistics of the batch are computed is the policy's Statistics (concepts.hpp).
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "losskit/concepts.hpp"
#include "losskit/core/number.hpp"
#include "losskit/loss/calls.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Where the rows of a batch read the number of a state, a vector of one: for Batch::scale, and for Batch::rest.
template <class V>
auto scale_of(V&& state) {
  auto const v = view(static_cast<V&&>(state));
  return VectorView<double const, typename decltype(v)::space>{&v.data->scale, 1};
}
template <class V>
auto rest_of(V&& state) {
  auto const v = view(static_cast<V&&>(state));
  return VectorView<double const, typename decltype(v)::space>{&v.data->t, 1};
}

namespace detail {

// A loss without margin or rest rule at the scale of the state: the statistics are of the plain cosines.
struct PlainScaled {
  double scale = 0;
  struct Margin {
    static constexpr char const* name = "plain margin";
    template <class X>
    LOSSKIT_HD Jet<X> target(X c) const { return {c, X(1)}; }
  } margin{};
  struct Rest {
    static constexpr char const* name = "plain rest";
    static constexpr bool unit_slope = true;
    LOSSKIT_HD double bound() const { return 1; }
    template <class X>
    LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X c, X) const { return {c, X(1)}; }
  } rest{};
  struct Objective {
    template <class X>
    LOSSKIT_HD Jet<X> operator()(X log_p) const { return {log_p, X(1)}; }
  } objective{};
};

// A row's target as it is observed: clamped, NaN where it is not finite.
template <class S>
LOSSKIT_HD computed<S> observed(computed<S> cosine) {
  OddCosines not_counted;
  return clamped_cosine<computed<S>, S>(cosine, not_counted);
}

// --- TargetStatistics: the targets' mean ---------------------------------------------------------------------------------------

struct TargetSum {
  double cosine = 0, rows = 0;
  LOSSKIT_HD void add(TargetSum const& b) {
    cosine += b.cosine;
    rows += b.rows;
  }
};
template <class S, class I, class Space>
struct AddTarget {
  BatchRows<S, I, Space> rows;
  LOSSKIT_HD void operator()(TargetSum& sum, idx i) const {
    if (rows.skipped(i)) return;
    sum.add({double(observed<S>(static_cast<computed<S>>(rows.batch.cosines.row(i)[rows.label(i)]))), 1});
  }
};
template <class Policy>
struct NextByTargets {
  Policy policy;
  typename Policy::State* state;
  LOSSKIT_HD void operator()(TargetSum const& sum) const {
    *state = policy.next(*state, {static_cast<idx>(sum.rows), sum.cosine / sum.rows});
  }
};

template <class B, class Policy, class S, class I, class Space>
void advance_by(TargetStatistics*, B const& backend, Policy const& policy, VectorView<typename Policy::State, Space> state,
                BatchRows<S, I, Space> const& rows, Arena arena) {
  idx const n = rows.batch.cosines.rows;
  auto const parts = arena.template take<TargetSum>(static_cast<std::size_t>(tally_parts(n)));
  tally<S>(backend, n, parts, AddTarget<S, I, Space>{rows}, NextByTargets<Policy>{policy, state.data});
}

// --- ScaleStatistics: the mean of the other classes' exponentials, and the targets' median ------------------------------------------

// sum e^shift over `rows` rows; nan: how many targets are NaN or infinite.
struct LogSum {
  double sum = 0, shift = -1e300, rows = 0, nan = 0;
  LOSSKIT_HD void add(LogSum const& b) {
    double const top = shift < b.shift ? b.shift : shift;
    sum = multiply_add(b.sum, ::exp(b.shift - top), product(sum, ::exp(shift - top)));
    shift = top;
    rows += b.rows;
    nan += b.nan;
  }
};

template <class Exp, class Policies, class S, class Space>
struct LogSumRow {
  using T = computed<S>;
  Policies policies;
  RowClasses<PlainScaled::Rest, Exp> classes;
  MatrixView<S const, Space> cosines;
  LogSum* sums;
  T* targets;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    Classes const all = Classes::whole(cosines.cols);
    RowStart<T> const start = policies.start(i);
    if (start.skipped) {
      team.once([&] { sums[i] = LogSum{}; });
      return;
    }
    auto const exp_of = classes.exponential(start.scale, all.total);
    RowState<T, Exp, Asked<>> state{no_target<T>()};  // nothing is counted
    open_row(team, cosines.row(i), all, start.label, Nothing{}, classes.rest, exp_of, state);
    T const target = observed<S>(start.target.cosine);
    team.once([&] {
      sums[i] = {state.sums.z.v, after_sums(exp_of, state.sums).shift(), 1, target == target ? 0.0 : 1.0};
      targets[i] = target;
    });
  }
};

// The bits of a double as a whole number of the same order.
inline LOSSKIT_HD std::uint64_t ordered(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof x);
  return bits >> 63 ? ~bits : bits | (std::uint64_t(1) << 63);
}

struct Count {
  idx n = 0;
  LOSSKIT_HD void add(Count const& b) { n += b.n; }
};

// ln of the mean of the row sums, the median by bisection over the bits of a number, and the next state.
template <class Policy, class T>
struct NextByScale {
  Policy policy;
  idx rows;
  LogSum const* sums;
  T const* targets;
  typename Policy::State* state;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx) const {
    auto const own = *this;
    LogSum const sum = team.tally(0, rows, LogSum{}, [=](LogSum& all, idx i) { all.add(own.sums[i]); });
    ScaleStatistics statistics{static_cast<idx>(sum.rows), ::log(sum.sum / sum.rows) + sum.shift, double(NAN)};
    if (sum.rows > 0 && sum.nan == 0) statistics.median_target_cosine = own.median(team, static_cast<idx>(sum.rows) / 2);
    team.once([&] { *own.state = own.policy.next(*own.state, statistics); });
  }

  // The target of this rank, 0 the smallest: the largest number that at most `rank` targets lie below.
  template <class Team>
  LOSSKIT_HD double median(Team& team, idx rank) const {
    auto const own = *this;
    std::uint64_t key = 0;
    for (int bit = 63; bit >= 0; --bit) {
      std::uint64_t const higher = key | (std::uint64_t(1) << bit);
      Count const below = team.tally(0, rows, Count{}, [=](Count& count, idx i) {
        count.n += own.sums[i].rows > 0 && ordered(double(own.targets[i])) < higher;
      });
      if (below.n <= rank) key = higher;
    }
    key = key >> 63 ? key & ~(std::uint64_t(1) << 63) : ~key;
    double x;
    std::memcpy(&x, &key, sizeof x);
    return x;
  }
};

template <class B, class Policy, class S, class I, class Space>
void advance_by(ScaleStatistics*, B const& backend, Policy const& policy, VectorView<typename Policy::State, Space> state,
                BatchRows<S, I, Space> const& rows, Arena arena) {
  Batch<S, I, Space> plain = rows.batch;
  plain.scales = {};
  plain.scale = scale_of(state);
  Options options = rows.options;
  options.scale_ceiling = std::fmin(options.scale_ceiling, policy.ceiling());
  RowPolicies<PlainScaled, S, I, Space> const policies({}, plain, options);
  auto const held = as_rows_hold(policies);
  auto const n = static_cast<std::size_t>(plain.cosines.rows);
  auto const sums = arena.template take<LogSum>(n);
  auto const targets = arena.template take<computed<S>>(n);
  with_exponential(PlainScaled::Rest{}, policies, [&](auto common) {
    using Row = LogSumRow<decltype(common), decltype(held), S, Space>;
    backend.template rows<S>(plain.cosines.rows, plain.cosines.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                             Row{held, {{}, common, false}, plain.cosines, sums, targets});
  });
  backend.template blocks<S>(1, NextByScale<Policy, computed<S>>{policy, plain.cosines.rows, sums, targets, state.data});
}

}  // namespace detail

// Workspace of advance, in bytes.
inline std::size_t advance_workspace_bytes(idx rows) {
  return detail::alignment + detail::padded(static_cast<std::size_t>(rows) * sizeof(detail::LogSum)) +
         detail::padded(static_cast<std::size_t>(rows > 0 ? rows : 1) * sizeof(double)) + detail::alignment;
}

// state: one, replaced. `batch` and Options::ignore_label (on a device scale_ceiling too) as for a loss; weights, margins, rest and
// per-row scales do not act. Errors as in loss/calls.hpp; a state whose scale no call accepts is a ParameterError too.
template <class B, Stateful Policy, class T, class I, class S>
void advance(B const& backend, Policy const& policy, VectorView<typename Policy::State, typename B::space> state,
             Batch<T, I, S> const& batch, WorkspaceIn<typename B::space> workspace, Options const& options = {}) {
  detail::expect_backend<B>();
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_size("state", state, 1);
  Batch<T, I, S> plain = batch;
  plain.margins = {};
  plain.rest = {};
  detail::expect_batch(backend, detail::PlainScaled{}, plain, options);
  detail::expect_workspace(workspace, advance_workspace_bytes(batch.cosines.rows));
  detail::expect_outputs(backend, batch, MatrixView<T, S>{}, workspace, Outputs<computed<T>, S>{});
  detail::expect_memory(backend, detail::extent("state", state));
  detail::expect_apart(detail::extent("state", state), detail::extent("workspace", workspace));
  if constexpr (std::is_same_v<S, host> && requires { state.data->scale; })
    detail::expect_values("scale", scale_of(state), detail::Values::scale);
  plain.weights = {};
  plain.class_weights = {};
  detail::advance_by(static_cast<typename Policy::Statistics*>(nullptr), backend, policy, state,
                     detail::BatchRows<T, I, S>{plain, options, 0, {}, {}}, detail::Arena(workspace));
}

// The same by value, for host backends: returns the next state.
template <class B, Stateful Policy, class T, class I>
typename Policy::State advance(B const& backend, Policy const& policy, typename Policy::State state, Batch<T, I, host> const& batch,
                               Workspace workspace, Options const& options = {}) {
  advance(backend, policy, VectorView<typename Policy::State>{&state, 1}, batch, workspace, options);
  return state;
}

// Overload for arguments that fit no call above: its static_assert says which call is meant.
template <class B, class P>
auto advance(B const&, P const&, detail::Anything, detail::Anything, detail::Anything, Options const& = {}) {
  detail::expect_backend<B>();
  static_assert(!Backend<B> || Stateful<P>, "losskit: the second argument is not Stateful, such as AdaCosScale or CurricularRest; one of "
                                            "your own has State, Statistics, start(), next(state, statistics) and at(state)");
  static_assert(!Backend<B> || !Stateful<P>,
                "losskit: the arguments do not fit; the call is advance(backend, policy, state, Batch{cosines, labels}, workspace, "
                "options)");
}

}  // namespace losskit::inline LOSSKIT_ISA
