// One row of a loss over a cosine matrix: the four phases of row/row.hpp in one, for every backend.
//
// Margin, objective and labels act once a row, in double. On a host the row reaches them through two pointers to functions
// (RowPoliciesRef), so that the heavy part, which walks the classes, is compiled once for a rest rule and a type instead of once
// for every margin x objective x label type. On a device they are part of the kernel (RowPolicies): nothing is called there.
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/report.hpp"
#include "losskit/row/row.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

// --- what is known of a row before its classes are read ------------------------------------------------------------------------

template <class T>
struct RowStart {
  idx label = -1;
  bool skipped = true;  // ignored or faulty: no loss, and a zero gradient
  bool faulty = true;   // on a device, whose numbers no host has checked
  Target<T> target = no_target<T>();
  double scale = 0, weight = 0;
  double upstream = 0;  // of options and batch together; reductions are the row's to divide by
};

template <class L, class S, class I, class Space>
struct RowPolicies : BatchRows<S, I, Space> {
  using T = computed<S>;
  L loss;

  RowPolicies(L const& l, Batch<S, I, Space> const& b, Options const& o) : BatchRows<S, I, Space>{b, o, l.scale}, loss(l) {}

  LOSSKIT_HD RowStart<T> start(idx i) const {
    if (this->fault(i).what != Fault::none) return {};
    if (this->ignored(i)) return {.faulty = false, .scale = this->scale(i), .upstream = this->upstream(i)};
    idx const y = this->label(i);
    return {y, false, false, target_of(loss.margin, this->batch.cosines.row(i)[y]), this->scale(i), this->weight(i), this->upstream(i)};
  }
  LOSSKIT_HD Jet<Scalar<double>> objective(Scalar<double> log_p) const { return loss.objective(log_p); }
};

// The same behind two pointers. It must not outlive what it points to.
template <class S>
class RowPoliciesRef {
 public:
  template <class P>
  explicit RowPoliciesRef(P const& policies)
      : policies_(&policies),
        start_([](void const* p, idx i) { return static_cast<P const*>(p)->start(i); }),
        objective_([](void const* p, Scalar<double> log_p) { return static_cast<P const*>(p)->objective(log_p); }) {}

  RowStart<S> start(idx i) const { return start_(policies_, i); }
  Jet<Scalar<double>> objective(Scalar<double> log_p) const { return objective_(policies_, log_p); }

 private:
  void const* policies_;
  RowStart<S> (*start_)(void const*, idx);
  Jet<Scalar<double>> (*objective_)(void const*, Scalar<double>);
};

// Policies as the rows of a backend hold them.
template <class L, class S, class I, class Space>
auto as_rows_hold(RowPolicies<L, S, I, Space> const& policies) {
  if constexpr (std::is_same_v<Space, host>) return RowPoliciesRef<S>(policies); else return policies;
}

// --- the exponential of a call and of a row --------------------------------------------------------------------------------------

// go(exponential): one shift for every row where the largest scale allows it, or pairs. A device's scales are as large as the
// caller promised.
template <class Rest, class S, class I, class Space, class Go>
void with_exponential(Rest const& rest, BatchRows<S, I, Space> const& rows, Go const& go) {
  using T = computed<S>;
  auto const range = rest_range(rest);
  double const classes = double(rows.batch.cosines.cols);
  double s = rows.loss_scale;
  if (!rows.common_scale()) {
    s = rows.options.scale_ceiling;
    if constexpr (std::is_same_v<Space, host>) {
      s = rows.batch.scale ? rows.batch.scale[0] : 0;
      for (idx i = 0; i < rows.batch.scales.size; ++i) s = std::fmax(s, rows.scale(i));
    }
  }
  if (Bounded<T>::serves(s, range, classes)) go(Bounded<T>::of(s, range, classes)); else go(Relative<T>{T(s)});
}

// What a row does with its classes: a rest rule, and the exponential of all rows, unless each has a scale of its own.
template <class Rest, class Exp>
struct RowClasses {
  Rest rest;
  Exp common;
  bool common_scale;

  LOSSKIT_HD Exp exponential(double scale, idx classes) const {
    return common_scale ? common : of_scale(common, scale, double(classes));
  }

 private:
  template <class T>
  LOSSKIT_HD Bounded<T> of_scale(Bounded<T>, double scale, double classes) const {
    return Bounded<T>::of(scale, rest_range(rest), classes);
  }
  template <class T>
  LOSSKIT_HD Relative<T> of_scale(Relative<T>, double scale, double) const { return {T(scale)}; }
};

