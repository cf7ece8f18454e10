// eigen: speed on a CPU. Rows on SIMD packets (eigen_packet.hpp), tasks over an executor's threads, products by Eigen.
//
//   on::eigen{}                one thread
//   on::eigen{openmp{}}        OpenMP's threads (executor/openmp.hpp)
//   on::eigen{your_pool}       anything with concurrency() and run(tasks, f) (executor/one_thread.hpp)
//
// Memory is prefetched ahead of the row being read. A gradient out of place of 32 MiB or more is kept in a buffer of a row a task, and
// then written by non-temporal stores past the caches, which saves reading its lines first; one that accumulates is kept there too and
// added. Results below the smallest normal number are 0 (FlushTiny).
#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <cstddef>

#include "losskit/backend/eigen_packet.hpp"
#include "losskit/core/math.hpp"
#include "losskit/core/twice.hpp"
#include "losskit/core/view.hpp"
#include "losskit/executor/one_thread.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/workspace.hpp"
#include "losskit/team/simd.hpp"

namespace losskit::inline LOSSKIT_ISA::on {

template <class E = one_thread>
class eigen {
  static_assert(Executor<E>,
                "losskit: this is not an Executor; it needs: int concurrency() const, and: template <class F> void run(idx tasks, F f) "
                "const (executor/one_thread.hpp)");

 public:
  using space = host;
  static constexpr char const* name = "eigen";

  explicit eigen(E executor = E{}) : executor_(executor) {}

  template <class T>
  std::size_t scratch_bytes(idx rows, idx cols, Placement placement) const {
    return needs_buffers<T>(rows, cols, placement) ? static_cast<std::size_t>(concurrency()) * row_bytes<T>(cols) : 0;
  }

  template <class T, class F>
  void rows(idx rows, idx cols, Placement placement, std::byte* scratch, F const& f) const {
    run_rows<T>(rows, cols, placement, scratch, Function<SimdTeam<Packet<T>>&, idx>(f));
  }

  template <class T, class F>
  void blocks(idx count, F const& f) const {
    constexpr bool long_chain = requires { requires F::long_chain; };
    using Team = SimdTeam<std::conditional_t<long_chain, Twice<Twice<Packet<T>>>, Packet<T>>>;
    typename Team::Plan plan;
    if constexpr (requires { f.output_bytes(); })
      if (f.output_bytes() >= past_caches) plan = {.writes = Team::Writes::stream, .pipelined = true};
    run_blocks<Team>(count, plan, Function<Team&, idx>(f));
  }

  template <class R>
  R given(R const* p) const { return *p; }

  // c = op(a) op(b) + beta c, op the transpose where asked. Each task owns a band of c, whose size the shape alone decides, so that the
  // bits do not depend on the threads. Eigen packs its operands into at most 2 MiB a thread.
  template <class T>
  void product(MatrixView<T const> a, bool a_transposed, MatrixView<T const> b, bool b_transposed, MatrixView<T> c, T beta) const {
    bool const tall = c.rows >= c.cols;
    idx const length = tall ? c.rows : c.cols, band = std::clamp((length + 3) / 4, narrowest_band, widest_band);
    idx const tasks = (length + band - 1) / band;
    run(tasks, [=](idx task) {
      idx const from = task * band, count = std::min(band, length - from);
      auto const out = tall ? MatrixView<T>{c.row(from), count, c.cols, c.stride} : MatrixView<T>{c.data + from, c.rows, count, c.stride};
      auto const left = tall ? part(a, a_transposed, from, count) : a;
      auto const right = tall ? b : part(b, !b_transposed, from, count);
      for (idx i = 0; i < out.rows; ++i)
        for (idx j = 0; j < out.cols; ++j) out.row(i)[j] = beta == 0 ? T(0) : beta * out.row(i)[j];
      if (a_transposed) b_transposed ? add_product<T, 0, 0>(left, right, out) : add_product<T, 0, 1>(left, right, out);
      else b_transposed ? add_product<T, 1, 0>(left, right, out) : add_product<T, 1, 1>(left, right, out);
    });
  }

 private:
  // In numbers: below worth_a_thread one task; bands: rows or columns of a product's task, which packs the whole other side, so that
  // narrow bands cost time. In bytes: prefetch_bytes, the distance that covers memory's latency (lines prefetched much earlier may be
  // evicted before they are used); past_caches and half_a_cache.
  static constexpr idx worth_a_thread = 1 << 14, narrowest_band = 128, widest_band = 512, prefetch_bytes = 6 << 10;
  static constexpr std::size_t past_caches = std::size_t(32) << 20, half_a_cache = std::size_t(1) << 20;

  // A function behind a pointer, for what is called once a row or a task: what calls it is then compiled once, not once for each.
  template <class... A>
  class Function {
   public:
    template <class F>
    explicit Function(F const& f) : f_(&f), call_([](void const* p, A... a) { (*static_cast<F const*>(p))(a...); }) {}
    void operator()(A... a) const { call_(f_, a...); }

