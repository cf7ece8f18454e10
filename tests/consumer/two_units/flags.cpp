// One of several units of a program that differ in flags alone, built without inlining: with and without -fopenmp, with and
// without exceptions.
#include "losskit/core/expects.hpp"
#include "losskit/executor/openmp.hpp"

#define PASTE(a, b) a##b
#define NAME(prefix, unit) PASTE(prefix, unit)

// As many threads as asked for, or 1: how many losskit says, and how many it runs.
int NAME(threads_of_, UNIT)(int asked);
int NAME(threads_of_, UNIT)(int asked) {
  losskit::openmp const executor{asked};
  int first_threads = 0;
  executor.run(losskit::idx(asked), [&](losskit::idx t) {
#if defined(_OPENMP)
    if (t == 0) first_threads = omp_get_num_threads();
#else
    if (t == 0) first_threads = 1;
#endif
  });
  return executor.concurrency() == first_threads ? first_threads : -1;
}

void NAME(fail_in_, UNIT)();
void NAME(fail_in_, UNIT)() { losskit::fail<losskit::ShapeError>("%d", 7); }
