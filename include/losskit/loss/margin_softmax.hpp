// The calls over a cosine matrix: loss and gradient in one pass, loss only, gradient from a saved pass, logits and their
// backward. L is a composition like MarginSoftmax: margin, scale, objective, rest.
//
// Each call checks every argument first and throws before it writes (core/expects.hpp): ShapeError, StrideError, LabelError
// (row and value), ParameterError (weights, scales), AliasError, WorkspaceError. Nothing is allocated. B = 0 and batches with
// every row ignored give a loss of 0 and a zero gradient. The bits do not depend on the number of threads.
//
// Where the backend's memory is a device's, a call only enqueues: it returns a Pending<Report> (backend/cuda.cuh), and labels,
// weights and scales are checked as the rows run (Report::fault).
#pragma once
#include <cmath>
#include <cstdint>

#include "losskit/concepts.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"
#include "losskit/loss/tally.hpp"
#include "losskit/loss/workspace.hpp"
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

LOSSKIT_HD inline double angle_of(double c) { return ::acos(c >= 1 ? 1.0 : c <= -1 ? -1.0 : c); }

// Member by member: a record that is built elsewhere and copied costs more than what it holds.
template <class T, class Sums>
LOSSKIT_HD void fill(RowRecord& record, T target, double loss, Sums const& sums, OddCosines const& odd) {
  bool const lost = !(::fabs(target) <= stored_number<T>::largest);  // no finite target: never the first, not even of one class
  record.loss = loss;
  record.angle = angle_of(target);
  record.above = static_cast<idx>(sums.above.v) + lost;
  record.hard = static_cast<idx>(sums.hard.v);
  record.odd = odd;
  record.valid = true;
}

// A checked call: what every row needs.
template <class L, class S, class I, class Space>
struct Rows {
  using T = computed<S>;
  L loss;
  Batch<S, I, Space> batch;
  Options options;
  double const* divisor = nullptr;  // of the reduction

  LOSSKIT_HD idx count() const { return batch.cosines.rows; }
  LOSSKIT_HD idx label(idx i) const { return static_cast<idx>(batch.labels[i]); }
  LOSSKIT_HD bool ignored(idx i) const { return label(i) == options.ignore_label; }
  LOSSKIT_HD bool own_scale() const { return !batch.scales.data && !batch.scale.data; }
  LOSSKIT_HD double scale(idx i) const {
    return batch.scales.data ? double(batch.scales[i]) : batch.scale.data ? batch.scale[0] : loss.scale;
  }
  LOSSKIT_HD double weight(idx i) const {
    return (batch.weights.data ? double(batch.weights[i]) : 1) * (batch.class_weights.data ? double(batch.class_weights[label(i)]) : 1);
  }
  LOSSKIT_HD double upstream(idx i) const { return options.upstream * (batch.upstream.data ? double(batch.upstream[i]) : 1); }

  // What is wrong with row i. A host has looked before the call.
  LOSSKIT_HD Fault fault(idx i) const {
    if constexpr (!std::is_same_v<Space, host>) {
      if (ignored(i)) return {};
      if (label(i) < 0 || label(i) >= batch.cosines.cols) return {Fault::label, i, double(label(i))};
      if (double const w = weight(i); !(w >= 0 && w <= stored_number<T>::largest)) return {Fault::weight, i, w};
      if (double const s = scale(i); !(s >= 0 && s <= stored_number<T>::largest && s <= options.scale_ceiling)) return {Fault::scale, i, s};
    }
    return {};
  }
  // Has row i neither loss nor gradient?
  LOSSKIT_HD bool skipped(idx i) const { return ignored(i) || fault(i).what != Fault::none; }
};

// The exponential of row i: the one of the loss, or of the row's own scale.
template <class R, class T>
LOSSKIT_HD Bounded<T> exponential(Bounded<T> common, R const& rows, idx i) {
  return rows.own_scale() ? common : Bounded<T>::of(rows.scale(i), rest_range(rows.loss.rest), double(rows.batch.cosines.cols));
}
template <class R, class T>
LOSSKIT_HD Relative<T> exponential(Relative<T>, R const& rows, idx i) {
  return {T(rows.scale(i))};
}

// A row of zeros.
template <class Team, class S>
LOSSKIT_HD void clear_row(Team& team, S* g, idx n) {
  team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(g, typename Team::number(0)); });
}

