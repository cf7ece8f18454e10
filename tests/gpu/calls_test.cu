// Every call of a margin softmax on a GPU, for every stored type and every length of row, against serial in double.
#include "device.cuh"

using namespace test;

namespace {

template <class S, class L>
void compare(L const& loss, idx rows, idx cols, idx gap = 0, idx offset = 0, idx gradient_offset = 0, bool own_scales = false) {
  using T = computed<S>;
  INFO("B = " << rows << ", C = " << cols << " + " << gap << " at " << offset << " and " << gradient_offset << ", " << sizeof(S)
              << " bytes");
  Problem<S> p(rows, cols, gap);
  if (rows > 2) p.labels[1] = -5;
  Options options{.upstream = 1.5, .ignore_label = -5, .top_k = 3};
  if (own_scales) options.scale_ceiling = 30;

  // The truth.
  std::vector<double> truth(p.exact.size()), row_losses(size(rows)), scale_gradient(size(rows)), z(p.exact.size());
  auto exact = Batch(MatrixView<double const>{p.exact.data(), rows, cols, p.stride}, p.labels);
  exact.weights = view(std::as_const(p.exact_weights));
  exact.class_weights = view(std::as_const(p.exact_class_weights));
  exact.upstream = view(std::as_const(p.exact_upstream));
  if (own_scales) exact.scales = view(std::as_const(p.exact_scales));
  MatrixView<double> const truth_view{truth.data(), rows, cols, p.stride}, z_view{z.data(), rows, cols, p.stride};
  std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, cols, Placement::out_of_place));
  Report const expected =
      loss_and_gradient(on::serial{}, loss, exact, truth_view, view(memory), options, {view(row_losses), view(scale_gradient), {}});
  (void)logits(on::serial{}, loss, exact, z_view, view(memory), options);

  // The same on the device.
  OnDevice<S> cosines(p.cosines, offset), gradient(rows * p.stride, gradient_offset), later(rows * p.stride),
      sum(p.cosines, gradient_offset);
  OnDevice<std::int64_t> labels(p.labels);
  OnDevice<T> weights(p.weights), class_weights(p.class_weights), upstream(p.upstream), scales(p.scales), losses(rows), ds(rows);
  OnDevice<SavedRow> saved(rows);
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<S>(gpu, rows, cols, Placement::accumulate)));
  Batch batch(MatrixView<S const, device>(cosines.matrix(rows, cols, p.stride)), VectorView<std::int64_t const, device>(labels.view()));
  batch.weights = weights.view();
  batch.class_weights = class_weights.view();
  batch.upstream = upstream.view();
  if (own_scales) batch.scales = scales.view();
  auto const g = gradient.matrix(rows, cols, p.stride);

  // Storage rounds to half an eps of its own; 16 units are one of its eps. What computes is allowed what the CPU is.
  double const allowed = std::is_same_v<S, T> ? (sizeof(T) == 4 ? 16 : 1e4) : 12;
  double const close = sizeof(T) == 4 ? 1e-5 : 1e-11;
  auto const same = [&](Report const& r) {
    CHECK(r.loss == doctest::Approx(expected.loss).epsilon(close));
    CHECK(r.rows == expected.rows);
    CHECK(r.valid == expected.valid);
    CHECK(r.top1 == expected.top1);
    CHECK(r.topk == expected.topk);
    CHECK(r.non_finite == 0);
    CHECK(r.mean_target_angle == doctest::Approx(expected.mean_target_angle).epsilon(1e-9));
  };
  auto const near = [&](std::vector<T> const& a, std::vector<double> const& b) {
    double largest = 1, worst = 0;
    for (double x : b) largest = std::fmax(largest, std::fabs(x));
    for (std::size_t i = 0; i < a.size(); ++i) worst = std::fmax(worst, std::fabs(double(a[i]) - b[i]) / largest);
    CHECK(worst <= 10 * close);
  };

  same(read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view(), options, {losses.view(), ds.view(), {}})));
  CHECK(apart(gradient.get(), truth, rows, cols, p.stride) <= allowed);
  CHECK(gradient.guards_hold());
  near(losses.get(), row_losses);
  near(ds.get(), scale_gradient);
  auto const first = gradient.get();

  same(read(gpu, loss_value(gpu, loss, batch, workspace.view(), options, {losses.view(), {}, saved.view()})));
  loss_gradient(gpu, loss, batch, saved.view(), later.matrix(rows, cols, p.stride), options, ds.view());
  CHECK(apart(later.get(), truth, rows, cols, p.stride) <= allowed);
  near(ds.get(), scale_gradient);

  same(read(gpu, logits(gpu, loss, batch, later.matrix(rows, cols, p.stride), workspace.view(), options)));
  CHECK(apart(later.get(), z, rows, cols, p.stride) <= allowed);

  options.write = Write::accumulate;
  same(read(gpu, loss_and_gradient(gpu, loss, batch, sum.matrix(rows, cols, p.stride), workspace.view(), options)));
  std::vector<double> added(truth);
  for (std::size_t k = 0; k < added.size(); ++k) added[k] += p.exact[k];
  CHECK(apart(sum.get(), added, rows, cols, p.stride) <= 2 * allowed);

  options.write = Write::assign;
  auto const in_place = cosines.matrix(rows, cols, p.stride);
  same(read(gpu, loss_and_gradient(gpu, loss, batch, in_place, workspace.view(), options)));
  auto const last = cosines.get();
  bool equal = true;
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j)
      equal = equal && static_cast<T>(last[size(i * p.stride + j)]) == static_cast<T>(first[size(i * p.stride + j)]);
  CHECK(equal);
  CHECK(cosines.guards_hold());
}

}  // namespace

