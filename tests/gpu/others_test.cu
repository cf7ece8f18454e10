// Point losses, normalisation, the cosine layer and AdaCos on a GPU, against serial in double.
#include "device.cuh"

#if __has_include(<cublas_v2.h>)
#include "losskit/backend/cublas.cuh"
#endif

using namespace test;

namespace {

std::vector<float> numbers(idx n, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> some(low, high);
  std::vector<float> all;
  for (idx i = 0; i < n; ++i) all.push_back(some(random));
  return all;
}
std::vector<double> exactly(std::vector<float> const& from) { return {from.begin(), from.end()}; }

double apart(std::vector<float> const& a, std::vector<double> const& b) {
  double largest = 0, worst = 0;
  for (double x : b) largest = std::fmax(largest, std::fabs(x));
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const off = std::fabs(double(a[i]) - b[i]) / largest;
    if (!(off <= worst)) worst = off;
  }
  return worst;
}

template <class L>
void compare_points(L const& loss, idx rows, idx cols, idx gap, idx offset) {
  INFO(L::name << ", " << rows << " x " << cols << " + " << gap << " at " << offset);
  idx const stride = cols + gap, n = rows * stride;
  auto const x = numbers(n, -3, 3, 1), y = numbers(n, 0, 1, 2), w = numbers(n, 0, 2, 3);
  auto const xd = exactly(x), yd = exactly(y), wd = exactly(w);
  std::vector<double> truth(x.size());
  std::vector<std::byte> memory(point_workspace_bytes(rows, cols));
  PointOptions const options{.reduction = Reduction::weighted_mean, .upstream = 2};
  auto const on_host = [&](std::vector<double> const& v) { return MatrixView<double const>{v.data(), rows, cols, stride}; };
  PointReport const expected =
      loss_and_gradient(on::serial{}, loss, on_host(xd), on_host(yd), MatrixView<double>{truth.data(), rows, cols, stride}, view(memory),
                        options, PointOutputs<double>{on_host(wd), {}});
  OnDevice<float> prediction(x, offset), target(y, offset), weights(w), gradient(std::vector<float>(x.size()), offset);
  OnDevice<std::byte> workspace(static_cast<idx>(memory.size()));
  on::cuda const gpu{};
  PointOutputs<float, device> extra;
  extra.weights = weights.matrix(rows, cols, stride);
  PointReport const report =
      read(gpu, loss_and_gradient(gpu, loss, prediction.matrix(rows, cols, stride), target.matrix(rows, cols, stride),
                                  gradient.matrix(rows, cols, stride), workspace.view(), options, extra));
  CHECK(report.loss == doctest::Approx(expected.loss).epsilon(1e-6));
  CHECK(report.elements == expected.elements);
  CHECK(report.non_finite == 0);
  CHECK(apart(gradient.get(), truth) <= 2e-6);
  CHECK(gradient.guards_hold());
  PointReport const value = read(gpu, loss_value(gpu, loss, prediction.matrix(rows, cols, stride), target.matrix(rows, cols, stride),
                                                 workspace.view(), PointOptions{.reduction = Reduction::weighted_mean}, extra));
  CHECK(value.loss == report.loss);
}

template <class... L>
void each_point_loss(Policies<L...>) {
  ((compare_points(L{}, 7, 333, 0, 0), compare_points(L{}, 5, 77, 3, 1), compare_points(L{}, 1, 200001, 0, 2)), ...);
}

}  // namespace

TEST_CASE("every point loss") { each_point_loss(point_losses{}); }

