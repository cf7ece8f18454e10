#include "runtime.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include <ATen/Parallel.h>

namespace demo {

void prepare_process() {
  // Training asks for the same few megabytes again and again. By default glibc gives each of them back to the
  // kernel, and faulting the pages in anew costs a fifth of the time.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_TOP_PAD, 64 << 20);
  // OpenBLAS has threads of its own, which would spin against the other trainings. It is there only through
  // LibTorch, if it is the BLAS of this machine at all: asked for by name.
  using SetThreads = void (*)(int);
  if (auto const set_threads =
          reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
    set_threads(1);
  }
}

void use_one_core() { at::set_num_threads(1); }

void run_on_all_cores(std::vector<std::function<void()>> const& jobs) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failing;
  auto const work = [&] {
    for (std::size_t job = next++; job < jobs.size(); job = next++) {
      try {
        jobs[job]();
      } catch (...) {
        std::lock_guard const lock(failing);
        failure = std::current_exception();
        next = jobs.size();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    std::size_t const cores = std::max(1U, std::thread::hardware_concurrency());
    for (std::size_t i = 0; i < std::min(cores, jobs.size()); ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace demo