TEST_CASE_TEMPLATE("every call agrees with serial in double at every length of row", S, float, double, __half, __nv_bfloat16) {
  MarginSoftmax const loss{ArcMargin{0.5}, 32.0};
  for (idx cols : {1, 2, 31, 33, 1000, 1024, 1276, 1277, 4097, 18001, 20000, 50003, 100003}) compare<S>(loss, 5, cols);
  for (idx cols : {33, 4097})
    for (idx offset : {0, 1, 3})
      for (idx other : {0, 1, 2}) compare<S>(loss, 3, cols, 1 + offset, offset, other);
  compare<S>(loss, 300, 1000, 3);
}

TEST_CASE("very long rows: clusters, few rows that many blocks share, many that do not") {
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  compare<float>(loss, 3, 400001);
  compare<float>(loss, 1, 1000003);
  compare<float>(loss, 2, 1000003, 5, 3, 1);
  compare<float>(loss, 300, 500009);
}

TEST_CASE("scales of the rows, and scales too large for one shift") {
  for (idx cols : {33, 5000, 40000}) {
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 64.0}, 4, cols, 0, 0, 0, true);
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 200.0}, 4, cols);
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, FocalLoss{2}, HardNegatives{0.2}}, 4, cols);
  }
}

TEST_CASE("the same bits every time, and a captured graph gives them again") {
  idx const rows = 64, cols = 30011;
  Problem<float> const p(rows, cols);
  OnDevice<float> cosines(p.cosines), gradient(rows * cols), again(rows * cols);
  OnDevice<std::int64_t> labels(p.labels);
  cudaStream_t stream;
  ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  on::cuda const gpu{stream};
  OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place)));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  Batch const batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)),
                    VectorView<std::int64_t const, device>(labels.view()));
  Report const first = read(gpu, loss_and_gradient(gpu, loss, batch, gradient.matrix(rows, cols, cols), workspace.view()));
  cudaGraph_t graph;
  cudaGraphExec_t runnable;
  ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  auto const pending = loss_and_gradient(gpu, loss, batch, again.matrix(rows, cols, cols), workspace.view());
  ok(cudaStreamEndCapture(stream, &graph));
  ok(cudaGraphInstantiate(&runnable, graph, 0));
  for (int time = 0; time < 2; ++time) {
    ok(cudaMemsetAsync(again.data(), 0, size(rows * cols) * sizeof(float), stream));
    ok(cudaGraphLaunch(runnable, stream));
    Report const report = read(gpu, pending);
    CHECK(report.loss == first.loss);
    CHECK(again.get() == gradient.get());
  }
  ok(cudaGraphExecDestroy(runnable));
  ok(cudaGraphDestroy(graph));
  ok(cudaStreamDestroy(stream));
}

