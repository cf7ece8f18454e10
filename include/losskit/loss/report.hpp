// From the rows of a batch to the report of a call: what each row is given, what it leaves behind, and their sums in row order.
#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/tally.hpp"
#include "losskit/loss/workspace.hpp"
#include "losskit/team/cosines.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

// A checked call's batch, row by row. `loss_scale`: the loss's own.
template <class S, class I, class Space>
struct BatchRows {
  using T = computed<S>;
  Batch<S, I, Space> batch;
  Options options;
  double loss_scale;
  Interval margin_numbers, rest_numbers;  // what the policies take

  LOSSKIT_HD idx label(idx i) const { return static_cast<idx>(batch.labels[i]); }
  LOSSKIT_HD bool ignored(idx i) const { return label(i) == options.ignore_label; }
  LOSSKIT_HD bool common_scale() const { return !batch.scales.data && !batch.scale.data; }
  LOSSKIT_HD double scale(idx i) const {
    return batch.scales.data ? double(batch.scales[i]) : batch.scale.data ? batch.scale[0] : loss_scale;
  }
  LOSSKIT_HD double weight(idx i) const {
    return product(batch.weights.data ? double(batch.weights[i]) : 1,
                   batch.class_weights.data ? double(batch.class_weights[label(i)]) : 1);
  }
  LOSSKIT_HD RowContext margin_context(idx i) const {
    bool const given = batch.margins.data;
    return {i, label(i), given, given ? double(batch.margins[i]) : 0};
  }
  LOSSKIT_HD RowContext rest_context(idx i) const {
    bool const given = batch.rest.data;
    return {i, label(i), given, given ? batch.rest[batch.rest.size == 1 ? 0 : i] : 0};
  }
  LOSSKIT_HD double upstream(idx i) const { return options.upstream * (batch.upstream.data ? double(batch.upstream[i]) : 1); }

  // What is wrong with row i, on a device; a host has checked before the rows run.
  LOSSKIT_HD Fault fault(idx i) const {
    if constexpr (!std::is_same_v<Space, host>) {
      if (ignored(i)) return {};
      if (label(i) < 0 || label(i) >= batch.cosines.cols) return {Fault::label, i, double(label(i))};
      if (double const w = weight(i); !(w >= 0 && w <= stored_number<T>::largest)) return {Fault::weight, i, w};
      if (double const s = scale(i); !(s >= 0 && s <= largest_scale && (common_scale() || s <= options.scale_ceiling)))
        return {Fault::scale, i, s};
      if (RowContext const m = margin_context(i); m.given && !margin_numbers.contains(m.number)) return {Fault::margin, i, m.number};
      if (RowContext const r = rest_context(i); r.given && !rest_numbers.contains(r.number)) return {Fault::rest, i, r.number};
    }
    return {};
  }
  // Whether row i is ignored or faulty: no loss, a zero gradient.
  LOSSKIT_HD bool skipped(idx i) const { return ignored(i) || fault(i).what != Fault::none; }
};

// What each row leaves behind; the report is their sum in row order.
struct RowRecord {
  double loss = 0, angle = 0;
  idx above = 0, hard = 0;
  OddCosines odd;
  bool valid = false;
};

inline constexpr idx never_first = std::numeric_limits<idx>::max();

LOSSKIT_HD inline double angle_of(double c) { return ::acos(c >= 1 ? 1.0 : c <= -1 ? -1.0 : c); }

