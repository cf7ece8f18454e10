// Speed on a GPU, as a share of a device-to-device copy measured in alternation. Writes a table (markdown) and its rows (JSON).
//
//   gates <table.md> <rows.json>
//
// Bytes are counted as one read and one write of B x C (C = 1M: two reads and one write), whatever a kernel does. Inputs are
// random; buffers rotate, so that no run finds its input in the L2 cache.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "losskit/backend/cuda.cuh"
#include "losskit/backend/half.cuh"
#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

void ok(cudaError_t status) {
  if (status != cudaSuccess) {
    std::fprintf(stderr, "%s\n", cudaGetErrorString(status));
    std::exit(1);
  }
}

template <class T>
T* allocate(std::size_t n) {
  void* p = nullptr;
  ok(cudaMalloc(&p, n * sizeof(T)));
  return static_cast<T*>(p);
}

__global__ void fill_cosines(float* f, __nv_bfloat16* h, std::size_t n, unsigned seed) {
  for (std::size_t i = blockIdx.x * std::size_t(blockDim.x) + threadIdx.x; i < n; i += std::size_t(gridDim.x) * blockDim.x) {
    unsigned x = static_cast<unsigned>(i) * 747796405U + seed;
    x = ((x >> ((x >> 28) + 4)) ^ x) * 277803737U;
    float const c = static_cast<float>((x >> 22) ^ x) * (1.2F / 4294967296.0F) - 0.6F;
    if (f) f[i] = c;
    if (h) h[i] = static_cast<__nv_bfloat16>(c);
  }
}

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + static_cast<long>(x.size() / 2), x.end());
  return x[x.size() / 2];
}

// Keeps the GPU busy for a tenth of a millisecond, in which the launches after it are enqueued: what is timed is the GPU's work alone.
__global__ void spin() {
  for (long long const begin = clock64(); clock64() - begin < 200000;) {
  }
}

struct Timer {
  cudaEvent_t a, b;
  Timer() {
    ok(cudaEventCreate(&a));
    ok(cudaEventCreate(&b));
  }
  double operator()(std::function<void()> const& f) const {  // seconds
    spin<<<1, 1>>>();
    ok(cudaEventRecord(a));
    f();
    ok(cudaEventRecord(b));
    ok(cudaEventSynchronize(b));
    float ms = 0;
    ok(cudaEventElapsedTime(&ms, a, b));
    return double(ms) / 1000;
  }
};

struct Row {
  std::string path, shape;
  double rate, copy, must, aim;
};

// Medians of both in alternation, as bytes a second.
Row race(std::string path, std::string shape, double bytes, double must, double aim, std::function<void(int)> const& ours,
         std::function<void(int)> const& copy, double copied) {
  Timer const timer;
  std::vector<double> mine, theirs;
  for (int k = -3; k < 31; ++k) {
    double const m = timer([&] { ours(k + 3); }), t = timer([&] { copy(k + 3); });
    if (k >= 0) mine.push_back(m), theirs.push_back(t);
  }
  return {path, shape, bytes / median(mine), copied / median(theirs), must, aim};
}

constexpr std::size_t total = std::size_t(1) << 30;  // elements at hand

struct Memory {
  float* a = allocate<float>(total);
  float* b = allocate<float>(total);
  std::byte* workspace = allocate<std::byte>(std::size_t(256) << 20);
  long* labels = allocate<long>(1 << 20);
};

template <class S>
Row margin_softmax(Memory const& m, idx rows, idx cols, double reads_and_writes, double must, double aim) {
  std::size_t const cells = static_cast<std::size_t>(rows * cols),
                    copies = std::max<std::size_t>(1, total * sizeof(float) / sizeof(S) / cells);
  S *const in = reinterpret_cast<S*>(m.a), *const out = reinterpret_cast<S*>(m.b);
  on::cuda const gpu{};
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  double const bytes = double(cells) * sizeof(S);
  return race(
      sizeof(S) == 4 ? "ArcFace loss + gradient, float" : "ArcFace loss + gradient, bfloat16",
      std::to_string(rows) + " x " + std::to_string(cols), reads_and_writes * bytes, must, aim,
      [&](int k) {
        std::size_t const at = static_cast<std::size_t>(k) % copies * cells;
        Batch const batch(MatrixView<S const, device>{in + at, rows, cols, cols}, VectorView<long const, device>{m.labels, rows});
        (void)loss_and_gradient(gpu, loss, batch, MatrixView<S, device>{out + at, rows, cols, cols},
                                VectorView<std::byte, device>{m.workspace, idx(256) << 20});
      },
      [&](int k) {  // of what ours did not just read
        std::size_t const at = (static_cast<std::size_t>(k) + copies / 2) % copies * cells;
        ok(cudaMemcpyAsync(out + at, in + at, cells * sizeof(S), cudaMemcpyDeviceToDevice));
      },
      2 * bytes);
}