// One row of loss_and_gradient (Gradient) or loss_value. Moment: dL/ds is asked for.
template <bool Gradient, bool Moment, class Exp, class L, class S, class I, class Space>
struct LossRow {
  using T = computed<S>;
  static constexpr bool keeps = Gradient && !Exp::paired;  // e, between the passes
  Rows<L, S, I, Space> rows;
  Exp common;
  MatrixView<S, Space> gradient;
  RowRecord* records;
  Outputs<T, Space> out;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    S* const g = Gradient ? gradient.row(i) : nullptr;
    if (rows.skipped(i)) {
      if (Gradient && rows.options.write == Write::assign) clear_row(team, g, n);
      team.once([&] {
        records[i] = RowRecord{};
        write_outputs(i, RowEnd{}, 0);
      });
      return;
    }
    S const* const c = rows.batch.cosines.row(i);
    auto const at_y = target_of(rows.loss.margin, c[y]);
    auto const exp_of = exponential(common, rows, i);
    constexpr bool kept_in_pass = keeps && Team::keeps;
    auto const kept = [&] {
      if constexpr (kept_in_pass) return team.keep(g); else return Nothing{};
    }();
    OddCosines odd;
    auto const sums = open_row<Moment>(team, c, n, y, kept, rows.loss.rest, exp_of, at_y, odd);
    auto const known = after_sums(exp_of, sums);
    auto const end = close_row(sums, at_y.psi, known.scale(), known.shift(), rows.loss.objective, rows.weight(i));
    team.once([&] {
      fill(records[i], at_y.cosine, end.loss, sums, odd);
      write_outputs(i, end, known.shift());
    });
    if constexpr (Gradient) {
      double const u = rows.upstream(i) / *rows.divisor;
      if constexpr (kept_in_pass) {
        double const lift = lift_of<T>(u * end.factor);
        if (lift != 1) {
          using X = typename Team::number;
          team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(kept, X(T(lift)) * at.load(kept)); });
        }
        team.finish(kept, g, n, y, RowScale{u * end.factor / lift, u * end.slope});
      } else {
        gradient_row(team, c, g, n, y, rows.loss.rest, known, at_y.threshold, u * end.factor, u * end.slope,
                     rows.options.write == Write::accumulate);
      }
    }
  }

  LOSSKIT_HD void write_outputs(idx i, RowEnd const& end, double shift) const {
    double const d = *rows.divisor;
    if (out.row_losses.data) out.row_losses[i] = T(end.loss);
    if (Moment && out.scale_gradient.data) out.scale_gradient[i] = T(rows.upstream(i) / d * end.scale_slope);
    if (out.saved.data) out.saved[i] = {end.factor / d, end.slope / d, end.scale_slope / d, shift};
  }
};

// One row of loss_gradient.
template <class Exp, class L, class S, class I, class Space>
struct SavedGradientRow {
  using T = computed<S>;
  Rows<L, S, I, Space> rows;
  Exp common;
  VectorView<SavedRow const, Space> saved;
  MatrixView<S, Space> gradient;
  VectorView<T, Space> scale_gradient;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols;
    S* const g = gradient.row(i);
    bool const accumulate = rows.options.write == Write::accumulate, skipped = rows.skipped(i);
    team.once([&] {
      if (scale_gradient.data) scale_gradient[i] = skipped ? T(0) : T(rows.upstream(i) * saved[i].scale_slope);
    });
    if (skipped) {
      if (!accumulate) clear_row(team, g, n);
      return;
    }
    S const* const c = rows.batch.cosines.row(i);
    idx const y = rows.label(i);
    auto exp_of = exponential(common, rows, i);
    if constexpr (Exp::paired) exp_of.m = T(saved[i].largest);
    gradient_row(team, c, g, n, y, rows.loss.rest, exp_of, target_of(rows.loss.margin, c[y]).threshold,
                 rows.upstream(i) * saved[i].factor, rows.upstream(i) * saved[i].slope, accumulate);
  }
};

