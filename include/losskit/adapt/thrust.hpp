// Thrust's vectors and pointers as views, wherever a view is taken: thrust::device_vector, host_vector and universal_vector, and the
// vectors of CPP, OMP and TBB. Memory of its CUDA system is a device's, all other a host's.
//
//   thrust::device_vector<float> cosines(rows * classes), gradient(rows * classes);
//   thrust::device_vector<int> labels(rows);
//   Batch batch(matrix(cosines, rows, classes), labels);
//
// A pointer of Thrust's says where its memory lives, and is told how much there is:
//
//   thrust::device_ptr<float> p = ...;
//   matrix(p, rows, classes, stride)      MatrixView, row-major; the stride counts elements and may be left out: classes
//   view(p, size)                         VectorView
#pragma once
#include "losskit/backend/thrust_system.hpp"
#if defined(LOSSKIT_HAS_THRUST)
#include <thrust/iterator/iterator_traits.h>
#include <thrust/memory.h>

#include <type_traits>
#include <utility>

#include "losskit/core/view.hpp"
#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>
#endif

namespace losskit {

namespace detail {

template <class P>
concept ThrustPointer = !std::is_pointer_v<P> && requires(P const& p) {
  typename ::thrust::iterator_system<P>::type;
  { *::thrust::raw_pointer_cast(p) };
};
template <class P>
using raw_of = std::remove_pointer_t<decltype(::thrust::raw_pointer_cast(std::declval<P const&>()))>;
#if defined(__CUDACC__)
template <class P>
using space_of = std::conditional_t<std::is_convertible_v<typename ::thrust::iterator_system<P>::type, ::thrust::cuda::tag>, device, host>;
#else
template <class P>
using space_of = host;
#endif

}  // namespace detail

template <class X>
  requires requires(X& x) { x.size(); { x.data() } -> detail::ThrustPointer; }
struct as_view<X> {
  template <class V>
  LOSSKIT_INLINE static auto get(V& v) {
    using P = std::remove_cvref_t<decltype(v.data())>;
    return VectorView<detail::raw_of<P>, detail::space_of<P>>{::thrust::raw_pointer_cast(v.data()), static_cast<idx>(v.size())};
  }
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

template <class P>
  requires detail::ThrustPointer<std::remove_cvref_t<P>>
auto view(P&& p, idx size) {
  using Plain = std::remove_cvref_t<P>;
  return VectorView<detail::raw_of<Plain>, detail::space_of<Plain>>{::thrust::raw_pointer_cast(p), size};
}

template <class P>
  requires detail::ThrustPointer<std::remove_cvref_t<P>>
auto matrix(P&& p, idx rows, idx cols, idx stride) {
  using Plain = std::remove_cvref_t<P>;
  return MatrixView<detail::raw_of<Plain>, detail::space_of<Plain>>{::thrust::raw_pointer_cast(p), rows, cols, stride};
}
template <class P>
  requires detail::ThrustPointer<std::remove_cvref_t<P>>
auto matrix(P&& p, idx rows, idx cols) {
  return matrix(p, rows, cols, cols);
}

}  // namespace losskit::inline LOSSKIT_ISA

#endif
