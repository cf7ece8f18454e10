// The calls for point losses: loss and gradient of every (prediction, truth), or the loss only, over vectors or matrices.
//
// Each call checks its arguments first and throws before it writes: ShapeError, StrideError, ParameterError (weights),
// AliasError, WorkspaceError, MemoryError. Nothing is allocated; the bits do not depend on the number of threads. Over a device's memory a
// call only enqueues and returns a Pending<PointReport>; weights are then not checked.
#pragma once
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/loss/arguments.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"
#include "losskit/loss/tally.hpp"
#include "losskit/loss/workspace.hpp"

namespace losskit {

struct PointOptions {
  Reduction reduction = Reduction::mean;  // mean: over elements; batch_mean: sum / rows (1 for vectors); none: as sum
  double upstream = 1;                    // multiplies the gradient, not the loss
  Write write = Write::assign;
};

template <class T, class Space = host>
struct PointOutputs {
  MatrixView<T const, Space> weights{};   // an input: >= 0, one an element, or empty
  MatrixView<T, Space> element_losses{};  // weight L of each element, or empty
};

struct PointReport {
  double loss = 0;        // reduced
  idx elements = 0;
  idx truth_clamped = 0;  // truths outside [0, 1], of losses that are defined on it only (AdaptiveWingLoss)
  idx non_finite = 0;     // elements whose loss is NaN or infinite
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

template <class L>
concept UnitTruth = requires { requires L::truth_in_unit_interval; };

template <class L>
concept LongChain = requires { requires L::long_chain; };

template <class X>
struct PointSums {
  static constexpr bool paired = false;
  X loss = 0, clamped = 0, non_finite = 0;
  LOSSKIT_HD LOSSKIT_INLINE void add(PointSums const& b) {
    loss = loss + b.loss;
    clamped = clamped + b.clamped;
    non_finite = non_finite + b.non_finite;
  }
  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE auto map(F f) const {
    using Y = decltype(f(loss, X(0)));
    return PointSums<Y>{f(loss, X(0)), f(clamped, X(0)), f(non_finite, X(0))};
  }
};

// How the work is cut: fixed by the shape alone. About 64k elements a block.
struct PointCut {
  idx rows_per_block, cols_per_block, blocks_per_row, count;
  PointCut(idx rows, idx cols) {
    constexpr idx size = 1 << 16;
    cols_per_block = cols > size ? size : cols > 0 ? cols : 1;
    blocks_per_row = (cols + cols_per_block - 1) / cols_per_block;
    rows_per_block = cols > 0 && cols < size ? size / cols : 1;
    count = (rows + rows_per_block - 1) / rows_per_block * blocks_per_row;
  }
  // f(row, first column, columns) for the pieces of block k.
  template <class F>
  LOSSKIT_HD void pieces(idx k, idx rows, idx cols, F f) const {
    idx const first = k / blocks_per_row * rows_per_block, from = k % blocks_per_row * cols_per_block;
    idx const last = first + rows_per_block < rows ? first + rows_per_block : rows;
    for (idx i = first; i < last; ++i) f(i, from, from + cols_per_block < cols ? cols_per_block : cols - from);
  }
};

// One block of rows, or of a long row. Extra: there may be weights, and element losses may be asked for.
template <bool Gradient, bool Extra, class L, class S, class Space>
struct PointBlock {
  using T = computed<S>;
  static constexpr bool long_chain = LongChain<L>;
  L loss;
  MatrixView<S const, Space> prediction, truth, weights;
  MatrixView<S, Space> gradient, losses;
  double upstream;
  double const* divisor;
  bool accumulate;
  PointCut cut;
  PointSums<Scalar<double>>* sums;