// One row of logits: z_j = s r(c_j), z_y = s psi(c_y).
template <class L, class S, class I, class Space>
struct LogitsRow {
  using T = computed<S>;
  Rows<L, S, I, Space> rows;
  MatrixView<S, Space> z;
  RowRecord* records;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    S const* const c = rows.batch.cosines.row(i);
    S* const out = z.row(i);
    bool const skipped = rows.skipped(i);
    auto const at_y = skipped ? no_target<T>() : target_of(rows.loss.margin, c[y]);
    using X = typename Team::number;
    using Sums = RowSums<X, false>;
    X const s = T(rows.scale(i)), c_y = at_y.cosine, threshold = at_y.threshold;
    auto const rest = rows.loss.rest;
    OddCosines odd;
    team.sync();  // the target was read
    auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X raw, X x) LOSSKIT_INLINE_LAMBDA {
      X const r = rest.rest(x, threshold).value;
      at.store(out, s * r);
      sum.add(Bounded<T>{}, r, r, !(raw < c_y), raw > threshold);
    });
    if (!(sums.z.v <= HUGE_VAL)) odd.non_finite = count_non_finite(team, static_cast<S const*>(out), n);
    team.once([&] {
      if (!skipped) out[y] = static_cast<S>(T(rows.scale(i) * at_y.psi.value));  // after the sum: its place is written last
      skipped ? void(records[i] = RowRecord{}) : fill(records[i], at_y.cosine, 0, sums, odd);
    });
  }
};

// One row of logits_backward: dL/dc_j = dL/dz_j s r'(c_j), dL/ds = sum of dL/dz_j z_j / s.
template <class L, class S, class I, class Space>
struct LogitsBackwardRow {
  using T = computed<S>;
  Rows<L, S, I, Space> rows;
  MatrixView<S const, Space> upstream;
  MatrixView<S, Space> gradient;
  VectorView<T, Space> scale_gradient;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    idx const n = rows.batch.cosines.cols, y = rows.label(i);
    S const *const c = rows.batch.cosines.row(i), *const dz = upstream.row(i);
    S* const g = gradient.row(i);
    bool const skipped = rows.ignored(i), accumulate = rows.options.write == Write::accumulate;
    if (rows.fault(i).what != Fault::none) {
      if (!accumulate) clear_row(team, g, n);
      team.once([&] { if (scale_gradient.data) scale_gradient[i] = T(0); });
      return;
    }
    auto const at_y = skipped ? no_target<T>() : target_of(rows.loss.margin, c[y]);
    double const u = rows.upstream(i), dz_y = skipped ? 0 : double(static_cast<T>(dz[y]));
    using X = typename Team::number;
    using Sums = DotSum<X>;
    X const k = T(rows.scale(i) * u), threshold = at_y.threshold;
    T const before = !skipped && accumulate ? static_cast<T>(g[y]) : T(0);
    auto const rest = rows.loss.rest;
    OddCosines odd;
    team.sync();  // the target was read
    auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X, X x) LOSSKIT_INLINE_LAMBDA {
      Jet<X> const r = rest.rest(x, threshold);
      X const d = at.load(dz);
      accumulate ? at.add(g, k * d * r.slope) : at.store(g, k * d * r.slope);
      sum.add({d * r.value});
    });
    team.once([&] {  // after the sum: its place is written last
      if (!skipped) g[y] = static_cast<S>(before + T(rows.scale(i) * u * dz_y * at_y.psi.slope));
      if (scale_gradient.data) scale_gradient[i] = T(u * (sums.dot.v + dz_y * at_y.psi.value));
    });
  }
};

template <class B, class S, class I, class Space>
void expect_batch(B const& backend, Batch<S, I, Space> const& b, Options const& options) {
  idx const rows = b.cosines.rows, cols = b.cosines.cols;
  expect_matrix("cosines", b.cosines);
  expect_memory(backend, extent("cosines", b.cosines));
  for_each_view(b, [&](char const* name, auto const& v, Per per, Values values) {
    if (values == Values::labels || v.data || v.size != 0) expect_size(name, v, size_of(per, rows, cols));
    expect_memory(backend, extent(name, v));
  });
  if (options.top_k < 1) fail<ParameterError>("top_k = %d is below 1", options.top_k);
  if (!(options.scale_ceiling > 0)) fail<ParameterError>("scale_ceiling = %g is not > 0", options.scale_ceiling);
  if constexpr (std::is_same_v<Space, host>) {
    for (idx i = 0; i < rows; ++i) {
      idx const y = static_cast<idx>(b.labels[i]);
      if ((y < 0 || y >= cols) && y != options.ignore_label)
        fail<LabelError>("labels[%lld] = %lld is outside [0, %lld)", ll(i), ll(y), ll(cols));
    }
    for_each_view(b, [&](char const* name, auto const& v, Per, Values values) {
      if (values == Values::not_negative) expect_not_negative(name, v);
    });
  }
}

