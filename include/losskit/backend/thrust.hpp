// thrust: the same rows as tasks of Thrust, on whichever of its systems (backend/thrust_system.hpp).
//
//   losskit::on::thrust{}                           the device system that THRUST_DEVICE_SYSTEM names
//   losskit::on::thrust<::thrust::omp::tag>{}       a named one; include its <thrust/system/omp/execution_policy.h>
//   losskit::on::thrust{::thrust::cuda::par.on(s)}  CUDA, on the stream s (or thrust{s}); by nvcc only
//
// On a host the tasks are those of the eigen backend, rows on SIMD packets. On CUDA they are the kernels of backend/cuda.cuh, which put
// many lanes on a row, with products of Thrust's own in place of cuBLAS (slow: a thread an element); a call enqueues and returns a Pending.
// A host's system compiled by nvcc is for tests: a row is one thread's there, number by number.
//
// Thrust's own vectors and pointers are views with adapt/thrust.hpp.
#pragma once
#include "losskit/backend/thrust_system.hpp"
#if defined(LOSSKIT_HAS_THRUST)
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <cstddef>

#include "losskit/core/view.hpp"
#include "losskit/loss/batch.hpp"
#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>

#include "losskit/backend/cuda.cuh"
#include "losskit/team/serial.hpp"
#else
#include "losskit/backend/eigen.hpp"
#include "losskit/executor/first_exception.hpp"
#endif

namespace losskit::inline LOSSKIT_ISA {

#if !defined(__CUDACC__)

namespace detail {

// A Thrust system as an executor (executor/one_thread.hpp).
template <class System>
struct ThrustTasks {
  // Thrust does not tell how many threads it has: rows are cut as for 16, into at most 64 tasks, or 16 where tasks need buffers or
  // the caches hold the batch (backend/eigen.hpp).
  static constexpr int concurrency() { return 16; }

  template <class F>
  void run(idx tasks, F const& f) const {
    if (tasks == 1) return f(idx(0));
    using Count = ::thrust::counting_iterator<idx>;
    FirstException first;
    ::thrust::for_each(System{}, Count(0), Count(tasks), [&](idx t) { first.guard([&] { f(t); }); });
    first.rethrow();
  }
};

}  // namespace detail

namespace on {

// For a host's system: what eigen does, with Thrust for an executor.
template <class System = ::thrust::device_system_tag>
class thrust : public eigen<detail::ThrustTasks<System>> {
 public:
  static constexpr char const* name = "thrust";
  thrust() = default;
};

}  // namespace on

#else

namespace detail {

// One thread that keeps nothing between the passes: where a gradient accumulates, e is recomputed, and no thread needs a buffer.
template <class T>
struct RecomputingTeam : SerialTeam<T> {
  static constexpr bool keeps = false;
};

// f(team, i) by a team of one. Classes, not lambdas: no flag of nvcc is needed to launch them.
template <class Team, class F>
struct Alone {
  F f;
  LOSSKIT_HD void operator()(idx i) const {
    Team team;
    f(team, i);
  }
};

// Element k of c = op(a) op(b) + beta c. Sums in double.
template <class S, class Space>
struct ProductElement {
  using T = computed<S>;
  MatrixView<S const, Space> a, b;
  MatrixView<S, Space> c;
  bool a_transposed, b_transposed;
  T beta;

  LOSSKIT_HD void operator()(idx k) const {
    auto const number = [](S x) { return double(static_cast<T>(x)); };
    idx const i = k / c.cols, j = k % c.cols, inner = a_transposed ? a.rows : a.cols;
    double sum = 0;
    for (idx l = 0; l < inner; ++l)
      sum += number(a_transposed ? a.row(l)[i] : a.row(i)[l]) * number(b_transposed ? b.row(j)[l] : b.row(l)[j]);
    S& out = c.row(i)[j];
    out = static_cast<S>(T(sum + (beta == 0 ? 0.0 : double(beta) * number(out))));
  }
};

// f(i) for every i in [0, tasks) under a policy of Thrust's.
template <class Policy, class F>
void thrust_each(Policy const& policy, idx tasks, F const& f) {
  using Count = ::thrust::counting_iterator<idx>;
  ::thrust::for_each(policy, Count(0), Count(tasks), f);
}

// What on::cuda takes in place of cuBLAS.
struct ThrustProducts {
  template <class S>
  void product(cudaStream_t stream, MatrixView<S const, device> a, bool a_transposed, MatrixView<S const, device> b, bool b_transposed,
               MatrixView<S, device> c, computed<S> beta) const {
    thrust_each(::thrust::cuda::par_nosync.on(stream), c.rows * c.cols,
                ProductElement<S, device>{a, b, c, a_transposed, b_transposed, beta});
  }
};

}  // namespace detail

namespace on::inline nvcc {  // not the class above: both may meet in one program

// For a host's system where nvcc compiles.
template <class System = ::thrust::device_system_tag>
class thrust {
 public:
  using space = host;
  static constexpr char const* name = "thrust";

  template <class T>
  std::size_t scratch_bytes(idx, idx, Placement) const { return 0; }

  template <class T, class F>
  void rows(idx rows, idx, Placement placement, std::byte*, F const& f) const {
    if (placement == Placement::accumulate) detail::thrust_each(System{}, rows, detail::Alone<detail::RecomputingTeam<T>, F>{f});
    else detail::thrust_each(System{}, rows, detail::Alone<SerialTeam<T>, F>{f});
  }

  template <class T, class F>
  void blocks(idx count, F const& f) const { detail::thrust_each(System{}, count, detail::Alone<SerialTeam<T>, F>{f}); }

  template <class R>
  R given(R const* p) const { return *p; }

  // c = op(a) op(b) + beta c, op the transpose where asked.
  template <class T>
  void product(MatrixView<T const> a, bool a_transposed, MatrixView<T const> b, bool b_transposed, MatrixView<T> c, T beta) const {
    detail::thrust_each(System{}, c.rows * c.cols, detail::ProductElement<T, host>{a, b, c, a_transposed, b_transposed, beta});
  }
};

// CUDA: what cuda does.
template <>
class thrust<::thrust::cuda::tag> : public cuda<detail::ThrustProducts> {
 public:
  static constexpr char const* name = "thrust";

  explicit thrust(cudaStream_t stream = nullptr) : cuda<detail::ThrustProducts>(stream) {}
  template <class Policy>
  explicit thrust(::thrust::cuda::execution_policy<Policy> const& policy)
      : thrust(stream_of(policy)) {}

 private:
  template <class Policy>
  static cudaStream_t stream_of(::thrust::cuda::execution_policy<Policy> const& policy) {
    Policy own = ::thrust::detail::derived_cast(policy);
    return ::thrust::cuda_cub::stream(own);
  }
};
thrust() -> thrust<>;
thrust(cudaStream_t) -> thrust<::thrust::cuda::tag>;
template <class Policy>
thrust(::thrust::cuda::execution_policy<Policy> const&) -> thrust<::thrust::cuda::tag>;

}  // namespace on::inline nvcc

#endif

}  // namespace losskit::inline LOSSKIT_ISA

#endif
