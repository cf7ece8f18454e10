// cuda: the same row over the lanes of a GPU. Needs nvcc, -std=c++20 and -arch=native (or the card's own: without it the code is for
// the oldest card, and a 9.0 does without clusters).
//
//   on::cuda gpu{stream};                                   losses, point losses, normalisation
//   on::cuda gpu{stream, on::cublas{handle}};               and the cosine layer (backend/cublas.cuh)
//   auto pending = loss_and_gradient(gpu, loss, batch, gradient, workspace);
//   Report report = read(gpu, pending);                 waits for the stream; throws LabelError for a bad label
//
// Every call enqueues kernels on the stream and returns: nothing waits, allocates or is read back, so a call can be captured in
// a graph. The workspace is device memory; it holds the report until the stream reaches the next call that uses it.
//
// Who works on a row of a loss with its gradient, by its length in floats (half as long for double; chosen by gpu_launch.hpp):
//   up to 1,277 classes      a warp
//   up to 18,000 or so       a block of 256 lanes, three of them to a multiprocessor (double: two); without clusters as long a row as
//                            a block's shared memory holds
//   up to 450,000 or so      a cluster of 2, 4 or 8 blocks (compute capability 9.0), sums through distributed shared memory
//   longer                   blocks that read the row twice; where rows are few, as many share one as the GPU holds
// e is kept in shared memory, not in registers: the whole row is in flight at once, three blocks fit a processor, and nothing spills
// (tests/gpu/kernels.txt has what each kernel takes). So B x C is read once and written once; longer rows are read twice, or three times
// where e is relative to the row's largest logit (scales too large for one shift, plain logits).
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "losskit/backend/gpu_launch.hpp"
#include "losskit/backend/pending.cuh"
#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/team/lanes.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// --- groups of lanes (team/lanes.hpp) ----------------------------------------------------------------------------------------

template <class X>
__device__ X swapped(X x, int d) {
  constexpr int words = (sizeof(X) + 3) / 4;
  unsigned w[words] = {};
  memcpy(w, &x, sizeof(X));
#pragma unroll
  for (int i = 0; i < words; ++i) w[i] = d < 0 ? __shfl_sync(~0U, w[i], 0) : __shfl_xor_sync(~0U, w[i], d);
  memcpy(&x, w, sizeof(X));
  return x;
}

// 16 bytes from global to shared memory, past the registers.
inline __device__ void copy_16_async(void* to, void const* from) {
  auto const where = static_cast<unsigned>(__cvta_generic_to_shared(to));
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(where), "l"(__cvta_generic_to_global(from)) : "memory");
#else
  *static_cast<uint4*>(to) = *static_cast<uint4 const*>(from);
  (void)where;
#endif
}
inline __device__ void wait_copies_of_lane() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// A sum of another block's, by words of 8 bytes: a copy of the whole through its address is compiled to one load a byte. Slots are aligned
// and a multiple of 16 bytes long, so that the last word is theirs too.
template <class X>
__device__ X read_in_words(void const* there) {
  constexpr int count = (sizeof(X) + 7) / 8;
  std::uint64_t words[count];
#pragma unroll
  for (int i = 0; i < count; ++i) words[i] = static_cast<std::uint64_t const*>(there)[i];
  X x;
  memcpy(&x, words, sizeof(X));
  return x;
}

struct WarpGroup {
  static constexpr int lanes = 32, warps = 1;
  unsigned char* memory;  // of the warp

  template <class P>
  __device__ P* room() const { return reinterpret_cast<P*>(memory); }
  __device__ void copy_async(void* to, void const* from) const { copy_16_async(to, from); }
  __device__ void wait_copies() const { wait_copies_of_lane(); }
  __device__ int lane() const { return static_cast<int>(threadIdx.x % 32); }
  __device__ int block() const { return 0; }
  __device__ int blocks() const { return 1; }
  __device__ void sync() const { __syncwarp(); }
  __device__ void sync_blocks() const {}
  template <class X>
  __device__ X swap(X const& x, int d) const { return swapped(x, d); }
  template <class X>
  __device__ X first(X const& x) const { return swapped(x, -1); }
};