// Sizes of the outputs. Whatever is written lies apart from whatever else is read or written; the gradient against the cosines
// has its own rule.
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

// What the reduction divides by.
struct ValidSum {
  double valid = 0, weights = 0;
  LOSSKIT_HD void add(ValidSum const& b) {
    valid += b.valid;
    weights += b.weights;
  }
};
template <class R>
struct CountValid {
  R rows;
  LOSSKIT_HD void operator()(ValidSum& sum, idx i) const {
    if (rows.ignored(i)) return;
    sum.add({1, rows.fault(i).what == Fault::none ? rows.weight(i) : 0});
  }
};
struct KeepDivisor {
  idx rows;
  Reduction reduction;
  double* divisor;
  LOSSKIT_HD void operator()(ValidSum const& sum) const {
    double const d = reduction == Reduction::mean            ? sum.valid
                     : reduction == Reduction::batch_mean    ? double(rows)
                     : reduction == Reduction::weighted_mean ? sum.weights
                                                             : 1;
    *divisor = d == 0 ? 1 : d;  // nothing to divide
  }
};

// The report is a sum of the rows' records.
struct ReportSum : Report {
  LOSSKIT_HD void add(ReportSum const& b) {
    loss += b.loss;
    valid += b.valid;
    top1 += b.top1;
    topk += b.topk;
    hard_negatives += b.hard_negatives;
    clamped += b.clamped;
    out_of_range += b.out_of_range;
    non_finite += b.non_finite;
    mean_target_angle += b.mean_target_angle;
    if (b.fault.what != Fault::none && (fault.what == Fault::none || b.fault.row < fault.row)) fault = b.fault;
  }
};
template <class R>
struct AddRecord {
  R rows;
  RowRecord const* records;
  LOSSKIT_HD void operator()(ReportSum& sum, idx i) const {
    RowRecord const& row = records[i];
    ReportSum one;
    one.fault = rows.fault(i);
    if (row.valid) {
      one.loss = row.loss;
      one.valid = 1;
      one.top1 = row.above == 0;
      one.topk = row.above < rows.options.top_k;
      one.hard_negatives = row.hard;
      one.clamped = row.odd.clamped;
      one.out_of_range = row.odd.out_of_range;
      one.non_finite = row.odd.non_finite;
      one.mean_target_angle = row.angle;
    }
    sum.add(one);
  }
};
struct KeepReport {
  idx rows;
  double const* divisor;
  Report* report;
  LOSSKIT_HD void operator()(ReportSum const& sum) const {
    *report = sum;
    report->rows = rows;
    report->loss = sum.loss / *divisor;
    report->mean_target_angle = sum.valid > 0 ? sum.mean_target_angle / double(sum.valid) : 0;
  }
};

// The workspace of a call, and what its passes share.
struct CallScratch {
  Report* report;
  double* divisor;
  RowRecord* records;
  ReportSum* sums;  // of tally, and ValidSum before
  std::byte* scratch;

  static std::size_t bytes(idx rows) {
    return alignment + padded(sizeof(Report)) + padded(sizeof(double)) + padded(static_cast<std::size_t>(rows) * sizeof(RowRecord)) +
           padded(static_cast<std::size_t>(tally_parts(rows)) * sizeof(ReportSum));
  }
  template <class Space>
  CallScratch(WorkspaceIn<Space> workspace, idx rows) {
    Arena arena(workspace);
    report = arena.take<Report>(1);
    divisor = arena.take<double>(1);
    records = arena.take<RowRecord>(static_cast<std::size_t>(rows));
    sums = arena.take<ReportSum>(static_cast<std::size_t>(tally_parts(rows)));
    scratch = arena.take<std::byte>(0);
  }
};

// Before the rows: what their sum is divided by.
template <class B, class R>
void begin(B const& backend, R& rows, CallScratch const& scratch) {
  rows.divisor = scratch.divisor;
  static_assert(sizeof(ValidSum) <= sizeof(ReportSum));
  tally<typename R::T>(backend, rows.count(), reinterpret_cast<ValidSum*>(scratch.sums), CountValid<R>{rows},
                       KeepDivisor{rows.count(), rows.options.reduction, scratch.divisor});
}
// After them: the report, as the backend gives what lies in its memory.
template <class B, class R>
auto report(B const& backend, R const& rows, CallScratch const& scratch) {
  tally<typename R::T>(backend, rows.count(), scratch.sums, AddRecord<R>{rows, scratch.records},
                       KeepReport{rows.count(), scratch.divisor, scratch.report});
  return backend.given(scratch.report);
}

