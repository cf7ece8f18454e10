// The margin layer alone, for a softmax that lives elsewhere: logits, and their backward. Checks and errors as in loss/calls.hpp.
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/loss/calls.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// One row of logits: z_j = s r(c_j), z_y = s psi(c_y). A skipped row has no target: all its classes are rest.
template <class Rest, class Policies, class S, class Space>
struct LogitsRow {
  using T = computed<S>;
  Policies policies;
  Rest rest;
  MatrixView<S const, Space> cosines;
  MatrixView<S, Space> z;
  RowRecord* records;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = cosines.cols;
    S* const out = z.row(i);
    RowStart<T> const start = policies.start(i);
    using X = typename Team::number;
    using Sums = RowSums<X, Asked<>>;
    X const s = T(start.scale), c_y = start.target.cosine, threshold = start.target.threshold;
    auto const f = [=, rest = at_row(rest, start.rest)](Sums& sum, auto at, X raw, X x) LOSSKIT_INLINE_LAMBDA {
      X const r = rest.rest(x, threshold).value;
      at.store(out, s * r);
      sum.add_but_e(ClassTerms<X, decltype(raw < c_y)>{r, r, X(0), !(raw < c_y), raw > threshold});
      sum.z = sum.z + r;
    };
    OddCosines odd;
    RowSums<Scalar<double>, Asked<>> sums;
    team.sync();  // the target was read
    team.sum(cosines.row(i), n, start.label, odd, Sums{}, sums, f);
    if (!(sums.z.v <= HUGE_VAL)) odd.non_finite = count_non_finite<false>(team, static_cast<S const*>(out), n);
    team.once([&] {
      records[i] = RowRecord{};
      if (start.skipped) return;
      out[start.label] = static_cast<S>(T(start.scale * start.target.psi.value));  // after the sum: its place is written last
      fill<false>(records[i], start.target.cosine, sums, odd);
    });
  }
};

// One row of logits_backward: dL/dc_j = dL/dz_j s r'(c_j), dL/ds = sum of dL/dz_j z_j / s.
template <class Rest, class Policies, class S, class Space>
struct LogitsBackwardRow {
  using T = computed<S>;
  Policies policies;
  Rest rest;
  MatrixView<S const, Space> cosines, upstream;
  MatrixView<S, Space> gradient;
  bool accumulate;
  VectorView<T, Space> scale_gradient;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = cosines.cols;
    S const* const dz = upstream.row(i);
    S* const g = gradient.row(i);
    bool const add = accumulate;
    RowStart<T> const start = policies.start(i);
    if (start.faulty) {
      if (!add) clear_row(team, g, n);
      team.once([&] { if (scale_gradient.data) scale_gradient[i] = T(0); });
      return;
    }
    idx const y = start.label;
    double const u = policies.factors(i).upstream, s = start.scale, dz_y = start.skipped ? 0 : double(static_cast<T>(dz[y]));
    using X = typename Team::number;
    using Sums = DotSum<X>;
    X const k = T(s * u), threshold = start.target.threshold;
    T const before = !start.skipped && add ? static_cast<T>(g[y]) : T(0);
    auto const f = [=, rest = at_row(rest, start.rest)](Sums& sum, auto at, X, X x) LOSSKIT_INLINE_LAMBDA {
      auto const r = rest.rest(x, threshold);
      X const d = at.load(dz), dc = times_slope<Rest>(k * d, r.slope);
      add ? at.add(g, dc) : at.store(g, dc);
      sum.dot = multiply_add(d, r.value, sum.dot);
    };
    OddCosines odd;
    DotSum<Scalar<double>> sums;
    team.sync();  // the target was read
    team.sum(cosines.row(i), n, y, odd, Sums{}, sums, f);
    team.once([&] {  // after the sum: its place is written last
      if (!start.skipped) g[y] = static_cast<S>(before + T(product(s * u * dz_y, start.target.psi.slope)));
      if (scale_gradient.data) scale_gradient[i] = T(u * multiply_add(dz_y, start.target.psi.value, sums.dot.v));
    });
  }
};

}  // namespace detail