// A block, or the blocks of a cluster.
template <int Lanes>
struct BlockGroup {
  static constexpr int lanes = Lanes, warps = Lanes / 32;
  static constexpr std::size_t largest = 192;  // bytes of a sum
  struct Shared {
    alignas(16) unsigned char warp_slots[(warps + 1) * largest];
    alignas(16) unsigned char block_slots[2 * largest];
  };
  Shared* shared;
  unsigned char* memory = nullptr;  // of the block

  template <class P>
  __device__ P* room() const { return reinterpret_cast<P*>(memory); }
  __device__ void copy_async(void* to, void const* from) const { copy_16_async(to, from); }
  __device__ void wait_copies() const { wait_copies_of_lane(); }

  __device__ int lane() const { return static_cast<int>(threadIdx.x); }
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  __device__ int block() const { return static_cast<int>(register_of_cluster<0>()); }
  __device__ int blocks() const { return static_cast<int>(register_of_cluster<1>()); }
  __device__ void sync_blocks() const {
    asm volatile("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;" ::: "memory");
  }
#else
  __device__ int block() const { return 0; }
  __device__ int blocks() const { return 1; }
  __device__ void sync_blocks() const { __syncthreads(); }
#endif
  __device__ void sync() const { __syncthreads(); }
  template <class X>
  __device__ X swap(X const& x, int d) const { return swapped(x, d); }
  template <class X>
  __device__ X first(X const& x) const { return swapped(x, -1); }

  template <class X>
  __device__ X* warp_slot(int k) const {
    static_assert(sizeof(X) <= largest);
    return reinterpret_cast<X*>(shared->warp_slots + k * largest);
  }
  template <class X>
  __device__ X* block_slot(int k) const { return reinterpret_cast<X*>(shared->block_slots + k * largest); }
  template <class X>
  __device__ X of_block(int k, int b) const {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    std::uint64_t there;
    asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(reinterpret_cast<std::uint64_t>(block_slot<X>(k))), "r"(b));
    return read_in_words<X>(reinterpret_cast<void const*>(there));
#else
    return *block_slot<X>(k);
#endif
  }

 private:
  template <int which>
  static __device__ unsigned register_of_cluster() {
    unsigned x;
    if constexpr (which == 0) asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(x)); else asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(x));
    return x;
  }
};

// Blocks that share a row without a cluster, with barrier and slots in global memory. All of them run at once (a cooperative launch).
template <int Lanes>
struct GridGroup : BlockGroup<Lanes> {
  using Base = BlockGroup<Lanes>;
  struct Meeting {
    unsigned arrived;
    alignas(16) unsigned char block_slots[2 * Base::largest];  // of each block
  };
  Meeting* meetings;  // of the row's blocks
  int number, count;
  mutable unsigned expected = 0;

  __device__ int block() const { return number; }
  __device__ int blocks() const { return count; }
  __device__ void sync_blocks() const {
    __syncthreads();
    expected += static_cast<unsigned>(count);
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(&meetings->arrived, 1U);
      while (*static_cast<unsigned volatile*>(&meetings->arrived) < expected) {
      }
      __threadfence();
    }
    __syncthreads();
  }
  template <class X>
  __device__ X* block_slot(int k) const { return reinterpret_cast<X*>(meetings[number].block_slots + k * Base::largest); }
  template <class X>
  __device__ X of_block(int k, int b) const { return read_in_words<X>(meetings[b].block_slots + k * Base::largest); }
};

// --- kernels: f(team, i) for every row ---------------------------------------------------------------------------------------

inline constexpr int block_lanes = gpu_limits.block_lanes, warps_a_block = gpu_limits.warps_a_block;
using Block = BlockGroup<block_lanes>;

extern __shared__ __align__(16) unsigned char room[];  // of the block

