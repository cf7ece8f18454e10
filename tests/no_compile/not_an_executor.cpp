// A number of threads, given for an executor.
// first error: not an Executor; it needs: int concurrency
#include "losskit/backend/eigen.hpp"
#include "losskit/executor/openmp.hpp"

void call();
void call() {
#ifdef MISTAKE
  losskit::on::eigen const backend{4};
#else
  losskit::on::eigen const backend{losskit::openmp{4}};
#endif
  (void)backend;
}
