// The calls over a cosine matrix: loss and gradient in one pass, loss only, gradient from a saved pass, logits and their
// backward. L is a composition like MarginSoftmax: margin, scale, objective, rest.
//
// Each call checks every argument first and throws before it writes (core/expects.hpp): ShapeError, StrideError, LabelError
// (row and value), ParameterError (weights, scales), AliasError, WorkspaceError. Nothing is allocated. B = 0 and batches with
// every row ignored give a loss of 0 and a zero gradient. The bits do not depend on the number of threads.
#pragma once
#include <cmath>
#include <cstdint>

#include "losskit/concepts.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/row/row.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// What each row leaves behind; the report is their sum in row order.
struct RowRecord {
  double loss = 0, angle = 0;
  idx above = 0, hard = 0;
  OddCosines odd;
  bool valid = false;
};

// A checked call: what every row needs.
template <class L, class T, class I>
struct Rows {
  L loss;
  Batch<T, I> batch;
  Options options;
  double divisor;  // of the reduction

  idx label(idx i) const { return static_cast<idx>(batch.labels[i]); }
  bool ignored(idx i) const { return label(i) == options.ignore_label; }
  double scale(idx i) const { return batch.scales ? double(batch.scales[i]) : loss.scale; }
  double weight(idx i) const {
    return (batch.weights ? double(batch.weights[i]) : 1) * (batch.class_weights ? double(batch.class_weights[label(i)]) : 1);
  }
  double upstream(idx i) const { return options.upstream * (batch.upstream ? double(batch.upstream[i]) : 1); }
};

// The exponential of row i.
template <class T, class R>
Bounded<T> exponential(Bounded<T>, R const& rows, idx i) {
  return Bounded<T>::of(rows.scale(i), rest_range(rows.loss.rest), double(rows.batch.cosines.cols));
}
template <class T, class R>
Relative<T> exponential(Relative<T>, R const& rows, idx i) {
  return {T(rows.scale(i))};
}

// One row of loss_and_gradient (Gradient) or loss_value. Moment: dL/ds is asked for.
template <bool Gradient, bool Moment, class Exp, class L, class T, class I>
struct LossRow {
  Rows<L, T, I> rows;
  MatrixView<T> gradient;
  RowRecord* records;
  Outputs<T> out;

  template <class Team>
  void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    T* const g = Gradient ? gradient.row(i) : nullptr;
    RowRecord& record = records[i] = RowRecord{};
    if (rows.ignored(i)) {
      if (Gradient && rows.options.write == Write::assign)
        team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(g, decltype(at.load(g))(T(0))); });
      finish(i, RowRecord{}, RowEnd{0, 0, 0, 0}, 0);
      return;
    }
    T const* const c = rows.batch.cosines.row(i);
    auto const at_y = target_of(rows.loss.margin, c[y]);
    auto const exp_of = exponential(Exp{}, rows, i);
    constexpr bool kept_in_pass = Gradient && !requires { exp_of.m; };
    auto const kept = [&] {
      if constexpr (kept_in_pass) return team.keep(g); else return Nothing{};
    }();
    record.valid = true;
    auto const sums = open_row<Moment>(team, c, n, y, kept, rows.loss.rest, exp_of, at_y, record.odd);
    auto const known = after_sums(exp_of, sums);
    auto const end = close_row(sums, at_y.psi, known.scale(), known.shift(), rows.loss.objective, rows.weight(i));
    record.loss = end.loss;
    record.angle = std::acos(at_y.cosine >= 1 ? 1.0 : at_y.cosine <= -1 ? -1.0 : double(at_y.cosine));
    record.above = static_cast<idx>(sums.above.v) + !std::isfinite(at_y.cosine);  // with one class nothing else says so
    record.hard = static_cast<idx>(sums.hard.v);
    if constexpr (Gradient) {
      double const u = rows.upstream(i) / rows.divisor;
      if constexpr (kept_in_pass) {
        double const lift = lift_of<T>(u * end.factor);
        if (lift != 1) team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(kept, decltype(at.load(kept))(T(lift)) * at.load(kept)); });
        team.finish(kept, g, n, y, RowScale{u * end.factor / lift, u * end.slope});
      } else
        gradient_row(team, c, g, n, y, rows.loss.rest, known, at_y.threshold, u * end.factor, u * end.slope,
                     rows.options.write == Write::accumulate);
    }
    finish(i, record, end, known.shift());
  }

  void finish(idx i, RowRecord const& record, RowEnd const& end, double shift) const {
    if (out.row_losses) out.row_losses[i] = T(record.loss);
    if (Moment && out.scale_gradient) out.scale_gradient[i] = T(rows.upstream(i) / rows.divisor * end.scale_slope);
    if (out.saved) out.saved[i] = {end.factor / rows.divisor, end.slope / rows.divisor, end.scale_slope / rows.divisor, shift};
  }
};

