// Thrust's systems against the serial backend: one program each for THRUST_DEVICE_SYSTEM = CPP, OMP and TBB. Every call over the
// whole catalogue in float and double, point losses, heads; the same bits on any number of threads.
#include "losskit/backend/thrust.hpp"

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#include <thrust/system/cpp/vector.h>
#include <thrust/universal_vector.h>

#include <new>

#include "heads.hpp"
#include "losskit/adapt/thrust.hpp"

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP
#include <omp.h>
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_TBB
#include <tbb/global_control.h>
#endif

using namespace test;

namespace {

losskit::on::thrust<> const backend;
static_assert(std::is_same_v<decltype(losskit::on::thrust{}), losskit::on::thrust<::thrust::device_system_tag>>);

// f() on so many threads of the system, as far as it has threads.
template <class F>
auto on_threads([[maybe_unused]] int threads, F const& f) {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP
  int const before = omp_get_max_threads();
  omp_set_num_threads(threads);
  auto const result = f();
  omp_set_num_threads(before);
  return result;
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_TBB
  tbb::global_control const limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  return f();
#else
  return f();
#endif
}

template <class T>
void same_bits(AnyLoss const& loss, idx rows, idx cols) {
  INFO(rows << " x " << cols << ", " << sizeof(T));
  Problem<T> p(rows, cols, 3);
  auto const run = [&](auto const& b) { return every_call(b, loss, p, Options{.upstream = 1.5}, false, 1, 1); };
  auto const expect_same = [](Everything<T> const& a, Everything<T> const& b) {
    CHECK(a.fused.loss == b.fused.loss);
    expect_same_counts(a.fused, b.fused);
    CHECK(a.row_losses == b.row_losses);
    CHECK(a.scale_gradient == b.scale_gradient);
    for (auto const g : {&Everything<T>::out_of_place, &Everything<T>::cosines, &Everything<T>::sum, &Everything<T>::later,
                         &Everything<T>::later_sum, &Everything<T>::z, &Everything<T>::dz})
      CHECK((a.*g).same_bits(b.*g));
  };
  auto const one = run(losskit::on::eigen{});
  for (int const threads : {1, 2, 3, 8}) {
    INFO(threads << " threads");
    expect_same(one, on_threads(threads, [&] { return run(backend); }));
  }
}

}  // namespace

TEST_CASE("thrust and serial agree: the whole catalogue in float") { whole_catalogue<float>(backend); }
TEST_CASE("thrust and serial agree: the whole catalogue in double") { whole_catalogue<double>(backend); }

TEST_CASE("thrust and serial agree: odd sizes, strides and unaligned rows, enough rows for every task") {
  unsigned seed = 100;
  for (idx const cols : odd_sizes)
    for (auto const& loss : {loss_of({{ArcMargin{0.5}}}, 64),
                             loss_of({{SphereMargin{4.0}}}, 12, {FocalLoss{2}}, {HardNegatives<>{0.2}})}) {
      ++seed;
      compare<float>(loss, cols > 5000 ? 3 : 70, cols, seed % 3, seed % 4, seed, 0.9, false, backend);
    }
}

TEST_CASE("same bits on any number of threads, and those of the eigen backend") {
  auto const loss = loss_of({{ArcMargin{0.5}}}, 30, {FocalLoss{1.5}}, {HardNegatives<>{0.2}});
  same_bits<float>(loss, 37, 1003);
  same_bits<float>(loss, 257, 131);
  same_bits<float>(loss, 3, 20011);
  same_bits<float>(loss_of({{ArcMargin{0.5}}}, 500), 19, 4099);
  same_bits<double>(loss, 37, 1003);
}

TEST_CASE("same bits: a gradient written past the caches") {
  idx const rows = 33, cols = 262147;
  Problem<float> p(rows, cols, 3);
  auto const run = [&](auto const& b) {
    Guarded<float> gradient(rows, cols);
    std::vector<std::byte> workspace(workspace_bytes<float>(b, rows, cols, Placement::out_of_place));
    loss_and_gradient(b, MarginSoftmax{ArcMargin{0.5}, 64.0}, p.plain(), gradient.matrix(), view(workspace));
    CHECK(gradient.guards_hold());
    return gradient;
  };
  auto const one = run(losskit::on::eigen{});
  for (int const threads : {1, 3}) CHECK(one.same_bits(on_threads(threads, [&] { return run(backend); })));
}

TEST_CASE("thrust and serial agree: point losses") {
  for (idx const cols : odd_sizes) compare_points<float>(2, cols, cols % 3, cols % 2, backend);
  compare_points<float>(3, 70001, 5, 1, backend);
}

