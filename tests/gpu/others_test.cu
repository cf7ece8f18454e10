// Point losses, normalisation, pairs and the cosine layer on a GPU, against serial in double. TYPE as in calls_test.cu.
#include "device.cuh"

#if __has_include(<cublas_v2.h>)
#include "losskit/backend/cublas.cuh"
#endif

using namespace test;

namespace {

template <class S = float>
std::vector<S> numbers(idx n, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> some(low, high);
  std::vector<S> all;
  for (idx i = 0; i < n; ++i) all.push_back(static_cast<S>(static_cast<computed<S>>(some(random))));
  return all;
}
template <class S>
std::vector<double> exactly(std::vector<S> const& from) {
  std::vector<double> all;
  for (S x : from) all.push_back(double(static_cast<computed<S>>(x)));
  return all;
}

// The largest difference, of the largest number.
template <class S>
double apart(std::vector<S> const& a, std::vector<double> const& b) {
  double largest = 0, worst = 0;
  for (double x : b) largest = std::fmax(largest, std::fabs(x));
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const off = std::fabs(double(static_cast<computed<S>>(a[i])) - b[i]) / largest;
    if (!(off <= worst)) worst = off;
  }
  return worst;
}
// What formulas in the type that computes may be off; a narrower stored type adds its own rounding, of at most an eps.
template <class S>
double const rounding = (sizeof(computed<S>) == 4 ? 2e-6 : 1e-11) + (sizeof(S) == 2 ? stored_number<S>::epsilon : 0);

template <class S, class L>
void compare_points(L const& loss, idx rows, idx cols, idx gap, idx offset) {
  INFO(L::name << ", " << rows << " x " << cols << " + " << gap << " at " << offset << ", " << sizeof(S) << " bytes");
  idx const stride = cols + gap, n = rows * stride;
  auto const x = numbers<S>(n, -3, 3, 1), y = numbers<S>(n, 0, 1, 2), w = numbers<S>(n, 0, 2, 3);
  auto const xd = exactly(x), yd = exactly(y), wd = exactly(w);
  std::vector<double> truth(x.size());
  std::vector<std::byte> memory(point_workspace_bytes(rows, cols));
  PointOptions const options{.reduction = Reduction::weighted_mean, .upstream = double(n)};  // slopes that half can hold
  auto const on_host = [&](std::vector<double> const& v) { return MatrixView<double const>{v.data(), rows, cols, stride}; };
  PointReport const expected =
      loss_and_gradient(on::serial{}, loss, on_host(xd), on_host(yd), MatrixView<double>{truth.data(), rows, cols, stride}, view(memory),
                        options, PointOutputs<double>{on_host(wd), {}});
  each_backend([&](auto const& gpu) {
    OnDevice<S> prediction(x, offset), target(y, offset), weights(w), gradient(std::vector<S>(x.size()), offset);
    OnDevice<std::byte> workspace(static_cast<idx>(memory.size()));
    PointOutputs<S, device> extra;
    extra.weights = weights.matrix(rows, cols, stride);
    PointReport const report =
        read(gpu, loss_and_gradient(gpu, loss, prediction.matrix(rows, cols, stride), target.matrix(rows, cols, stride),
                                    gradient.matrix(rows, cols, stride), workspace.view(), options, extra));
    CHECK(report.loss == doctest::Approx(expected.loss).epsilon(sizeof(computed<S>) == 4 ? 1e-6 : 1e-12));
    CHECK(report.elements == expected.elements);
    CHECK(report.non_finite == 0);
    CHECK(apart(gradient.get(), truth) <= rounding<S>);
    CHECK(gradient.guards_hold());
    PointReport const value = read(gpu, loss_value(gpu, loss, prediction.matrix(rows, cols, stride), target.matrix(rows, cols, stride),
                                                   workspace.view(), PointOptions{.reduction = Reduction::weighted_mean}, extra));
    CHECK(value.loss == report.loss);
  });
}