template <class S, bool Keeps, class F>
__global__ void __launch_bounds__(32 * warps_a_block, Keeps && sizeof(computed<S>) == 4 ? 6 : 1)
    warp_rows(__grid_constant__ F const f, idx rows, unsigned room_bytes, bool accumulate) {
  LaneTeam<S, WarpGroup, Keeps> team(WarpGroup{room + threadIdx.x / 32 * room_bytes}, accumulate);
  idx const step = idx(gridDim.x) * warps_a_block;
  for (idx i = idx(blockIdx.x) * warps_a_block + threadIdx.x / 32; i < rows; i += step) f(team, i);
}

// Blocks to a multiprocessor. Three where e is kept: one row is copied in while another is computed and a third is written. Doubles take
// twice the registers.
template <class S, bool Keeps>
inline constexpr int blocks_a_processor = sizeof(computed<S>) == 4 ? (Keeps ? 3 : 2) : (Keeps ? 2 : 1);

template <class S, bool Keeps, class F>
__global__ void __launch_bounds__(block_lanes, blocks_a_processor<S, Keeps>)
    block_rows(__grid_constant__ F const f, idx rows, bool accumulate) {
  __shared__ Block::Shared shared;
  Block const group{&shared, room};
  LaneTeam<S, Block, Keeps> team(group, accumulate);
  idx const blocks = group.blocks();
  for (idx i = blockIdx.x / blocks; i < rows; i += gridDim.x / blocks) f(team, i);
  if (blocks > 1) group.sync_blocks();  // others may still read this block's memory
}

template <class S, class F>
__global__ void __launch_bounds__(block_lanes, blocks_a_processor<S, false>)
    grid_rows(__grid_constant__ F const f, GridGroup<block_lanes>::Meeting* meetings, int blocks, bool accumulate) {
  __shared__ Block::Shared shared;
  idx const i = blockIdx.x / static_cast<unsigned>(blocks);
  GridGroup<block_lanes> const group{{&shared}, meetings + i * blocks, static_cast<int>(blockIdx.x - i * blocks), blocks};
  LaneTeam<S, GridGroup<block_lanes>, false> team(group, accumulate);
  f(team, i);
}

template <class F>
inline constexpr bool keeps = requires { requires F::keeps; };

}  // namespace detail

namespace on {

struct no_blas {};

template <class Blas = no_blas>
class cuda {
 public:
  using space = device;
  static constexpr char const* name = "cuda";

  explicit cuda(cudaStream_t stream = nullptr, Blas blas = Blas{}) : stream_(stream), blas_(blas) {}
  cudaStream_t stream() const { return stream_; }

  template <class S>
  std::size_t scratch_bytes(idx, idx cols, Placement) const {
    return cols > detail::gpu_limits.worth_sharing ? static_cast<std::size_t>(detail::gpu_limits.most_meetings) * sizeof(Meeting) : 0;
  }

  template <class S, class F>
  void rows(idx rows, idx cols, Placement placement, std::byte* scratch, F const& f) const {
    if (rows <= 0) return;
    constexpr bool keeps = detail::keeps<F>;
    bool const accumulate = placement == Placement::accumulate;
    using P = Pack<S>;
    auto const keeping = [] {
      if constexpr (keeps) return kernel_facts(detail::block_rows<S, true, F>); else return detail::KernelFacts{};
    };
    auto const what = detail::choose_launch({rows, cols, P::width, sizeof(P), keeps, scratch != nullptr}, [] { return gpu_facts(); }, keeping,
                                            [] { return at_once(detail::grid_rows<S, F>); });
    if (what.kernel == detail::GpuLaunch::warp_rows)
      return launch(detail::warp_rows<S, keeps, F>, what, f, rows, static_cast<unsigned>(what.room / detail::warps_a_block), accumulate);
    if constexpr (keeps)
      if (what.kernel == detail::GpuLaunch::keeping_block_rows) return launch(detail::block_rows<S, true, F>, what, f, rows, accumulate);
    if (what.kernel == detail::GpuLaunch::grid_rows) {
      auto const meetings = reinterpret_cast<Meeting*>(scratch);
      detail::expect_cuda(cudaMemsetAsync(meetings, 0, static_cast<std::size_t>(what.blocks) * sizeof(Meeting), stream_), "cudaMemsetAsync");
      return launch(detail::grid_rows<S, F>, what, f, meetings, what.sharing, accumulate);
    }
    launch(detail::block_rows<S, false, F>, what, f, rows, accumulate);
  }