TEST_CASE("thrust and serial agree: heads") {
  for (idx const cols : odd_sizes) compare_rows<float>(cols, backend), compare_pairs<float>(cols, backend);
  compare_layer<float>(7, 17, 33, backend);
  compare_layer<float>(530, 600, 64, backend);
}

TEST_CASE("thrust and serial agree: the next scale of AdaCos") {
  for (idx const cols : odd_sizes)
    if (cols >= 3)
      for (double const s : {2.0, 30.0, 300.0}) compare_advance<float>(cols, s, 1e-6, backend);
}

TEST_CASE("no rows, and a batch with a bad label") {
  std::vector<float> none;
  std::vector<int> labels;
  std::vector<std::byte> workspace(workspace_bytes<float>(backend, 3, 10, Placement::out_of_place));
  Batch const empty(losskit::matrix(none, 0, 10), labels);
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  CHECK(loss_and_gradient(backend, loss, empty, losskit::matrix(none, 0, 10), view(workspace)).loss == 0);
  Problem<float> p(3, 10);
  p.labels[2] = 10;
  CHECK_THROWS_AS(loss_value(backend, loss, p.plain(), view(workspace)), LabelError);
}

TEST_CASE("what a task throws reaches the caller") {
  auto const no_memory = [](auto const&, idx) { throw std::bad_alloc(); };
  for (idx const tasks : {1, 2, 100}) CHECK_THROWS_AS(backend.blocks<float>(tasks, no_memory), std::bad_alloc);
}

// Results are read from copies: a device_reference read on its own makes its system's tag from a null pointer, which the
// sanitizer of undefined behaviour refuses.
TEST_CASE("Thrust's vectors and pointers are views") {
  static_assert(std::is_same_v<decltype(view(std::declval<thrust::device_vector<float>&>())), VectorView<float>>);
  static_assert(std::is_same_v<decltype(view(std::declval<thrust::universal_vector<float> const&>())), VectorView<float const>>);
  static_assert(std::is_same_v<decltype(view(std::declval<thrust::cpp::vector<int>&>())), VectorView<int>>);
  static_assert(std::is_same_v<decltype(view(std::declval<thrust::host_vector<int>&>())), VectorView<int>>);
  static_assert(std::is_same_v<decltype(view(std::declval<thrust::device_ptr<float const>>(), 3)), VectorView<float const>>);

  std::vector<float> const numbers{0.6F, 0.1F, -0.2F, 0.3F, 0.5F, 0.4F};
  thrust::device_vector<float> cosines(numbers.begin(), numbers.end()), gradient(6), losses(2);
  thrust::cpp::vector<int> labels(std::vector<int>{0, 2});
  thrust::device_vector<std::byte> workspace(workspace_bytes<float>(backend, 2, 3, Placement::out_of_place));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  std::vector<int> const plain_labels{0, 2};
  std::vector<float> expected(6);
  Batch const plain(losskit::matrix(numbers, 2, 3), plain_labels);
  Report const truth = loss_and_gradient(backend, loss, plain, losskit::matrix(expected, 2, 3), view(workspace));
  auto const same = [&](Report const& report) {
    CHECK(report.loss == truth.loss);
    thrust::host_vector<float> const got = gradient;
    for (std::size_t i = 0; i < 6; ++i) CHECK(got[i] == expected[i]);
    thrust::fill(gradient.begin(), gradient.end(), 0.0F);
  };
  same(loss_and_gradient(backend, loss, Batch(losskit::matrix(cosines, 2, 3), labels), losskit::matrix(gradient, 2, 3), view(workspace), {},
                         {view(losses)}));
  thrust::host_vector<float> const row_losses = losses;
  CHECK(row_losses[0] + row_losses[1] == doctest::Approx(2 * truth.loss));
  thrust::device_ptr<float const> const p = cosines.data();
  same(loss_and_gradient(backend, loss, Batch(losskit::matrix(p, 2, 3), view(labels.data(), 2)), losskit::matrix(gradient.data(), 2, 3, 3),
                         view(workspace)));
  CHECK_THROWS_AS(losskit::matrix(gradient, 2, 4), ShapeError);

  thrust::device_vector<float> unit(6), norms(2);
  normalize_rows(backend, losskit::matrix(cosines, 2, 3), losskit::matrix(unit, 2, 3), norms);
  thrust::host_vector<float> row_norms = norms;
  CHECK(row_norms[0] == doctest::Approx(std::sqrt(0.41)));
  CHECK(cosine_similarity(cosines, cosines) == doctest::Approx(1));
  pair_cosines(backend, losskit::matrix(cosines, 2, 3), losskit::matrix(unit, 2, 3), norms);
  row_norms = norms;
  CHECK(row_norms[1] == doctest::Approx(1));
}