   private:
    void const* f_;  // alive for as long as it is called
    void (*call_)(void const*, A...);
  };

  template <class F>
  void run(idx tasks, F const& f) const { executor_.run(tasks, Function<idx>(f)); }

  template <class T>
  void run_rows(idx rows, idx cols, Placement placement, std::byte* scratch, Function<SimdTeam<Packet<T>>&, idx> f) const {
    using Team = SimdTeam<Packet<T>>;
    using Writes = typename Team::Writes;
    bool const large = bytes<T>(rows, cols) >= half_a_cache;
    bool const buffered = needs_buffers<T>(rows, cols, placement);
    typename Team::Plan plan{
        .writes = placement == Placement::accumulate ? Writes::accumulate
                  : buffered                         ? Writes::stream
                                                     : Writes::assign,
        .apart = large && placement == Placement::out_of_place,
        .pipelined = row_bytes<T>(cols) <= half_a_cache,
        .ahead = large ? prefetch_bytes / static_cast<idx>(sizeof(T)) : 0};  // of a small batch the next rows may be another thread's
    // Few long tasks of neighbouring rows: a row's prefetches reach into the next. A batch that the caches hold is one task a thread,
    // which finds its rows in its cache again in the next call; a larger one is four tasks a thread, for balance, unless they need
    // buffers.
    bool const cached = bytes<T>(rows, cols) < past_caches;
    idx const tasks = rows * cols < worth_a_thread ? std::min<idx>(rows, 1)
                                                   : std::min<idx>(rows, concurrency() * (buffered || cached ? 1 : 4));
    run(tasks, [&](idx task) {
      FlushTiny const flush;
      auto own = plan;
      if (buffered) own.buffer = reinterpret_cast<T*>(scratch + static_cast<std::size_t>(task) * row_bytes<T>(cols));
      Team team(own);
      for (idx i = rows * task / tasks; i < rows * (task + 1) / tasks; ++i) f(team, i);
      team.finish_waiting();
    });
  }

  // f by a pointer also because g++ 11 and 12 drop what a task writes that is a copy in this lambda. A bug of their points-to analysis:
  // the last pointers of a struct that is copied out of a larger one, from behind members that are no pointers, seem to point nowhere
  // (tests/captured_test.cpp has it in plain C). A pointer's struct is not part of a larger one.
  template <class Team>
  void run_blocks(idx count, typename Team::Plan const& plan, Function<Team&, idx> f) const {
    run(count, [&](idx k) {
      FlushTiny const flush;
      Team team(plan);
      f(team, k);
    });
  }

  // At least 1: a pool without threads of its own may return 0, and the caller's thread works.
  idx concurrency() const { return std::max<idx>(1, static_cast<idx>(executor_.concurrency())); }

  template <class T>
  static std::size_t row_bytes(idx cols) {
    return detail::padded(static_cast<std::size_t>(cols) * sizeof(T));
  }
  template <class T>
  static std::size_t bytes(idx rows, idx cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(T);
  }
  template <class T>
  static bool needs_buffers(idx rows, idx cols, Placement placement) {
    return placement == Placement::accumulate || (placement == Placement::out_of_place && bytes<T>(rows, cols) >= past_caches);
  }

  // The rows (or, transposed, the columns) of m that make rows [from, from + count) of op(m).
  template <class T>
  static MatrixView<T> part(MatrixView<T> m, bool transposed, idx from, idx count) {
    return transposed ? MatrixView<T>{m.data + from, m.rows, count, m.stride} : MatrixView<T>{m.row(from), count, m.cols, m.stride};
  }

  // out += a b on this thread alone: Eigen's kernel without its own threads. A transposed row-major matrix is column-major.
  template <class T, int ARows, int BRows>
  static void add_product(MatrixView<T const> a, MatrixView<T const> b, MatrixView<T> out) {
    constexpr int a_order = ARows ? Eigen::RowMajor : Eigen::ColMajor, b_order = BRows ? Eigen::RowMajor : Eigen::ColMajor;
    using Kernel = Eigen::internal::general_matrix_matrix_product<Eigen::Index, T, a_order, false, T, b_order, false, Eigen::RowMajor, 1>;
    Eigen::Index const inner = ARows ? a.cols : a.rows;
    if (out.rows == 0 || out.cols == 0 || inner == 0) return;
    Eigen::internal::gemm_blocking_space<Eigen::RowMajor, T, T, Eigen::Dynamic, Eigen::Dynamic, Eigen::Dynamic> blocking(
        out.rows, out.cols, inner, 1, true);
    Kernel::run(out.rows, out.cols, inner, a.data, a.stride, b.data, b.stride, out.data, 1, out.stride, T(1), blocking, nullptr);
  }

  E executor_;
};
eigen() -> eigen<one_thread>;
template <class E>
eigen(E) -> eigen<E>;

}  // namespace losskit::inline LOSSKIT_ISA::on
