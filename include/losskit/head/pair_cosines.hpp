// The cosines of pairs of embeddings, on any backend: the scores of a verification set, in a device's memory where that is where the
// embeddings are.
//
//   c_i = a_i . b_i / (|a_i| |b_i|)      a, b: n x D, row i of each a pair; c in [-1, 1]
//
// A row shorter than smallest_norm has no direction: c = 0 with every other. NaN or infinite elements give NaN. The metrics of
// recognition/verification.hpp take the cosines on a host. recognition/similarity.hpp has the same of two vectors alone, in double.
#pragma once
#include "losskit/head/normalize.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

template <class S, class Space>
struct PairCosine {
  using T = computed<S>;
  MatrixView<S const, Space> a, b;
  VectorView<T, Space> cosines;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    using Sums = DotSum<typename Team::number>;
    S const *const left = a.row(i), *const right = b.row(i);
    Inverse<T> const of_left(norm(team, left, a.cols)), of_right(norm(team, right, a.cols));
    auto const f = [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(at.load(left))>;
      X const u = X(of_left.second) * (X(of_left.first) * at.load(left)), v = X(of_right.second) * (X(of_right.first) * at.load(right));
      sum.dot = multiply_add(u, v, sum.dot);
    };
    double const c = team.total(a.cols, Sums{}, f).dot.v;
    team.once([&] { cosines[i] = T(c > 1 ? 1 : c < -1 ? -1 : c); });  // rounding may pass an end; NaN stays
  }
};

}  // namespace detail

// cosines: n numbers of the type that computes (float beside half and bfloat16). Throws ShapeError, StrideError, AliasError, MemoryError.
template <class B, class L, class R, class C>
void pair_cosines(B const& backend, L&& a, R&& b, C&& cosines) {
  detail::expect_backend<B>();
  using S = std::remove_const_t<typename decltype(view(std::declval<L>()))::value>;
  using Space = typename B::space;
  MatrixView<S const, Space> const left = view(static_cast<L&&>(a)), right = view(static_cast<R&&>(b));
  VectorView<computed<S>, Space> const c = view(static_cast<C&&>(cosines));
  detail::expect_matrix("a", left);
  detail::expect_shape("b", right, left.rows, left.cols);
  detail::expect_size("cosines", c, left.rows);
  detail::expect_memory(backend, {detail::extent("a", left), detail::extent("b", right), detail::extent("cosines", c)});
  detail::expect_apart(detail::extent("cosines", c), detail::extent("a", left));
  detail::expect_apart(detail::extent("cosines", c), detail::extent("b", right));
  backend.template rows<S>(left.rows, left.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                           detail::PairCosine<S, Space>{left, right, c});
}

}  // namespace losskit::inline LOSSKIT_ISA
