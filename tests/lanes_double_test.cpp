// A GPU's text on threads, in double: two numbers to a pack.
#include "lanes.hpp"

using namespace test;

namespace {

template <class B>
void lengths_and_alignments(B const& backend) {
  unsigned seed = 0;
  for (idx const cols : lane_sizes)
    for (auto const& loss :
         {loss_of({{ArcMargin{0.5}}}, 64), loss_of({{SphereMargin{4.0}}}, 12, {FocalLoss{2}}, {HardNegatives<>{0.2}}),
          loss_of({{CosMargin{0.35}}}, 1000)}) {
      ++seed;
      compare<double>(loss, 3, cols, seed % 3, seed % 2, seed, 0.9, false, backend);
    }
  compare<double>(loss_of({{CosMargin{0.35}}}, 16, {}, {HardNegatives<>{0.2}}), 4, 333, 3, 1, 6, 1.2, true, backend);
}

}  // namespace

TEST_CASE("lanes and serial agree: lengths, alignments, scales") {
  lengths_and_alignments(Warp<true>{});
  lengths_and_alignments(Block<false>{});
  lengths_and_alignments(TwoBlocks<true>{});
}

TEST_CASE("lanes and serial agree: the whole catalogue") { whole_catalogue<double>(Few<true>{}); }
