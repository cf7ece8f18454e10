// Checks of the types that a call is given: the first line of a compiler's error names the mistake.
#pragma once
#include <cstddef>
#include <type_traits>

#include "losskit/concepts.hpp"
#include "losskit/core/no_branch.hpp"
#include "losskit/loss/batch.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

struct AnyRows {
  template <class Team>
  LOSSKIT_HD void operator()(Team&, idx) const {}
};

}  // namespace detail

// Where and how calls run (backend/serial.hpp says what each verb does). product, which only the cosine layer needs, is not asked for.
template <class B>
concept Backend = requires(B const backend, idx n, Placement placement, std::byte* scratch, double const* result) {
  typename B::space;
  { B::name } -> std::convertible_to<char const*>;
  { backend.template scratch_bytes<float>(n, n, placement) } -> std::convertible_to<std::size_t>;
  backend.template rows<float>(n, n, placement, scratch, detail::AnyRows{});
  backend.template blocks<float>(n, detail::AnyRows{});
  backend.given(result);
};

namespace detail {

// Convert from everything, and so make any overload with proper parameters the better one: for those that say why no call fits.
// Something: not from {}, which are options.
struct Something {
  template <class X>
  Something(X const&) {}
};
struct Anything : Something {
  Anything() : Something(0) {}
  template <class X>
  Anything(X const& x) : Something(x) {}
};

// Returning `auto`, so that a compiler instantiates them at once: their error is then the first.
template <class B>
constexpr auto expect_backend() {
  static_assert(Backend<B>,
                "losskit: the first argument is not a Backend, such as on::serial{} or on::eigen{}; one of your own has space, name, "
                "scratch_bytes, rows, blocks and given (backend/serial.hpp)");
}

// L of a call over a Batch.
template <class L>
constexpr auto expect_loss() {
  if constexpr (!Loss<L>) {
    static_assert(!Margin<L>, "losskit: a margin alone is not a Loss; wrap it: MarginSoftmax{margin, scale}");
    static_assert(!Objective<L>, "losskit: an objective alone is not a Loss; wrap it: MarginSoftmax{margin, scale, objective} over "
                                 "cosines, SoftmaxLoss{objective} over logits");
    static_assert(!RestRule<L> || Margin<L>,
                  "losskit: a rest rule alone is not a Loss; wrap it: MarginSoftmax{margin, scale, CrossEntropy{}, rest}");
    static_assert(!PointLoss<L>, "losskit: a point loss takes predictions and truths, not a Batch");
    static_assert(Policy<L>, "losskit: the second argument is not a Loss, such as MarginSoftmax{ArcMargin{0.5}, 64.0}; one of your own "
                             "has the members margin, scale, objective and rest");
    static_assert(!Policy<L> || Margin<L> || Objective<L> || RestRule<L> || PointLoss<L>,
                  "losskit: this policy is not a Loss; MarginSoftmax makes one of a margin, a scale, an objective and a rest rule");
  }
}

// L of a call over predictions and truths.
template <class L>
constexpr auto expect_point_loss() {
  if constexpr (!PointLoss<L>) {
    static_assert(!Loss<L>, "losskit: this loss takes a Batch, not predictions and truths: Batch{cosines, labels}");
    static_assert(Loss<L>, "losskit: this is not a PointLoss; it needs a name and: template <Number X> Jet<X> operator()(X prediction, "
                           "X truth) const; a margin is wrapped, MarginSoftmax{margin, scale}, and given a Batch{cosines, labels}");
  } else {  // compiled, never called: a formula for one number at a time is refused on every backend
    [[maybe_unused]] auto const on_many_numbers = [](L const& loss) { loss(NoBranch{}, NoBranch{}); };
  }
}

// A gradient, or logits: a matrix of the cosines' own type.
template <class T, class V>
constexpr auto expect_matrix_of() {
  static_assert(is_matrix<V>, "losskit: a gradient must be a matrix, like the cosines, and so must logits: matrix(gradient, rows, cols)");
  static_assert(std::is_same_v<T, typename V::value>,
                "losskit: cosines and gradient must hold the same type, and the gradient must not be const");
}
template <class T, class V>
inline constexpr bool matrix_of = is_matrix<V> && std::is_same_v<T, typename V::value>;

// For a call that no overload takes: whether its first two arguments are right.
template <class B, class L>
inline constexpr bool fits = Backend<B> && (Loss<L> || PointLoss<L>);
template <class B, class L>
constexpr auto expect_call() {
  expect_backend<B>();
  if constexpr (Backend<B> && !PointLoss<L>) expect_loss<L>();
}
template <class B, class L>
constexpr auto expect_loss_and_gradient() {
  expect_call<B, L>();
  static_assert(!fits<B, L> || PointLoss<L>,
                "losskit: the arguments do not fit; the call is loss_and_gradient(backend, loss, Batch{cosines, labels}, gradient, "
                "workspace, {.reduction = Reduction::mean}, {.row_losses = losses})");
  static_assert(!fits<B, L> || Loss<L>,
                "losskit: the arguments do not fit; the call is loss_and_gradient(backend, loss, prediction, truth, gradient, "
                "workspace, {.reduction = Reduction::mean}, {.element_losses = losses})");
}
template <class B, class L>
constexpr auto expect_loss_value() {
  expect_call<B, L>();
  static_assert(!fits<B, L> || PointLoss<L>,
                "losskit: the arguments do not fit; the call is loss_value(backend, loss, Batch{cosines, labels}, workspace, "
                "{.reduction = Reduction::mean}, {.row_losses = losses})");
  static_assert(!fits<B, L> || Loss<L>,
                "losskit: the arguments do not fit; the call is loss_value(backend, loss, prediction, truth, workspace, "
                "{.reduction = Reduction::mean}, {.element_losses = losses})");
}
template <class B, class L>
constexpr auto expect_loss_gradient() {
  expect_call<B, L>();
  static_assert(!fits<B, L>, "losskit: the arguments do not fit; the call is loss_gradient(backend, loss, Batch{cosines, labels}, saved, "
                             "gradient, {.reduction = Reduction::mean}, scale_gradient, margin_gradient)");
}

}  // namespace detail

}  // namespace losskit::inline LOSSKIT_ISA
