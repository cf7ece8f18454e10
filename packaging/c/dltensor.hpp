// DLTensor as every dlpack.h has it: the C ABI reads it without that header. tests/c compares the two, member by member.
#pragma once
#include <cstdint>

namespace losskit_c {

struct DlTensor {
  void* data;
  struct { std::int32_t device_type, device_id; } device;
  std::int32_t ndim;
  struct { std::uint8_t code, bits; std::uint16_t lanes; } dtype;
  std::int64_t *shape, *strides;  // in elements
  std::uint64_t byte_offset;
};

}  // namespace losskit_c
