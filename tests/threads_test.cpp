// The same bits for the same inputs: with any number of threads, on any executor, however the rows are cut, every time.
#include <doctest/doctest.h>
#if defined(LOSSKIT_TEST_TBB)
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#endif

#include <atomic>
#include <new>
#include <thread>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/executor/threads.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "problem.hpp"

using namespace test;

namespace {

// A user's own executors. Threads of one's own, which take the next task when they are done with one:
struct StdThreads {
  int threads;
  int concurrency() const { return threads; }
  template <class F>
  void run(idx tasks, F f) const {
    std::atomic<idx> next{0};
    auto const work = [&] { for (idx t; (t = next++) < tasks;) f(t); };
    std::vector<std::thread> pool;
    for (int i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
    for (auto& thread : pool) thread.join();
  }
};
#if defined(LOSSKIT_TEST_TBB)
struct Tbb {
  int threads;
  int concurrency() const { return threads; }
  template <class F>
  void run(idx tasks, F f) const {
    tbb::global_control const enough(tbb::global_control::max_allowed_parallelism, 8);
    tbb::task_arena arena(threads);
    arena.execute([&] { tbb::parallel_for(idx(0), tasks, f, tbb::simple_partitioner()); });
  }
};
#else
using Tbb = StdThreads;  // no TBB here: tests/CMakeLists.txt says so
#endif
// One thread that claims to be many and takes the tasks from the back: any cut, in the wrong order.
struct Backwards {
  int claimed;
  int concurrency() const { return claimed; }
  template <class F>
  void run(idx tasks, F f) const {
    while (tasks > 0) f(--tasks);
  }
};

template <class T>
struct Bits {
  std::vector<std::vector<T>> numbers;
  std::vector<double> reported;
  bool operator==(Bits const& other) const {
    if (numbers.size() != other.numbers.size() || reported != other.reported) return false;
    for (std::size_t k = 0; k < numbers.size(); ++k)
      if (numbers[k].size() != other.numbers[k].size() ||
          std::memcmp(numbers[k].data(), other.numbers[k].data(), numbers[k].size() * sizeof(T)) != 0)
        return false;
    return true;
  }
};

// Everything that the calls give for one problem.
template <class T, class B>
Bits<T> bits_of(B const& backend, Problem<T>& p, double scale, bool large) {
  idx const rows = p.rows, cols = p.cols;
  auto const cells = size(rows * cols);
  MarginSoftmax const loss{ArcMargin{0.5}, scale, FocalLoss{1.5}, HardNegatives{0.2}};
  Options options{.ignore_label = -1};
  Bits<T> bits;
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, rows, cols, Placement::out_of_place) +
                                   workspace_bytes<T>(backend, rows, cols, Placement::accumulate));
  std::vector<T> gradient(cells, T(0.5)), row_losses(size(rows)), scale_gradient(size(rows));
  auto const record = [&](Report const& r) {
    for (double x : {r.loss, r.mean_target_angle, double(r.top1), double(r.topk), double(r.hard_negatives)}) bits.reported.push_back(x);
  };
  auto const g = losskit::matrix(gradient, rows, cols);
  record(
      loss_and_gradient(backend, loss, p.weighted(), g, view(workspace), options, Outputs<T>{view(row_losses), view(scale_gradient), {}}));
  bits.numbers.insert(bits.numbers.end(), {gradient, row_losses, scale_gradient});
  options.write = Write::accumulate;
  record(loss_and_gradient(backend, loss, p.weighted(), g, view(workspace), options));
  bits.numbers.push_back(gradient);
  if (large) return bits;
  options.write = Write::assign;
  std::vector<SavedRow> saved(size(rows));
  record(loss_value(backend, loss, p.weighted(), view(workspace), options, Outputs<T>{view(row_losses), {}, view(saved)}));
  loss_gradient(backend, loss, p.weighted(), saved, g, options, view(scale_gradient));
  bits.numbers.insert(bits.numbers.end(), {gradient, row_losses, scale_gradient});
  record(logits(backend, loss, p.weighted(), g, view(workspace), options));
  bits.numbers.push_back(gradient);
  logits_backward(backend, loss, p.weighted(), p.cosines.matrix(), g, options, view(scale_gradient));
  bits.numbers.insert(bits.numbers.end(), {gradient, scale_gradient});
  std::vector<std::byte> point_workspace(point_workspace_bytes(rows, cols));
  std::vector<T> truth = gradient;
  PointReport const point =
      loss_and_gradient(backend, WingLoss{1.0, 0.5}, p.cosines.matrix(), losskit::matrix(truth, rows, cols), g, view(point_workspace));
  bits.reported.push_back(point.loss);
  bits.numbers.push_back(gradient);
  AdaCosScale const policy(cols);
  std::vector<std::byte> advance_workspace(advance_workspace_bytes(rows));
  bits.reported.push_back(advance(backend, policy, AdaCosState{scale}, p.plain(), view(advance_workspace), options).scale);
  std::vector<T> unit(cells), norms(size(rows)), dx(cells);
  normalize_rows(backend, p.cosines.matrix(), losskit::matrix(unit, rows, cols), norms);
  normalize_rows_backward(backend, losskit::matrix(unit, rows, cols), norms, g, losskit::matrix(dx, rows, cols));
  bits.numbers.insert(bits.numbers.end(), {unit, norms, dx});
  return bits;
}

