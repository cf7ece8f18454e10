// DLPack tensors as the C ABI and adapt/dlpack.hpp read them, against a real dlpack.h: LOSSKIT_DLPACK_H.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include LOSSKIT_DLPACK_H
#include "../../packaging/c/dltensor.hpp"
#include "losskit/adapt/dlpack.hpp"
#include "losskit/c/losskit.h"

using losskit_c::DlTensor;

static_assert(sizeof(DlTensor) == sizeof(DLTensor) && alignof(DlTensor) == alignof(DLTensor));
static_assert(offsetof(DlTensor, data) == offsetof(DLTensor, data));
static_assert(offsetof(DlTensor, device) == offsetof(DLTensor, device));
static_assert(offsetof(DlTensor, ndim) == offsetof(DLTensor, ndim));
static_assert(offsetof(DlTensor, dtype) == offsetof(DLTensor, dtype));
static_assert(offsetof(DlTensor, shape) == offsetof(DLTensor, shape));
static_assert(offsetof(DlTensor, strides) == offsetof(DLTensor, strides));
static_assert(offsetof(DlTensor, byte_offset) == offsetof(DLTensor, byte_offset));
static_assert(sizeof(DlTensor::device) == sizeof(DLDevice) && sizeof(DlTensor::dtype) == sizeof(DLDataType));
static_assert(offsetof(DLDevice, device_type) == 0 && offsetof(DLDevice, device_id) == 4);
static_assert(offsetof(DLDataType, code) == 0 && offsetof(DLDataType, bits) == 1 && offsetof(DLDataType, lanes) == 2);
static_assert(offsetof(DLManagedTensor, dl_tensor) == 0);
static_assert(losskit::detail::dl_int == int(kDLInt) && losskit::detail::dl_uint == int(kDLUInt));
static_assert(losskit::detail::dl_float == int(kDLFloat) && losskit::detail::dl_cpu == int(kDLCPU));
static_assert(losskit::detail::dl_cuda_host == int(kDLCUDAHost) && losskit::detail::dl_rocm_host == int(kDLROCMHost));

namespace {

struct Tensor : DLTensor {
  std::int64_t sizes[3], steps[3];
  Tensor(void* p, int code, int width, std::vector<std::int64_t> shape_, std::vector<std::int64_t> strides_ = {}) : DLTensor{} {
    data = p;
    device = {kDLCPU, 0};
    ndim = static_cast<std::int32_t>(shape_.size());
    dtype = {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(width), 1};
    for (std::size_t i = 0; i < shape_.size(); ++i) sizes[i] = shape_[i];
    for (std::size_t i = 0; i < strides_.size(); ++i) steps[i] = strides_[i];
    shape = sizes;
    strides = strides_.empty() ? nullptr : steps;
  }
  Tensor(Tensor const&) = delete;
};

float numbers[24];

void refused(DLTensor const& t, losskit_status wanted, char const* word) {
  losskit_view v = losskit_vector(LOSSKIT_F32, numbers, 5);
  losskit_view const before = v;
  CHECK(losskit_view_of_dlpack(&t, &v) == wanted);
  CHECK(std::string(losskit_last_error()).find(word) != std::string::npos);
  CHECK(std::memcmp(&v, &before, sizeof v) == 0);
}

}  // namespace

