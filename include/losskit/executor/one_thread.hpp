// one_thread: every task on the calling thread.
//
// An Executor spreads independent tasks over threads. It has
//   int concurrency() const            how many tasks may run at once; the library cuts its work by it; below 1 counts as 1
//   void run(idx tasks, F f) const     calls f(0) .. f(tasks - 1), in any order, on any thread, and returns when all are done
// and nothing else: a thread pool of the caller's with these two members is one.
//
// Exceptions are the executor's to carry. A task may throw: std::bad_alloc, where Eigen finds no memory to pack a product's operands.
// run lets the first exception through to its caller, on the caller's thread, once no task runs any more; tasks that have not begun may
// be left out (executor/first_exception.hpp does it for a pool). What the call was to write is then unspecified.
#pragma once
#include <concepts>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

struct AnyTask {
  void operator()(idx) const {}
};

}  // namespace detail

template <class E>
concept Executor = std::copy_constructible<E> && requires(E const executor, detail::AnyTask task) {
  { executor.concurrency() } -> std::convertible_to<idx>;
  executor.run(idx(1), task);
};

struct one_thread {
  int concurrency() const { return 1; }
  template <class F>
  void run(idx tasks, F f) const {
    for (idx t = 0; t < tasks; ++t) f(t);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA
