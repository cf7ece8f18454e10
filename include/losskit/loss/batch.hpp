// What a call over a cosine matrix is given and gives back. Everything here is a plain struct of the caller's.
#pragma once
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#include "losskit/concepts.hpp"
#include "losskit/core/number.hpp"
#include "losskit/core/view.hpp"

namespace losskit {

// The inputs: B x C cosines, row-major, and one label a row (int32 or int64, in [0, C) or the ignored value).
// The rest is optional; an empty view means 1 everywhere, or the loss's own scale, margin or rest rule. Numbers of rows and classes are
// of the type that computes: float beside half and bfloat16 cosines. J below: the call's loss, with the upstream factors.
template <class T, class I, class Space = host>
struct Batch {
  using value = T;
  using space = Space;
  static_assert(std::is_floating_point_v<computed<T>>, "losskit: cosines must be float or double (on a device half or bfloat16 too)");
  static_assert(std::is_integral_v<I> && (sizeof(I) == 4 || sizeof(I) == 8), "losskit: labels must be int32 or int64");

  MatrixView<T const, Space> cosines;
  VectorView<I const, Space> labels;
  VectorView<computed<T> const, Space> weights{};        // B, >= 0: of each row
  VectorView<computed<T> const, Space> class_weights{};  // C, >= 0: of each row, by its label
  VectorView<computed<T> const, Space> scales{};         // B, in [0, largest_scale]: the scale s of each row, in place of the loss's own
  VectorView<computed<T> const, Space> margins{};        // B: the margin's number of each row, in place of its own (a margin with at_row)
  VectorView<computed<T> const, Space> upstream{};       // B: dJ/dL_i, multiplies the gradient only
  VectorView<double const, Space> scale{};               // 1, in [0, largest_scale]: for all rows, read as they run (a device state)
  VectorView<double const, Space> rest{};                // B, or 1 for all rows: the rest rule's number, read as they run (likewise)

  template <class C, class Y>
  LOSSKIT_INLINE Batch(C&& cosines_, Y&& labels_)
      : cosines(matrix_only(view(static_cast<C&&>(cosines_)))), labels(vector_only(view(static_cast<Y&&>(labels_)))) {}

