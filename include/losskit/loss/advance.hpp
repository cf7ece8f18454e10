// advance: the next state of a scale that follows the batch, such as AdaCosScale, from one read of the cosines.
//
//   state = advance(backend, scale, state, batch, workspace);      once a training step, before the step's loss
//   loss.scale = scale.scale(state);
#pragma once
#include <algorithm>
#include <cmath>

#include "losskit/core/number.hpp"
#include "losskit/loss/margin_softmax.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// What advance needs of a loss: plain classes at the scale of the state.
struct PlainScaled {
  double scale;
  struct Rest {
    double bound() const { return 1; }
    template <class X>
    LOSSKIT_INLINE Jet<X> rest(X c, X) const { return {c, X(1)}; }
  } rest{};
};

struct LogSum {
  double sum, shift;  // sum exp(shift)
};

template <class Exp, class T, class I>
struct LogSumRow {
  Rows<PlainScaled, T, I> rows;
  LogSum* sums;
  double* targets;

  template <class Team>
  void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    sums[i] = {0, 0};
    if (rows.ignored(i)) return;
    T const* const c = rows.batch.cosines.row(i);
    OddCosines odd;
    targets[i] = double(tamed(c[y], odd));
    auto const exp_of = exponential(Exp{}, rows, i);
    auto const s = open_row<false>(team, c, n, y, Nothing{}, rows.loss.rest, exp_of, Target<T>{T(2), {}, T(2)}, odd);
    sums[i] = {s.z.v, after_sums(exp_of, s).shift()};
  }
};

}  // namespace detail

// Workspace of advance, in bytes.
inline std::size_t advance_workspace_bytes(idx rows) {
  return detail::alignment + detail::padded(static_cast<std::size_t>(rows) * sizeof(detail::LogSum)) +
         detail::padded(static_cast<std::size_t>(rows) * sizeof(double));
}

// `batch` and Options::ignore_label as for a loss; weights and per-row scales do not act. Errors as in loss/margin_softmax.hpp.
template <class B, DynamicScale ScalePolicy, class T, class I, class S>
typename ScalePolicy::State advance(B const& backend, ScalePolicy const& scale, typename ScalePolicy::State const& state,
                                    Batch<T, I, S> const& batch, Workspace workspace, Options const& options = {}) {
  detail::expect_reachable<B, Batch<T, I, S>>();
  idx const n = batch.cosines.rows;
  detail::PlainScaled const plain{scale.scale(state)};
  detail::expect_batch(plain, batch, options);
  detail::expect_workspace(workspace, advance_workspace_bytes(n));
  detail::expect_outputs(batch, MatrixView<T>{}, workspace, Outputs<T>{});
  detail::Rows<detail::PlainScaled, T, I> rows{plain, batch, options, 1};
  rows.batch.scales = {};
  detail::Arena arena(workspace);
  auto const sums = arena.template take<detail::LogSum>(static_cast<std::size_t>(n));
  auto const targets = arena.template take<double>(static_cast<std::size_t>(n));
  auto const go = [&](auto exp_of) {
    detail::LogSumRow<decltype(exp_of), T, I> const row{rows, sums, targets};
    backend.template rows<T>(n, batch.cosines.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
  };
  if (detail::bounded<T>(rows)) go(Bounded<T>{}); else go(Relative<T>{});

  // ln of the mean of the row sums, relative to the largest shift; then the median, by selection.
  idx valid = 0;
  double top = -HUGE_VAL, sum = 0;
  for (idx i = 0; i < n; ++i)
    if (!rows.ignored(i)) top = std::fmax(top, sums[i].shift);
  for (idx i = 0; i < n; ++i)
    if (!rows.ignored(i)) {
      sum += sums[i].sum * std::exp(sums[i].shift - top);
      targets[valid++] = targets[i];
    }
  ScaleStatistics statistics{valid, std::log(sum / double(valid)) + top, std::nan("")};
  if (valid > 0 && !std::any_of(targets, targets + valid, [](double c) { return std::isnan(c); })) {
    std::nth_element(targets, targets + valid / 2, targets + valid);
    statistics.median_target_cosine = targets[valid / 2];
  }
  return scale.next(state, statistics);
}

}  // namespace losskit::inline LOSSKIT_ISA
