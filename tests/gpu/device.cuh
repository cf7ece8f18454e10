// What the GPU's tests share: memory of the device, a batch on it, and the truth from the serial backend in double.
#pragma once
#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "losskit/backend/cuda.cuh"
#include "losskit/backend/half.cuh"
#include "losskit/backend/thrust.hpp"
#include "losskit/losskit.hpp"

// The stored types of a unit's tests. TYPE is one; without it, all four (./dev gpu compiles them side by side).
#ifdef TYPE
#define TYPES TYPE
#else
#define TYPES float, double, __half, __nv_bfloat16
#endif

namespace test {

using namespace losskit;

inline std::size_t size(idx n) { return static_cast<std::size_t>(n); }
inline void ok(cudaError_t status) { REQUIRE_MESSAGE(status == cudaSuccess, cudaGetErrorString(status)); }

// f(backend) for each backend of the device: cuda, and Thrust on its CUDA system. Both run the same kernels.
template <class F>
void each_backend(F const& f) {
  auto const by = [&](auto const& gpu) {
    INFO("on " << gpu.name);
    f(gpu);
  };
  by(on::cuda<>{});
  by(on::thrust<::thrust::cuda::tag>{});
}

// n numbers on the device, `offset` of them past an allocation's start, then a guard.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(idx n, idx offset = 0) : n_(n), offset_(offset) {
    ok(cudaMalloc(&memory_, size(n + offset + guard) * sizeof(T)));
    ok(cudaMemset(memory_, 0x77, size(n + offset + guard) * sizeof(T)));
  }
  OnDevice(std::vector<T> const& from, idx offset = 0) : OnDevice(static_cast<idx>(from.size()), offset) {
    ok(cudaMemcpy(data(), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~OnDevice() { cudaFree(memory_); }
  OnDevice(OnDevice const&) = delete;
  OnDevice& operator=(OnDevice const&) = delete;

  T* data() const { return memory_ + offset_; }
  VectorView<T, device> view() const { return {data(), n_}; }
  MatrixView<T, device> matrix(idx rows, idx cols, idx stride) const { return {data(), rows, cols, stride}; }
  std::vector<T> get() const {
    std::vector<T> all(size(n_));
    ok(cudaMemcpy(all.data(), data(), all.size() * sizeof(T), cudaMemcpyDeviceToHost));
    return all;
  }
  bool guards_hold() const {
    std::vector<unsigned char> bytes(size(offset_ + guard) * sizeof(T));
    ok(cudaMemcpy(bytes.data(), memory_, size(offset_) * sizeof(T), cudaMemcpyDeviceToHost));
    ok(cudaMemcpy(bytes.data() + size(offset_) * sizeof(T), data() + n_, size(guard) * sizeof(T), cudaMemcpyDeviceToHost));
    for (auto b : bytes)
      if (b != 0x77) return false;
    return true;
  }

 private:
  static constexpr idx guard = 16;
  idx n_, offset_;
  T* memory_ = nullptr;
};

// A batch of cosines (or logits, up to `largest`) as stored in S, and the same numbers in double.
template <class S>
struct Problem {
  using T = computed<S>;
  idx rows, cols, stride;
  std::vector<S> cosines;
  std::vector<double> exact;
  std::vector<std::int64_t> labels;
  std::vector<T> weights, class_weights, upstream, scales, margins;
  std::vector<double> exact_weights, exact_class_weights, exact_upstream, exact_scales, exact_margins;

  Problem(idx rows_, idx cols_, idx gap = 0, unsigned seed = 1, float largest = 0.9F) : rows(rows_), cols(cols_), stride(cols_ + gap) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> cosine(-largest, largest), weight(0.25F, 2.0F);
    for (idx i = 0; i < rows * stride; ++i) {
      cosines.push_back(static_cast<S>(static_cast<T>(cosine(random))));
      exact.push_back(double(static_cast<T>(cosines.back())));
    }
    auto const fill = [&](std::vector<T>& some, std::vector<double>& same, idx n, float times, float less) {
      for (idx i = 0; i < n; ++i) {
        some.push_back(T(times * weight(random) - less));
        same.push_back(double(some.back()));
      }
    };
    for (idx i = 0; i < rows; ++i) labels.push_back(static_cast<std::int64_t>(random() % static_cast<unsigned>(cols)));
    fill(weights, exact_weights, rows, 1, 0);
    fill(upstream, exact_upstream, rows, 1, 1);
    fill(scales, exact_scales, rows, 10, 0);
    fill(class_weights, exact_class_weights, cols, 1, 0);
    fill(margins, exact_margins, rows, 0.5F, 0.25F);
  }
};

// The largest difference of two gradients (or logits), in units of eps of the row's largest number; for stored types narrower
// than what computes, of the number itself where it is rounded.
template <class S>
double apart(std::vector<S> const& got, std::vector<double> const& truth, idx rows, idx cols, idx stride) {
  using T = computed<S>;
  double worst = 0;
  for (idx i = 0; i < rows; ++i) {
    double largest = 0;
    for (idx j = 0; j < cols; ++j) largest = std::fmax(largest, std::fabs(truth[size(i * stride + j)]));
    for (idx j = 0; j < cols; ++j) {
      double const x = truth[size(i * stride + j)], off = std::fabs(double(static_cast<T>(got[size(i * stride + j)])) - x);
      double const unit =
          std::fmax(std::is_same_v<S, T> ? 0 : stored_number<S>::epsilon * std::fabs(x) / 16, stored_number<T>::epsilon * largest);
      double const tiny = sizeof(S) == 2 ? 6e-8 : 1e-37;
      if (!(off <= worst * unit + tiny)) worst = off / (unit + tiny);
    }
  }
  return worst;
}

}  // namespace test
