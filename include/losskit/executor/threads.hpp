// threads: tasks over threads that are made for the call and gone after it. No pool, no state, no runtime of anybody's: it works in a
// process that has forked, beside any OpenMP, and costs some ten microseconds a thread.
#pragma once
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "losskit/core/config.hpp"
#include "losskit/executor/first_exception.hpp"

namespace losskit::inline LOSSKIT_ISA {

class threads {
 public:
  // count = 0: as many as the machine, or what of it this process may use, has cores.
  explicit threads(int count = 0) : count_(count) {}

  int concurrency() const {
    if (count_ > 0) return count_;
    int const cores = static_cast<int>(std::thread::hardware_concurrency());
    return cores > 0 ? cores : 1;
  }

  // The caller's thread works too. Where no more threads are to be had, those that are do all.
  template <class F>
  void run(idx tasks, F f) const {
    idx const most = concurrency() < tasks ? concurrency() : tasks;
    if (most <= 1) {
      for (idx t = 0; t < tasks; ++t) f(t);
      return;
    }
    FirstException first;
    std::atomic<idx> next{0};
    auto const work = [&] {
      for (idx t = next++; t < tasks; t = next++) first.guard([&] { f(t); });
    };
    std::vector<std::thread> others;
    first.guard([&] {
      others.reserve(static_cast<std::size_t>(most - 1));
#if defined(__cpp_exceptions)
      try {
        while (static_cast<idx>(others.size()) < most - 1) others.emplace_back(work);
      } catch (std::system_error const&) {}
#else
      while (static_cast<idx>(others.size()) < most - 1) others.emplace_back(work);
#endif
    });
    work();
    for (auto& thread : others) thread.join();
    first.rethrow();
  }

 private:
  int count_;
};

}  // namespace losskit::inline LOSSKIT_ISA