// One row of loss_gradient.
template <class Exp, class L, class T, class I>
struct SavedGradientRow {
  Rows<L, T, I> rows;
  VectorView<SavedRow const> saved;
  MatrixView<T> gradient;
  VectorView<T> scale_gradient;

  template <class Team>
  void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols;
    T* const g = gradient.row(i);
    bool const accumulate = rows.options.write == Write::accumulate;
    if (scale_gradient) scale_gradient[i] = rows.ignored(i) ? T(0) : T(rows.upstream(i) * saved[i].scale_slope);
    if (rows.ignored(i)) {
      if (!accumulate) team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(g, decltype(at.load(g))(T(0))); });
      return;
    }
    T const* const c = rows.batch.cosines.row(i);
    idx const y = rows.label(i);
    auto exp_of = exponential(Exp{}, rows, i);
    if constexpr (requires { exp_of.m; }) exp_of.m = T(saved[i].largest);
    gradient_row(team, c, g, n, y, rows.loss.rest, exp_of, target_of(rows.loss.margin, c[y]).threshold,
                 rows.upstream(i) * saved[i].factor, rows.upstream(i) * saved[i].slope, accumulate);
  }
};

// One row of logits: z_j = s r(c_j), z_y = s psi(c_y).
template <class L, class T, class I>
struct LogitsRow {
  Rows<L, T, I> rows;
  MatrixView<T> z;
  RowRecord* records;

  template <class Team>
  void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    T const* const c = rows.batch.cosines.row(i);
    T* const out = z.row(i);
    bool const ignored = rows.ignored(i);
    auto const at_y = ignored ? Target<T>{T(2), {}, T(2)} : target_of(rows.loss.margin, c[y]);
    T const s = T(rows.scale(i)), c_y = at_y.cosine, threshold = at_y.threshold;
    auto const rest = rows.loss.rest;
    RowRecord& record = records[i] = RowRecord{};
    using Sums = RowSums<typename Team::number, false>;
    auto const sums = team.sum(c, n, ignored ? -1 : y, record.odd, Sums{}, [=](auto& sum, auto at, auto raw, auto x) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(x)>;
      X const r = rest.rest(x, X(threshold)).value;
      at.store(out, X(s) * r);
      sum.add(Bounded<T>{}, r, r, !(raw < X(c_y)), raw > X(threshold));
    });
    if (!(sums.z.v <= HUGE_VAL)) record.odd.non_finite = count_non_finite(team, out, n);
    if (ignored) return;
    team.once([&] { out[y] = T(rows.scale(i) * at_y.psi.value); });
    record.valid = true;
    record.angle = std::acos(c_y >= 1 ? 1.0 : c_y <= -1 ? -1.0 : double(c_y));
    record.above = static_cast<idx>(sums.above.v) + !std::isfinite(at_y.cosine);
    record.hard = static_cast<idx>(sums.hard.v);
  }
};

// One row of logits_backward: dL/dc_j = dL/dz_j s r'(c_j), dL/ds = sum of dL/dz_j z_j / s.
template <class L, class T, class I>
struct LogitsBackwardRow {
  Rows<L, T, I> rows;
  MatrixView<T const> upstream;
  MatrixView<T> gradient;
  VectorView<T> scale_gradient;

