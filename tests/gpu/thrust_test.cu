// Thrust's own vectors and pointers on its CUDA system: every call takes them (adapt/thrust.hpp). What the calls compute on Thrust's
// backend is beside cuda's in the other tests (each_backend).
#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#include <thrust/universal_vector.h>

#include <type_traits>

#include "device.cuh"
#include "losskit/adapt/thrust.hpp"

using namespace test;

using OnCuda = on::thrust<::thrust::cuda::tag>;
static_assert(std::is_same_v<OnCuda::space, device>);
static_assert(std::is_same_v<decltype(on::thrust{}), on::thrust<::thrust::device_system_tag>>);
static_assert(std::is_same_v<decltype(on::thrust{cudaStream_t{}}), OnCuda>);
static_assert(std::is_same_v<decltype(on::thrust{::thrust::cuda::par.on(cudaStream_t{})}), OnCuda>);
static_assert(std::is_same_v<on::thrust<::thrust::cpp::tag>::space, host>);

static_assert(std::is_same_v<decltype(view(std::declval<thrust::device_vector<float>&>())), VectorView<float, device>>);
static_assert(std::is_same_v<decltype(view(std::declval<thrust::device_vector<__half> const&>())), VectorView<__half const, device>>);
static_assert(std::is_same_v<decltype(view(std::declval<thrust::universal_vector<int>&>())), VectorView<int, device>>);
static_assert(std::is_same_v<decltype(view(std::declval<thrust::host_vector<int>&>())), VectorView<int, host>>);
static_assert(std::is_same_v<decltype(view(std::declval<thrust::device_ptr<double>>(), 3)), VectorView<double, device>>);
static_assert(std::is_same_v<decltype(matrix(std::declval<thrust::device_ptr<float const>>(), 2, 3)), MatrixView<float const, device>>);

namespace {

template <class T>
double every_call(OnCuda const& gpu, idx rows, idx cols) {
  thrust::device_vector<T> cosines(size(rows * cols), T(0.25F)), gradient(size(rows * cols)), norms(size(rows)), other_norms(size(cols));
  thrust::device_vector<int> labels(size(rows), 1);
  thrust::device_vector<SavedRow> saved(size(rows));
  thrust::device_vector<AdaCosState> state(1, AdaCosScale(cols).start());
  thrust::device_vector<std::byte> workspace(workspace_bytes<T>(gpu, rows, cols, Placement::accumulate) + advance_workspace_bytes(rows) +
                                             point_workspace_bytes(rows, cols));
  thrust::device_vector<T> x(size(rows * cols), T(0.5F)), w(size(cols * cols), T(0.25F)), unit_x(x.size()), unit_w(w.size()), dw(w.size());
  Batch batch(matrix(cosines, rows, cols), labels);
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0, FocalLoss{2}, HardNegatives{0.2}};
  auto const g = matrix(gradient, rows, cols);
  Report report = read(gpu, loss_and_gradient(gpu, loss, batch, g, view(workspace)));
  report = read(gpu, loss_value(gpu, loss, batch, view(workspace), {}, {{}, {}, view(saved)}));
  loss_gradient(gpu, loss, batch, view(saved), g);
  (void)read(gpu, logits(gpu, loss, batch, g, view(workspace)));
  logits_backward(gpu, loss, batch, g, g);
  PointReport const points = read(gpu, loss_and_gradient(gpu, WingLoss{}, cosines, x, gradient, view(workspace)));
  advance(gpu, AdaCosScale(cols), view(state), batch, view(workspace));
  CHECK(AdaCosState(state[0]).steps == 1);
  normalize_rows(gpu, matrix(x, rows, cols), matrix(unit_x, rows, cols), norms);
  CosineLayer<T, device> const layer{matrix(unit_x, rows, cols), matrix(unit_w, cols, cols), view(norms), view(other_norms)};
  cosine_layer(gpu, matrix(x, rows, cols), matrix(w, cols, cols), layer, matrix(cosines, rows, cols));
  cosine_layer_backward(gpu, layer, g, matrix(x, rows, cols), matrix(dw, cols, cols));
  CHECK(double(T(cosines[0])) == doctest::Approx(1).epsilon(1e-5));  // x and w are parallel
  return report.loss + points.loss;
}

}  // namespace