template <class T>
void same_on_every_executor(idx rows, idx cols, double scale, bool large = false) {
  INFO(rows << " x " << cols << ", s = " << scale << ", " << sizeof(T));
  Problem<T> p(rows, cols, 3);
  if (rows > 2) p.labels[1] = -1;
  auto const one = bits_of<T>(losskit::on::eigen{}, p, scale, large);
  CHECK(one == bits_of<T>(losskit::on::eigen{}, p, scale, large));
  for (int const threads : {1, 2, 3, 8}) {
    INFO(threads << " threads");
    CHECK(one == bits_of<T>(losskit::on::eigen{openmp{threads}}, p, scale, large));
    CHECK(one == bits_of<T>(losskit::on::eigen{losskit::threads{threads}}, p, scale, large));
    if (large) continue;
    CHECK(one == bits_of<T>(losskit::on::eigen{StdThreads{threads}}, p, scale, large));
    CHECK(one == bits_of<T>(losskit::on::eigen{Tbb{threads}}, p, scale, large));
  }
  if (large) return;
  for (int const claimed : {-7, 0, 2, 5, 64}) CHECK(one == bits_of<T>(losskit::on::eigen{Backwards{claimed}}, p, scale, large));
  auto const reference = bits_of<T>(on::serial{}, p, scale, large);
  CHECK(reference == bits_of<T>(on::serial{}, p, scale, large));
}

}  // namespace

TEST_CASE("same bits: few rows and many, few classes and many, pairs") {
  same_on_every_executor<float>(37, 1003, 64);
  same_on_every_executor<float>(3, 20011, 30);
  same_on_every_executor<float>(257, 131, 30);
  same_on_every_executor<float>(19, 4099, 500);
  same_on_every_executor<double>(37, 1003, 64);
}

TEST_CASE("same bits: gradients written past the caches") { same_on_every_executor<float>(8, 1048583, 64, true); }

TEST_CASE("same bits: rows one by one, wherever they lie in memory") {
  Problem<float> p(11, 5003, 5), q(11, 5003, 5, 7, 3);
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  auto const backend = losskit::on::eigen{openmp{3}};
  Options const options{.reduction = Reduction::sum};
  Guarded<float> whole(11, 5003), apart(11, 5003, 7, 3), single(11, 5003);
  std::vector<std::byte> workspace(workspace_bytes<float>(backend, 11, 5003, Placement::out_of_place));
  Report const all = loss_and_gradient(backend, loss, p.plain(), whole.matrix(), view(workspace), options);
  loss_and_gradient(backend, loss, q.plain(), apart.matrix(), view(workspace), options);
  double sum = 0;
  for (idx i = 0; i < 11; ++i) {
    Batch const row(MatrixView<float>{p.cosines.row(i), 1, 5003, 5003}, VectorView<std::int64_t>{p.labels.data() + i, 1});
    sum += loss_and_gradient(backend, loss, row, MatrixView<float>{single.row(i), 1, 5003, 5003}, view(workspace), options).loss;
  }
  CHECK(whole.same_bits(single));
  CHECK(sum == all.loss);
  for (idx i = 0; i < 11; ++i) CHECK(std::memcmp(whole.row(i), apart.row(i), 5003 * sizeof(float)) == 0);
}

