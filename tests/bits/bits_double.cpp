// The same as bits.cpp for doubles, on packets.
#include "losskit/backend/eigen.hpp"
#include "points.hpp"
#include "rows.hpp"

int main() {
  using namespace bits;
  rows<double>(on::eigen{});
  points<double>(on::eigen{});
  return failures != 0;
}