// go(exponential): one shift for every row where the largest scale allows it, or pairs. A device's scales are as large as the
// caller promised.
template <class R, class Go>
void with_exponential(R const& rows, Go const& go) {
  using T = typename R::T;
  auto const range = rest_range(rows.loss.rest);
  double const classes = double(rows.batch.cosines.cols);
  double s = rows.loss.scale;
  if (!rows.own_scale()) {
    s = rows.options.scale_ceiling;
    if constexpr (std::is_same_v<typename decltype(rows.batch)::space, host>) {
      s = rows.batch.scale ? rows.batch.scale[0] : 0;
      for (idx i = 0; i < rows.batch.scales.size; ++i) s = std::fmax(s, rows.scale(i));
    }
  }
  if (Bounded<T>::serves(s, range, classes)) go(Bounded<T>::of(s, range, classes)); else go(Relative<T>{T(s)});
}

template <bool Gradient, class B, class L, class S, class I, class Space>
auto run_loss(B const& backend, L const& loss, Batch<S, I, Space> const& batch, MatrixView<S, Space> gradient, Placement placement,
              WorkspaceIn<Space> workspace, Options const& options, Outputs<computed<S>, Space> const& out) {
  Rows<L, S, I, Space> rows{loss, batch, options};
  CallScratch const scratch(workspace, rows.count());
  begin(backend, rows, scratch);
  with_exponential(rows, [&](auto common) {
    auto const go = [&](auto moment) {
      LossRow<Gradient, decltype(moment)::value, decltype(common), L, S, I, Space> const row{rows, common, gradient, scratch.records, out};
      backend.template rows<S>(rows.count(), batch.cosines.cols, placement, scratch.scratch, row);
    };
    if (out.scale_gradient || out.saved) go(std::true_type{}); else go(std::false_type{});
  });
  return report(backend, rows, scratch);
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
  return detail::CallScratch::bytes(rows) + backend.template scratch_bytes<T>(rows, cols, placement);
}

// Loss and d loss / d cosines in one pass over B x C cosines. `gradient` may be the cosines themselves (the fastest form;
// not with Write::accumulate) or apart from them. Outputs::row_losses holds weight_i L_i; Outputs::scale_gradient d loss / d s_i.
template <class B, class L, class T, class I, class S, class G>
auto loss_and_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, G&& gradient,
                       WorkspaceIn<typename B::space> workspace, Options const& options = {}, Outputs<computed<T>, S> const& out = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate, in_place = g.data == batch.cosines.data;
    auto const placement = accumulate ? Placement::accumulate : in_place ? Placement::in_place : Placement::out_of_place;
    detail::expect_batch(backend, batch, options);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size_or_none("row_losses", out.row_losses, rows);
    detail::expect_size_or_none("scale_gradient", out.scale_gradient, rows);
    detail::expect_size_or_none("saved", out.saved, rows);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, placement));
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_outputs(backend, batch, g, workspace, out);
    return detail::run_loss<true>(backend, loss, batch, g, placement, workspace, options, out);
  }
}

// Loss only: one read of the cosines. With Outputs::saved the gradient can follow later (loss_gradient).
template <class B, class L, class T, class I, class S>
auto loss_value(B const& backend, L const& loss, Batch<T, I, S> const& batch, WorkspaceIn<typename B::space> workspace,
                Options const& options = {}, Outputs<computed<T>, S> const& out = {}) {
  detail::expect_reachable<B, Batch<T, I, S>>();
  if constexpr (std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    detail::expect_batch(backend, batch, options);
    detail::expect_size_or_none("row_losses", out.row_losses, rows);
    detail::expect_size_or_none("scale_gradient", out.scale_gradient, rows);
    detail::expect_size_or_none("saved", out.saved, rows);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    detail::expect_outputs(backend, batch, MatrixView<T, S>{}, workspace, out);
    return detail::run_loss<false>(backend, loss, batch, MatrixView<T, S>{}, Placement::no_gradient, workspace, options, out);
  }
}

