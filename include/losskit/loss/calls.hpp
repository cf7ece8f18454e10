// The calls over a cosine matrix: loss and gradient in one pass, loss only, gradient from a saved pass. L is a composition like
// MarginSoftmax: margin, scale, objective, rest; or SoftmaxLoss, whose matrix holds logits.
//
// Each call checks every argument first and throws before it writes (core/expects.hpp): ShapeError, StrideError, LabelError
// (row and value), ParameterError (weights, scales, margins, rest, options), AliasError, WorkspaceError, MemoryError. Nothing is
// allocated. B = 0 and batches with every row ignored give a loss of 0 and a zero gradient. The bits do not depend on the number of
// threads.
//
// Where the backend's memory is a device's, a call only enqueues: it returns a Pending<Report> (backend/cuda.cuh), and labels,
// weights and scales are checked as the rows run (Report::fault).
#pragma once
#include <cmath>
#include <cstdint>

#include "losskit/concepts.hpp"
#include "losskit/loss/arguments.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"
#include "losskit/loss/report.hpp"
#include "losskit/loss/rows.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// The values of a view, by their kind. A device's are checked as the rows run.
template <class T>
void expect_values(char const* name, VectorView<T const> v, Values values) {
  if (values == Values::not_negative) expect_not_negative(name, v);
  if (values == Values::scale)
    for (idx i = 0; i < v.size; ++i)
      if (!(v[i] >= 0 && double(v[i]) <= largest_scale))
        fail<ParameterError>("%s[%lld] = %g is outside [0, largest_scale = %g]", name, ll(i), double(v[i]), largest_scale);
}
// The same of those that a policy takes, a number a row.
template <class P, class T, class Space>
void expect_row_numbers(char const* name, VectorView<T const, Space> v, P policy) {
  Interval const range = row_numbers_of(policy);
  if (v.data && range.empty()) fail<ParameterError>("%s: this loss has a %s, which takes no number a row", name, P::name);
  if constexpr (std::is_same_v<Space, host>)
    for (idx i = 0; i < v.size; ++i)
      if (!range.contains(double(v[i])))
        fail<ParameterError>("%s[%lld] = %g is outside %s of %s", name, ll(i), double(v[i]), IntervalText(range).text, P::name);
}

template <class B, class L, class S, class I, class Space>
void expect_batch(B const& backend, L const& loss, Batch<S, I, Space> const& b, Options const& options) {
  idx const rows = b.cosines.rows, cols = b.cosines.cols;
  expect_matrix("cosines", b.cosines);
  expect_memory(backend, extent("cosines", b.cosines));
  for_each_view(b, [&](char const* name, auto const& v, Per per, Values values) {
    if (per == Per::row_or_call && v.size == 1) per = Per::call;
    if (values == Values::labels || v.data || v.size != 0) expect_size(name, v, size_of(per, rows, cols));
    expect_memory(backend, extent(name, v));
  });
  if (!(loss.scale >= 0 && loss.scale <= largest_scale))
    fail<ParameterError>("scale = %g is outside [0, largest_scale = %g]", double(loss.scale), largest_scale);
  expect_row_numbers("margins", b.margins, loss.margin);
  expect_row_numbers("rest", b.rest, loss.rest);
  if (options.top_k < 1) fail<ParameterError>("top_k = %d is below 1", options.top_k);
  if (!(options.scale_ceiling > 0)) fail<ParameterError>("scale_ceiling = %g is not > 0", options.scale_ceiling);
  if constexpr (std::is_same_v<Space, host>) {
    for (idx i = 0; i < rows; ++i) {
      idx const y = static_cast<idx>(b.labels[i]);
      if ((y < 0 || y >= cols) && y != options.ignore_label)
        fail<LabelError>("labels[%lld] = %lld is outside [0, %lld)", ll(i), ll(y), ll(cols));
    }
    for_each_view(b, [&](char const* name, auto const& v, Per, Values values) { expect_values(name, v, values); });
  }
}

// Checks the outputs: their sizes, that the backend reaches them, and that each overlaps nothing else that is read or written. For
// gradient and cosines expect_same_or_apart has the rule.
template <class B, class S, class I, class Space>
void expect_outputs(B const& backend, Batch<S, I, Space> const& b, MatrixView<S, Space> gradient, WorkspaceIn<Space> workspace,
                    Outputs<computed<S>, Space> const& out) {
  Extent written[2 + count_views(Outputs<computed<S>, Space>{})];
  std::size_t count = 0;
  auto const add = [&](Extent const& extent_of_output) {
    expect_memory(backend, extent_of_output);
    for_each_view(b, [&](char const* name, auto const& v, Per, Values) { expect_apart(extent_of_output, extent(name, v)); });
    for (std::size_t i = 0; i < count; ++i) expect_apart(written[i], extent_of_output);
    written[count++] = extent_of_output;
  };
  for_each_view(out, [&](char const* name, auto const& v, Per per) {
    expect_size_or_none(name, v, size_of(per, b.cosines.rows, b.cosines.cols));
  });
  add(extent("gradient", gradient));
  add(extent("workspace", workspace));
  for_each_view(out, [&](char const* name, auto const& v, Per) { add(extent(name, v)); });
  for (std::size_t i = 1; i < count; ++i) expect_apart(written[i], extent("cosines", b.cosines));
}

