// What every backend over a device's memory shares: results that are not there yet, and errors of the CUDA runtime.
#pragma once
#include <cuda_runtime.h>

#include "losskit/core/expects.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"

namespace losskit {

// The CUDA runtime refused something; what() names the call.
struct CudaError : Error { using Error::Error; };

// What a call over device memory gives at once: where its result will be.
template <class R>
struct Pending {
  R const* result;  // in device memory
};

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

inline void expect_cuda(cudaError_t status, char const* call) {
  if (status != cudaSuccess) fail<CudaError>("%s: %s", call, cudaGetErrorString(status));
}

}  // namespace detail

// The result of a call: copies it to the host and waits for the backend's stream. Throws LabelError or ParameterError for what the
// rows found wrong, and CudaError.
template <class Backend, class R>
R read(Backend const& gpu, Pending<R> pending) {
  R result{};
  detail::expect_cuda(cudaMemcpyAsync(&result, pending.result, sizeof(R), cudaMemcpyDeviceToHost, gpu.stream()),
                      "cudaMemcpyAsync");
  detail::expect_cuda(cudaStreamSynchronize(gpu.stream()), "cudaStreamSynchronize");
  if constexpr (requires { result.fault; }) detail::expect_no_fault(result.fault);
  return result;
}

}  // namespace losskit::inline LOSSKIT_ISA