TEST_CASE("views of tensors") {
  losskit_view v;
  auto const is = [&](DLTensor const& t, int type, void const* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    REQUIRE(losskit_view_of_dlpack(&t, &v) == LOSSKIT_OK);
    CHECK((v.type == type && v.data == data && v.rows == rows && v.cols == cols && v.stride == stride));
  };
  is(Tensor(numbers, kDLFloat, 32, {4, 6}), LOSSKIT_F32, numbers, 4, 6, 6);
  is(Tensor(numbers, kDLFloat, 32, {4, 5}, {6, 1}), LOSSKIT_F32, numbers, 4, 5, 6);
  is(Tensor(numbers, kDLFloat, 64, {12}), LOSSKIT_F64, numbers, 12, 1, 1);
  is(Tensor(numbers, kDLInt, 32, {12}, {1}), LOSSKIT_I32, numbers, 12, 1, 1);
  is(Tensor(numbers, kDLInt, 64, {12}), LOSSKIT_I64, numbers, 12, 1, 1);
  is(Tensor(numbers, kDLUInt, 8, {12}), LOSSKIT_U8, numbers, 12, 1, 1);
  is(Tensor(numbers, 6, 8, {12}), LOSSKIT_U8, numbers, 12, 1, 1);                    // bool
  is(Tensor(numbers, kDLFloat, 32, {1, 6}, {1, 1}), LOSSKIT_F32, numbers, 1, 6, 6);   // one row: its stride says nothing
  is(Tensor(numbers, kDLFloat, 32, {4, 1}, {6, 99}), LOSSKIT_F32, numbers, 4, 1, 6);  // one column: likewise
  is(Tensor(nullptr, kDLFloat, 32, {0, 6}), LOSSKIT_F32, nullptr, 0, 6, 6);
  Tensor offset(numbers, kDLFloat, 32, {2, 6});
  offset.byte_offset = 24;
  is(offset, LOSSKIT_F32, numbers + 6, 2, 6, 6);

  auto const m = losskit::dlpack_matrix<float const>(static_cast<DLTensor const&>(offset));
  CHECK((m.data == numbers + 6 && m.rows == 2 && m.cols == 6 && m.stride == 6));
  Tensor labels(numbers, kDLInt, 64, {12});
  CHECK(losskit::dlpack_vector<std::int64_t>(static_cast<DLTensor const&>(labels)).size == 12);
  CHECK_THROWS_AS(losskit::dlpack_vector<std::int32_t>(static_cast<DLTensor const&>(labels)), losskit::ParameterError);
  CHECK_THROWS_AS(losskit::dlpack_matrix<std::int64_t>(static_cast<DLTensor const&>(labels)), losskit::ShapeError);
  CHECK_THROWS_AS(losskit::dlpack_vector<float>(static_cast<DLTensor const&>(offset)), losskit::ShapeError);
}

TEST_CASE("tensors that are no views") {
  Tensor t(numbers, kDLFloat, 32, {4, 6});
  t.device.device_type = kDLCUDA;
  refused(t, LOSSKIT_MEMORY_ERROR, "device type 2");
  refused(Tensor(numbers, kDLFloat, 16, {4, 6}), LOSSKIT_TYPE_ERROR, "16 bits");
  refused(Tensor(numbers, kDLUInt, 32, {4, 6}), LOSSKIT_TYPE_ERROR, "code 1");
  Tensor lanes(numbers, kDLFloat, 32, {4, 6});
  lanes.dtype.lanes = 4;
  refused(lanes, LOSSKIT_PARAMETER_ERROR, "4 lanes");
  refused(Tensor(numbers, kDLFloat, 32, {2, 2, 6}), LOSSKIT_SHAPE_ERROR, "3 dimensions");
  refused(Tensor(numbers, kDLFloat, 32, {-1, 6}), LOSSKIT_SHAPE_ERROR, "-1 x 6");
  refused(Tensor(numbers, kDLFloat, 32, {4, 6}, {1, 4}), LOSSKIT_STRIDE_ERROR, "columns are 4");
  refused(Tensor(numbers, kDLFloat, 32, {4, 6}, {0, 1}), LOSSKIT_STRIDE_ERROR, "rows are 0");
  refused(Tensor(numbers, kDLFloat, 32, {4, 6}, {-6, 1}), LOSSKIT_STRIDE_ERROR, "rows are -6");
  Tensor none(numbers, kDLFloat, 32, {4, 6});
  none.shape = nullptr;
  refused(none, LOSSKIT_SHAPE_ERROR, "shape is null");
  losskit_view v;
  CHECK(losskit_view_of_dlpack(nullptr, &v) == LOSSKIT_SHAPE_ERROR);
  CHECK(losskit_view_of_dlpack(&t, nullptr) == LOSSKIT_SHAPE_ERROR);
}
