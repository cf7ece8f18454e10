// What the units of the bits test share: a number for all bits of some outputs, problems, and the margins chosen at run time.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "losskit/core/view.hpp"

namespace bits {

using namespace losskit;

// FNV-1a over the bytes of all that is added.
class Hash {
 public:
  template <class T>
  void add(T const* p, std::size_t n) {
    unsigned char const* const bytes = reinterpret_cast<unsigned char const*>(p);
    for (std::size_t i = 0; i < n * sizeof(T); ++i) state_ = (state_ ^ bytes[i]) * 0x100000001b3U;
  }
  template <class T>
  void add(std::vector<T> const& v) { add(v.data(), v.size()); }
  void add(double x) { add(&x, 1); }
  void print(char const* team, char const* type, char const* what) const {
    std::printf("%-8s %-8s %-44s %016llx\n", team, type, what, static_cast<unsigned long long>(state_));
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

inline int failures = 0;
inline void expect(bool right, char const* team, char const* type, char const* what, char const* law) {
  if (right) return;
  std::printf("%s, %s, %s: broken: %s\n", team, type, what, law);
  ++failures;
}

// Has a loss the same bits with its gradient and without? Not where lanes that keep e add in another order.
template <class B>
inline constexpr bool one_order = true;

template <class T>
inline constexpr char const* type_name = sizeof(T) == 4 ? "float" : "double";

// Numbers in [-1, 1), the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2654435769U + 1) {}
  float operator()() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) * 0x1p-31F;
  }

 private:
  std::uint64_t state_;
};

template <class T>
std::vector<T> numbers(std::size_t n, std::uint64_t seed, float from, float to) {
  Random random(seed);
  std::vector<T> v(n);
  for (T& x : v) x = T(std::fma(0.5F * (to - from), random() + 1, from));  // no compiler may choose
  return v;
}

// Equal, number by number (0 and -0 are).
template <class T>
bool equal(std::vector<T> const& a, std::vector<T> const& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i])) return false;
  return true;
}
template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) { return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0; }

}  // namespace bits
