// One training step of ArcFace, on a GPU or on the CPU: the alias Machine is all that differs.
//
//   nvcc -std=c++20 -O3 -arch=native -I include examples/train_step.cu && ./a.out
//   g++ -std=c++20 -O3 -march=native -I include -I /usr/include/eigen3 -x c++ examples/train_step.cu && ./a.out
//
// Both print the same loss.
#include <cstdio>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

#if defined(__CUDACC__)
#include "losskit/backend/cuda.cuh"

// Memory where the backend works, and copies to and from it.
struct Gpu {
  using Space = device;
  on::cuda<> backend{};
  template <class T>
  VectorView<T, device> put(std::vector<T> const& from) const {
    T* p = nullptr;
    cudaMalloc(&p, from.size() * sizeof(T));
    cudaMemcpy(p, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice);
    return {p, static_cast<idx>(from.size())};
  }
  template <class T>
  std::vector<T> get(VectorView<T, device> v) const {
    std::vector<T> to(static_cast<std::size_t>(v.size));
    cudaMemcpy(to.data(), v.data, to.size() * sizeof(T), cudaMemcpyDeviceToHost);
    return to;
  }
};
using Machine = Gpu;
#else
#include <memory>

#include "losskit/backend/eigen.hpp"

struct Cpu {
  using Space = host;
  on::eigen<> backend{};
  std::vector<std::shared_ptr<void>> mutable memory{};
  template <class T>
  VectorView<T> put(std::vector<T> const& from) const {
    auto const copy = std::make_shared<std::vector<T>>(from);
    memory.push_back(copy);
    return {copy->data(), static_cast<idx>(copy->size())};
  }
  template <class T>
  std::vector<T> get(VectorView<T> v) const {
    return {v.data, v.data + v.size};
  }
};
using Machine = Cpu;
#endif

int main() {
  idx const rows = 64, classes = 10007;
  std::vector<float> cosines;
  std::vector<int> labels;
  unsigned seed = 1;
  auto const random = [&] { return seed = seed * 1664525U + 1013904223U, double(seed >> 8) / double(1 << 24); };
  for (idx i = 0; i < rows * classes; ++i) cosines.push_back(static_cast<float>(0.8 * random() - 0.4));
  for (idx i = 0; i < rows; ++i) labels.push_back(static_cast<int>(random() * double(classes)));

  Machine const machine;
  auto const& backend = machine.backend;
  auto const c = machine.put(cosines);
  auto const y = machine.put(labels);
  auto const workspace = machine.put(std::vector<std::byte>(workspace_bytes<float>(backend, rows, classes, Placement::in_place)));

  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  auto const all = matrix(c, rows, classes);
  auto const pending = loss_and_gradient(backend, loss, Batch(all, y), all, workspace);  // the gradient lies over the cosines
  Report const report = read(backend, pending);

  double norm = 0;
  for (float g : machine.get(c)) norm += double(g) * double(g);
  std::printf("loss %.6f, top-1 %lld of %lld, |gradient|^2 %.6f\n", report.loss, static_cast<long long>(report.top1),
              static_cast<long long>(report.valid), norm);
}