  std::size_t output_bytes() const {
    return gradient.data && gradient.data != prediction.data && !accumulate
               ? static_cast<std::size_t>(gradient.rows * gradient.cols) * sizeof(S)
               : 0;
  }

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx k) const {
    PointSums<Scalar<double>> total;
    auto const own = *this;
    T const factor = T(upstream / *divisor);
    cut.pieces(k, prediction.rows, prediction.cols, [&](idx i, idx from, idx count) {
      S const *const p = own.prediction.row(i) + from, *const t = own.truth.row(i) + from;
      S const* const w = own.weights.data ? own.weights.row(i) + from : nullptr;
      S* const each = own.losses.data ? own.losses.row(i) + from : nullptr;
      using Sums = PointSums<typename Team::number>;
      auto const f = [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA {
        at.prefetch(p), at.prefetch(t);
        auto const x = at.load(p);
        using X = std::remove_cv_t<decltype(x)>;
        X const y = at.load(t);
        Jet<X> jet = own.loss(x, y);
        if constexpr (Extra) {
          if (w) {
            X const weight = at.load(w);
            jet = {weight * jet.value, weight * jet.slope};
          }
          if (each) at.store(each, jet.value);
        }
        sum.loss = sum.loss + jet.value;
        if constexpr (UnitTruth<L>) sum.clamped = select(y < X(0), sum.clamped + 1, select(y > X(1), sum.clamped + 1, sum.clamped));
        sum.non_finite = select(abs(jet.value) <= X(stored_number<T>::largest), sum.non_finite, sum.non_finite + 1);
        return jet.slope;
      };
      if constexpr (Gradient) total.add(team.total_writing(count, own.gradient.row(i) + from, own.accumulate, factor, Sums{}, f));
      else total.add(team.total(count, Sums{}, f));
    });
    team.once([&] { sums[k] = total; });
  }
};

// The weights of one block, summed into `loss`.
template <class S, class Space>
struct WeightBlock {
  MatrixView<S const, Space> weights;
  PointCut cut;
  PointSums<Scalar<double>>* sums;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx k) const {
    PointSums<Scalar<double>> total;
    cut.pieces(k, weights.rows, weights.cols, [&](idx i, idx from, idx count) {
      S const* const w = weights.row(i) + from;
      using Sums = PointSums<typename Team::number>;
      total.add(team.total(count, Sums{}, [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA { sum.loss = sum.loss + at.load(w); }));
    });
    team.once([&] { sums[k] = total; });
  }
};

struct KeepSumAsDivisor {
  double* divisor;
  LOSSKIT_HD void operator()(PointSums<Scalar<double>> const& sum) const { *divisor = sum.loss.v == 0 ? 1 : sum.loss.v; }
};
struct KeepDivisorAs {
  double value;
  double* divisor;
  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx) const {
    team.once([&] { *divisor = value; });
  }
};
struct KeepPointReport {
  idx elements;
  double const* divisor;
  PointReport* report;
  LOSSKIT_HD void operator()(PointSums<Scalar<double>> const& sum) const {
    *report = {sum.loss.v / *divisor, elements, static_cast<idx>(sum.clamped.v), static_cast<idx>(sum.non_finite.v)};
  }
};

// What a vector or matrix holds; no match for anything else, such as a Batch.
template <class P>
  requires Viewable<P>
using Element = std::remove_const_t<typename decltype(view(std::declval<P>()))::value>;

template <class T, class S>
MatrixView<T, S> as_matrix(MatrixView<T, S> m) { return m; }
template <class T, class S>
MatrixView<T, S> as_matrix(VectorView<T, S> v) { return {v.data, 1, v.size, v.size}; }

template <bool Gradient, class B, class L, class S, class Space>
auto run_points(B const& backend, L const& loss, MatrixView<S const, Space> x, MatrixView<S const, Space> y, MatrixView<S, Space> g,
                WorkspaceIn<Space> workspace, PointOptions const& options, PointOutputs<S, Space> const& extra) {
  idx const rows = x.rows, elements = x.rows * x.cols;
  MatrixView<S const, Space> w = extra.weights;
  MatrixView<S, Space> losses = extra.element_losses;
  if constexpr (std::is_same_v<Space, host>)
    for (idx i = 0; i < w.rows; ++i) expect_not_negative("weights", VectorView<S const>{w.row(i), w.cols});
  auto const flat = [](auto m) { return !m.data || m.stride == m.cols || m.rows <= 1; };
  if (flat(x) && flat(y) && flat(g) && flat(w) && flat(losses)) {
    auto const flatten = [](auto& m) { m = {m.data, 1, m.rows * m.cols, m.rows * m.cols}; };
    flatten(x), flatten(y), flatten(g), flatten(w), flatten(losses);
  }
  PointCut const cut(x.rows, x.cols);
  Arena arena(workspace);
  auto const report = arena.take<PointReport>(1);
  auto const divisor = arena.take<double>(1);
  using Sums = PointSums<Scalar<double>>;
  auto const sums = arena.take<Sums>(static_cast<std::size_t>(cut.count));
  if (options.reduction == Reduction::weighted_mean && w.data) {
    backend.template blocks<S>(cut.count, WeightBlock<S, Space>{w, cut, sums});
    backend.template blocks<S>(1, TallyEnd<Sums, KeepSumAsDivisor>{cut.count, sums, {divisor}});
  } else {
    double const by = options.reduction == Reduction::mean || options.reduction == Reduction::weighted_mean ? double(elements)
                      : options.reduction == Reduction::batch_mean                                          ? double(rows)
                                                                                                            : 1;
    backend.template blocks<S>(1, KeepDivisorAs{by == 0 ? 1 : by, divisor});
  }
  auto const go = [&](auto extra_arrays) {
    PointBlock<Gradient, decltype(extra_arrays)::value, L, S, Space> const block{
        loss, x, y, w, g, losses, options.upstream, divisor, options.write == Write::accumulate, cut, sums};
    backend.template blocks<S>(cut.count, block);
  };
  // A host looks for them at every packet, which costs it nothing; a formula compiled twice costs its user seconds.
  if constexpr (std::is_same_v<Space, host>) go(std::true_type{});
  else if (w.data || losses.data) go(std::true_type{}); else go(std::false_type{});
  backend.template blocks<S>(1, TallyEnd<Sums, KeepPointReport>{cut.count, sums, {elements, divisor, report}});
  return backend.given(report);
}

// An empty view is null and 0 x 0. Null with a shape is a ShapeError.
template <class T, class Space>
void expect_shape_or_none(char const* name, MatrixView<T, Space> m, idx rows, idx cols) {
  if (m.data || m.rows != 0 || m.cols != 0) expect_shape(name, m, rows, cols);
}

template <class B, class S, class Space>
void expect_points(B const& backend, MatrixView<S const, Space> x, MatrixView<S const, Space> y, WorkspaceIn<Space> workspace,
                   std::size_t needed, PointOutputs<S, Space> const& extra) {
  expect_matrix("prediction", x);
  expect_shape("truth", y, x.rows, x.cols);
  expect_shape_or_none("weights", extra.weights, x.rows, x.cols);
  expect_shape_or_none("element_losses", extra.element_losses, x.rows, x.cols);
  expect_workspace(workspace, needed);
  for (auto const& in : {extent("prediction", x), extent("truth", y), extent("weights", extra.weights)}) {
    expect_memory(backend, in);
    expect_apart(extent("workspace", workspace), in);
    expect_apart(extent("element_losses", extra.element_losses), in);
  }
  expect_memory(backend, extent("workspace", workspace));
  expect_memory(backend, extent("element_losses", extra.element_losses));
  expect_apart(extent("workspace", workspace), extent("element_losses", extra.element_losses));
}

template <class B, class V>
constexpr void expect_in_reach() {
  static_assert(std::is_same_v<typename V::space, typename B::space>,
                "losskit: this backend cannot reach this memory (a device view given to a host backend, or the reverse)");
}

}  // namespace detail