  template <class S, class F>
  void blocks(idx count, F const& f) const {
    if (count > 0)
      launch(detail::block_rows<S, false, F>,
             {detail::GpuLaunch::block_rows, std::min(count, detail::gpu_limits.largest_grid), detail::block_lanes}, f, count, false);
  }

  // Whether kernels can use this memory: device and managed memory, pinned host memory, and, where the GPU shares the host's page
  // tables, all of the host's. Throws CudaError.
  bool reaches(void const* p) const {
    cudaPointerAttributes of{};
    detail::expect_cuda(cudaPointerGetAttributes(&of, p), "cudaPointerGetAttributes");
    return of.devicePointer != nullptr || attribute(cudaDevAttrPageableMemoryAccess) != 0;
  }

  template <class R>
  Pending<R> given(R const* p) const { return {p}; }

  // c = op(a) op(b) + beta c, op the transpose where asked.
  template <class S>
  void product(MatrixView<S const, device> a, bool a_transposed, MatrixView<S const, device> b, bool b_transposed,
               MatrixView<S, device> c, computed<S> beta) const {
    static_assert(!std::is_same_v<Blas, no_blas>, "losskit: the cosine layer needs products: cuda{stream, cublas{handle}}");
    if constexpr (!std::is_same_v<Blas, no_blas>) blas_.product(stream_, a, a_transposed, b, b_transposed, c, beta);
  }

 private:
  using Meeting = detail::GridGroup<detail::block_lanes>::Meeting;

  static int attribute(cudaDeviceAttr which) {
    int gpu = 0, value = 0;
    detail::expect_cuda(cudaGetDevice(&gpu), "cudaGetDevice");
    detail::expect_cuda(cudaDeviceGetAttribute(&value, which, gpu), "cudaDeviceGetAttribute");
    return value;
  }
  static detail::GpuFacts gpu_facts() {
    int const most = std::max(attribute(cudaDevAttrMaxSharedMemoryPerBlock), attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
    return {10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor),
            static_cast<std::size_t>(most), attribute(cudaDevAttrCooperativeLaunch) != 0};
  }
  template <class... P>
  static detail::KernelFacts kernel_facts(void (*kernel)(P...)) {
    cudaFuncAttributes of{};
    detail::expect_cuda(cudaFuncGetAttributes(&of, kernel), "cudaFuncGetAttributes");
    return {of.ptxVersion, of.sharedSizeBytes};
  }
  template <class... P>
  static idx at_once(void (*kernel)(P...)) {
    int a_processor = 0;
    detail::expect_cuda(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&a_processor, kernel, detail::block_lanes, 0),
                        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    return idx(a_processor) * attribute(cudaDevAttrMultiProcessorCount);
  }

  template <class... P>
  void launch(void (*kernel)(P...), detail::GpuLaunch const& what, std::type_identity_t<P>... arguments) const {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(what.blocks));
    config.blockDim = dim3(static_cast<unsigned>(what.lanes));
    config.dynamicSmemBytes = what.room;
    config.stream = stream_;
    cudaLaunchAttribute attribute{};
    if (what.sharing > 1) {
      attribute.id = cudaLaunchAttributeCooperative;
      attribute.val.cooperative = 1;
    } else {
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim.x = static_cast<unsigned>(what.cluster);
      attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    }
    config.attrs = &attribute;
    config.numAttrs = what.sharing > 1 || what.cluster > 1 ? 1 : 0;
    if (what.asked > 0)
      detail::expect_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(what.asked)),
                          "cudaFuncSetAttribute");
    detail::expect_cuda(cudaLaunchKernelEx(&config, kernel, arguments...), "cudaLaunchKernelEx");
  }

  cudaStream_t stream_;
  Blas blas_;
};
cuda(cudaStream_t) -> cuda<no_blas>;
template <class Blas>
cuda(cudaStream_t, Blas) -> cuda<Blas>;

}  // namespace on

}  // namespace losskit::inline LOSSKIT_ISA