template <class L>
Row point_loss(Memory const& m, L const& loss, double must, double aim) {
  idx const n = idx(1) << 28;
  on::cuda const gpu{};
  double const bytes = double(n) * 4;
  return race(std::string(L::name) + " loss + gradient, float", "2^28", 3 * bytes, must, aim,
              [&](int) {
                (void)loss_and_gradient(gpu, loss, VectorView<float const, device>{m.a, n}, VectorView<float const, device>{m.a + n, n},
                                        VectorView<float, device>{m.b, n}, VectorView<std::byte, device>{m.workspace, idx(256) << 20});
              },
              [&](int) { ok(cudaMemcpyAsync(m.b, m.a, static_cast<std::size_t>(n) * 4, cudaMemcpyDeviceToDevice)); }, 2 * bytes);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return std::fprintf(stderr, "usage: gates <table.md> <rows.json>\n"), 2;
  cudaDeviceProp gpu;
  ok(cudaGetDeviceProperties(&gpu, 0));
  Memory const m;
  ok(cudaMemset(m.labels, 0, (1 << 20) * sizeof(long)));
  std::vector<Row> rows;
  fill_cosines<<<1024, 256>>>(m.a, nullptr, total, 1);
  rows.push_back(margin_softmax<float>(m, 65536, 1000, 2, 0.60, 0.77));
  for (idx cols : {2048, 4096, 8192, 10007, 12000, 16384, 24000, 32768, 50000, 65536, 93431, 100003, 131072, 200000, 262144, 400000})
    rows.push_back(margin_softmax<float>(m, std::max<idx>(64, (idx(1) << 28) / cols), cols, 2, 0.83, 0.95));
  for (idx cols : {8192, 32768}) rows.push_back(margin_softmax<float>(m, 64, cols, 2, 0.83, 0.95));
  rows.push_back(margin_softmax<float>(m, 512, 1000000, 3, 0.83, 0.93));
  rows.push_back(margin_softmax<float>(m, 64, 1000000, 3, 0.67, 0.87));
  rows.push_back(margin_softmax<float>(m, 8, 1000000, 3, 0.67, 0.87));
  rows.push_back(point_loss(m, WingLoss{}, 0.87, 0.95));
  rows.push_back(point_loss(m, SigmoidFocalLoss{}, 0.87, 0.95));
  fill_cosines<<<1024, 256>>>(nullptr, reinterpret_cast<__nv_bfloat16*>(m.a), 2 * total, 1);
  for (idx cols : {4096, 8192, 10575, 16384, 50000, 131072, 262144, 400000})
    rows.push_back(margin_softmax<__nv_bfloat16>(m, std::max<idx>(64, (idx(1) << 29) / cols), cols, 2, 0.83, 0.95));
  ok(cudaDeviceSynchronize());

  std::FILE* const table = std::fopen(arguments[1], "w");
  std::FILE* const json = std::fopen(arguments[2], "w");
  if (!table || !json) return std::fprintf(stderr, "cannot write %s or %s\n", arguments[1], arguments[2]), 1;
  std::fprintf(table,
               "# losskit on %s\n\nMedians of 31 runs in alternation with a device-to-device copy; TB/s of the bytes named in "
               "bench/gpu/gates.cu.\n\n"
               "| path | shape | TB/s | copy, TB/s | ratio | must | aim | |\n|---|---|---|---|---|---|---|---|\n",
               gpu.name);
  std::fprintf(json, "[\n");
  for (auto const& r : rows) {
    double const ratio = r.rate / r.copy;
    char const* const verdict = ratio >= r.must ? "ok" : "short";
    std::fprintf(table, "| %s | %s | %.3f | %.3f | %.3f | %.2f | %.2f | %s |\n", r.path.c_str(), r.shape.c_str(), r.rate / 1e12,
                 r.copy / 1e12, ratio, r.must, r.aim, verdict);
    std::fprintf(
        json,
        R"(  {"path": "%s", "shape": "%s", "ratio": %.4f, "of": "device copy", "better": "higher", "must": %.2f, "aim": %.2f, "verdict": "%s"}%s)"
        "\n",
        r.path.c_str(), r.shape.c_str(), ratio, r.must, r.aim, verdict, &r == &rows.back() ? "" : ",");
  }
  std::fprintf(json, "]\n");
  return std::fclose(table) + std::fclose(json) == 0 ? 0 : 1;
}