template <class S, class... L>
void each_point_loss(Policies<L...>) {
  ((compare_points<S>(L{}, 7, 333, 0, 0), compare_points<S>(L{}, 5, 77, 3, 1), compare_points<S>(L{}, 1, 200001, 0, 2)), ...);
}

}  // namespace

TEST_CASE_TEMPLATE("every point loss", S, TYPES) { each_point_loss<S>(point_losses{}); }

// x / |x| in double, and the gradient back through it.
TEST_CASE_TEMPLATE("rows of length one and the gradient back through them, rows of any size among them", S, TYPES) {
  using T = computed<S>;
  idx const rows = 40, cols = 517;
  auto x = numbers<S>(rows * cols, -1, 1, 5);
  for (idx j = 0; j < cols; ++j) {
    if constexpr (sizeof(S) >= 4) {
      x[size(j)] *= S(sizeof(S) == 4 ? 1e-25 : 1e-200);        // squares vanish
      x[size(cols + j)] *= S(sizeof(S) == 4 ? 1e25 : 1e200);   // squares overflow
    }
    x[size(2 * cols + j)] = static_cast<S>(T(0));              // no direction
  }
  auto const d = numbers<S>(rows * cols, -1, 1, 6);
  auto const xd = exactly(x), dd = exactly(d);
  std::vector<double> unit(xd.size()), norms(size(rows)), dx(xd.size());
  normalize_rows(on::serial{}, MatrixView<double const>{xd.data(), rows, cols, cols}, MatrixView<double>{unit.data(), rows, cols, cols},
                 norms);
  each_backend([&](auto const& gpu) {
    OnDevice<S> from(x), to(rows * cols), upstream(d), back(rows * cols);
    OnDevice<T> length(rows);
    normalize_rows(gpu, from.matrix(rows, cols, cols), to.matrix(rows, cols, cols), length.view());
    CHECK(apart(to.get(), unit) <= rounding<S>);
    normalize_rows_backward(gpu, to.matrix(rows, cols, cols), length.view(), upstream.matrix(rows, cols, cols),
                            back.matrix(rows, cols, cols));
    auto const u = to.get(), b = back.get();
    auto const n = length.get();
    auto const number = [](S stored) { return double(static_cast<T>(stored)); };
    for (idx i = 3; i < rows; ++i) {
      double along = 0, largest = 0, off = 0;
      for (idx j = 0; j < cols; ++j) along += number(u[size(i * cols + j)]) * number(d[size(i * cols + j)]);
      for (idx j = 0; j < cols; ++j) {
        double const truth = (number(d[size(i * cols + j)]) - number(u[size(i * cols + j)]) * along) / double(n[size(i)]);
        largest = std::fmax(largest, std::fabs(truth));
        off = std::fmax(off, std::fabs(truth - number(b[size(i * cols + j)])));
      }
      CHECK(off <= rounding<S> * largest);
    }
    for (idx j = 0; j < cols; ++j) CHECK(number(b[size(2 * cols + j)]) == 0);
  });
}

TEST_CASE_TEMPLATE("cosines of pairs", S, TYPES) {
  idx const rows = 40, cols = 517;
  auto const a = numbers<S>(rows * cols, -1, 1, 5), b = numbers<S>(rows * cols, -0.5F, 1, 6);
  auto const ad = exactly(a), bd = exactly(b);
  std::vector<double> truth(size(rows));
  auto const on_host = [&](std::vector<double> const& v) { return MatrixView<double const>{v.data(), rows, cols, cols}; };
  pair_cosines(on::serial{}, on_host(ad), on_host(bd), truth);
  OnDevice<S> left(a), right(b);
  each_backend([&](auto const& gpu) {
    OnDevice<computed<S>> cosines(rows);
    pair_cosines(gpu, left.matrix(rows, cols, cols), right.matrix(rows, cols, cols), cosines.view());
    CHECK(apart(cosines.get(), truth) <= (sizeof(computed<S>) == 4 ? 1e-6 : 1e-14));
  });
}