// --- the rows ----------------------------------------------------------------------------------------------------------------------

// A row of zeros.
template <class Team, class S>
LOSSKIT_HD void clear_row(Team& team, S* g, idx n) {
  team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(g, typename Team::number(0)); });
}

// One row of loss_and_gradient (Gradient) or loss_value. Moment: dL/ds is asked for.
template <bool Gradient, bool Moment, class Exp, class Rest, class Policies, class S, class Space>
struct LossRow {
  using T = computed<S>;
  static constexpr bool keeps = Gradient && !Exp::paired;  // e, between the passes
  Policies policies;
  RowClasses<Rest, Exp> classes;
  MatrixView<S const, Space> cosines;
  MatrixView<S, Space> gradient;
  bool accumulate;
  double const* divisor;
  RowRecord* records;
  Outputs<T, Space> out;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    Classes const all = Classes::whole(cosines.cols);
    S const* const c = cosines.row(i);
    S* const g = Gradient ? gradient.row(i) : nullptr;
    constexpr bool kept_in_pass = keeps && Team::keeps;
    if constexpr (kept_in_pass) team.prefetch_row(c, all.count);
    RowStart<T> const start = policies.start(i);
    if (start.skipped) {
      if (Gradient && !accumulate) clear_row(team, g, all.count);
      team.once([&] {
        records[i] = RowRecord{};
        write_outputs(i, start, RowEnd{}, 0);
      });
      return;
    }
    auto const exp_of = classes.exponential(start.scale, all.total);
    auto const kept = [&] {
      if constexpr (kept_in_pass) return team.keep(g); else return Nothing{};
    }();
    RowState<T, Exp, Moment> state{start.target};
    open_row<Moment>(team, c, all, start.label, kept, classes.rest, exp_of, state);
    auto const known = after_sums(exp_of, state.sums);
    auto const objective = [this](Scalar<double> log_p) { return policies.objective(log_p); };
    auto const end = close_row(state.sums, start.target.psi, known.scale(), known.shift(), objective, start.weight);
    team.once([&] {
      fill(records[i], start.target.cosine, end.loss, state.sums, state.odd);
      write_outputs(i, start, end, known.shift());
    });
    if constexpr (Gradient) {
      double const u = start.upstream / *divisor;
      if constexpr (kept_in_pass) finish_row(team, kept, g, all, start.label, u * end.factor, u * end.slope);
      else
        finish_row_from_cosines(team, c, g, all, start.label, classes.rest, known, start.target.threshold, u * end.factor, u * end.slope,
                                accumulate);
    }
  }

 private:
  LOSSKIT_HD void write_outputs(idx i, RowStart<T> const& start, RowEnd const& end, double shift) const {
    double const d = *divisor;
    if (out.row_losses.data) out.row_losses[i] = T(end.loss);
    if (Moment && out.scale_gradient.data) out.scale_gradient[i] = T(start.upstream / d * end.scale_slope);
    if (out.saved.data) out.saved[i] = {end.factor / d, end.slope / d, end.scale_slope / d, shift};
  }
};

// One row of loss_gradient.
template <class Exp, class Rest, class Policies, class S, class Space>
struct SavedGradientRow {
  using T = computed<S>;
  Policies policies;
  RowClasses<Rest, Exp> classes;
  MatrixView<S const, Space> cosines;
  VectorView<SavedRow const, Space> saved;
  MatrixView<S, Space> gradient;
  bool accumulate;
  VectorView<T, Space> scale_gradient;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    Classes const all = Classes::whole(cosines.cols);
    S* const g = gradient.row(i);
    RowStart<T> const start = policies.start(i);
    team.once([&] {
      if (scale_gradient.data) scale_gradient[i] = start.skipped ? T(0) : T(start.upstream * saved[i].scale_slope);
    });
    if (start.skipped) {
      if (!accumulate) clear_row(team, g, all.count);
      return;
    }
    auto exp_of = classes.exponential(start.scale, all.total);
    if constexpr (Exp::paired) exp_of.m = T(saved[i].largest);
    finish_row_from_cosines(team, cosines.row(i), g, all, start.label, classes.rest, exp_of, start.target.threshold,
                            start.upstream * saved[i].factor, start.upstream * saved[i].slope, accumulate);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA::detail
