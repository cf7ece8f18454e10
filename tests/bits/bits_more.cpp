// The same as bits.cpp for what is built in fewer ways: doubles on packets, and the point loss that takes longest to compile.
#include "losskit/backend/eigen.hpp"
#include "losskit/point/adaptive_wing.hpp"
#include "points.hpp"
#include "rows.hpp"
#include "solo.hpp"

int main() {
  using namespace bits;
  rows<double>(on::eigen{});
  point_calls<float>(on::eigen{}, AdaptiveWingLoss{}, "Adaptive wing", 2, 4099);
  point_calls<float>(solo{}, AdaptiveWingLoss{}, "Adaptive wing", 2, 4099);
  return failures != 0;
}
