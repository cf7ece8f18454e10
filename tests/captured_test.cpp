// Executors that copy the function they are given, as thread pools and task queues do: every write must survive the copy.
//
// g++ 11 and 12 have a bug that makes a copy dangerous (GCC's sources of 2025 have it mended). Their points-to analysis joins
// neighbours that are no pointers into one field, and where a struct that begins inside such a field is copied out of a larger
// one, it counts the struct's size from the field's begin: the last pointers of the copy then point nowhere, and what is written
// through them is dropped as dead (get_constraint_for_1 in GCC's tree-ssa-structalias.cc). In plain C, 4 for 7 from -O2 on:
//
//   struct F { long n; int* p[2]; };
//   struct Closure { int* first; long ahead[3]; struct F f; };
//   void run(int* p, long i, long j) {          // int y = 4; run(&y, 0, 1);
//     struct Closure c = {0};
//     c.f.p[i] = p;
//     struct F const* self = &c.f;
//     struct F own = *self;
//     own.p[j] = 0;
//     *own.p[i] = 7;
//   }
//
// CMakeLists.txt builds this file at -O1, -O2 and -O3 as well, for the bug shows only where a compiler inlines enough.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <type_traits>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/point/wing.hpp"
#include "losskit/scale/adacos.hpp"

using namespace losskit;

namespace {

// A copy by value, as any function takes one.
struct ByValue {
  int concurrency() const { return 2; }
  template <class F>
  void run(idx tasks, F f) const {
    for (idx t = 0; t < tasks; ++t) {
      F const copy = f;
      copy(t);
    }
  }
};

// A job of a pool: the function lies in a struct, behind a pointer and numbers, and is copied out of it.
struct Jobs {
  int concurrency() const { return 2; }
  template <class F>
  void run(idx tasks, F f) const {
    struct Job {
      Job const* next;
      idx priority, from, to;
      F f;
    };
    Job const second{nullptr, 0, tasks / 2, tasks, f}, first{&second, 0, 0, tasks / 2, f};
    for (Job const* job = &first; job; job = job->next) {
      F const copy = job->f;
      for (idx t = job->from; t < job->to; ++t) copy(t);
    }
  }
};

// The same, where the compiler sees the whole struct at once.
struct OneJob {
  int concurrency() const { return 1; }
  template <class F>
  void run(idx tasks, F f) const {
    struct Job {
      void const* queue;
      idx priority, from, to;
      F f;
    } const job{this, 0, 0, tasks, f};
    auto const work = [job] {
      F const copy = job.f;
      for (idx t = job.from; t < job.to; ++t) copy(t);
    };
    work();
  }
};

// A queue of functions whose type is gone.
struct Queue {
  int concurrency() const { return 2; }
  template <class F>
  void run(idx tasks, F f) const {
    std::vector<std::function<void()>> queue;
    for (idx t = 0; t < tasks; ++t) queue.push_back([=] { f(t); });
    for (auto const& task : queue) task();
  }
};

constexpr idx rows = 6, cols = 37, width = 5;

std::vector<float> numbers(idx n, unsigned seed) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (auto& v : x) v = float((seed = seed * 1664525 + 1013904223) >> 8) / 16777216.0f * 1.8f - 0.9f;
  return x;
}

struct Results {
  std::vector<double> values;
  void add(double x) { values.push_back(x); }
  void add(std::vector<float> const& x) { values.insert(values.end(), x.begin(), x.end()); }
};

// Policies of their own for each executor: what has one caller is inlined there, and only then the bug shows.
template <class E>
struct OwnScale {
  static constexpr char const* name = "OwnScale";
  struct State {
    double scale;
    idx steps = 0;
  };
  idx classes = cols;
  double floor = 1, largest = 100;