// The gradient of a pass of loss_value that filled `saved`, for the same loss, batch, reduction and ignored label. The
// upstream factors are those of this call: Options::upstream and Batch::upstream. No workspace.
template <class B, class L, class T, class I, class S, class V, class G>
void loss_gradient(B const& backend, L const& loss, Batch<T, I, S> const& batch, V const& saved, G&& gradient,
                   Options const& options = {}, VectorView<computed<T>, S> scale_gradient = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  VectorView<SavedRow const, S> const rows_saved = view(saved);
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(backend, batch, options);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size("saved", rows_saved, rows);
    detail::expect_size_or_none("scale_gradient", scale_gradient, rows);
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_outputs(backend, batch, g, WorkspaceIn<S>{}, Outputs<computed<T>, S>{{}, scale_gradient, {}});
    detail::expect_all_apart(
        {detail::extent("gradient", g), detail::extent("saved", rows_saved), detail::extent("scale_gradient", scale_gradient)});
    detail::Rows<L, T, I, S> const problem{loss, batch, options};
    detail::with_exponential(problem, [&](auto common) {
      detail::SavedGradientRow<decltype(common), L, T, I, S> const row{problem, common, rows_saved, g, scale_gradient};
      backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    });
  }
}

// Logits s psi(c_y), s r(c_j), for a softmax that lives elsewhere. `z` may be the cosines themselves. An ignored row has no
// target: all its classes are rest, with none above the threshold. Weights do not act here. The report's loss is 0.
template <class B, class L, class T, class I, class S, class Z>
auto logits(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& z, WorkspaceIn<typename B::space> workspace,
            Options const& options = {}) {
  auto const out = view(static_cast<Z&&>(z));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(out)>();
  detail::expect_same_type<T, typename decltype(out)::value>();
  if constexpr (std::is_same_v<T, typename decltype(out)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    detail::expect_batch(backend, batch, options);
    detail::expect_shape("logits", out, rows, cols);
    detail::expect_workspace(workspace, workspace_bytes<T>(backend, rows, cols, Placement::no_gradient));
    detail::expect_same_or_apart("cosines", batch.cosines, "logits", out, true);
    detail::expect_outputs(backend, batch, out, workspace, Outputs<computed<T>, S>{});
    detail::Rows<L, T, I, S> problem{loss, batch, options};
    detail::CallScratch const scratch(workspace, rows);
    detail::begin(backend, problem, scratch);
    detail::LogitsRow<L, T, I, S> const row{problem, out, scratch.records};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
    return detail::report(backend, problem, scratch);
  }
}

// d loss / d cosines from d loss / d logits. `gradient` may be the upstream matrix or the cosines themselves, unless it is
// accumulated. scale_gradient: B elements or empty.
template <class B, class L, class T, class I, class S, class Z, class G>
void logits_backward(B const& backend, L const& loss, Batch<T, I, S> const& batch, Z&& logits_gradient, G&& gradient,
                     Options const& options = {}, VectorView<computed<T>, S> scale_gradient = {}) {
  auto const g = view(static_cast<G&&>(gradient));
  auto const dz = view(static_cast<Z&&>(logits_gradient));
  detail::expect_reachable<B, Batch<T, I, S>>();
  detail::expect_reachable<B, decltype(g)>();
  detail::expect_same_type<T, typename decltype(g)::value>();
  detail::expect_same_type<T, std::remove_const_t<typename decltype(dz)::value>>();
  if constexpr (std::is_same_v<T, typename decltype(g)::value> && std::is_same_v<S, typename B::space>) {
    idx const rows = batch.cosines.rows, cols = batch.cosines.cols;
    bool const accumulate = options.write == Write::accumulate;
    detail::expect_batch(backend, batch, options);
    detail::expect_shape("logits_gradient", dz, rows, cols);
    detail::expect_shape("gradient", g, rows, cols);
    detail::expect_size_or_none("scale_gradient", scale_gradient, rows);
    detail::expect_same_or_apart("cosines", batch.cosines, "gradient", g, !accumulate);
    detail::expect_same_or_apart("logits_gradient", dz, "gradient", g, !accumulate);
    detail::expect_apart(detail::extent("scale_gradient", scale_gradient), detail::extent("logits_gradient", dz));
    detail::expect_outputs(backend, batch, g, WorkspaceIn<S>{}, Outputs<computed<T>, S>{{}, scale_gradient, {}});
    detail::LogitsBackwardRow<L, T, I, S> const row{detail::Rows<L, T, I, S>{loss, batch, options}, dz, g, scale_gradient};
    backend.template rows<T>(rows, cols, Placement::no_gradient, static_cast<std::byte*>(nullptr), row);
  }
}

}  // namespace losskit::inline LOSSKIT_ISA
