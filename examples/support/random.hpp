// Random numbers that are the same on every machine: the standard's distributions are not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace demo {

// SplitMix64 (Steele, Lea and Flood 2014): one addition and a mix of the bits.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [low, high).
  float uniform(float low = 0, float high = 1) {
    return low + (high - low) * static_cast<float>(bits() >> 40) * 0x1p-24F;
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }

  // Fisher and Yates.
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace demo