TEST_CASE("rows of length one and the gradient back through them, rows of any size among them") {
  idx const rows = 40, cols = 517;
  auto x = numbers(rows * cols, -1, 1, 5);
  for (idx j = 0; j < cols; ++j) {
    x[size(j)] *= 1e-25F;         // squares vanish
    x[size(cols + j)] *= 1e25F;   // squares overflow
    x[size(2 * cols + j)] = 0;    // no direction
  }
  auto const d = numbers(rows * cols, -1, 1, 6);
  auto const xd = exactly(x), dd = exactly(d);
  std::vector<double> unit(xd.size()), norms(size(rows)), dx(xd.size());
  normalize_rows(on::serial{}, MatrixView<double const>{xd.data(), rows, cols, cols}, MatrixView<double>{unit.data(), rows, cols, cols},
                 norms);
  OnDevice<float> from(x), to(rows * cols), length(rows), upstream(d), back(rows * cols);
  on::cuda const gpu{};
  normalize_rows(gpu, from.matrix(rows, cols, cols), to.matrix(rows, cols, cols), length.view());
  CHECK(apart(to.get(), unit) <= 1e-6);
  normalize_rows_backward(gpu, to.matrix(rows, cols, cols), length.view(), upstream.matrix(rows, cols, cols),
                          back.matrix(rows, cols, cols));
  auto const u = to.get(), b = back.get();
  auto const n = length.get();
  for (idx i = 3; i < rows; ++i) {
    double along = 0, largest = 0, off = 0;
    for (idx j = 0; j < cols; ++j) along += double(u[size(i * cols + j)]) * double(d[size(i * cols + j)]);
    for (idx j = 0; j < cols; ++j) {
      double const truth = (double(d[size(i * cols + j)]) - double(u[size(i * cols + j)]) * along) / double(n[size(i)]);
      largest = std::fmax(largest, std::fabs(truth));
      off = std::fmax(off, std::fabs(truth - double(b[size(i * cols + j)])));
    }
    CHECK(off <= 2e-6 * largest);
  }
  for (idx j = 0; j < cols; ++j) CHECK(b[size(2 * cols + j)] == 0);
}

TEST_CASE("AdaCos: its state stays on the device, and the next step reads it there") {
  idx const rows = 33, cols = 2003;
  Problem<float> p(rows, cols);
  AdaCosScale const scale(cols, 1, 60);
  AdaCosState const start = scale.start();
  std::vector<std::byte> memory(advance_workspace_bytes(rows) + workspace_bytes<double>(on::serial{}, rows, cols, Placement::no_gradient));
  Batch const exact(MatrixView<double const>{p.exact.data(), rows, cols, cols}, p.labels);
  AdaCosState const expected = advance(on::serial{}, scale, start, exact, view(memory));

  OnDevice<float> cosines(p.cosines);
  OnDevice<std::int64_t> labels(p.labels);
  OnDevice<AdaCosState> state(std::vector<AdaCosState>{start});
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(memory.size() + workspace_bytes<float>(gpu, rows, cols, Placement::no_gradient)));
  Batch batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)), VectorView<std::int64_t const, device>(labels.view()));
  advance(gpu, scale, state.view(), batch, workspace.view());
  AdaCosState const next = state.get()[0];
  CHECK(next.scale == doctest::Approx(expected.scale).epsilon(1e-6));
  CHECK(next.steps == 1);

  batch.scale = scale_of(state.view());
  Report const report =
      read(gpu, loss_value(gpu, MarginSoftmax{NoMargin{}, 1.0}, batch, workspace.view(), Options{.scale_ceiling = scale.ceiling()}));
  Report const truth = loss_value(on::serial{}, MarginSoftmax{NoMargin{}, expected.scale}, exact, view(memory));
  CHECK(report.loss == doctest::Approx(truth.loss).epsilon(1e-5));
}

