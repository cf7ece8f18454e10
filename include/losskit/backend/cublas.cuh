// cublas: the products of the cosine layer on a GPU, for the cuda backend. Link cuBLAS.
//
//   on::cuda gpu{stream, on::cublas{handle, memory}};
//   cosine_layer(gpu, x, w, layer, cosines);
//
// The handle is the caller's. `memory`, device memory of the caller's, is what cuBLAS works in: with memory of its own for each
// stream a product allocates nothing, can be captured in a graph, and gives the same bits every time. NVIDIA recommends 32 MiB
// on compute capability 9.0, 4 MiB before. float, double, half and bfloat16 (the latter two with float sums).
#pragma once
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstddef>

#include "losskit/core/expects.hpp"
#include "losskit/core/number.hpp"
#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA {

// cuBLAS refused something; what() names the call.
struct CublasError : Error { using Error::Error; };

namespace detail {

inline void expect_cublas(cublasStatus_t status, char const* call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail<CublasError>("%s: %s", call, cublasGetStatusString(status));
}

template <class S>
inline constexpr cudaDataType_t cublas_type = CUDA_R_32F;
template <>
inline constexpr cudaDataType_t cublas_type<double> = CUDA_R_64F;
template <>
inline constexpr cudaDataType_t cublas_type<__half> = CUDA_R_16F;
template <>
inline constexpr cudaDataType_t cublas_type<__nv_bfloat16> = CUDA_R_16BF;

}  // namespace detail

namespace on {

class cublas {
 public:
  explicit cublas(cublasHandle_t handle, VectorView<std::byte, device> memory = {}) : handle_(handle), memory_(memory) {}

  // c = op(a) op(b) + beta c, row-major; op the transpose where asked. cuBLAS is column-major, so it computes c^T = op(b)^T op(a)^T,
  // and no matrix is moved. Throws CublasError.
  template <class S>
  void product(cudaStream_t stream, MatrixView<S const, device> a, bool a_transposed, MatrixView<S const, device> b, bool b_transposed,
               MatrixView<S, device> c, computed<S> beta) const {
    if (c.rows <= 0 || c.cols <= 0) return;
    detail::expect_cublas(cublasSetStream(handle_, stream), "cublasSetStream");
    if (memory_.data)
      detail::expect_cublas(cublasSetWorkspace(handle_, memory_.data, static_cast<std::size_t>(memory_.size)), "cublasSetWorkspace");
    computed<S> const one = 1;  // on the host, as beta is, whatever the caller's calls of the same handle take
    cublasPointerMode_t callers;
    detail::expect_cublas(cublasGetPointerMode(handle_, &callers), "cublasGetPointerMode");
    detail::expect_cublas(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
    constexpr cudaDataType_t type = detail::cublas_type<S>;
    idx const inner = a_transposed ? a.rows : a.cols;
    cublasStatus_t const done =
        cublasGemmEx_64(handle_, b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, c.cols, c.rows, inner,
                        &one, b.data, type, leading(b), a.data, type, leading(a), &beta, c.data, type, leading(c),
                        sizeof(computed<S>) == 8 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    detail::expect_cublas(cublasSetPointerMode(handle_, callers), "cublasSetPointerMode");
    detail::expect_cublas(done, "cublasGemmEx_64");
  }

 private:
  // cuBLAS takes no distance between rows below their length. The view of a single row may have any.
  template <class S>
  static idx leading(MatrixView<S, device> m) {
    return m.rows > 1 ? m.stride : std::max<idx>(m.cols, 1);
  }

  cublasHandle_t handle_;
  VectorView<std::byte, device> memory_;
};

}  // namespace on

}  // namespace losskit::inline LOSSKIT_ISA
