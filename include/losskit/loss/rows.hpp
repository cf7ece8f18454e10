// One row of a loss over a cosine matrix: the four phases of row/row.hpp in one, for every backend.
//
// Margin, objective and labels act once a row, in double. On a host the row reaches them through pointers to functions
// (RowPoliciesRef), so that the heavy part, which walks the classes, is compiled once for a rest rule and a type instead of once
// for every margin x objective x label type: 160 functions for the whole catalogue, which a test counts. On a device they are part of
// the kernel (RowPolicies): nothing is called there.
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
  RowContext rest{};
  double scale = 0;
};
// The factors of a row's loss, and of its gradient besides: read only after the sums, so that they occupy no registers before.
struct RowFactors {
  double weight = 0;
  double upstream = 0;  // of options and batch together; reductions are the row's to divide by
};

template <class L, class S, class I, class Space>
struct RowPolicies : BatchRows<S, I, Space> {
  using T = computed<S>;
  using Margin = std::remove_cvref_t<decltype(std::declval<L>().margin)>;
  using Rest = std::remove_cvref_t<decltype(std::declval<L>().rest)>;
  L loss;

  RowPolicies(L const& l, Batch<S, I, Space> const& b, Options const& o)
      : BatchRows<S, I, Space>{b, o, l.scale, row_numbers_of(l.margin), row_numbers_of(l.rest)}, loss(l) {}

  LOSSKIT_HD RowStart<T> start(idx i) const {
    RowStart<T> start;
    if (this->fault(i).what != Fault::none) return start;
    start.faulty = false;
    start.rest = this->rest_context(i);
    start.scale = this->scale(i);
    if (this->ignored(i)) return start;
    start.skipped = false;
    start.label = this->label(i);
    start.target = target(this->batch.cosines.row(i)[start.label], this->margin_context(i));
    return start;
  }
  LOSSKIT_HD RowFactors factors(idx i) const { return {this->ignored(i) ? 0 : this->weight(i), this->upstream(i)}; }
  LOSSKIT_HD ObjectiveJet<Scalar<double>> objective(Scalar<double> log_p, Scalar<double> mean_log_p) const {
    return objective_jet_of(loss.objective, log_p, mean_log_p);
  }

 private:
  // Two branches, not one margin chosen before: on a device the loss's own margin is then read straight from the kernel's arguments.
  LOSSKIT_HD Target<T> target(S cosine, RowContext const& row) const {
    if constexpr (requires { loss.margin.at_row(row); })
      if (row.given) return target_of(loss.margin.at_row(row), cosine);
    return target_of(loss.margin, cosine);
  }
};

// The same behind pointers to functions, for hosts only (LOSSKIT_HD because the rows that call it compile for both). It must not outlive
// what it points to.
template <class S>
class RowPoliciesRef {
  using D = Scalar<double>;

 public:
  template <class P>
  explicit RowPoliciesRef(P const& policies)
      : policies_(&policies),
        start_([](void const* p, idx i) { return static_cast<P const*>(p)->start(i); }),
        factors_([](void const* p, idx i) { return static_cast<P const*>(p)->factors(i); }),
        objective_([](void const* p, D log_p, D mean_log_p) { return static_cast<P const*>(p)->objective(log_p, mean_log_p); }) {}

  LOSSKIT_HD RowStart<computed<S>> start(idx i) const { return start_(policies_, i); }
  LOSSKIT_HD RowFactors factors(idx i) const { return factors_(policies_, i); }
  LOSSKIT_HD ObjectiveJet<D> objective(D log_p, D mean_log_p) const { return objective_(policies_, log_p, mean_log_p); }

 private:
  void const* policies_;
  RowStart<computed<S>> (*start_)(void const*, idx);
  RowFactors (*factors_)(void const*, idx);
  ObjectiveJet<D> (*objective_)(void const*, D, D);
};

// Policies as the rows of a backend hold them.
template <class L, class S, class I, class Space>
auto as_rows_hold(RowPolicies<L, S, I, Space> const& policies) {
  if constexpr (std::is_same_v<Space, host>) return RowPoliciesRef<S>(policies); else return policies;
}

// --- rest rule and exponential of a call and of a row ------------------------------------------------------------------------------

// go(exponential): one shift for every row where the largest scale allows it, or pairs. For a device's scales that
// is Options::scale_ceiling.
template <class Rest, class S, class I, class Space, class Go>
void with_exponential(Rest const& rest, BatchRows<S, I, Space> const& rows, Go const& go) {
  using T = computed<S>;
  double s = rows.loss_scale;
  if (!rows.common_scale()) {
    s = std::fmin(rows.options.scale_ceiling, largest_scale);
    if constexpr (std::is_same_v<Space, host>) {
      s = rows.batch.scale ? rows.batch.scale[0] : 0;
      for (idx i = 0; i < rows.batch.scales.size; ++i) s = std::fmax(s, rows.scale(i));
    }
  }
  if constexpr (!takes_logits<Rest>) {
    double const classes = double(rows.batch.cosines.cols);
    if (RestRange const range = rest_range(rest); Bounded<T>::serves(s, range, classes)) return go(Bounded<T>::of(s, range, classes));
  }
  go(Paired<T>::of(s));
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
  LOSSKIT_HD Paired<T> of_scale(Paired<T>, double scale, double) const { return Paired<T>::of(scale); }
};