// The outputs of a call that names none: known as it compiles, so that no row is made that could fill them.
template <class T, class Space>
struct NoOutputs : Outputs<T, Space> {
  static constexpr bool none = true;
};

template <bool Gradient, class B, class L, class S, class I, class Space, class Out>
auto run_loss(B const& backend, L const& loss, Batch<S, I, Space> const& batch, MatrixView<S, Space> gradient, Placement placement,
              WorkspaceIn<Space> workspace, Options const& options, Out const& out) {
  RowPolicies<L, S, I, Space> const policies(loss, batch, options);
  CallScratch const scratch(workspace, batch.cosines.rows);
  begin_call(backend, policies, scratch);
  auto const held = as_rows_hold(policies);
  with_exponential(loss.rest, policies, [&](auto common) {
    auto const go = [&](auto asked) {
      LossRow<Gradient, decltype(asked), decltype(common), typename decltype(policies)::Rest, decltype(held), S, Space> const row{
          held, {loss.rest, common, policies.common_scale()}, batch.cosines, gradient, options.write == Write::accumulate, scratch.divisor,
          scratch.records, out};
      backend.template rows<S>(batch.cosines.rows, batch.cosines.cols, placement, scratch.backend, row);
    };
    using Asks = decltype(asked_by<L>());
    if constexpr (requires { Out::none; }) go(Asks{});
    else if (out.scale_gradient || out.saved) go(typename Asks::template with<MomentSum>{}); else go(Asks{});
  });
  return end_call(backend, policies, scratch);
}

template <class B, class V>
constexpr void expect_reachable() {
  static_assert(std::is_same_v<typename B::space, typename V::space>,
                "losskit: this backend cannot reach this memory (a device view given to a host backend, or the reverse)");
}

}  // namespace detail

// The bytes of workspace that a call over rows x cols cosines of type T asks for, for where its gradient goes. Grows with
// rows, cols and the backend's threads only.
template <class T, class B>
std::size_t workspace_bytes(B const& backend, idx rows, idx cols, Placement placement) {
  return detail::CallScratch::bytes(rows) + backend.template scratch_bytes<T>(rows, cols, placement);
}

namespace detail {

template <class B, class L, class T, class I, class S, class G, class Out>
auto check_and_run(B const& backend, L const& loss, Batch<T, I, S> const& batch, G&& gradient, WorkspaceIn<typename B::space> workspace,
                   Options const& options, Out const& out) {
  expect_backend<B>();
  expect_loss<L>();
  auto const g = view(static_cast<G&&>(gradient));
  expect_reachable<B, Batch<T, I, S>>();
  expect_reachable<B, decltype(g)>();
  expect_matrix_of<T, decltype(g)>();
  if constexpr (Backend<B> && Loss<L> && matrix_of<T, decltype(g)> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate, in_place = g.data == batch.cosines.data;
    auto const placement = accumulate ? Placement::accumulate : in_place ? Placement::in_place : Placement::out_of_place;
    expect_batch(backend, loss, batch, options);
    expect_shape("gradient", g, rows, cols);
    expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, placement));
    expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    expect_outputs(backend, batch, g, workspace, out);
    return run_loss<true>(backend, loss, batch, g, placement, workspace, options, out);
  }
}

template <class B, class L, class T, class I, class S, class Out>
auto check_and_run_value(B const& backend, L const& loss, Batch<T, I, S> const& batch, WorkspaceIn<typename B::space> workspace,
                         Options const& options, Out const& out) {
  expect_backend<B>();
  expect_loss<L>();
  expect_reachable<B, Batch<T, I, S>>();
  if constexpr (Backend<B> && Loss<L> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    expect_batch(backend, loss, batch, options);
    expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    expect_outputs(backend, batch, MatrixView<T, S>{}, workspace, out);
    return run_loss<false>(backend, loss, batch, MatrixView<T, S>{}, Placement::no_gradient, workspace, options, out);
  }
}

}  // namespace detail