TEST_CASE("same bits: the cosine layer and its backward") {
  auto const layer_bits = [](auto const& backend, auto zero) {
    using T = decltype(zero);
    Problem<T> x(130, 65, 1, 0, 0, 5), w(1200, 65, 2), dc(130, 1200, 3);
    std::vector<T> unit_x(130 * 65), unit_w(1200 * 65), norms_x(130), norms_w(1200), cosines(130 * 1200), dx(130 * 65), dw(1200 * 65);
    CosineLayer<T> const layer{losskit::matrix(unit_x, 130, 65), losskit::matrix(unit_w, 1200, 65), view(norms_x), view(norms_w)};
    cosine_layer(backend, x.cosines.matrix(), w.cosines.matrix(), layer, losskit::matrix(cosines, 130, 1200));
    cosine_layer_backward(backend, layer, dc.cosines.matrix(), losskit::matrix(dx, 130, 65), losskit::matrix(dw, 1200, 65));
    return Bits<T>{{cosines, dx, dw, norms_x, norms_w}, {}};
  };
  auto const one = layer_bits(losskit::on::eigen{}, 0.0F);
  auto const two = layer_bits(losskit::on::eigen{}, 0.0);
  for (int const threads : {1, 2, 3, 8}) {
    CHECK(one == layer_bits(losskit::on::eigen{openmp{threads}}, 0.0F));
    CHECK(one == layer_bits(losskit::on::eigen{StdThreads{threads}}, 0.0F));
    CHECK(one == layer_bits(losskit::on::eigen{Backwards{threads}}, 0.0F));
    CHECK(two == layer_bits(losskit::on::eigen{Tbb{threads}}, 0.0));
  }
}

TEST_CASE("an executor that claims no threads is one thread") {
  for (int const claimed : {0, -1, -1000}) {
    losskit::on::eigen const backend{Backwards{claimed}};
    for (auto const placement : {Placement::in_place, Placement::out_of_place, Placement::accumulate, Placement::no_gradient}) {
      CHECK(backend.scratch_bytes<float>(300, 50000, placement) == losskit::on::eigen{}.scratch_bytes<float>(300, 50000, placement));
      CHECK(workspace_bytes<float>(backend, 300, 50000, placement) ==
            workspace_bytes<float>(losskit::on::eigen{}, 300, 50000, placement));
    }
  }
}

// --- exceptions ------------------------------------------------------------------------------------------------------------

namespace {

struct Failed {
  idx task;
};

// The executor carries what a task throws to the caller, whatever the number of tasks; afterwards it works as before.
template <class E>
void carries_exceptions(E const& executor) {
  for (idx const tasks : {1, 2, 3, 8, 100}) {
    INFO(tasks << " tasks");
    CHECK_THROWS_AS(executor.run(tasks, [](idx) { throw std::bad_alloc(); }), std::bad_alloc);  // on every thread
    idx failed = -1;
    try {
      executor.run(tasks, [&](idx t) {
        if (t == tasks - 1) throw Failed{t};
      });
    } catch (Failed const& e) { failed = e.task; }
    CHECK(failed == tasks - 1);
    std::atomic<idx> done{0};
    executor.run(tasks, [&](idx) { ++done; });
    CHECK(done == tasks);
  }
}

}  // namespace

TEST_CASE("what a task throws reaches the caller") {
  carries_exceptions(losskit::one_thread{});
  for (int const threads : {1, 2, 3, 8}) carries_exceptions(openmp{threads}), carries_exceptions(losskit::threads{threads});
  auto const no_memory = [](auto const&, idx) { throw std::bad_alloc(); };
  CHECK_THROWS_AS(losskit::on::eigen{openmp{3}}.blocks<float>(9, no_memory), std::bad_alloc);
}