// The bytes of workspace that a point loss over rows x cols elements asks for (rows = 1 for vectors).
inline std::size_t point_workspace_bytes(idx rows, idx cols) {
  idx const count = detail::PointCut(rows, cols).count, flat = detail::PointCut(1, rows * cols).count;
  return detail::alignment + detail::padded(sizeof(PointReport)) + detail::padded(sizeof(double)) +
         detail::padded(static_cast<std::size_t>(count > flat ? count : flat) * sizeof(detail::PointSums<Scalar<double>>));
}

// Loss and d loss / d prediction. prediction, truth, gradient: matrices or vectors of one shape and type, any stride.
// `gradient` may be the prediction itself (not with Write::accumulate).
template <class B, class L, class P, class Q, class G, class S = detail::Element<P>>
auto loss_and_gradient(B const& backend, L const& loss, P&& prediction, Q&& truth, G&& gradient,
                       WorkspaceIn<typename B::space> workspace, PointOptions const& options = {},
                       PointOutputs<S, typename B::space> const& extra = {}) {
  detail::expect_backend<B>();
  detail::expect_point_loss<L>();
  auto const x = detail::as_matrix(view(static_cast<P&&>(prediction)));
  auto const y = detail::as_matrix(view(static_cast<Q&&>(truth)));
  auto const g = detail::as_matrix(view(static_cast<G&&>(gradient)));
  static_assert(std::is_same_v<S, typename decltype(g)::value> &&
                    std::is_same_v<S, std::remove_const_t<typename decltype(y)::value>>,
                "losskit: prediction, truth and gradient must hold the same type, and the gradient must not be const");
  detail::expect_in_reach<B, decltype(x)>();
  detail::expect_in_reach<B, decltype(y)>();
  detail::expect_in_reach<B, decltype(g)>();
  using Space = typename B::space;
  bool const accumulate = options.write == Write::accumulate;
  detail::expect_points<B, S, Space>(backend, x, y, workspace, point_workspace_bytes(x.rows, x.cols), extra);
  detail::expect_shape("gradient", g, x.rows, x.cols);
  detail::expect_same_or_apart("prediction", x, "gradient", g, !accumulate);
  detail::expect_memory(backend, detail::extent("gradient", g));
  for (auto const& other : {detail::extent("truth", y), detail::extent("weights", extra.weights),
                            detail::extent("element_losses", extra.element_losses), detail::extent("workspace", workspace)})
    detail::expect_apart(detail::extent("gradient", g), other);
  return detail::run_points<true, B, L, S, Space>(backend, loss, x, y, g, workspace, options, extra);
}