// Loss and d loss / d cosines in one pass over B x C cosines. `gradient` may be the cosines themselves (the fastest form;
// not with Write::accumulate) or apart from them. Outputs::row_losses holds weight_i L_i; Outputs::scale_gradient d loss / d s_i.
template <class B, class L, class T, class I, class S, class G>
auto loss_and_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, G&& gradient,
                       WorkspaceIn<typename B::space> workspace, Options const& options, Outputs<computed<T>, S> const& out) {
  return detail::check_and_run(backend, loss, batch, static_cast<G&&>(gradient), workspace, options, out);
}
template <class B, class L, class T, class I, class S, class G>
auto loss_and_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, G&& gradient,
                       WorkspaceIn<typename B::space> workspace, Options const& options = {}) {
  return detail::check_and_run(backend, loss, batch, static_cast<G&&>(gradient), workspace, options, detail::NoOutputs<computed<T>, S>{});
}

// Loss only: one read of the cosines. With Outputs::saved the gradient can follow later (loss_gradient).
template <class B, class L, class T, class I, class S>
auto loss_value(B const& backend, L const& loss, Batch<T, I, S> const& batch, WorkspaceIn<typename B::space> workspace,
                Options const& options, Outputs<computed<T>, S> const& out) {
  return detail::check_and_run_value(backend, loss, batch, workspace, options, out);
}
template <class B, class L, class T, class I, class S>
auto loss_value(B const& backend, L const& loss, Batch<T, I, S> const& batch, WorkspaceIn<typename B::space> workspace,
                Options const& options = {}) {
  return detail::check_and_run_value(backend, loss, batch, workspace, options, detail::NoOutputs<computed<T>, S>{});
}

// The gradient of a pass of loss_value that filled `saved`, for the same loss, batch, reduction and ignored label. The
// upstream factors are those of this call: Options::upstream and Batch::upstream. gradient: B x C, or the cosines themselves (not with
// Write::accumulate); saved: B; scale_gradient, margin_gradient: B or empty. No workspace.
template <class B, class L, class T, class I, class S, class V, class G>
void loss_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, V const& saved, G&& gradient,
                   Options const& options = {}, VectorView<computed<T>, typename B::space> scale_gradient = {},
                   VectorView<computed<T>, typename B::space> margin_gradient = {}) {
  detail::expect_backend<B>();
  detail::expect_loss<L>();
  auto const g = view(static_cast<G&&>(gradient));
  VectorView<SavedRow const, S> const rows_saved = view(saved);
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_matrix_of<T, decltype(g)>();
  if constexpr (Backend<B> && Loss<L> && detail::matrix_of<T, decltype(g)> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(backend, loss, batch, options);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size("saved", rows_saved, rows);
    detail::expect_memory(backend, detail::extent("saved", rows_saved));
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_outputs(backend, batch, g, WorkspaceIn<S>{}, Outputs<computed<T>, S>{{}, scale_gradient, {}, margin_gradient});
    detail::expect_all_apart({detail::extent("gradient", g), detail::extent("saved", rows_saved),
                              detail::extent("scale_gradient", scale_gradient), detail::extent("margin_gradient", margin_gradient)});
    detail::RowPolicies<L, T, I, S> const policies(loss, batch, options);
    auto const held = detail::as_rows_hold(policies);
    detail::with_exponential(loss.rest, policies, [&](auto common) {
      detail::SavedGradientRow<decltype(common), typename decltype(policies)::Rest, decltype(held), T, S> const row{
          held, {loss.rest, common, policies.common_scale()}, batch.cosines, rows_saved, g, accumulate, scale_gradient, margin_gradient};
      backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    });
  }
}

// Overloads for arguments that fit no call above: their static_assert says which call is meant. A call may end early, and what stands
// in the place of the options may be none.
template <class B, class L>
auto loss_and_gradient(B const&, L const&, detail::Anything = {}, detail::Anything = {}, detail::Anything = {}, Options const& = {},
                       detail::Anything = {}) {
  detail::expect_loss_and_gradient<B, L>();
}
template <class B, class L>
auto loss_and_gradient(B const&, L const&, detail::Anything, detail::Anything, detail::Anything, detail::Something,
                       detail::Something = 0, detail::Something = 0) {
  detail::expect_loss_and_gradient<B, L>();
}
template <class B, class L>
auto loss_value(B const&, L const&, detail::Anything = {}, detail::Anything = {}, Options const& = {}, detail::Anything = {}) {
  detail::expect_loss_value<B, L>();
}
template <class B, class L>
auto loss_value(B const&, L const&, detail::Anything, detail::Anything, detail::Something, detail::Something = 0, detail::Something = 0) {
  detail::expect_loss_value<B, L>();
}
template <class B, class L>
void loss_gradient(B const&, L const&, detail::Anything = {}, detail::Anything = {}, detail::Anything = {}, Options const& = {},
                   detail::Anything = {}, detail::Anything = {}) {
  detail::expect_loss_gradient<B, L>();
}
template <class B, class L>
void loss_gradient(B const&, L const&, detail::Anything, detail::Anything, detail::Anything, detail::Something, detail::Something = 0,
                   detail::Something = 0) {
  detail::expect_loss_gradient<B, L>();
}

}  // namespace losskit::inline LOSSKIT_ISA
