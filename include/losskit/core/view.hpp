// Views: pointers with a shape. losskit owns no memory; every call works on views of the caller's.
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

// Row-major rows x cols; row i starts at data + i * stride. The stride counts elements and is >= cols; alignment of T is enough.
template <class T, class Space = host>
struct MatrixView {
  using value = T;
  using space = Space;
  T* data = nullptr;
  idx rows = 0;
  idx cols = 0;
  idx stride = 0;

  LOSSKIT_HD LOSSKIT_INLINE T* row(idx i) const { return data + i * stride; }
  template <class U>
    requires(std::is_same_v<U, T const> && !std::is_const_v<T>)
  LOSSKIT_INLINE operator MatrixView<U, Space>() const { return {data, rows, cols, stride}; }
};

// `size` neighbouring elements. False: null, which for an optional argument means that it is not given.
template <class T, class Space = host>
struct VectorView {
  using value = T;
  using space = Space;
  T* data = nullptr;
  idx size = 0;

  LOSSKIT_INLINE explicit operator bool() const { return data != nullptr; }
  LOSSKIT_HD LOSSKIT_INLINE T& operator[](idx i) const { return data[i]; }
  template <class U>
    requires(std::is_same_v<U, T const> && !std::is_const_v<T>)
  LOSSKIT_INLINE operator VectorView<U, Space>() const { return {data, size}; }
};

// The one trait that an adapter specialises, in `namespace losskit`, once per family of containers:
//   LOSSKIT_INLINE static auto get(X& object) -> MatrixView or VectorView
// Users then pass their own objects.
template <class X>
struct as_view {
  static constexpr bool known = false;
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

template <class X>
concept Viewable = !requires { as_view<std::remove_cvref_t<X>>::known; };

// The view of an object. The object must outlive the view: a temporary container is refused.
template <class X>
auto view(X&& x) {
  using Plain = std::remove_cvref_t<X>;
  static_assert(Viewable<X>,
                "losskit: no view of this type; include its adapter (losskit/adapt/...) or pass a MatrixView or VectorView");
  if constexpr (Viewable<X>) {
    static_assert(std::is_lvalue_reference_v<X> || requires { requires as_view<Plain>::borrowed; },
                  "losskit: a view of a temporary would dangle; give the object a name first");
    return as_view<Plain>::get(x);
  }
}

// A contiguous container seen as rows x cols, row-major, stride = cols. ShapeError unless it has exactly rows * cols elements.
template <class X>
auto matrix(X&& x, idx rows, idx cols) {
  auto const v = view(static_cast<X&&>(x));
  static_assert(requires { v.size; }, "losskit: this is a matrix already; pass it as it is");
  bool const product_is_small = rows >= 0 && cols >= 0 && (cols == 0 || rows <= v.size / cols);
  if (!product_is_small || v.size != rows * cols)
    fail<ShapeError>("matrix: %lld x %lld does not fit %lld elements", static_cast<long long>(rows),
                     static_cast<long long>(cols), static_cast<long long>(v.size));
  return MatrixView<typename decltype(v)::value, typename decltype(v)::space>{v.data, rows, cols, cols};
}

}  // namespace losskit::inline LOSSKIT_ISA
