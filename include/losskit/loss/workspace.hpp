// The caller's workspace, cut into aligned pieces.
#pragma once
#include <cstddef>
#include <cstdint>

#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

inline constexpr std::size_t alignment = 64;
inline std::size_t padded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// Hands out aligned pieces of a workspace.
class Arena {
 public:
  template <class S>
  explicit Arena(VectorView<std::byte, S> w) : next_(w.data) {
    if (next_) next_ += padded(reinterpret_cast<std::uintptr_t>(next_)) - reinterpret_cast<std::uintptr_t>(next_);
  }
  template <class T>
  T* take(std::size_t count) {
    auto const piece = reinterpret_cast<T*>(next_);
    next_ += padded(count * sizeof(T));
    return piece;
  }

 private:
  std::byte* next_;
};

}  // namespace losskit::inline LOSSKIT_ISA::detail