  template <class Team>
  void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    T const *const c = rows.batch.cosines.row(i), *const dz = upstream.row(i);
    T* const g = gradient.row(i);
    bool const ignored = rows.ignored(i), accumulate = rows.options.write == Write::accumulate;
    auto const at_y = ignored ? Target<T>{T(2), {}, T(2)} : target_of(rows.loss.margin, c[y]);
    double const u = rows.upstream(i), dz_y = ignored ? 0 : double(dz[y]);
    T const k = T(rows.scale(i) * u), threshold = at_y.threshold, before = !ignored && accumulate ? g[y] : T(0);
    auto const rest = rows.loss.rest;
    OddCosines odd;
    using Sums = DotSum<typename Team::number>;
    auto const sums = team.sum(c, n, ignored ? -1 : y, odd, Sums{}, [=](auto& sum, auto at, auto, auto x) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(x)>;
      Jet<X> const r = rest.rest(x, X(threshold));
      X const d = at.load(dz);
      accumulate ? at.add(g, X(k) * d * r.slope) : at.store(g, X(k) * d * r.slope);
      sum.add({d * r.value});
    });
    if (!ignored) team.once([&] { g[y] = before + T(rows.scale(i) * u * dz_y * at_y.psi.slope); });
    if (scale_gradient) scale_gradient[i] = T(u * (sums.dot.v + dz_y * (ignored ? 0 : at_y.psi.value)));
  }
};

template <class L, class T, class I>
void expect_batch(L const&, Batch<T, I> const& b, Options const& options) {
  idx const rows = b.cosines.rows, cols = b.cosines.cols;
  expect_matrix("cosines", b.cosines);
  expect_size("labels", b.labels, rows);
  expect_size_or_none("weights", b.weights, rows);
  expect_size_or_none("class_weights", b.class_weights, cols);
  expect_size_or_none("scales", b.scales, rows);
  expect_size_or_none("upstream", b.upstream, rows);
  if (options.top_k < 1) fail<ParameterError>("top_k = %d is below 1", options.top_k);
  for (idx i = 0; i < rows; ++i) {
    idx const y = static_cast<idx>(b.labels[i]);
    if ((y < 0 || y >= cols) && y != options.ignore_label)
      fail<LabelError>("labels[%lld] = %lld is outside [0, %lld)", ll(i), ll(y), ll(cols));
  }
  expect_not_negative("weights", b.weights);
  expect_not_negative("class_weights", b.class_weights);
  expect_not_negative("scales", b.scales);
}

// Whatever is written lies apart from whatever else is read or written; the gradient against the cosines has its own rule.
template <class T, class I>
void expect_outputs(Batch<T, I> const& b, MatrixView<T> gradient, Workspace workspace, Outputs<T> const& out) {
  Extent const outs[] = {extent("gradient", gradient), extent("workspace", workspace), extent("row_losses", out.row_losses),
                         extent("scale_gradient", out.scale_gradient), extent("saved", out.saved)};
  Extent const ins[] = {extent("labels", b.labels), extent("weights", b.weights), extent("class_weights", b.class_weights),
                        extent("scales", b.scales), extent("upstream", b.upstream)};
  Extent const cosines = extent("cosines", b.cosines);
  for (auto const& out_i : outs) {
    for (auto const& in : ins) expect_apart(out_i, in);
    for (auto const& out_j : outs)
      if (&out_j < &out_i) expect_apart(out_j, out_i);
    if (&out_i != outs) expect_apart(out_i, cosines);
  }
}

template <class L, class T, class I>
Rows<L, T, I> rows_of(L const& loss, Batch<T, I> const& batch, Options const& options) {
  Rows<L, T, I> rows{loss, batch, options, 1};
  double valid = 0, weights = 0;
  for (idx i = 0; i < batch.labels.size; ++i)
    if (!rows.ignored(i)) valid += 1, weights += rows.weight(i);
  if (options.reduction == Reduction::mean) rows.divisor = valid;
  if (options.reduction == Reduction::batch_mean) rows.divisor = double(batch.labels.size);
  if (options.reduction == Reduction::weighted_mean) rows.divisor = weights;
  if (rows.divisor == 0) rows.divisor = 1;  // nothing to divide
  return rows;
}

// Does one shift serve every row, or must pairs be carried?
template <class T, class R>
bool bounded(R const& rows) {
  double s = rows.loss.scale;
  if (rows.batch.scales) {
    s = 0;
    for (idx i = 0; i < rows.batch.scales.size; ++i) s = std::fmax(s, rows.scale(i));
  }
  return Bounded<T>::serves(s, rest_range(rows.loss.rest), double(rows.batch.cosines.cols));
}

