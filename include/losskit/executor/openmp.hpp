// openmp: tasks over OpenMP's threads. Compile with -fopenmp; without it everything runs on one thread. With no more tasks than
// threads, task t is thread t's in every call, so that it finds its data in its own cache; more tasks are scheduled dynamically.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "losskit/core/config.hpp"
#include "losskit/executor/first_exception.hpp"

// With and without -fopenmp it is another class: units of both kinds may stand in one program.
#if defined(_OPENMP)
namespace losskit::inline LOSSKIT_ISA::inline with_openmp {
#else
namespace losskit::inline LOSSKIT_ISA::inline without_openmp {
#endif

class openmp {
 public:
  // threads = 0: as many as OpenMP would take.
  explicit openmp(int threads = 0) : threads_(threads) {}

#if defined(_OPENMP)
  int concurrency() const { return threads_ > 0 ? threads_ : omp_get_max_threads(); }
#else
  int concurrency() const { return 1; }
#endif

  template <class F>
  void run(idx tasks, F f) const {
    if (tasks == 1) return f(0);
#if defined(_OPENMP)
    int const threads = concurrency();
    FirstException first;  // an exception that leaves a parallel region ends the program
    if (tasks > threads) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
      for (idx t = 0; t < tasks; ++t) first.guard([&] { f(t); });
    } else {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
      for (idx t = 0; t < tasks; ++t) first.guard([&] { f(t); });
    }
    first.rethrow();
#else
    for (idx t = 0; t < tasks; ++t) f(t);
#endif
  }

 private:
  [[maybe_unused]] int threads_;
};

}  // with_openmp or without_openmp
