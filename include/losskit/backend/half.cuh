// half and bfloat16 as stored numbers; computations are in float. Include it beside backend/cuda.cuh.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "losskit/core/number.hpp"

namespace losskit {

template <>
struct stored_number<__half> {
  using computed = float;
  static constexpr double epsilon = 0x1p-10, largest = 65504;
};
template <>
struct stored_number<__nv_bfloat16> {
  using computed = float;
  static constexpr double epsilon = 0x1p-7, largest = 0x1.fep127;
};

}  // namespace losskit
