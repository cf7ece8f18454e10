// Which lanes of a GPU work on a row, and what is asked of the GPU for it: pure arithmetic on the row, the GPU and the compiled kernels.
// cuda.cuh looks the facts up and launches. Nothing here needs a GPU or its compiler, so that every case is tested where there is none.
#pragma once
#include <algorithm>
#include <cstddef>

#include "losskit/core/view.hpp"
#include "losskit/team/lanes.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

// The thresholds, for every GPU.
struct GpuLimits {
  int warps_a_block = 4, block_lanes = 256;
  std::size_t room_of_a_warp = 5 << 10;    // a longer row is a block's
  std::size_t room_of_a_block = 72 << 10;  // three blocks to a multiprocessor; a longer row is a cluster's, where there are clusters
  std::size_t without_asking = 48 << 10;   // static and dynamic shared memory of a block that is not told to the driver first
  int largest_cluster = 8, cluster_capability = 90;
  idx worth_sharing = 1 << 15;             // a row that is not kept: from here on blocks share it, where rows are few
  idx most_meetings = 1024;                // blocks that share rows, all together
  idx largest_grid = 0x7fffffff;
};
inline constexpr GpuLimits gpu_limits;

struct GpuRows {
  idx rows, cols;
  int width;               // numbers in a pack
  std::size_t pack_bytes;  // of a pack in shared memory
  bool keeps;              // e stays in shared memory between the two passes, if it fits
  bool meets;              // there is scratch memory in which blocks that share a row meet
};
struct GpuFacts {
  int capability;           // 90: compute capability 9.0
  std::size_t most_shared;  // bytes of shared memory that a block may have, asked for or not, static ones included
  bool cooperative;         // launches whose blocks all run at once
};
struct KernelFacts {
  int compiled_for;          // the capability that the code which runs was compiled for: no more than the GPU's
  std::size_t static_bytes;  // of shared memory
};

struct GpuLaunch {
  enum Kernel { warp_rows, keeping_block_rows, block_rows, grid_rows } kernel;
  idx blocks;             // of the grid
  int lanes;              // of a block
  std::size_t room = 0;   // dynamic shared memory of a block, in bytes
  int cluster = 1;        // blocks that share a row: of a cluster
  int sharing = 1;        // or of the whole grid, which then runs all at once
  std::size_t asked = 0;  // the dynamic shared memory to allow the kernel first; 0: none. One number for a kernel on a GPU: two host
                          // threads that ask at the same time ask the same
};

// ask_gpu(): GpuFacts. keeping(): KernelFacts of keeping_block_rows. at_once(): how many blocks of grid_rows the GPU runs at once. Each is
// called only where the answer matters, for it asks the driver.
template <class Gpu, class Keeping, class AtOnce>
GpuLaunch choose_launch(GpuRows const& of, Gpu const& ask_gpu, Keeping const& keeping, AtOnce const& at_once) {
  GpuLimits const& limits = gpu_limits;
  auto const room = [&](int lanes, int blocks) { return room_of_a_row(of.cols, of.width, of.pack_bytes, lanes, blocks); };
  auto const grid = [&](idx blocks, int cluster) { return std::min(blocks, limits.largest_grid / cluster * cluster); };
  if (std::size_t const warp = room(32, 1); warp <= limits.room_of_a_warp) {
    idx const a_block = limits.warps_a_block;
    return {GpuLaunch::warp_rows, grid((of.rows + a_block - 1) / a_block, 1), 32 * limits.warps_a_block,
            of.keeps ? warp * static_cast<std::size_t>(a_block) : 0};
  }
  GpuFacts const gpu = ask_gpu();
  if (of.keeps) {
    KernelFacts const kernel = keeping();
    // Below cluster_capability the kernel's own text has no clusters (cuda.cuh), whatever the GPU could do.
    bool const clusters = std::min(gpu.capability, kernel.compiled_for) >= limits.cluster_capability;
    int cluster = 1;
    while (clusters && cluster < limits.largest_cluster && room(limits.block_lanes, cluster) > limits.room_of_a_block) cluster *= 2;
    std::size_t const dynamic = room(limits.block_lanes, cluster), all = dynamic + kernel.static_bytes;
    if (all <= gpu.most_shared)
      return {GpuLaunch::keeping_block_rows, grid(of.rows * cluster, cluster), limits.block_lanes, dynamic, cluster, 1,
              all > limits.without_asking ? gpu.most_shared - kernel.static_bytes : 0};
  }
  if (of.meets && gpu.cooperative && of.cols > limits.worth_sharing) {
    if (idx const blocks = std::min<idx>(limits.most_meetings, at_once()) / of.rows; blocks > 1)
      return {GpuLaunch::grid_rows, of.rows * blocks, limits.block_lanes, 0, 1, static_cast<int>(blocks), 0};
  }
  return {GpuLaunch::block_rows, grid(of.rows, 1), limits.block_lanes};
}

}  // namespace losskit::inline LOSSKIT_ISA::detail