  using Statistics = ScaleStatistics;
  State start() const { return {4.9}; }
  FixedScale at(State const& state) const { return FixedScale(state.scale); }
  double scale(State const& state) const { return state.scale; }
  double ceiling() const { return largest; }
  State next(State state, ScaleStatistics const& batch) const {
    ++state.steps;
    if (batch.rows > 0 && batch.log_mean_rest < largest)
      state.scale = std::fmin(std::fmax(batch.log_mean_rest / batch.median_target_cosine, floor), largest);
    return state;
  }
};
template <class E>
using Scale = std::conditional_t<std::is_same_v<E, one_thread>, AdaCosScale, OwnScale<E>>;
template <class E>
struct Wing : WingLoss {
  Wing() : WingLoss() {}
};

// Calls that write small things through pointers: a state; a divisor, sums and a report; bands of a product.
template <class E, class B>
std::vector<double> state(B const& backend) {
  auto const cosines = numbers(rows * cols, 1);
  std::vector<int> const labels{0, 1, 2, 36, 4, 5};
  std::vector<std::byte> memory(advance_workspace_bytes(rows));
  Scale<E> const policy{};
  auto const next = advance(backend, policy, policy.start(), Batch(matrix(cosines, rows, cols), labels), view(memory));
  return {next.scale, double(next.steps)};
}

template <class E, class B>
std::vector<double> points(B const& backend) {
  auto const prediction = numbers(rows * cols, 2), truth = numbers(rows * cols, 3);
  auto weights = numbers(rows * cols, 4);
  for (auto& w : weights) w += 1;
  std::vector<float> gradient(weights.size()), losses(weights.size());
  std::vector<std::byte> memory(point_workspace_bytes(rows, cols));
  auto const x = matrix(prediction, rows, cols), y = matrix(truth, rows, cols);
  std::vector<double> all;
  for (auto const reduction : {Reduction::sum, Reduction::mean, Reduction::weighted_mean})
    for (bool const weighted : {false, true}) {
      PointOptions const options{.reduction = reduction};
      PointOutputs<float> extra;
      if (weighted) extra = {.weights = matrix(weights, rows, cols), .element_losses = matrix(losses, rows, cols)};
      auto const report = loss_and_gradient(backend, Wing<E>(), x, y, matrix(gradient, rows, cols), view(memory), options, extra);
      all.insert(all.end(),
                 {report.loss, double(report.elements), loss_value(backend, Wing<E>(), x, y, view(memory), options, extra).loss});
      for (auto const* numbers : {&gradient, &losses}) all.insert(all.end(), numbers->begin(), numbers->end());
    }
  return all;
}

template <class B>
std::vector<double> products(B const& backend) {
  auto const x = numbers(rows * width, 5), w = numbers(cols * width, 6), upstream = numbers(rows * cols, 7);
  std::vector<float> unit_x(x.size()), unit_w(w.size()), norms_x(rows), norms_w(cols), c(upstream.size()), dx(x.size()), dw(w.size());
  CosineLayer<float> const layer{matrix(unit_x, rows, width), matrix(unit_w, cols, width), view(norms_x), view(norms_w)};
  cosine_layer(backend, matrix(x, rows, width), matrix(w, cols, width), layer, matrix(c, rows, cols));
  cosine_layer_backward(backend, layer, matrix(upstream, rows, cols), matrix(dx, rows, width), matrix(dw, cols, width));
  std::vector<double> all;
  for (auto const* numbers : {&c, &dx, &dw, &norms_x, &norms_w}) all.insert(all.end(), numbers->begin(), numbers->end());
  return all;
}

void compare(std::vector<double> const& given, std::vector<double> const& expected) {
  REQUIRE(given.size() == expected.size());
  for (std::size_t k = 0; k < given.size(); ++k) {
    CAPTURE(k);
    CHECK(given[k] == doctest::Approx(expected[k]).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("an executor may copy the function it runs, and nothing that it writes is lost", E, one_thread, ByValue, Jobs, OneJob,
                   Queue) {
  on::serial const serial;
  on::eigen const backend{E{}};
  compare(state<E>(backend), state<E>(serial));
  compare(points<E>(backend), points<E>(serial));
  compare(products(backend), products(serial));
}
