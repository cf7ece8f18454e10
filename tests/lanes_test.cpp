// A GPU's text on threads: every call on emulated warps, blocks and clusters against the serial backend.
#include <chrono>
#include "losskit/loss/advance.hpp"
#include "losskit/head/normalize.hpp"
#include "losskit/loss/point_loss.hpp"
#include "backends.hpp"
#include "emulated.hpp"

using namespace test;

namespace {

template <bool Keeps> using warp = emulated<32, 1, Keeps>;
template <bool Keeps> using block = emulated<64, 2, Keeps>;
template <bool Keeps> using pair = emulated<64, 2, Keeps, 2>;       // a cluster of two blocks
template <bool Keeps> using cluster = emulated<32, 4, Keeps, 4>;    // of four

constexpr idx sizes[] = {1, 2, 31, 33, 1000, 4097};

}  // namespace

namespace test {
template <int L, int W, int B>
inline constexpr bool one_order<emulated<L, W, true, B>> = false;
}

TEST_CASE("probe") {
  auto const go = [](auto b) {
    auto const t0 = std::chrono::steady_clock::now();
    for (idx c : sizes) compare<float>(loss_of({{ArcMargin{0.5}}}, 30), 3, c, 1, 1, 1, 0.9, false, b);
    MESSAGE(std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
  };
  go(warp<true>{}); go(warp<false>{}); go(block<true>{}); go(pair<true>{}); go(cluster<true>{});
}
