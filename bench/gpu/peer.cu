// peer ROWS CLASSES: our median time in seconds for loss and gradient of ArcFace over float cosines, for bench/gpu/peer_torch.py.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "losskit/backend/cuda.cuh"
#include "losskit/losskit.hpp"

using namespace losskit;

int main(int count, char** arguments) {
  if (count != 3) return 2;
  idx const rows = std::atoll(arguments[1]), cols = std::atoll(arguments[2]);
  std::vector<float> cosines(static_cast<std::size_t>(rows * cols));
  unsigned x = 1;
  for (float& c : cosines) x = x * 1664525U + 1013904223U, c = static_cast<float>(x >> 8) * (1.2F / 16777216.0F) - 0.6F;
  float *in = nullptr, *out = nullptr;
  long* labels = nullptr;
  std::byte* workspace = nullptr;
  on::cuda const gpu{};
  std::size_t const bytes = workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place);
  bool const there = cudaMalloc(&in, cosines.size() * 4) == cudaSuccess && cudaMalloc(&out, cosines.size() * 4) == cudaSuccess &&
                     cudaMalloc(&labels, static_cast<std::size_t>(rows) * 8) == cudaSuccess &&
                     cudaMalloc(&workspace, bytes) == cudaSuccess &&
                     cudaMemcpy(in, cosines.data(), cosines.size() * 4, cudaMemcpyHostToDevice) == cudaSuccess &&
                     cudaMemset(labels, 0, static_cast<std::size_t>(rows) * 8) == cudaSuccess;
  if (!there) return 1;
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  Batch const batch(MatrixView<float const, device>{in, rows, cols, cols}, VectorView<long const, device>{labels, rows});
  std::vector<double> seconds;
  cudaEvent_t start, end;
  if (cudaEventCreate(&start) != cudaSuccess || cudaEventCreate(&end) != cudaSuccess) return 1;
  for (int k = -5; k < 21; ++k) {
    float ms = 0;
    cudaEventRecord(start);
    (void)loss_and_gradient(gpu, loss, batch, MatrixView<float, device>{out, rows, cols, cols},
                            VectorView<std::byte, device>{workspace, idx(bytes)});
    cudaEventRecord(end);
    if (cudaEventSynchronize(end) != cudaSuccess || cudaEventElapsedTime(&ms, start, end) != cudaSuccess) return 1;
    if (k >= 0) seconds.push_back(double(ms) / 1000);
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf("%.9f\n", seconds[seconds.size() / 2]);
}
