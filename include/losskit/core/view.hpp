// Views: pointers with a shape. losskit owns no memory; every call works on views of the caller's.
//
// A view is made from the caller's own object wherever one is taken: an argument, a member of a Batch, an output.
//
//   batch.weights = weights;             std::vector, std::array, std::span, a C array, what an adapter knows (losskit/adapt/...)
//   Outputs<float> out{.row_losses = losses};
//   matrix(cosines, rows, cols)          a container has no rows: it is told them
//   view(x)                              the view itself, where no type asks for one
#pragma once
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "losskit/core/config.hpp"
#include "losskit/core/expects.hpp"

namespace losskit {

// Where memory lives. It is part of a view's type: a device view given to a host backend does not compile.
struct host { static constexpr char const* name = "host"; };
struct device { static constexpr char const* name = "device"; };

// The one trait that an adapter specialises, in `namespace losskit`, once per family of containers:
//   LOSSKIT_INLINE static auto get(X& object) -> MatrixView or VectorView
// Users then pass their own objects.
template <class X>
struct as_view {
  static constexpr bool known = false;
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

template <class X>
concept Viewable = !requires { as_view<std::remove_cvref_t<X>>::known; };

// The view of an object. The object must outlive the view: a temporary container is refused.
template <class X>
auto view(X&& x) {
  using Plain = std::remove_cvref_t<X>;
  static_assert(Viewable<X>,
                "losskit: no view of this type; include its adapter (losskit/adapt/...); a pointer is told its size: VectorView{p, size}, "
                "MatrixView{p, rows, cols, stride}");
  if constexpr (Viewable<X>) {
    static_assert(std::is_lvalue_reference_v<X> || requires { requires as_view<Plain>::borrowed; },
                  "losskit: a view of a temporary would dangle; give the object a name first");
    return as_view<Plain>::get(x);
  }
}

namespace detail {

template <class V>
inline constexpr bool is_matrix = requires(V v) { v.stride; };

// What another view may be made from.
template <class X, class View>
concept OtherThan = Viewable<X> && !std::is_same_v<std::remove_cvref_t<X>, View>;

// A view as the one that is asked for: of the same elements, or of those as const.
template <class View, class V>
View seen_as(V v) {
  using From = typename V::value;
  using To = typename View::value;
  constexpr bool same_shape = is_matrix<V> == is_matrix<View>, same_space = std::is_same_v<typename V::space, typename View::space>;
  constexpr bool same_type = std::is_same_v<std::remove_const_t<From>, std::remove_const_t<To>>;
  constexpr bool may_write = !std::is_const_v<From> || std::is_const_v<To>;
  static_assert(same_shape || !is_matrix<View>, "losskit: a vector where a matrix is needed, one sample a row: matrix(x, rows, cols)");
  static_assert(same_shape || is_matrix<View>, "losskit: a matrix where a vector is needed");
  static_assert(same_space, "losskit: memory of a device where that of the host is needed, or the reverse");
  static_assert(same_type || !std::is_same_v<To, std::byte>, "losskit: a workspace holds bytes: std::vector<std::byte>");
  static_assert(same_type || std::is_same_v<To, std::byte>, "losskit: the elements are of another type than is needed here");
  static_assert(may_write, "losskit: this is const, and would be written");
  if constexpr (!same_shape || !same_space || !same_type || !may_write) return {};
  else if constexpr (is_matrix<View>) return {v.data, v.rows, v.cols, v.stride};
  else return {v.data, v.size};
}

}  // namespace detail

}  // namespace losskit::inline LOSSKIT_ISA

namespace losskit {

// Row-major rows x cols; row i starts at data + i * stride. The stride counts elements and is >= cols; alignment of T is enough.
template <class T, class Space = host>
struct MatrixView {
  using value = T;
  using space = Space;
  T* data = nullptr;
  idx rows = 0;
  idx cols = 0;
  idx stride = 0;

  LOSSKIT_HD LOSSKIT_INLINE constexpr MatrixView() {}
  LOSSKIT_HD LOSSKIT_INLINE constexpr MatrixView(T* data_, idx rows_, idx cols_, idx stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  // Of an object that is a matrix, and outlives the view.
  template <detail::OtherThan<MatrixView> X>
  LOSSKIT_INLINE MatrixView(X&& x) : MatrixView(detail::seen_as<MatrixView>(view(static_cast<X&&>(x)))) {}

  LOSSKIT_HD LOSSKIT_INLINE T* row(idx i) const { return data + i * stride; }
};

// `size` neighbouring elements. False: null, which for an optional argument means that it is not given.
template <class T, class Space = host>
struct VectorView {
  using value = T;
  using space = Space;
  T* data = nullptr;
  idx size = 0;

  LOSSKIT_HD LOSSKIT_INLINE constexpr VectorView() {}
  LOSSKIT_HD LOSSKIT_INLINE constexpr VectorView(T* data_, idx size_) : data(data_), size(size_) {}
  // Of a container, which outlives the view.
  template <detail::OtherThan<VectorView> X>
  LOSSKIT_INLINE VectorView(X&& x) : VectorView(detail::seen_as<VectorView>(view(static_cast<X&&>(x)))) {}

  LOSSKIT_INLINE explicit operator bool() const { return data != nullptr; }
  LOSSKIT_HD LOSSKIT_INLINE T& operator[](idx i) const { return data[i]; }
};

template <class T, class S>
struct as_view<MatrixView<T, S>> {
  static constexpr bool borrowed = true;  // may be made from a temporary
  LOSSKIT_INLINE static auto get(MatrixView<T, S> v) { return v; }
};
template <class T, class S>
struct as_view<VectorView<T, S>> {
  static constexpr bool borrowed = true;
  LOSSKIT_INLINE static auto get(VectorView<T, S> v) { return v; }
};
// Whatever has data() and size() over plain numbers: std::vector, std::array, std::span.
template <class X>
  requires requires(X& x) { { x.size() } -> std::convertible_to<std::size_t>; typename X::iterator; } &&
           std::is_pointer_v<decltype(std::declval<X&>().data())> && (!requires { X::IsRowMajor; })
struct as_view<X> {
  static constexpr bool borrowed = requires { typename X::element_type; };  // std::span
  template <class V>
  LOSSKIT_INLINE static auto get(V& v) {
    using T = std::remove_pointer_t<decltype(v.data())>;
    return VectorView<T>{v.data(), static_cast<idx>(v.size())};
  }
};
template <class T, std::size_t n>
struct as_view<T[n]> {
  template <class V>
  LOSSKIT_INLINE static auto get(V& v) {
    return VectorView<std::remove_reference_t<decltype(v[0])>>{v, static_cast<idx>(n)};
  }
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

// A contiguous container seen as rows x cols, row-major, stride = cols. ShapeError unless it has exactly rows * cols elements.
template <class X>
auto matrix(X&& x, idx rows, idx cols) {
  auto const v = view(static_cast<X&&>(x));
  static_assert(!detail::is_matrix<decltype(v)>, "losskit: this is a matrix already; pass it as it is");
  bool const product_is_small = rows >= 0 && cols >= 0 && (cols == 0 || rows <= v.size / cols);
  if (!product_is_small || v.size != rows * cols)
    fail<ShapeError>("matrix: %lld x %lld does not fit %lld elements", static_cast<long long>(rows),
                     static_cast<long long>(cols), static_cast<long long>(v.size));
  return MatrixView<typename decltype(v)::value, typename decltype(v)::space>{v.data, rows, cols, cols};
}

}  // namespace losskit::inline LOSSKIT_ISA
