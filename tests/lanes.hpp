// What the tests of emulated lanes share: the shapes.
#pragma once
#include "backends.hpp"
#include "emulated.hpp"

namespace test {

template <bool Keeps, class Space = host>
using Warp = emulated<32, 1, Keeps, 1, Space>;
template <bool Keeps, class Space = host>
using Few = emulated<4, 2, Keeps, 1, Space>;  // a small block, for formulas
template <bool Keeps, class Space = host>
using Block = emulated<64, 2, Keeps, 1, Space>;
template <bool Keeps, class Space = host>
using TwoBlocks = emulated<64, 2, Keeps, 2, Space>;  // a cluster
template <bool Keeps, class Space = host>
using FourBlocks = emulated<32, 4, Keeps, 4, Space>;

template <int Lanes, int Warps, int Blocks>
inline constexpr bool one_order<emulated<Lanes, Warps, true, Blocks>> = false;

inline constexpr idx lane_sizes[] = {1, 2, 31, 33, 1000, 4097}, few_sizes[] = {2, 33, 4097};

// Do two gradients agree, each number against the largest finite one of its row, NaN in the same places?
template <class T>
bool agree(Guarded<T> const& a, Guarded<T> const& b, idx rows, idx cols, double ulps) {
  for (idx i = 0; i < rows; ++i) {
    T largest = 0;
    for (idx j = 0; j < cols; ++j)
      if (std::isfinite(a.at(i, j))) largest = std::max(largest, std::fabs(a.at(i, j)));
    for (idx j = 0; j < cols; ++j) {
      T const x = a.at(i, j), y = b.at(i, j);
      if (std::isnan(x) && std::isnan(y)) continue;
      if (!(std::fabs(double(x) - double(y)) <= ulps * double(ulp<T>(static_cast<long double>(largest))))) {
        MESSAGE("row " << i << ", class " << j << ": " << x << " and " << y);
        return false;
      }
    }
  }
  return true;
}
template <class T>
bool agree(std::vector<T> const& a, std::vector<T> const& b, double ulps) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const x = double(a[i]), y = double(b[i]);
    if (!(std::isnan(x) && std::isnan(y)) && !(x == y) &&
        !(std::fabs(x - y) <= ulps * double(std::numeric_limits<T>::epsilon()) * std::max(1.0, std::fabs(x))))
      return false;
  }
  return true;
}

}  // namespace test
