// DLPack: a view of any framework's host tensor. Templated on the tensor, so that the user's own dlpack.h, of any version, will do and
// none is needed here: DLTensor has the same members in all of them.
//
//   MatrixView<float const> cosines = dlpack_matrix<float const>(managed->dl_tensor);
//   VectorView<std::int64_t const> labels = dlpack_vector<std::int64_t const>(other->dl_tensor);
//
// Memory stays the tensor's. byte_offset and strides are honoured; null strides are row-major. Throws MemoryError for memory that is not
// the host's, ParameterError for another type of numbers or several lanes, ShapeError for other dimensions, StrideError for columns
// that are not next to each other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// DLDataTypeCode and DLDeviceType, whose numbers are fixed.
enum DlCode { dl_int = 0, dl_uint = 1, dl_float = 2, dl_bool = 6 };
enum DlDevice { dl_cpu = 1, dl_cuda_host = 3, dl_rocm_host = 11 };  // the last two: host memory that a device's driver has pinned

// The shape of a tensor of one or two dimensions; n elements are n x 1.
struct DlShape { idx rows, cols, stride; };

template <class Tensor>
DlShape dl_shape(Tensor const& t) {
  auto const device = static_cast<int>(t.device.device_type);
  if (device != dl_cpu && device != dl_cuda_host && device != dl_rocm_host)
    fail<MemoryError>("DLTensor: device type %d is not the host's", device);
  if (t.dtype.lanes != 1) fail<ParameterError>("DLTensor: %d lanes, expected 1", static_cast<int>(t.dtype.lanes));
  if (t.ndim != 1 && t.ndim != 2) fail<ShapeError>("DLTensor: %d dimensions, expected 1 or 2", static_cast<int>(t.ndim));
  if (!t.shape) fail<ShapeError>("DLTensor: shape is null");
  idx const rows = t.shape[0], cols = t.ndim == 2 ? t.shape[1] : 1;
  if (rows < 0 || cols < 0)
    fail<ShapeError>("DLTensor: %lld x %lld is no shape", static_cast<long long>(rows), static_cast<long long>(cols));
  DlShape shape{rows, cols, cols};
  if (t.strides && rows > 0 && cols > 0) {
    if (cols > 1 && t.strides[1] != 1)
      fail<StrideError>("DLTensor: columns are %lld elements apart, expected 1", static_cast<long long>(t.strides[1]));
    if (rows > 1) shape.stride = t.strides[0];
    if (shape.stride < cols)
      fail<StrideError>("DLTensor: rows are %lld elements apart, but have %lld", static_cast<long long>(shape.stride),
                        static_cast<long long>(cols));
  }
  return shape;
}

// Does the tensor hold numbers of type T? Bytes may be called bool.
template <class T, class Tensor>
bool dl_holds(Tensor const& t) {
  int const code = t.dtype.code, wanted = std::is_floating_point_v<T> ? dl_float : std::is_signed_v<T> ? dl_int : dl_uint;
  return t.dtype.lanes == 1 && t.dtype.bits == 8 * sizeof(T) && (code == wanted || (sizeof(T) == 1 && code == dl_bool));
}

template <class T, class Tensor>
T* dl_data(Tensor const& t) {
  using Plain = std::remove_const_t<T>;
  if (!dl_holds<Plain>(t))
    fail<ParameterError>("DLTensor: holds type code %d of %d bits, expected %s of %d", static_cast<int>(t.dtype.code),
                         static_cast<int>(t.dtype.bits), std::is_floating_point_v<Plain> ? "float" : "an integer",
                         static_cast<int>(8 * sizeof(T)));
  return t.data ? reinterpret_cast<T*>(static_cast<std::byte*>(t.data) + t.byte_offset) : nullptr;
}

}  // namespace detail

// Two dimensions, rows x cols.
template <class T, class Tensor>
MatrixView<T> dlpack_matrix(Tensor const& tensor) {
  auto const shape = detail::dl_shape(tensor);
  if (tensor.ndim != 2) fail<ShapeError>("DLTensor: 1 dimension, expected 2");
  return {detail::dl_data<T>(tensor), shape.rows, shape.cols, shape.stride};
}

// One dimension, its elements next to each other.
template <class T, class Tensor>
VectorView<T> dlpack_vector(Tensor const& tensor) {
  auto const shape = detail::dl_shape(tensor);
  if (tensor.ndim != 1) fail<ShapeError>("DLTensor: 2 dimensions, expected 1");
  if (shape.rows > 1 && shape.stride != 1)
    fail<StrideError>("DLTensor: elements are %lld apart, expected 1", static_cast<long long>(shape.stride));
  return {detail::dl_data<T>(tensor), shape.rows};
}

}  // namespace losskit::inline LOSSKIT_ISA
