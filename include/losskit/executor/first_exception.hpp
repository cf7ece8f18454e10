// FirstException: carries an exception from a task's thread to the caller's, for executors whose threads would else end the program.
//
//   FirstException first;
//   on each thread:   first.guard([&] { f(t); });
//   afterwards:       first.rethrow();
//
// Compiled without exceptions it only calls.
#pragma once
#include <atomic>
#include <exception>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

class FirstException {
 public:
  // Calls task(), on any thread; skipped once another task has thrown.
  template <class F>
  void guard(F const& task) {
#if defined(__cpp_exceptions)
    if (state_.load(std::memory_order_relaxed) != none) return;
    try {
      task();
    } catch (...) {
      int expected = none;
      if (state_.compare_exchange_strong(expected, taken)) {
        exception_ = std::current_exception();
        state_.store(kept, std::memory_order_release);
      }
    }
#else
    task();
#endif
  }

  // Throws what the first of the tasks to fail threw, if one did. Call it when no task runs any more.
  void rethrow() {
#if defined(__cpp_exceptions)
    if (state_.load(std::memory_order_acquire) == kept) std::rethrow_exception(exception_);
#endif
  }

 private:
  enum { none, taken, kept };
  std::atomic<int> state_{none};
  std::exception_ptr exception_;
};

}  // namespace losskit::inline LOSSKIT_ISA
