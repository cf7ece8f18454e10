// Google Benchmark rows made from the catalogue: every policy on every backend at every size, in bytes of the ideal path (one
// read and one write of the matrix; point losses two reads and one write). --benchmark_filter=ArcMargin picks some.
#include <benchmark/benchmark.h>

#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"
#include "memory.hpp"
#include "names.hpp"

namespace {

using namespace losskit;
using namespace bench;

struct Size {
  idx rows, cols;
};
Size const sizes[] = {{64, 1000}, {256, 10007}, {128, 100003}};

template <class F>
void for_each_backend(F const& f) {
  f(on::serial{}, "serial");
  f(on::eigen{}, "eigen");
  f(on::eigen{two_threads}, "eigen+openmp");
}

// The problem is made anew for each row, so that only one lives at a time. In place; refilled outside the clock.
template <class B, class L>
void cosine_row(benchmark::State& state, B const& backend, L const& loss, Size size) {
  Problem<float> const problem(size.rows, size.cols);
  std::vector<std::byte> workspace(workspace_bytes<float>(backend, size.rows, size.cols, Placement::in_place));
  for (auto _ : state) {
    state.PauseTiming();
    problem.restore();
    state.ResumeTiming();
    benchmark::DoNotOptimize(loss_and_gradient(backend, loss, problem.batch(), problem.view(), view(workspace)));
  }
  state.SetBytesProcessed(state.iterations() * problem.size() * 8);
}

template <class B, class L>
void point_row(benchmark::State& state, B const& backend, L const& loss, Size size) {
  Problem<float> const prediction(size.rows, size.cols), truth(size.rows, size.cols);
  Memory<float> const gradient(prediction.size());
  MatrixView<float> const out{gradient.data(), size.rows, size.cols, size.cols};
  std::vector<std::byte> workspace(point_workspace_bytes(size.rows, size.cols));
  for (auto _ : state)
    benchmark::DoNotOptimize(loss_and_gradient(backend, loss, prediction.view(), truth.view(), out, view(workspace)));
  state.SetBytesProcessed(state.iterations() * prediction.size() * 12);
}

template <class R>
void add(std::string const& name, R const& row) {
  for_each_backend([&](auto backend, char const* on) {
    for (Size const size : sizes)
      benchmark::RegisterBenchmark((name + "/" + on + "/" + std::to_string(size.rows) + "x" + std::to_string(size.cols)).c_str(),
                                   [=](benchmark::State& state) { row(state, backend, size); })
          ->UseRealTime();
  });
}

template <class L>
void add_cosine(std::string const& name, L const& loss) {
  add(name, [=](benchmark::State& state, auto const& backend, Size size) { cosine_row(state, backend, loss, size); });
}

bool const registered = [] {
  for_each(margins{}, []<class M>(M margin) { add_cosine("margin/" + name_of<M>(), MarginSoftmax{margin, 64.0}); });
  for_each(objectives{}, []<class O>(O objective) {
    add_cosine("objective/" + name_of<O>(), MarginSoftmax{ArcMargin{0.5}, 64.0, objective});
  });
  for_each(objectives{}, []<class O>(O objective) { add_cosine("logits/" + name_of<O>(), SoftmaxLoss{objective}); });
  for_each(rests{}, []<class R>(R rest) { add_cosine("rest/" + name_of<R>(), MarginSoftmax{ArcMargin{0.5}, 64.0, CrossEntropy{}, rest}); });
  for_each(point_losses{}, []<class L>(L loss) {
    add("point/" + name_of<L>(), [=](benchmark::State& state, auto const& backend, Size size) { point_row(state, backend, loss, size); });
  });
  return true;
}();

}  // namespace
