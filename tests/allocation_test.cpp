// No hot call allocates: every operator new and malloc of the program is counted while the calls run. The one exception are
// the packing buffers inside a product, at most 2 MiB a thread.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/head/owning_head.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "problem.hpp"

namespace {
std::atomic<long> allocations{0}, bytes{0};
void count(std::size_t n) {
  ++allocations;
  bytes += static_cast<long>(n);
}
}  // namespace

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_MALLOC 0
#endif
#endif
#ifndef COUNTS_MALLOC
#define COUNTS_MALLOC 1
#endif

#if COUNTS_MALLOC
// operator new and Eigen end here too. (A sanitizer has a malloc of its own.)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return count(n), __libc_malloc(n); }
void* calloc(std::size_t k, std::size_t n) { return count(k * n), __libc_calloc(k, n); }
void* realloc(void* p, std::size_t n) { return count(n), __libc_realloc(p, n); }
void* aligned_alloc(std::size_t a, std::size_t n) { return count(n), __libc_memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) {
  count(n);
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}
}
#else
void* operator new(std::size_t n) {
  count(n);
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

using namespace test;

namespace {

struct Count { long allocations, bytes; };
template <class F>
Count counted(F f) {
  long const before = allocations, bytes_before = bytes;
  f();
  return {allocations - before, bytes - bytes_before};
}

template <class T, class B>
void hot_calls(B const& backend, idx rows, idx cols) {
  Problem<T> p(rows, cols, 1);
  p.labels[0] = -1;
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0, FocalLoss{2}, HardNegatives{0.2}};
  MarginSoftmax const pairs{ArcMargin{0.5}, 2000.0};
  Guarded<T> g(rows, cols), unit(rows, cols), truth(rows, cols, 0, 0, T(0.5));
  std::vector<T> row_losses(size(rows)), scale_gradient(size(rows)), norms(size(rows));
  std::vector<SavedRow> saved(size(rows));
  std::vector<std::byte> workspace(std::max({workspace_bytes<T>(backend, rows, cols, Placement::accumulate),
                                             workspace_bytes<T>(backend, rows, cols, Placement::out_of_place),
                                             point_workspace_bytes(rows, cols), advance_workspace_bytes(rows)}));
  auto batch = p.weighted();
  batch.scales = view(p.scales);
  Options const assign{.ignore_label = -1}, add{.ignore_label = -1, .write = Write::accumulate};
  Outputs<T> const outputs{view(row_losses), view(scale_gradient), view(saved)};
  AdaCosScale const policy(cols);
  auto const all = [&] {
    loss_and_gradient(backend, loss, batch, g.matrix(), view(workspace), assign, outputs);
    loss_and_gradient(backend, loss, batch, g.matrix(), view(workspace), add);
    loss_and_gradient(backend, pairs, p.plain(), g.matrix(), view(workspace), assign);
    loss_value(backend, loss, batch, view(workspace), assign, outputs);
    loss_gradient(backend, loss, batch, saved, g.matrix(), assign, view(scale_gradient));
    logits(backend, loss, batch, g.matrix(), view(workspace), assign);
    logits_backward(backend, loss, batch, truth.matrix(), g.matrix(), assign, view(scale_gradient));
    advance(backend, policy, AdaCosState{10}, p.plain(), view(workspace), assign);
    normalize_rows(backend, p.cosines.matrix(), unit.matrix(), norms);
    normalize_rows_backward(backend, unit.matrix(), norms, truth.matrix(), g.matrix());
    loss_and_gradient(backend, WingLoss{}, p.cosines.matrix(), truth.matrix(), g.matrix(), view(workspace));
    loss_value(backend, SigmoidFocalLoss{}, p.cosines.matrix(), truth.matrix(), view(workspace));
    loss_and_gradient(backend, loss, batch, p.cosines.matrix(), view(workspace), assign);
  };
  all();  // an executor may make its threads the first time
  CHECK(counted(all).allocations == 0);
}

template <class T, class B>
Count layer(B const& backend, idx rows, idx classes, idx width) {
  Problem<T> x(rows, width, 1), w(classes, width, 2), dc(rows, classes, 3);
  Guarded<T> unit_x(rows, width), unit_w(classes, width), cosines(rows, classes), dx(rows, width), dw(classes, width);
  std::vector<T> norms_x(size(rows)), norms_w(size(classes));
  CosineLayer<T> const l{unit_x.matrix(), unit_w.matrix(), view(norms_x), view(norms_w)};
  auto const both = [&] {
    cosine_layer(backend, x.cosines.matrix(), w.cosines.matrix(), l, cosines.matrix());
    cosine_layer_backward(backend, l, dc.cosines.matrix(), dx.matrix(), dw.matrix());
  };
  both();
  return counted(both);
}

}  // namespace

