// advance: the next state of a scale that follows the batch, such as AdaCosScale, from one read of the cosines.
//
//   state = advance(backend, scale, state, batch, workspace);      once a training step, before the step's loss
//   loss.scale = scale.scale(state);
//
// or with a state that stays in the backend's memory, for a device's never comes to the host:
//
//   advance(backend, scale, state_view, batch, workspace);         state_view: one State, replaced
//   batch.scale = scale_of(state_view);
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "losskit/core/number.hpp"
#include "losskit/loss/calls.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Where the rows of a batch read the scale of a state: for Batch::scale.
template <class State, class Space>
VectorView<double const, Space> scale_of(VectorView<State, Space> state) {
  return {&state.data->scale, 1};
}

namespace detail {

// What advance needs of a loss: plain classes at the scale of the state.
struct PlainScaled {
  double scale = 0;
  struct Margin {
    template <class X>
    LOSSKIT_HD Jet<X> target(X c) const { return {c, X(1)}; }
  } margin{};
  struct Rest {
    LOSSKIT_HD double bound() const { return 1; }
    template <class X>
    LOSSKIT_HD LOSSKIT_INLINE Jet<X> rest(X c, X) const { return {c, X(1)}; }
  } rest{};
  struct Objective {
    template <class X>
    LOSSKIT_HD Jet<X> operator()(X log_p) const { return {log_p, X(1)}; }
  } objective{};
};

// sum exp(shift), of so many rows; nan: a target's cosine is not a number.
struct LogSum {
  double sum = 0, shift = -1e30, rows = 0, nan = 0;
  LOSSKIT_HD void add(LogSum const& b) {
    double const top = shift < b.shift ? b.shift : shift;
    sum = sum * ::exp(shift - top) + b.sum * ::exp(b.shift - top);
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
    RowState<T, Exp, false> state{no_target<T>()};  // nothing is counted
    open_row<false>(team, cosines.row(i), all, start.label, Nothing{}, classes.rest, exp_of, state);
    OddCosines counted_before;
    T const target = clamped_cosine<T, S>(start.target.cosine, counted_before);
    team.once([&] {
      sums[i] = {state.sums.z.v, after_sums(exp_of, state.sums).shift(), 1, target == target ? 0.0 : 1.0};
      targets[i] = target;
    });
  }
};

// Numbers as whole numbers of the same order.
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
template <class ScalePolicy, class T>
struct NextState {
  ScalePolicy scale;
  idx rows;
  LogSum const* sums;
  T const* targets;
  typename ScalePolicy::State* state;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx) const {
    auto const own = *this;
    LogSum const sum = team.tally(0, rows, LogSum{}, [=](LogSum& all, idx i) { all.add(own.sums[i]); });
    ScaleStatistics statistics{static_cast<idx>(sum.rows), ::log(sum.sum / sum.rows) + sum.shift, double(NAN)};
    if (sum.rows > 0 && sum.nan == 0) statistics.median_target_cosine = own.median(team, static_cast<idx>(sum.rows) / 2);
    team.once([&] { *own.state = own.scale.next(*own.state, statistics); });
  }

  // The target with so many below it: the largest number that at most `rank` targets lie below.
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

}  // namespace detail

// Workspace of advance, in bytes.
inline std::size_t advance_workspace_bytes(idx rows) {
  return detail::alignment + detail::padded(static_cast<std::size_t>(rows) * sizeof(detail::LogSum)) +
         detail::padded(static_cast<std::size_t>(rows) * sizeof(double));
}

// `batch` and Options::ignore_label as for a loss; weights and per-row scales do not act. Errors as in loss/calls.hpp.
template <class B, DynamicScale ScalePolicy, class T, class I, class S>
void advance(B const& backend, ScalePolicy const& scale, VectorView<typename ScalePolicy::State, S> state, Batch<T, I, S> const& batch,
             WorkspaceIn<typename B::space> workspace, Options const& options = {}) {
  detail::expect_reachable<B, Batch<T, I, S>>();
  idx const n = batch.cosines.rows;
  detail::expect_size("state", state, 1);
  detail::expect_batch(backend, batch, options);
  detail::expect_workspace(workspace, advance_workspace_bytes(n));
  detail::expect_outputs(backend, batch, MatrixView<T, S>{}, workspace, Outputs<computed<T>, S>{});
  detail::expect_memory(backend, detail::extent("state", state));
  detail::expect_apart(detail::extent("state", state), detail::extent("workspace", workspace));
  Batch<T, I, S> plain = batch;
  plain.scales = {};
  plain.weights = {};
  plain.class_weights = {};
  plain.scale = scale_of(state);
  Options plain_options = options;
  plain_options.scale_ceiling = std::fmin(options.scale_ceiling, scale.ceiling());
  detail::RowPolicies<detail::PlainScaled, T, I, S> const policies({}, plain, plain_options);
  auto const held = detail::as_rows_hold(policies);
  detail::Arena arena(workspace);
  auto const sums = arena.template take<detail::LogSum>(static_cast<std::size_t>(n));
  auto const targets = arena.template take<computed<T>>(static_cast<std::size_t>(n));
  detail::with_exponential(detail::PlainScaled::Rest{}, policies, [&](auto common) {
    using Row = detail::LogSumRow<decltype(common), decltype(held), T, S>;
    backend.template rows<T>(n, batch.cosines.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                             Row{held, {{}, common, false}, batch.cosines, sums, targets});
  });
  backend.template blocks<T>(1, detail::NextState<ScalePolicy, computed<T>>{scale, n, sums, targets, state.data});
}

// The same with a state of the host's.
template <class B, DynamicScale ScalePolicy, class T, class I>
typename ScalePolicy::State advance(B const& backend, ScalePolicy const& scale, typename ScalePolicy::State state,
                                    Batch<T, I, host> const& batch, Workspace workspace, Options const& options = {}) {
  advance(backend, scale, VectorView<typename ScalePolicy::State>{&state, 1}, batch, workspace, options);
  return state;
}

}  // namespace losskit::inline LOSSKIT_ISA