TEST_CASE("CurricularFace: its t stays on the device, and the rest rule reads it there") {
  idx const rows = 33, cols = 2003;
  Problem<float> p(rows, cols);
  CurricularRest const rest(0.4, 0.5);
  std::vector<std::byte> memory(advance_workspace_bytes(rows) + workspace_bytes<double>(on::serial{}, rows, cols, Placement::out_of_place));
  Batch const exact(MatrixView<double const>{p.exact.data(), rows, cols, cols}, p.labels);
  CurricularState const expected = advance(on::serial{}, rest, rest.start(), exact, view(memory));
  std::vector<double> truth(p.exact.size());
  Report const of_host = loss_and_gradient(on::serial{}, MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, rest.at(expected)}, exact,
                                           MatrixView<double>{truth.data(), rows, cols, cols}, view(memory));

  OnDevice<float> cosines(p.cosines), gradient(rows * cols);
  OnDevice<std::int64_t> labels(p.labels);
  OnDevice<CurricularState> state(std::vector<CurricularState>{rest.start()});
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(memory.size() + workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place)));
  Batch batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)), VectorView<std::int64_t const, device>(labels.view()));
  advance(gpu, rest, state.view(), batch, workspace.view());
  CurricularState const next = state.get()[0];
  CHECK(next.t == doctest::Approx(expected.t).epsilon(1e-12));
  CHECK(next.steps == 1);

  batch.rest = rest_of(state.view());
  Report const report = read(gpu, loss_and_gradient(gpu, MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, CurricularRest{}}, batch,
                                                    gradient.matrix(rows, cols, cols), workspace.view()));
  CHECK(report.loss == doctest::Approx(of_host.loss).epsilon(1e-5));
  CHECK(apart(gradient.get(), truth) <= 1e-5);
}

#if __has_include(<cublas_v2.h>) && defined(LOSSKIT_TEST_CUBLAS)
TEST_CASE("the cosine layer, with cuBLAS's products") {
  idx const rows = 17, classes = 45, width = 64;
  auto const x = numbers(rows * width, -1, 1, 7), w = numbers(classes * width, -1, 1, 8), dc = numbers(rows * classes, -1, 1, 9);
  auto const xd = exactly(x), wd = exactly(w), dd = exactly(dc);
  std::vector<double> ux(xd.size()), uw(wd.size()), nx(size(rows)), nw(size(classes)), c(dd.size()), gx(xd.size()), gw(wd.size());
  CosineLayer<double> const exact{{ux.data(), rows, width, width}, {uw.data(), classes, width, width}, view(nx), view(nw)};
  cosine_layer(on::serial{}, MatrixView<double const>{xd.data(), rows, width, width},
               MatrixView<double const>{wd.data(), classes, width, width}, exact, MatrixView<double>{c.data(), rows, classes, classes});
  cosine_layer_backward(on::serial{}, exact, MatrixView<double const>{dd.data(), rows, classes, classes},
                        MatrixView<double>{gx.data(), rows, width, width}, MatrixView<double>{gw.data(), classes, width, width});
  cublasHandle_t handle;
  REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE) == CUBLAS_STATUS_SUCCESS);  // the caller's, which stays
  OnDevice<std::byte> memory(32 << 20);
  on::cuda const gpu{cudaStream_t{}, on::cublas{handle, memory.view()}};
  OnDevice<float> dx(x), dw(w), up(dc), unit_x(rows * width), unit_w(classes * width), norms_x(rows), norms_w(classes),
      cosines(rows * classes), grad_x(rows * width), grad_w(classes * width);
  CosineLayer<float, device> const layer{unit_x.matrix(rows, width, width), unit_w.matrix(classes, width, width), norms_x.view(),
                                         norms_w.view()};
  cosine_layer(gpu, dx.matrix(rows, width, width), dw.matrix(classes, width, width), layer, cosines.matrix(rows, classes, classes));
  CHECK(apart(cosines.get(), c) <= 1e-5);
  cosine_layer_backward(gpu, layer, up.matrix(rows, classes, classes), grad_x.matrix(rows, width, width),
                        grad_w.matrix(classes, width, width));
  CHECK(apart(grad_x.get(), gx) <= 1e-5);
  CHECK(apart(grad_w.get(), gw) <= 1e-5);
  cublasPointerMode_t mode;
  CHECK(cublasGetPointerMode(handle, &mode) == CUBLAS_STATUS_SUCCESS);
  CHECK(mode == CUBLAS_POINTER_MODE_DEVICE);
  CHECK(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS);
}
#endif