TEST_CASE("what only the device can see: bad labels, weights and scales") {
  idx const rows = 6, cols = 700;
  Problem<float> p(rows, cols);
  p.labels[4] = cols;
  p.labels[2] = -1;
  OnDevice<float> cosines(p.cosines), gradient(rows * cols);
  OnDevice<std::int64_t> labels(p.labels);
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place)));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  Batch batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)), VectorView<std::int64_t const, device>(labels.view()));
  auto const g = gradient.matrix(rows, cols, cols);
  CHECK_THROWS_WITH_AS((void)read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view())), "labels[2] = -1 is outside [0, C)",
                       LabelError);
  auto const all = gradient.get();
  for (idx i : {2, 4})
    for (idx j = 0; j < cols; ++j) CHECK(all[size(i * cols + j)] == 0);
  CHECK(all[0] != 0);

  p.labels[2] = p.labels[4] = 0;
  p.weights[3] = -1;
  OnDevice<std::int64_t> good(p.labels);
  OnDevice<float> weights(p.weights), scales(p.scales);
  batch.labels = good.view();
  batch.weights = weights.view();
  CHECK_THROWS_AS((void)read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view())), ParameterError);
  batch.weights = {};
  batch.scales = scales.view();
  CHECK_THROWS_AS((void)read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view(), Options{.scale_ceiling = 1})), ParameterError);
  CHECK(read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view(), Options{.scale_ceiling = 30})).valid == rows);
}

TEST_CASE("what the host can see is an error before any launch") {
  idx const rows = 2, cols = 8;
  std::vector<float> on_host(16);
  OnDevice<float> cosines(std::vector<float>(16, 0.25F)), gradient(16);
  OnDevice<int> labels(std::vector<int>{1, 2});
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place)));
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  VectorView<int const, device> const y = labels.view();
  Batch const batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)), y);
  auto const g = gradient.matrix(rows, cols, cols);
  auto const with = [&](MatrixView<float const, device> c) { return loss_and_gradient(gpu, loss, Batch(c, y), g, workspace.view()); };
  CHECK_THROWS_AS((void)with({nullptr, rows, cols, cols}), ShapeError);
  CHECK_THROWS_AS((void)with({cosines.data(), rows, cols, cols - 1}), StrideError);
  CHECK_THROWS_AS((void)with({cosines.data(), rows, cols + 1, cols + 1}), ShapeError);
  CHECK_THROWS_AS((void)with({reinterpret_cast<float*>(reinterpret_cast<char*>(cosines.data()) + 2), rows, cols, cols}), MemoryError);
  int shared_tables = 0;
  ok(cudaDeviceGetAttribute(&shared_tables, cudaDevAttrPageableMemoryAccess, 0));
  if (!shared_tables) CHECK_THROWS_AS((void)with({on_host.data(), rows, cols, cols}), MemoryError);
  CHECK_THROWS_AS((void)loss_and_gradient(gpu, loss, batch, g, VectorView<std::byte, device>{workspace.data(), 10}), WorkspaceError);
  CHECK_THROWS_AS(
      (void)loss_and_gradient(gpu, loss, batch, MatrixView<float, device>{cosines.data() + 1, rows, cols, cols}, workspace.view()),
      AliasError);

  // Nothing to do is no launch and no error.
  Batch const none(MatrixView<float const, device>{nullptr, 0, cols, cols}, VectorView<int const, device>{nullptr, 0});
  CHECK(read(gpu, loss_and_gradient(gpu, loss, none, MatrixView<float, device>{nullptr, 0, cols, cols}, workspace.view())).loss == 0);
  ok(cudaDeviceSynchronize());
}

TEST_CASE("NaN stays in its row") {
  idx const rows = 3, cols = 5003;
  Problem<float> p(rows, cols);
  p.cosines[size(cols + 77)] = NAN;
  p.cosines[size(2 * cols + 5)] = 1.0000001F;
  p.cosines[size(2 * cols + 6)] = -50;
  OnDevice<float> cosines(p.cosines), gradient(rows * cols), losses(rows);
  OnDevice<std::int64_t> labels(p.labels);
  on::cuda const gpu{};
  OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<float>(gpu, rows, cols, Placement::out_of_place)));
  Batch const batch(MatrixView<float const, device>(cosines.matrix(rows, cols, cols)),
                    VectorView<std::int64_t const, device>(labels.view()));
  Report const r = read(gpu, loss_and_gradient(gpu, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, gradient.matrix(rows, cols, cols),
                                               workspace.view(), {}, {losses.view(), {}, {}}));
  CHECK(r.non_finite == 1);
  CHECK(r.clamped == 1);
  CHECK(r.out_of_range == 1);
  auto const l = losses.get();
  CHECK(std::isfinite(l[0]));
  CHECK(std::isnan(l[1]));
  CHECK(std::isfinite(l[2]));
  auto const g = gradient.get();
  for (idx j = 0; j < cols; ++j) {
    CHECK(std::isfinite(g[size(j)]));
    CHECK(std::isnan(g[size(cols + j)]));
    CHECK(std::isfinite(g[size(2 * cols + j)]));
  }
}