// All but the loss. Member by member: a record that is built elsewhere and then copied costs more.
template <bool Logits, class T, class Sums>
LOSSKIT_HD void fill(RowRecord& record, T target, Sums const& sums, OddCosines const& odd) {
  // A NaN or infinite target is never in the top k, however few classes there are; but a logit of -infinity has its rank.
  bool const lost = !((Logits ? target : T(::fabs(target))) <= stored_number<T>::largest);
  record.angle = Logits ? 0 : angle_of(target);
  record.above = lost ? never_first : static_cast<idx>(sums.above.v);
  record.hard = static_cast<idx>(sums.hard.v);
  record.odd = odd;
  record.valid = true;
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
struct ReportSum {
  Report all{};
  LOSSKIT_HD void add(ReportSum const& other) {
    Report const& b = other.all;
    all.loss += b.loss;
    all.valid += b.valid;
    all.top1 += b.top1;
    all.topk += b.topk;
    all.hard_negatives += b.hard_negatives;
    all.clamped += b.clamped;
    all.out_of_range += b.out_of_range;
    all.non_finite += b.non_finite;
    all.mean_target_angle += b.mean_target_angle;
    if (b.fault.what != Fault::none && (all.fault.what == Fault::none || b.fault.row < all.fault.row)) all.fault = b.fault;
  }
};
template <class R>
struct AddRecord {
  R rows;
  RowRecord const* records;
  LOSSKIT_HD void operator()(ReportSum& sum, idx i) const {
    RowRecord const& row = records[i];
    ReportSum one;
    one.all.fault = rows.fault(i);
    if (row.valid) {
      one.all.loss = row.loss;
      one.all.valid = 1;
      one.all.top1 = row.above == 0;
      one.all.topk = row.above < rows.options.top_k;
      one.all.hard_negatives = row.hard;
      one.all.clamped = row.odd.clamped;
      one.all.out_of_range = row.odd.out_of_range;
      one.all.non_finite = row.odd.non_finite;
      one.all.mean_target_angle = row.angle;
    }
    sum.add(one);
  }
};
struct KeepReport {
  idx rows;
  double const* divisor;
  Report* report;
  LOSSKIT_HD void operator()(ReportSum const& sum) const {
    *report = sum.all;
    report->rows = rows;
    report->loss = sum.all.loss / *divisor;
    report->mean_target_angle = sum.all.valid > 0 ? sum.all.mean_target_angle / double(sum.all.valid) : 0;
  }
};

// The workspace of a call, and what its passes share.
struct CallScratch {
  Report* report;
  double* divisor;
  RowRecord* records;
  ValidSum* valid_sums;    // of tally
  ReportSum* report_sums;  // of tally
  std::byte* backend;      // the rest: the backend's scratch

  static std::size_t bytes(idx rows) {
    auto const parts = static_cast<std::size_t>(tally_parts(rows));
    return alignment + padded(sizeof(Report)) + padded(sizeof(double)) + padded(static_cast<std::size_t>(rows) * sizeof(RowRecord)) +
           padded(parts * sizeof(ValidSum)) + padded(parts * sizeof(ReportSum));
  }
  template <class Space>
  CallScratch(WorkspaceIn<Space> workspace, idx rows) {
    auto const parts = static_cast<std::size_t>(tally_parts(rows));
    Arena arena(workspace);
    report = arena.take<Report>(1);
    divisor = arena.take<double>(1);
    records = arena.take<RowRecord>(static_cast<std::size_t>(rows));
    valid_sums = arena.take<ValidSum>(parts);
    report_sums = arena.take<ReportSum>(parts);
    backend = arena.take<std::byte>(0);
  }
};

// Before the rows: the reduction's divisor.
template <class B, class S, class I, class Space>
void begin_call(B const& backend, BatchRows<S, I, Space> const& rows, CallScratch const& scratch) {
  idx const count = rows.batch.cosines.rows;
  tally<S>(backend, count, scratch.valid_sums, CountValid<BatchRows<S, I, Space>>{rows},
           KeepDivisor{count, rows.options.reduction, scratch.divisor});
}
// After the rows: the report, by the backend's given.
template <class B, class S, class I, class Space>
auto end_call(B const& backend, BatchRows<S, I, Space> const& rows, CallScratch const& scratch) {
  idx const count = rows.batch.cosines.rows;
  tally<S>(backend, count, scratch.report_sums, AddRecord<BatchRows<S, I, Space>>{rows, scratch.records},
           KeepReport{count, scratch.divisor, scratch.report});
  return backend.given(scratch.report);
}

}  // namespace losskit::inline LOSSKIT_ISA::detail