// The sums that a loss asks for by its policies.
template <class L>
constexpr auto asked_by() {
  constexpr bool mean = MeanObjective<decltype(L::objective)>, pulls = pulls_on_threshold<decltype(L::rest)>;
  static_assert(!(mean && pulls),
                "losskit: a rest rule that pulls on its threshold does not go with an objective on the mean log-probability");
  if constexpr (mean) return Asked<RestSum>{}; else if constexpr (pulls) return Asked<ThresholdSum>{}; else return Asked<>{};
}

// --- the rows ----------------------------------------------------------------------------------------------------------------------

// A row of zeros.
template <class Team, class S>
LOSSKIT_HD void clear_row(Team& team, S* g, idx n) {
  team.each(n, [=](auto at) LOSSKIT_INLINE_LAMBDA { at.store(g, typename Team::number(0)); });
}

// Whether e r' may be kept where the gradient will be: not where a uniform term is added before the multiplication by r'.
template <class Rest, class List>
inline constexpr bool can_wait = !RowSums<Scalar<double>, List>::template has<RestSum> || requires { requires Rest::unit_slope; };

// One row of loss_and_gradient (Gradient) or loss_value. List: the sums that are asked for.
template <bool Gradient, class List, class Exp, class Rest, class Policies, class S, class Space>
struct LossRow {
  using T = computed<S>;
  static constexpr bool keeps = Gradient && can_wait<Rest, List>;  // e, between the passes
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
        write_outputs(i, 0, RowEnd{}, 0);
      });
      return;
    }
    Rest const rest = at_row(classes.rest, start.rest);
    auto const exp_of = classes.exponential(start.scale, all.total);
    auto const kept = [&] {
      if constexpr (kept_in_pass) return team.keep(g); else return Nothing{};
    }();
    RowState<T, Exp, List> state{start.target};
    auto const stretches = open_row(team, c, all, start.label, kept, rest, exp_of, state);
    // Before the loss, so that the counts leave their registers.
    team.once([&] { fill<takes_logits<Rest>>(records[i], start.target.cosine, state.sums, state.odd); });
    auto const known = after_sums(exp_of, state.sums);
    auto const objective = [this](auto log_p, auto mean_log_p) { return policies.objective(log_p, mean_log_p); };
    RowFactors const factors = policies.factors(i);
    RowEnd const end = close_row(state.sums, start.target, known.scale(), known.shift_above(start.target.psi.value), all.total, objective,
                                 factors.weight);
    team.once([&] {
      records[i].loss = end.loss;
      write_outputs(i, factors.upstream, end, top_of(state.sums));
    });
    if constexpr (Gradient) {
      double const u = factors.upstream / *divisor;
      constexpr bool adds = RowSums<Scalar<double>, List>::template has<RestSum>;
      if constexpr (kept_in_pass) finish_row<adds>(team, kept, stretches, at_of(state.sums), g, all, start.label, end, u);
      else finish_row_from_cosines<adds>(team, c, g, all, start.label, rest, known, start.target.threshold, end, u, accumulate);
    }
  }

 private:
  LOSSKIT_HD static double top_of(PairedSums<List> const& sums) { return sums.top; }
  LOSSKIT_HD static double top_of(RowSums<Scalar<double>, List> const&) { return 0; }
  LOSSKIT_HD static double at_of(PairedSums<List> const& sums) { return sums.at; }
  LOSSKIT_HD static double at_of(RowSums<Scalar<double>, List> const&) { return 0; }

  LOSSKIT_HD void write_outputs(idx i, double upstream, RowEnd const& end, double top) const {
    double const d = *divisor;
    if (out.row_losses.data) out.row_losses[i] = T(end.loss);
    if (out.scale_gradient.data) out.scale_gradient[i] = T(upstream / d * end.scale_slope);
    if (out.margin_gradient.data) out.margin_gradient[i] = T(upstream / d * end.margin_slope);
    if (out.saved.data)
      out.saved[i] = {end.pull / d, end.z, end.uniform / d, end.slope / d, end.scale_slope / d, end.margin_slope / d, top};
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
  VectorView<T, Space> scale_gradient, margin_gradient;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    Classes const all = Classes::whole(cosines.cols);
    S* const g = gradient.row(i);
    RowStart<T> const start = policies.start(i);
    SavedRow const row = start.skipped ? SavedRow{} : saved[i];
    double const upstream = start.skipped ? 0 : policies.factors(i).upstream;
    team.once([&] {
      if (scale_gradient.data) scale_gradient[i] = T(upstream * row.scale_slope);
      if (margin_gradient.data) margin_gradient[i] = T(upstream * row.margin_slope);
    });
    if (start.skipped) {
      if (!accumulate) clear_row(team, g, all.count);
      return;
    }
    auto exp_of = classes.exponential(start.scale, all.total);
    if constexpr (Exp::paired) exp_of = exp_of.relative_to(row.top);
    RowEnd const end{.pull = row.pull, .z = row.z, .uniform = row.uniform, .slope = row.slope};
    finish_row_from_cosines<true>(team, cosines.row(i), g, all, start.label, at_row(classes.rest, start.rest), exp_of,
                                  start.target.threshold, end, upstream, accumulate);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA::detail
