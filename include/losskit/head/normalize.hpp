// Rows of length one, and the exact gradient back through them.
//
//   n_i = |x_i|     y_i = x_i / n_i     dL/dx_i = (dL/dy_i - y_i (y_i . dL/dy_i)) / n_i + dL/dn_i y_i
//
// so x_i . dL/dx_i = n_i dL/dn_i: without a use of the norm the gradient is orthogonal to the row, and weight decay on a
// normalised weight changes its length only. A row shorter than smallest_norm has no direction: y = 0 and no gradient.
//
// With an eps > 0, as torch.nn.functional.normalize has (1e-12 there), the row is divided by max(n_i, eps) instead:
//
//   n_i >= eps: as above     n_i < eps: y_i = x_i / eps,  dL/dx_i = dL/dy_i / eps + dL/dn_i x_i / n_i
//
// n_i itself is not raised, and its derivative at x = 0 is taken as 0. At n_i = eps the gradient is that of n_i >= eps, as torch's.
// Rows whose squares overflow or underflow are summed again in scaled double: norms up to the largest number of the type are exact but
// for rounding.
#pragma once
#include <cmath>
#include <type_traits>

#include "losskit/core/number.hpp"
#include "losskit/loss/arguments.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"
#include "losskit/row/exponential.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Below this a row counts as zero: 1e-30 for float (and half and bfloat16, whose norms are floats), 1e-280 for double, so that 1 / n
// times a gradient of up to 1e8 (1e28) stays finite.
template <class T>
inline constexpr double smallest_norm = std::is_same_v<T, float> ? 1e-30 : 1e-280;

namespace detail {

template <class Team, class S>
LOSSKIT_HD double dot(Team& team, S const* a, S const* b, idx n) {
  using Sums = DotSum<typename Team::number>;
  auto const f = [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA { sum.dot = multiply_add(at.load(a), at.load(b), sum.dot); };
  return team.total(n, Sums{}, f).dot.v;
}

// |x| = largest sqrt(sum (x / largest)^2), in double.
struct Largest {
  double size = 0;  // NaN if one is
  LOSSKIT_HD void add(Largest const& b) {
    if (!(b.size <= size)) size = size == size ? b.size : size;
  }
};
struct Squares {
  double sum = 0;
  LOSSKIT_HD void add(Squares const& b) { sum += b.sum; }
};

// |x|, whatever the size of its elements. NaN if one is NaN or infinite.
template <class Team, class S>
LOSSKIT_HD double norm(Team& team, S const* x, idx n) {
  using T = computed<S>;
  double const square = dot(team, x, x, n);
  if (square > (sizeof(T) == 4 ? 1e-20 : 1e-260) && square < stored_number<T>::largest) return ::sqrt(square);
  double const largest = team.tally(0, n, Largest{}, [=](Largest& all, idx j) { all.add({::fabs(double(static_cast<T>(x[j])))}); }).size;
  if (largest == 0) return 0;
  if (!(largest <= stored_number<double>::largest)) return NAN;
  return largest * ::sqrt(team.tally(0, n, Squares{}, [=](Squares& all, idx j) {
                                    double const part = double(static_cast<T>(x[j])) / largest;
                                    all.sum = multiply_add(part, part, all.sum);
                                  }).sum);
}

// 1 / n as two factors, one applied after the other: by itself 1 / n is no normal number for the largest n, and may be flushed to 0.
template <class T>
struct Inverse {
  T first, second;
  LOSSKIT_HD explicit Inverse(double n)
      : first(n > 1e30 ? T(0x1p-34) : T(1)), second(n < smallest_norm<T> ? T(0) : T(1 / (n * double(first)))) {}
};

template <class S, class Space>
struct NormalizeRow {
  using T = computed<S>;
  MatrixView<S const, Space> x;
  MatrixView<S, Space> y;
  VectorView<T, Space> norms;
  double eps;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    S const* const from = x.row(i);
    S* const to = y.row(i);
    double const n = norm(team, from, x.cols);
    bool const raised = double(T(n)) < eps;  // by the norm that the backward is given
    Inverse<T> const inverse(raised ? eps : n);
    bool const none = !raised && n < smallest_norm<T>;
    team.once([&] { norms[i] = T(n); });
    team.each(x.cols, [=](auto at) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(at.load(from))>;
      at.store(to, none ? X(T(0)) : X(inverse.second) * (X(inverse.first) * at.load(from)));
    });
  }
};

template <class S, class Space>
struct NormalizeBackwardRow {
  using T = computed<S>;
  MatrixView<S const, Space> y;
  VectorView<T const, Space> norms;
  MatrixView<S const, Space> dy;
  MatrixView<S, Space> dx;
  VectorView<T const, Space> dnorms;
  bool accumulate;
  double eps;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx i) const {
    S const *const unit = y.row(i), *const d = dy.row(i);
    S* const to = dx.row(i);
    double const n = double(norms[i]);
    bool const raised = n < eps, shortest = n < smallest_norm<T>, none = shortest && !raised, add = accumulate;
    Inverse<T> const inverse(raised ? eps : n);
    double const slope = dnorms.data ? double(dnorms[i]) : 0;
    T const along = T(shortest ? 0 : raised ? slope * (eps / n) : slope - dot(team, unit, d, y.cols) / n);
    team.each(y.cols, [=](auto at) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(at.load(d))>;
      X const g = none ? X(T(0)) : multiply_add(X(inverse.second), X(inverse.first) * at.load(d), X(along) * at.load(unit));
      add ? at.add(to, g) : at.store(to, g);
    });
  }
};

