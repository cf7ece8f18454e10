// Prints one number for all bits of each call's outputs, on every team, and checks that what is written in place, apart and onto
// zeros agrees. cmake/bits.cmake builds it in many ways and compares what the programs print.
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "points.hpp"
#include "rows.hpp"
#include "solo.hpp"

int main() {
  using namespace bits;
  rows<float>(on::eigen{});
  rows<float>(on::serial{});
  rows<float>(solo{});
  points<float>(on::eigen{});
  points<float>(on::serial{});
  points<float>(solo{});
  return failures != 0;
}
