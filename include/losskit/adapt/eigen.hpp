// Eigen's own objects as views. Matrices must be row-major, one sample a row; a column-major one is a compile-time error, never
// copied. An inner stride other than 1 is a StrideError.
#pragma once
#include <Eigen/Core>
#include <type_traits>

#include "losskit/core/view.hpp"

namespace losskit {

// Whatever is dense. (Not by its base: a VectorBlock has a Block's.)
template <class X>
  requires std::is_same_v<typename X::StorageKind, Eigen::Dense> && requires { X::IsRowMajor; }
struct as_view<X> {
  static_assert(bool(X::IsRowMajor) || bool(X::IsVectorAtCompileTime),
                "losskit: this matrix is column-major; declare it Eigen::RowMajor, one sample a row");
  static_assert(bool(X::Flags & Eigen::DirectAccessBit),
                "losskit: this is an Eigen expression without memory of its own; assign it to a matrix first");

  template <class M>
  LOSSKIT_INLINE static auto get(M& m) {
    using T = std::remove_pointer_t<decltype(m.data())>;
    if constexpr (bool(X::IsVectorAtCompileTime)) {
      if (m.innerStride() != 1 && m.size() > 1)
        fail<StrideError>("vector: inner stride %lld, 1 needed", static_cast<long long>(m.innerStride()));
      return VectorView<T>{m.data(), static_cast<idx>(m.size())};
    } else {
      if (m.innerStride() != 1 && m.cols() > 1)
        fail<StrideError>("matrix: inner stride %lld, 1 needed", static_cast<long long>(m.innerStride()));
      return MatrixView<T>{m.data(), static_cast<idx>(m.rows()), static_cast<idx>(m.cols()), static_cast<idx>(m.outerStride())};
    }
  }
};

}  // namespace losskit