template <class T>
void expect_eps(double eps) {
  if (!(eps == 0 || (eps >= smallest_norm<T> && eps <= 1)))
    fail<ParameterError>("eps = %g is not 0 and outside [%g, 1]", eps, smallest_norm<T>);
}

template <class S, class Space>
void expect_normalize(char const* x_name, MatrixView<S const, Space> x, char const* y_name, MatrixView<S, Space> y,
                      VectorView<computed<S>, Space> norms) {
  expect_matrix(x_name, x);
  expect_shape(y_name, y, x.rows, x.cols);
  expect_size("norms", norms, x.rows);
  expect_same_or_apart(x_name, x, y_name, y, true);
  expect_apart(extent("norms", norms), extent(x_name, x));
  expect_apart(extent("norms", norms), extent(y_name, y));
}

template <class S, class Space>
void expect_normalize_backward(MatrixView<S const, Space> y, VectorView<computed<S> const, Space> norms, MatrixView<S const, Space> dy,
                               MatrixView<S, Space> dx, Write write, VectorView<computed<S> const, Space> dnorms) {
  expect_matrix("y", y);
  expect_size("norms", norms, y.rows);
  expect_shape("dy", dy, y.rows, y.cols);
  expect_shape("dx", dx, y.rows, y.cols);
  expect_size_or_none("dnorms", dnorms, y.rows);
  expect_same_or_apart("dy", dy, "dx", dx, write == Write::assign);
  expect_same_or_apart("y", y, "dx", dx, write == Write::assign);
  for (auto const& in : {extent("norms", norms), extent("dnorms", dnorms)}) expect_apart(extent("dx", dx), in);
}

}  // namespace detail

// y_i = x_i / max(|x_i|, eps) for the rows of x, B x D; y: B x D; norms: B, |x_i|. y may be x itself. eps: 0, or in
// [smallest_norm, 1]. Throws ParameterError, ShapeError, StrideError, AliasError, MemoryError.
template <class B, class X, class Y, class N>
void normalize_rows(B const& backend, X&& x, Y&& y, N&& norms, double eps = 0) {
  detail::expect_backend<B>();
  auto const to = view(static_cast<Y&&>(y));
  using S = typename decltype(to)::value;
  using Space = typename B::space;
  MatrixView<S const, Space> const from = view(static_cast<X&&>(x));
  VectorView<computed<S>, Space> const n = view(static_cast<N&&>(norms));
  detail::expect_eps<computed<S>>(eps);
  detail::expect_normalize<S, Space>("x", from, "y", to, n);
  for (auto const& all : {detail::extent("x", from), detail::extent("y", to), detail::extent("norms", n)})
    detail::expect_memory(backend, all);
  backend.template rows<S>(from.rows, from.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                           detail::NormalizeRow<S, Space>{from, to, n, eps});
}

// dL/dx from dL/dy, both B x D, with y and norms as normalize_rows left them, and its eps. dx may be dy itself, or y, unless accumulated.
// dnorms: dL/dn_i, B elements or empty. Errors as of normalize_rows.
template <class B, class Y, class N, class D, class X, class S = typename decltype(view(std::declval<X>()))::value>
void normalize_rows_backward(B const& backend, Y&& y, N&& norms, D&& dy, X&& dx, Write write = Write::assign,
                             VectorView<computed<S> const, typename B::space> dnorms = {}, double eps = 0) {
  detail::expect_backend<B>();
  detail::expect_eps<computed<S>>(eps);
  using Space = typename B::space;
  MatrixView<S, Space> const to = view(static_cast<X&&>(dx));
  MatrixView<S const, Space> const unit = view(static_cast<Y&&>(y)), d = view(static_cast<D&&>(dy));
  VectorView<computed<S> const, Space> const n = view(static_cast<N&&>(norms));
  detail::expect_normalize_backward<S, Space>(unit, n, d, to, write, dnorms);
  for (auto const& all : {detail::extent("y", unit), detail::extent("norms", n), detail::extent("dy", d), detail::extent("dx", to),
                          detail::extent("dnorms", dnorms)})
    detail::expect_memory(backend, all);
  backend.template rows<S>(unit.rows, unit.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                           detail::NormalizeBackwardRow<S, Space>{unit, n, d, to, dnorms, write == Write::accumulate, eps});
}

// Overload for arguments that fit no call above: its static_assert says which call is meant.
template <class B>
void normalize_rows_backward(B const&, detail::Anything, detail::Anything, detail::Anything, detail::Anything, Write = Write::assign,
                             detail::Anything = {}, double = 0) {
  detail::expect_backend<B>();
  static_assert(!Backend<B>,
                "losskit: the arguments do not fit; the call is normalize_rows_backward(backend, y, norms, dy, dx, write, "
                "dnorms, eps)");
}

}  // namespace losskit::inline LOSSKIT_ISA