template <class R>
Report summary(R const& rows, RowRecord const* records) {
  Report r;
  r.rows = rows.batch.cosines.rows;
  double angles = 0;
  for (idx i = 0; i < r.rows; ++i) {
    RowRecord const& row = records[i];
    if (!row.valid) continue;
    ++r.valid;
    r.loss += row.loss;
    angles += row.angle;
    r.top1 += row.above == 0;
    r.topk += row.above < rows.options.top_k;
    r.hard_negatives += row.hard;
    r.clamped += row.odd.clamped;
    r.out_of_range += row.odd.out_of_range;
    r.non_finite += row.odd.non_finite;
  }
  r.loss /= rows.divisor;
  if (r.valid > 0) r.mean_target_angle = angles / double(r.valid);
  return r;
}

template <bool Gradient, class B, class L, class T, class I>
Report run_loss(B const& backend, L const& loss, Batch<T, I> const& batch, MatrixView<T> gradient, Placement placement,
                Workspace workspace, Options const& options, Outputs<T> const& out) {
  auto const rows = rows_of(loss, batch, options);
  idx const b = batch.cosines.rows;
  Arena arena(workspace);
  auto const records = arena.take<RowRecord>(static_cast<std::size_t>(b));
  auto const scratch = arena.take<std::byte>(0);
  auto const go = [&](auto exp_of, auto moment) {
    LossRow<Gradient, decltype(moment)::value, decltype(exp_of), L, T, I> const row{rows, gradient, records, out};
    backend.template rows<T>(b, batch.cosines.cols, placement, scratch, row);
  };
  auto const with_moment = [&](auto exp_of) {
    if (out.scale_gradient || out.saved) go(exp_of, std::true_type{}); else go(exp_of, std::false_type{});
  };
  if (bounded<T>(rows)) with_moment(Bounded<T>{}); else with_moment(Relative<T>{});
  return summary(rows, records);
}

template <class B, class V>
constexpr void expect_reachable() {
  static_assert(std::is_same_v<typename B::space, typename V::space>,
                "losskit: this backend cannot reach this memory (a device view given to a host backend, or the reverse)");
}
template <class T, class G>
constexpr void expect_same_type() {
  static_assert(std::is_same_v<T, G>, "losskit: cosines and gradient must hold the same type, and the gradient must not be const");
}

}  // namespace detail

// The bytes of workspace that a call over rows x cols cosines of type T asks for, for where its gradient goes. Grows with
// rows, cols and the backend's threads only.
template <class T, class B>
std::size_t workspace_bytes(B const& backend, idx rows, idx cols, Placement placement) {
  return detail::alignment + detail::padded(static_cast<std::size_t>(rows) * sizeof(detail::RowRecord)) +
         backend.template scratch_bytes<T>(rows, cols, placement);
}

// Loss and d loss / d cosines in one pass over B x C cosines. `gradient` may be the cosines themselves (the fastest form;
// not with Write::accumulate) or apart from them. Outputs::row_losses holds weight_i L_i; Outputs::scale_gradient d loss / d s_i.
template <class B, class L, class T, class I, class S, class G>
Report loss_and_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, G&& gradient, Workspace workspace,
                         Options const& options = {}, Outputs<T> const& out = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate, in_place = g.data == batch.cosines.data;
    auto const placement = accumulate ? Placement::accumulate : in_place ? Placement::in_place : Placement::out_of_place;
    detail::expect_batch(loss, batch, options);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size_or_none("row_losses", out.row_losses, rows);
    detail::expect_size_or_none("scale_gradient", out.scale_gradient, rows);
    detail::expect_size_or_none("saved", out.saved, rows);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, placement));
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_outputs(batch, g, workspace, out);
    return detail::run_loss<true>(backend, loss, batch, g, placement, workspace, options, out);
  } else {
    return {};
  }
}

