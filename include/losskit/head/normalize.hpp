// Rows of length one, and the exact gradient back through them.
//
//   n_i = |x_i|     y_i = x_i / n_i     dL/dx_i = (dL/dy_i - y_i (y_i . dL/dy_i)) / n_i + dL/dn_i y_i
//
// so x_i . dL/dx_i = n_i dL/dn_i: without a use of the norm the gradient is orthogonal to the row, and weight decay on a
// normalised weight changes its length only. A row shorter than smallest_norm has no direction: y = 0 and no gradient.
// Rows whose squares overflow or vanish are summed again in scaled double.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>

#include "losskit/core/number.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/row/exponential.hpp"

namespace losskit::inline LOSSKIT_ISA {

// Below this a row counts as zero: 1e-30 for float, 1e-280 for double, so that 1 / n times any sane gradient stays finite.
template <class T>
inline constexpr double smallest_norm = std::is_same_v<T, float> ? 1e-30 : 1e-280;

namespace detail {

template <class Team, class T>
double dot(Team& team, T const* a, T const* b, idx n) {
  using Sums = DotSum<typename Team::number>;
  return team.total(n, Sums{}, [=](auto& sum, auto at) LOSSKIT_INLINE_LAMBDA { sum.add({at.load(a) * at.load(b)}); }).dot.v;
}

// |x|, whatever the size of its elements. NaN if one is NaN.
template <class Team, class T>
double norm(Team& team, T const* x, idx n) {
  double const square = dot(team, x, x, n);
  double const low = std::is_same_v<T, float> ? 1e-20 : 1e-260;
  if (square > low && square < std::numeric_limits<T>::max()) return std::sqrt(square);
  double largest = 0;
  for (idx j = 0; j < n; ++j) {
    double const a = std::fabs(double(x[j]));
    if (!(a <= largest)) largest = a;
    if (std::isnan(largest)) return largest;
  }
  if (largest == 0 || std::isinf(largest)) return largest == 0 ? 0 : std::nan("");
  double sum = 0;
  for (idx j = 0; j < n; ++j) sum += double(x[j]) / largest * (double(x[j]) / largest);
  return largest * std::sqrt(sum);
}

template <class T>
struct NormalizeRow {
  MatrixView<T const> x;
  MatrixView<T> y;
  VectorView<T> norms;

  template <class Team>
  void operator()(Team& team, idx i) const {
    T const* const from = x.row(i);
    T* const to = y.row(i);
    double const n = norm(team, from, x.cols);
    norms[i] = T(n);
    bool const none = n < smallest_norm<T>;
    // A tiny row is lifted first: 1 / n alone may leave the type's range.
    T const lift = n < 1e-10 ? T(1e10) : T(1), k = none ? T(0) : T(1 / (n * double(lift)));
    team.each(x.cols, [=](auto at) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(at.load(from))>;
      at.store(to, none ? X(T(0)) : X(k) * (X(lift) * at.load(from)));
    });
  }
};

template <class T>
struct NormalizeBackwardRow {
  MatrixView<T const> y;
  VectorView<T const> norms;
  MatrixView<T const> dy;
  MatrixView<T> dx;
  VectorView<T const> dnorms;
  bool accumulate;

  template <class Team>
  void operator()(Team& team, idx i) const {
    T const *const unit = y.row(i), *const d = dy.row(i);
    T* const to = dx.row(i);
    double const n = double(norms[i]);
    bool const none = n < smallest_norm<T>, add = accumulate;
    double const inverse = none ? 0 : 1 / n;
    T const k = T(inverse), along = T(none ? 0 : (dnorms ? double(dnorms[i]) : 0) - dot(team, unit, d, y.cols) * inverse);
    team.each(y.cols, [=](auto at) LOSSKIT_INLINE_LAMBDA {
      using X = std::remove_cv_t<decltype(at.load(d))>;
      X const g = none ? X(T(0)) : X(k) * at.load(d) + X(along) * at.load(unit);
      add ? at.add(to, g) : at.store(to, g);
    });
  }
};

}  // namespace detail

namespace detail {

template <class T>
void expect_normalize(char const* x_name, MatrixView<T const> x, char const* y_name, MatrixView<T> y, VectorView<T> norms) {
  expect_matrix(x_name, x);
  expect_shape(y_name, y, x.rows, x.cols);
  expect_size("norms", norms, x.rows);
  expect_same_or_apart(x_name, x, y_name, y, true);
  expect_apart(extent("norms", norms), extent(x_name, x));
  expect_apart(extent("norms", norms), extent(y_name, y));
}

template <class T>
void expect_normalize_backward(MatrixView<T const> y, VectorView<T const> norms, MatrixView<T const> dy, MatrixView<T> dx, Write write,
                               VectorView<T const> dnorms) {
  expect_matrix("y", y);
  expect_size("norms", norms, y.rows);
  expect_shape("dy", dy, y.rows, y.cols);
  expect_shape("dx", dx, y.rows, y.cols);
  expect_size_or_none("dnorms", dnorms, y.rows);
  expect_same_or_apart("dy", dy, "dx", dx, write == Write::assign);
  for (auto const& in : {extent("y", y), extent("norms", norms), extent("dnorms", dnorms)}) expect_apart(extent("dx", dx), in);
}

}  // namespace detail

// y_i = x_i / |x_i| for the rows of x, B x D; norms: B. y may be x itself. Throws ShapeError, StrideError, AliasError.
template <class B, class X, class Y, class N>
void normalize_rows(B const& backend, X&& x, Y&& y, N&& norms) {
  auto const to = view(static_cast<Y&&>(y));
  using T = typename decltype(to)::value;
  MatrixView<T const> const from = view(static_cast<X&&>(x));
  VectorView<T> const n = view(static_cast<N&&>(norms));
  detail::expect_normalize("x", from, "y", to, n);
  backend.template rows<T>(from.rows, from.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                           detail::NormalizeRow<T>{from, to, n});
}

// dL/dx from dL/dy, with y and norms as normalize_rows left them. dx may be dy itself, unless accumulated. dnorms: dL/dn_i, B
// elements or empty.
template <class B, class Y, class N, class D, class X, class T = typename decltype(view(std::declval<X>()))::value>
void normalize_rows_backward(B const& backend, Y&& y, N&& norms, D&& dy, X&& dx, Write write = Write::assign,
                             std::type_identity_t<VectorView<T const>> dnorms = {}) {
  MatrixView<T> const to = view(static_cast<X&&>(dx));
  MatrixView<T const> const unit = view(static_cast<Y&&>(y)), d = view(static_cast<D&&>(dy));
  VectorView<T const> const n = view(static_cast<N&&>(norms));
  detail::expect_normalize_backward(unit, n, d, to, write, dnorms);
  backend.template rows<T>(unit.rows, unit.cols, Placement::no_gradient, static_cast<std::byte*>(nullptr),
                           detail::NormalizeBackwardRow<T>{unit, n, d, to, dnorms, write == Write::accumulate});
}

}  // namespace losskit::inline LOSSKIT_ISA