namespace {

// The cosine layer and its way back, with whatever products the backend has.
template <class S, class B>
void compare_layer(B const& gpu) {
  INFO("on " << gpu.name << ", " << sizeof(S) << " bytes");
  idx const rows = 17, classes = 45, width = 64;
  auto const x = numbers<S>(rows * width, -1, 1, 7), w = numbers<S>(classes * width, -1, 1, 8), dc = numbers<S>(rows * classes, -1, 1, 9);
  auto const xd = exactly(x), wd = exactly(w), dd = exactly(dc);
  std::vector<double> ux(xd.size()), uw(wd.size()), nx(size(rows)), nw(size(classes)), c(dd.size()), gx(xd.size()), gw(wd.size());
  CosineLayer<double> const exact{{ux.data(), rows, width, width}, {uw.data(), classes, width, width}, view(nx), view(nw)};
  cosine_layer(on::serial{}, MatrixView<double const>{xd.data(), rows, width, width},
               MatrixView<double const>{wd.data(), classes, width, width}, exact, MatrixView<double>{c.data(), rows, classes, classes});
  cosine_layer_backward(on::serial{}, exact, MatrixView<double const>{dd.data(), rows, classes, classes},
                        MatrixView<double>{gx.data(), rows, width, width}, MatrixView<double>{gw.data(), classes, width, width});
  OnDevice<S> dx(x), dw(w), up(dc), unit_x(rows * width), unit_w(classes * width), cosines(rows * classes), grad_x(rows * width),
      grad_w(classes * width);
  OnDevice<computed<S>> norms_x(rows), norms_w(classes);
  CosineLayer<S, device> const layer{unit_x.matrix(rows, width, width), unit_w.matrix(classes, width, width), norms_x.view(),
                                     norms_w.view()};
  cosine_layer(gpu, dx.matrix(rows, width, width), dw.matrix(classes, width, width), layer, cosines.matrix(rows, classes, classes));
  // Of a narrow type both unit rows are rounded, and each product, before they are used again: a few eps.
  double const allowed = sizeof(computed<S>) == 4 ? 1e-5 + (sizeof(S) == 2 ? 8 * stored_number<S>::epsilon : 0) : 1e-12;
  CHECK(apart(cosines.get(), c) <= allowed);
  CHECK(apart(norms_x.get(), nx) <= (sizeof(computed<S>) == 4 ? 1e-6 : 1e-14));
  cosine_layer_backward(gpu, layer, up.matrix(rows, classes, classes), grad_x.matrix(rows, width, width),
                        grad_w.matrix(classes, width, width));
  CHECK(apart(grad_x.get(), gx) <= allowed);
  CHECK(apart(grad_w.get(), gw) <= allowed);
  for (auto const* out : {&cosines, &unit_x, &unit_w, &grad_x, &grad_w}) CHECK(out->guards_hold());
}

}  // namespace

TEST_CASE_TEMPLATE("the cosine layer, with Thrust's products", S, TYPES) {
  compare_layer<S>(on::thrust<::thrust::cuda::tag>{});
}

#if __has_include(<cublas_v2.h>) && defined(LOSSKIT_TEST_CUBLAS)
TEST_CASE_TEMPLATE("the cosine layer, with cuBLAS's products", S, TYPES) {
  cublasHandle_t handle;
  REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE) == CUBLAS_STATUS_SUCCESS);  // the caller's, which stays
  OnDevice<std::byte> memory(32 << 20);
  compare_layer<S>(on::cuda{cudaStream_t{}, on::cublas{handle, memory.view()}});
  cublasPointerMode_t mode;
  CHECK(cublasGetPointerMode(handle, &mode) == CUBLAS_STATUS_SUCCESS);
  CHECK(mode == CUBLAS_POINTER_MODE_DEVICE);
  CHECK(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS);
}
#endif