// Loss only: one read of the cosines. With Outputs::saved the gradient can follow later (loss_gradient).
template <class B, class L, class T, class I, class S>
Report loss_value(B const& backend, L const& loss, Batch<T, I, S> const& batch, Workspace workspace, Options const& options = {},
                  Outputs<T> const& out = {}) {
  detail::expect_reachable<B, Batch<T, I, S>>();
  if constexpr (std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    detail::expect_batch(loss, batch, options);
    detail::expect_size_or_none("row_losses", out.row_losses, rows);
    detail::expect_size_or_none("scale_gradient", out.scale_gradient, rows);
    detail::expect_size_or_none("saved", out.saved, rows);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    detail::expect_outputs(batch, MatrixView<T>{}, workspace, out);
    return detail::run_loss<false>(backend, loss, batch, MatrixView<T>{}, Placement::no_gradient, workspace, options, out);
  } else {
    return {};
  }
}

// The gradient of a pass of loss_value that filled `saved`, for the same loss, batch, reduction and ignored label. The
// upstream factors are those of this call: Options::upstream and Batch::upstream. No workspace.
template <class B, class L, class T, class I, class S, class V, class G>
void loss_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, V const& saved, G&& gradient,
                   Options const& options = {}, VectorView<T> scale_gradient = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  VectorView<SavedRow const> const rows_saved = view(saved);
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(loss, batch, options);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size("saved", rows_saved, rows);
    detail::expect_size_or_none("scale_gradient", scale_gradient, rows);
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_outputs(batch, g, Workspace{}, Outputs<T>{{}, scale_gradient, {}});
    detail::expect_all_apart({detail::extent("gradient", g), detail::extent("saved", rows_saved), detail::extent("scale_gradient", scale_gradient)});
    auto const problem = detail::rows_of(loss, batch, options);
    auto const go = [&](auto exp_of) {
      detail::SavedGradientRow<decltype(exp_of), L, T, I> const row{problem, rows_saved, g, scale_gradient};
      backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    };
    if (detail::bounded<T>(problem)) go(Bounded<T>{}); else go(Relative<T>{});
  }
}

// Logits s psi(c_y), s r(c_j), for a softmax that lives elsewhere. `z` may be the cosines themselves. An ignored row has no
// target: all its classes are rest, with none above the threshold. Weights do not act here. The report's loss is 0.
template <class B, class L, class T, class I, class S, class Z>
Report logits(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& z, Workspace workspace, Options const& options = {}) {
  auto const out = view(static_cast<Z&&>(z));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(out)>();
  detail::expect_same_type<T, typename decltype(out)::value>();
  if constexpr (std::is_same_v<T, typename decltype(out)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    detail::expect_batch(loss, batch, options);
    detail::expect_shape("logits", out, rows, cols);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    detail::expect_same_or_apart("cosines", batch.cosines, "logits", out, true);
    detail::expect_outputs(batch, out, workspace, Outputs<T>{});
    auto const problem = detail::rows_of(loss, batch, options);
    auto const records = detail::Arena(workspace).take<detail::RowRecord>(static_cast<std::size_t>(rows));
    detail::LogitsRow<L, T, I> const row{problem, out, records};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    return detail::summary(problem, records);
  } else {
    return {};
  }
}

// d loss / d cosines from d loss / d logits. `gradient` may be the upstream matrix or the cosines themselves, unless it is
// accumulated. scale_gradient: B elements or empty.
template <class B, class L, class T, class I, class S, class Z, class G>
void logits_backward(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& logits_gradient, G&& gradient,
                     Options const& options = {}, VectorView<T> scale_gradient = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  auto const dz = view(static_cast<Z&&>(logits_gradient));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  detail::expect_same_type<T, std::remove_const_t<typename decltype(dz)::value>>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(loss, batch, options);
    detail::expect_shape("logits_gradient", dz, rows, cols);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size_or_none("scale_gradient", scale_gradient, rows);
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_same_or_apart("logits_gradient", dz, "gradient", g, !accumulate);
    detail::expect_apart(detail::extent("scale_gradient", scale_gradient), detail::extent("logits_gradient", dz));
    detail::expect_outputs(batch, g, Workspace{}, Outputs<T>{{}, scale_gradient, {}});
    detail::LogitsBackwardRow<L, T, I> const row{detail::rows_of(loss, batch, options), dz, g, scale_gradient};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
  }
}

}  // namespace losskit::inline LOSSKIT_ISA
