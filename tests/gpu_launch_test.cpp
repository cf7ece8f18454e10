// What a GPU is asked for a row (backend/gpu_launch.hpp), for every length of row up to 2^20 and every stored type, on cards that exist
// and on some that do not.
#include <doctest/doctest.h>

#include "losskit/backend/gpu_launch.hpp"

namespace {

using namespace losskit;
using detail::GpuFacts, detail::GpuLaunch, detail::KernelFacts, detail::gpu_limits;

struct Type { char const* name; int width; std::size_t pack_bytes; };
constexpr Type types[] = {{"float", 4, 16}, {"double", 2, 16}, {"half and bfloat16", 8, 32}};

constexpr std::size_t static_bytes = 2112;  // of a block of 256 lanes (BlockGroup::Shared)
constexpr idx at_once = 264;                // two blocks for each of 132 multiprocessors
constexpr GpuFacts h100{90, 227 << 10, true}, a100{80, 163 << 10, true}, t4{75, 64 << 10, true};

struct Card { char const* name; GpuFacts gpu; int compiled_for; };

GpuLaunch choose(GpuFacts const& gpu, int compiled_for, Type const& type, idx rows, idx cols, bool keeps = true, bool meets = true) {
  return detail::choose_launch({rows, cols, type.width, type.pack_bytes, keeps, meets}, [&] { return gpu; },
                               [&] { return KernelFacts{compiled_for, static_bytes}; }, [] { return at_once; });
}

// What breaks if this were launched; nothing if it is sound.
char const* fault(GpuLaunch const& what, GpuFacts const& gpu, int compiled_for, Type const& type, idx rows, idx cols, bool keeps) {
  std::size_t const fixed = what.kernel == GpuLaunch::warp_rows ? 0 : static_bytes;
  if (what.blocks < 1 || what.blocks > gpu_limits.largest_grid) return "the grid has no such size";
  if (what.room + fixed > gpu.most_shared) return "more shared memory than the GPU has";
  if (what.room + fixed > gpu_limits.without_asking && what.asked < what.room) return "more than 48 KB without asking";
  if (what.asked != 0 && what.asked + fixed > gpu.most_shared) return "asked for more than there is";
  if (what.cluster > 1 && (gpu.capability < 90 || compiled_for < 90)) return "a cluster that the GPU or the code does not know";
  if (what.blocks % what.cluster != 0) return "a part of a cluster";
  if (what.cluster & (what.cluster - 1)) return "no power of two";
  if (what.kernel == GpuLaunch::warp_rows || what.kernel == GpuLaunch::keeping_block_rows) {
    idx const rooms = what.kernel == GpuLaunch::warp_rows ? gpu_limits.warps_a_block : 1;
    idx const held = idx(what.room / type.pack_bytes) / rooms * type.width * what.cluster;
    if (keeps && held < cols + type.width - 1) return "no room for the row at every alignment";
  }
  if (what.kernel == GpuLaunch::grid_rows) {
    if (!gpu.cooperative) return "a cooperative launch on a GPU that has none";
    if (what.sharing < 2 || what.blocks != rows * what.sharing) return "blocks without a row";
    if (what.blocks > std::min(gpu_limits.most_meetings, at_once)) return "blocks that do not all run at once";
  }
  return nullptr;
}

TEST_CASE("every row, on every card: room, limits, clusters, waves") {
  for (Card const& card : {Card{"H100", h100, 90}, {"H100 with code for 7.5", h100, 75}, {"H100 with code for 8.0", h100, 80},
                           {"H100 with code for 8.9", h100, 89}, {"A100", a100, 80}, {"T4", t4, 75},
                           {"47 KB", {90, 47 << 10, true}, 90}, {"48 KB", {90, 48 << 10, true}, 90},
                           {"49 KB", {90, 49 << 10, true}, 90}, {"47 KB without clusters", {75, 47 << 10, true}, 75},
                           {"45 KB without clusters", {75, 45 << 10, true}, 75}, {"no cooperative launch", {70, 96 << 10, false}, 70}})
    for (Type const& type : types) {
      CAPTURE(card.name);
      CAPTURE(type.name);
      std::size_t asked = 0;  // the one number that this kernel is allowed
      for (idx cols = 1; cols <= idx(1) << 20; ++cols)
        for (idx rows : {idx(1), idx(300), idx(1) << 31})
          for (bool keeps : {true, false}) {
            GpuLaunch const what = choose(card.gpu, card.compiled_for, type, rows, cols, keeps);
            char const* const broken = fault(what, card.gpu, card.compiled_for, type, rows, cols, keeps);
            bool const undercut = what.asked != 0 && asked != 0 && what.asked != asked;
            if (what.asked) asked = what.asked;
            if (broken || undercut || what.lanes != (what.kernel == GpuLaunch::warp_rows ? 128 : 256)) {
              CAPTURE(cols);
              CAPTURE(rows);
              FAIL((broken ? broken : undercut ? "two numbers asked for one kernel" : "lanes"));
            }
          }
    }
}

TEST_CASE("who works on a row of an H100") {
  auto const who = [](idx rows, idx cols, Type const& type = types[0]) { return choose(h100, 90, type, rows, cols); };
  CHECK(who(256, 1277).kernel == GpuLaunch::warp_rows);
  CHECK(who(256, 1278).kernel == GpuLaunch::keeping_block_rows);
  CHECK(who(256, 18000).cluster == 1);
  CHECK(who(256, 20000).cluster == 2);
  CHECK(who(256, 100000).cluster == 8);
  CHECK(who(256, 400001).kernel == GpuLaunch::keeping_block_rows);
  CHECK(who(256, 1000003).kernel == GpuLaunch::block_rows);
  CHECK(who(2, 1000003).kernel == GpuLaunch::grid_rows);
  CHECK(who(2, 1000003).sharing == 132);
  // Rows whose own room is within 48 KB, and not beside the static memory.
  for (idx cols : {11262, 12285, 22526, 24573, 45054, 93431}) {
    auto const what = who(64, cols);
    CHECK(what.room <= 48 << 10);
    CHECK(what.room + static_bytes > 48 << 10);
    CHECK(what.asked == (227 << 10) - static_bytes);
  }
  CHECK(who(64, 10575, types[2]).asked > 0);
  CHECK(who(64, 6000, types[1]).asked > 0);
}

TEST_CASE("a card or code without clusters keeps in a block what fits, and reads twice what does not") {
  for (int compiled_for : {75, 80, 89}) {
    CHECK(choose(h100, compiled_for, types[0], 64, 20000).cluster == 1);
    CHECK(choose(h100, compiled_for, types[0], 64, 50000).kernel == GpuLaunch::keeping_block_rows);
    CHECK(choose(h100, compiled_for, types[0], 64, 60000).kernel == GpuLaunch::grid_rows);
    CHECK(choose(h100, compiled_for, types[0], 300, 60000).kernel == GpuLaunch::block_rows);
  }
  CHECK(choose({75, 64 << 10, false}, 75, types[0], 2, 100000).kernel == GpuLaunch::block_rows);
  CHECK(choose(h100, 90, types[0], 2, 1000003, true, false).kernel == GpuLaunch::block_rows);  // no memory to meet in
}

}  // namespace