// Logits s psi(c_y), s r(c_j), for a softmax that lives elsewhere. `z`: B x C, or the cosines themselves. An ignored row has no
// target: all its classes are rest, with none above the threshold. Weights do not act here. The report's loss is 0.
//
// Not for a SoftmaxLoss, whose logits are the caller's already; nor, backwards, for a rest rule that pulls on its threshold.
template <class B, class L, class T, class I, class S, class Z>
auto logits(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& z, WorkspaceIn<typename B::space> workspace,
            Options const& options = {}) {
  detail::expect_backend<B>();
  detail::expect_loss<L>();
  if constexpr (Loss<L>)
    static_assert(!takes_logits<std::remove_cvref_t<decltype(loss.rest)>>,
                  "losskit: a SoftmaxLoss is given logits; there are none to compute");
  auto const out = view(static_cast<Z&&>(z));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(out)>();
  detail::expect_matrix_of<T, decltype(out)>();
  if constexpr (Backend<B> && Loss<L> && detail::matrix_of<T, decltype(out)> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    detail::expect_batch(backend, loss, batch, options);
    detail::expect_shape("logits", out, rows, cols);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    detail::expect_same_or_apart("cosines", batch.cosines, "logits", out, true);
    detail::expect_outputs(backend, batch, out, workspace, Outputs<computed<T>, S>{});
    detail::RowPolicies<L, T, I, S> const policies(loss, batch, options);
    detail::CallScratch const scratch(workspace, rows);
    detail::begin_call(backend, policies, scratch);
    auto const held = detail::as_rows_hold(policies);
    detail::LogitsRow<typename decltype(policies)::Rest, decltype(held), T, S> const row{held, loss.rest, batch.cosines, out,
                                                                                         scratch.records};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    return detail::end_call(backend, policies, scratch);
  }
}

// d loss / d cosines from d loss / d logits, both B x C. `gradient` may be the upstream matrix or the cosines themselves, unless it is
// accumulated. Options::upstream and Batch::upstream multiply it. scale_gradient: d loss / d s_i, B elements or empty.
template <class B, class L, class T, class I, class S, class Z, class G>
void logits_backward(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& logits_gradient, G&& gradient,
                     Options const& options = {}, VectorView<computed<T>, typename B::space> scale_gradient = {}) {
  detail::expect_backend<B>();
  detail::expect_loss<L>();
  if constexpr (Loss<L>)
    static_assert(!pulls_on_threshold<std::remove_cvref_t<decltype(loss.rest)>>,
                  "losskit: this rest rule pulls on its threshold; its gradient comes from loss_and_gradient");
  auto const g = view(static_cast<G&&>(gradient));
  auto const dz = view(static_cast<Z&&>(logits_gradient));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_matrix_of<T, decltype(g)>();
  detail::expect_matrix_of<T, MatrixView<std::remove_const_t<typename decltype(dz)::value>, S>>();
  if constexpr (Backend<B> && Loss<L> && detail::matrix_of<T, decltype(g)> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(backend, loss, batch, options);
    detail::expect_shape("logits_gradient", dz, rows, cols);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_memory(backend, detail::extent("logits_gradient", dz));
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_same_or_apart("logits_gradient", dz, "gradient", g, !accumulate);
    detail::expect_apart(detail::extent("scale_gradient", scale_gradient), detail::extent("logits_gradient", dz));
    detail::expect_outputs(backend, batch, g, WorkspaceIn<S>{}, Outputs<computed<T>, S>{{}, scale_gradient, {}});
    detail::RowPolicies<L, T, I, S> const policies(loss, batch, options);
    auto const held = detail::as_rows_hold(policies);
    detail::LogitsBackwardRow<typename decltype(policies)::Rest, decltype(held), T, S> const row{
        held, loss.rest, batch.cosines, dz, g, accumulate, scale_gradient};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
  }
}

// Overload for arguments that fit no call above: its static_assert says which call is meant.
template <class B, class L>
auto logits(B const&, L const&, detail::Anything = {}, detail::Anything = {}, detail::Anything = {}, Options const& = {}) {
  detail::expect_call<B, L>();
  static_assert(!detail::fits<B, L>, "losskit: the arguments do not fit; the call is logits(backend, loss, Batch{cosines, labels}, z, "
                                     "workspace, options)");
}
template <class B, class L>
void logits_backward(B const&, L const&, detail::Anything, detail::Anything, detail::Anything, Options const& = {},
                     detail::Anything = {}) {
  detail::expect_call<B, L>();
  static_assert(!detail::fits<B, L>, "losskit: the arguments do not fit; the call is logits_backward(backend, loss, Batch{cosines, "
                                     "labels}, logits_gradient, gradient, options, scale_gradient)");
}

}  // namespace losskit::inline LOSSKIT_ISA