// Loss only; arguments and errors as above.
template <class B, class L, class P, class Q, class S = detail::Element<P>>
auto loss_value(B const& backend, L const& loss, P&& prediction, Q&& truth, WorkspaceIn<typename B::space> workspace,
                PointOptions const& options = {}, PointOutputs<S, typename B::space> const& extra = {}) {
  detail::expect_backend<B>();
  detail::expect_point_loss<L>();
  auto const x = detail::as_matrix(view(static_cast<P&&>(prediction)));
  auto const y = detail::as_matrix(view(static_cast<Q&&>(truth)));
  static_assert(std::is_same_v<S, std::remove_const_t<typename decltype(y)::value>>,
                "losskit: prediction and truth must hold the same type");
  detail::expect_in_reach<B, decltype(x)>();
  detail::expect_in_reach<B, decltype(y)>();
  using Space = typename B::space;
  detail::expect_points<B, S, Space>(backend, x, y, workspace, point_workspace_bytes(x.rows, x.cols), extra);
  return detail::run_points<false, B, L, S, Space>(backend, loss, x, y, MatrixView<S, Space>{}, workspace, options, extra);
}

// Overloads for arguments that fit no call above, beside those of loss/calls.hpp.
template <class B, class L>
auto loss_and_gradient(B const&, L const&, detail::Anything, detail::Anything, detail::Anything, detail::Anything, PointOptions const&,
                       detail::Anything = {}) {
  detail::expect_loss_and_gradient<B, L>();
}
template <class B, class L>
auto loss_value(B const&, L const&, detail::Anything, detail::Anything, detail::Anything, PointOptions const&, detail::Anything = {}) {
  detail::expect_loss_value<B, L>();
}

}  // namespace losskit::inline LOSSKIT_ISA