 private:
  template <class V>
  LOSSKIT_INLINE static auto matrix_only(V v) {
    static_assert(detail::is_matrix<V>, "losskit: cosines must be a matrix, one sample a row: matrix(cosines, rows, cols)");
    return v;
  }
  template <class V>
  LOSSKIT_INLINE static auto vector_only(V v) {
    static_assert(!detail::is_matrix<V>, "losskit: labels must be a vector, one a sample");
    return v;
  }
};
template <class C, class Y>
Batch(C&&, Y&&) -> Batch<std::remove_const_t<typename decltype(view(std::declval<C>()))::value>,
                         std::remove_const_t<typename decltype(view(std::declval<Y>()))::value>,
                         typename decltype(view(std::declval<C>()))::space>;

// With what torch.nn.functional.cross_entropy calls it, class_weights being its weight.
enum class Reduction {
  none,           // one loss a row (Outputs::row_losses); Report::loss is their sum. torch: reduction="none"
  sum,            // of weight_i L_i. torch: "sum"
  mean,           // sum / number of valid rows. torch: "mean" without a weight
  batch_mean,     // sum / B, ignored rows counted (Caffe's BATCH_SIZE). torch: "sum", divided by the rows; of kl_div: "batchmean"
  weighted_mean,  // sum / sum of weights over valid rows. torch: "mean" with a weight
};
enum class Write { assign, accumulate };

// No label is ignored unless the caller names one.
inline constexpr idx no_label = std::numeric_limits<idx>::min();

struct Options {
  Reduction reduction = Reduction::mean;
  double upstream = 1;          // multiplies every gradient, not the loss
  idx ignore_label = no_label;  // rows with this label have no loss and no gradient
  Write write = Write::assign;  // assign or add to the gradient
  int top_k = 5;                // for Report::topk, >= 1
  // For devices, which cannot read Batch::scales or Batch::scale before the call: a promise that no scale is larger, > 0. A row with a
  // larger one is a fault. Without it the call is ready for largest_scale, and slower. A host looks at the scales instead.
  double scale_ceiling = largest_scale;
};

// Where the gradient goes, for the workspace query.
enum class Placement { in_place, out_of_place, accumulate, no_gradient };

// What loss_gradient needs of a row of loss_value: opaque, 56 bytes.
struct SavedRow {
  double pull, z, uniform, slope, scale_slope, margin_slope, top;
};

// Optional outputs, each of B elements or empty. T: the type that computes.
template <class T, class Space = host>
struct Outputs {
  VectorView<T, Space> row_losses{};      // weight_i L_i, before any mean
  VectorView<T, Space> scale_gradient{};  // dJ/ds_i
  VectorView<SavedRow, Space> saved{};    // for loss_gradient
  VectorView<T, Space> margin_gradient{};  // dJ/dm_i, m_i of Batch::margins or the margin's own (Arc, Cos)
};

// What a device finds wrong in numbers that the host cannot read: the first such row. Faulty rows have no loss and a zero gradient;
// a mean counts them in its divisor. A host throws instead.
struct Fault {
  enum What { none, label, weight, scale, margin, rest };
  What what = none;
  idx row = 0;
  double value = 0;
};

// From the same pass. Accuracy, angles and counts are those of the raw cosines, over the rows that are not ignored.
struct Report {
  double loss = 0;
  idx rows = 0;                  // B
  idx valid = 0;                 // rows neither ignored nor, on a device, faulty
  idx top1 = 0;                  // rows whose target beats every other class; a tie is wrong, and so is a NaN
  idx topk = 0;                  // rows with fewer than top_k classes not below the target
  idx hard_negatives = 0;        // other classes above their row's threshold (psi without its rule past pi)
  idx clamped = 0;               // cosines up to 16 eps of their stored type outside [-1, 1]
  idx out_of_range = 0;          // cosines further out: the inputs were not normalised
  idx non_finite = 0;            // NaN or infinite cosines; each makes its row NaN
  double mean_target_angle = 0;  // radians; 0 over logits
  Fault fault{};                 // device backends only
};

// Scratch memory of the caller's, sized by workspace_bytes. Any alignment.
template <class Space>
using WorkspaceIn = VectorView<std::byte, Space>;
using Workspace = WorkspaceIn<host>;

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// What a view of a call over rows x cols cosines holds: one element a row, one a column, or one in all; and which values.
enum class Per { row, column, call, row_or_call };
enum class Values { labels, not_negative, scale, policy, any };  // labels are always there; policy: what margin or rest rule take
inline idx size_of(Per per, idx rows, idx cols) { return per == Per::call ? 1 : per == Per::column ? cols : rows; }

// f(name, view, per, values) for every view but the cosines: the one list that sizes, values, reach and overlaps are checked by.
template <class T, class I, class S, class F>
void for_each_view(Batch<T, I, S> const& batch, F const& f) {
  f("labels", batch.labels, Per::row, Values::labels);
  f("weights", batch.weights, Per::row, Values::not_negative);
  f("class_weights", batch.class_weights, Per::column, Values::not_negative);
  f("scales", batch.scales, Per::row, Values::scale);
  f("margins", batch.margins, Per::row, Values::policy);
  f("upstream", batch.upstream, Per::row, Values::any);
  f("scale", batch.scale, Per::call, Values::scale);
  f("rest", batch.rest, Per::row_or_call, Values::policy);
}
// f(name, view, per) for every view.
template <class T, class S, class F>
constexpr void for_each_view(Outputs<T, S> const& out, F const& f) {
  f("row_losses", out.row_losses, Per::row);
  f("scale_gradient", out.scale_gradient, Per::row);
  f("saved", out.saved, Per::row);
  f("margin_gradient", out.margin_gradient, Per::row);
}
template <class T, class S>
constexpr std::size_t count_views(Outputs<T, S> const& out) {
  std::size_t count = 0;
  for_each_view(out, [&](char const*, auto const&, Per) { ++count; });
  return count;
}

}  // namespace detail

// The result of a call. On a host it is returned as it is; on a device it is waited for (backend/pending.cuh).
template <class B, class R>
  requires std::is_same_v<typename B::space, host>
R read(B const&, R const& result) { return result; }

}  // namespace losskit::inline LOSSKIT_ISA