// A compiler may leave out an allocation whose memory nobody sees.
std::vector<int>* volatile seen = nullptr;

TEST_CASE("the counter counts") {
  auto const one = counted([] {
    std::vector<int> v(100);
    seen = &v;
  });
  CHECK(one.allocations >= 1);
  CHECK(one.bytes >= 400);
}

// Several tasks, each with scratch of its own, on one thread.
struct ClaimsThree {
  int concurrency() const { return 3; }
  template <class F>
  void run(idx tasks, F f) const {
    for (idx t = 0; t < tasks; ++t) f(t);
  }
};

TEST_CASE("no allocation in a hot call") {
  hot_calls<float>(on::serial{}, 7, 1003);
  hot_calls<double>(on::serial{}, 7, 1003);
  hot_calls<float>(losskit::on::eigen{}, 7, 1003);
  hot_calls<double>(losskit::on::eigen{}, 7, 1003);
  hot_calls<float>(losskit::on::eigen{}, 5, 20011);
  hot_calls<float>(losskit::on::eigen{ClaimsThree{}}, 5, 20011);
#if !defined(__clang__)  // clang's OpenMP runtime allocates for itself whenever a team starts
  hot_calls<float>(losskit::on::eigen{openmp{3}}, 5, 20011);
#endif
}

TEST_CASE("a product packs its operands into 2 MiB a thread at most") {
  CHECK(layer<float>(on::serial{}, 9, 33, 17).allocations == 0);
  for (auto const& [rows, classes, width] : {std::tuple<idx, idx, idx>{40, 1500, 512}, {700, 300, 64}, {256, 256, 2048}}) {
    // Three products, band after band: each buffer is gone before the next one comes.
    long const bands =
        3 * ((std::max(rows, classes) + 511) / 512 + (std::max(rows, width) + 511) / 512 + (std::max(classes, width) + 511) / 512);
    CHECK(layer<float>(losskit::on::eigen{}, rows, classes, width).bytes <= bands * (2 << 20));
    CHECK(layer<double>(losskit::on::eigen{}, rows, classes, width).bytes <= bands * (2 << 20));
  }
}

TEST_CASE("a head that owns its memory allocates for a larger call only") {
  OwningHead<float> head;
  auto const call = [&](idx rows, idx classes) {
    Problem<float> x(rows, 17, 1), w(classes, 17, 2), of_labels(rows, classes, 3);
    return counted([&] {
      head.loss_and_gradient(on::serial{}, MarginSoftmax{ArcMargin{0.5}, 64.0}, x.cosines.matrix(), w.cosines.matrix(), of_labels.labels);
    });
  };
  CHECK(call(9, 33).allocations > 0);
  CHECK(call(9, 33).allocations == 0);
  CHECK(call(5, 20).allocations == 0);
  CHECK(call(9, 34).allocations > 0);
}

// The workspace is as large as the query says, and the query grows with rows, columns and threads only.
TEST_CASE("workspace queries") {
  CHECK(workspace_bytes<float>(on::serial{}, 10, 1000, Placement::in_place) ==
        workspace_bytes<float>(on::serial{}, 10, 1000000, Placement::in_place));
  CHECK(workspace_bytes<float>(losskit::on::eigen{}, 10, 1000, Placement::in_place) <= 64 + 10 * 128);
  CHECK(workspace_bytes<float>(losskit::on::eigen{openmp{4}}, 512, 100000, Placement::out_of_place) <=
        64 + 512 * 128 + 4 * 2 * (100000 * 4 + 64));  // two rows a thread
}