TEST_CASE("every call takes Thrust's vectors, on a stream of its policy's") {
  cudaStream_t stream;
  ok(cudaStreamCreate(&stream));  // waits for the default stream, which fills the vectors
  on::thrust const gpu{::thrust::cuda::par.on(stream)};
  CHECK(gpu.stream() == stream);
  CHECK(std::isfinite(every_call<float>(gpu, 5, 333)));
  CHECK(every_call<double>(gpu, 5, 333) == doctest::Approx(every_call<double>(OnCuda{}, 5, 333)));
  ok(cudaStreamDestroy(stream));
}

TEST_CASE("the loss of README's vectors is that of its first program, from pointers too, and in half") {
  std::vector<float> const numbers{0.6F, 0.1F, -0.2F, 0.3F, 0.5F, 0.4F};
  thrust::device_vector<float> cosines(numbers.begin(), numbers.end()), gradient(6);
  thrust::device_vector<int> labels(std::vector<int>{0, 2});
  OnCuda const gpu;
  thrust::device_vector<std::byte> workspace(workspace_bytes<float>(gpu, 2, 3, Placement::out_of_place));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  Batch const batch(matrix(cosines, 2, 3), labels);
  Report const report = read(gpu, loss_and_gradient(gpu, loss, batch, matrix(gradient, 2, 3), view(workspace)));
  CHECK(report.loss == doctest::Approx(18.858675));
  CHECK(gradient[0] == doctest::Approx(-2.3730).epsilon(1e-4));
  thrust::device_ptr<float const> const p = cosines.data();
  Report const again = read(gpu, loss_and_gradient(gpu, loss, Batch(matrix(p, 2, 3), view(labels.data(), 2)),
                                                   matrix(gradient.data(), 2, 3, 3), view(workspace)));
  CHECK(again.loss == report.loss);
  thrust::device_vector<__half> narrow(6, __half(0.25F));
  auto const c = matrix(narrow, 2, 3);
  CHECK(std::isfinite(read(gpu, loss_and_gradient(gpu, loss, Batch(c, labels), c, view(workspace))).loss));
}

TEST_CASE("host memory is refused before any launch, vectors of another size too") {
  int shared_tables = 0;
  ok(cudaDeviceGetAttribute(&shared_tables, cudaDevAttrPageableMemoryAccess, 0));
  thrust::host_vector<float> on_host(6, 0.25F);
  thrust::device_vector<float> gradient(6);
  thrust::device_vector<int> labels(2, 1);
  OnCuda const gpu;
  thrust::device_vector<std::byte> workspace(workspace_bytes<float>(gpu, 2, 3, Placement::out_of_place));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  Batch const batch(matrix(::thrust::device_pointer_cast(on_host.data()), 2, 3), labels);
  if (!shared_tables) CHECK_THROWS_AS((void)loss_and_gradient(gpu, loss, batch, matrix(gradient, 2, 3), view(workspace)), MemoryError);
  CHECK_THROWS_AS((void)matrix(gradient, 2, 4), ShapeError);
}

TEST_CASE("a host's system under nvcc") {  // number by number
  thrust::host_vector<float> cosines(std::vector<float>{0.6F, 0.1F, -0.2F, 0.3F, 0.5F, 0.4F}), gradient(6);
  thrust::host_vector<int> labels(std::vector<int>{0, 2});
  on::thrust<::thrust::cpp::tag> const backend;
  std::vector<std::byte> workspace(workspace_bytes<float>(backend, 2, 3, Placement::out_of_place));
  CHECK(loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, Batch(matrix(cosines, 2, 3), labels), matrix(gradient, 2, 3),
                          view(workspace))
            .loss == doctest::Approx(18.858675));
}
