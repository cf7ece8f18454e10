// Units that differ in -fopenmp or -fno-exceptions: each keeps its own functions, whichever the linker sees first.
#include <cstdio>
#include <cstring>

#include "losskit/core/expects.hpp"

int threads_of_openmp(int asked);
int threads_of_plain(int asked);
int threads_of_no_exceptions(int asked);
void fail_in_openmp();
void fail_in_plain();

namespace {

bool throws(void (*fails)()) {
  try {
    fails();
  } catch (losskit::ShapeError const& e) {
    return std::strcmp(e.what(), "7") == 0;
  }
  return false;
}

}  // namespace

int main() {
  int const openmp = threads_of_openmp(3), plain = threads_of_plain(3), no_exceptions = threads_of_no_exceptions(3);
  std::printf("threads: %d with -fopenmp, %d and %d without\n", openmp, plain, no_exceptions);
  bool const thrown = throws(fail_in_openmp) && throws(fail_in_plain);
  return openmp == 3 && plain == 1 && no_exceptions == 1 && thrown ? 0 : 1;
}
