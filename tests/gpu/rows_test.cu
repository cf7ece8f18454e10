// The calls of a margin softmax on a GPU beyond their numbers at each length of row (calls_test.cu): long rows, graphs, bad input.
#include "compare.cuh"

using namespace test;

TEST_CASE("very long rows: clusters, few rows that many blocks share, many that do not") {
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  compare<float>(loss, 3, 400001);
  compare<float>(loss, 1, 1000003);
  compare<float>(loss, 2, 1000003, 5, 3, 1);
  compare<float>(loss, 300, 500009);
}

TEST_CASE("one row of a cluster, and one that the grid shares") {  // small enough for a sanitizer
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0};
  compare<float>(loss, 1, 20000);
  compare<float>(loss, 1, 500009);
}

TEST_CASE("scales of the rows, and scales too large for one shift") {
  for (idx cols : {33, 5000, 40000}) {
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 64.0}, 4, cols, 0, 0, 0, {.scales = true});
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 200.0}, 4, cols);
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, FocalLoss{2}, HardNegatives{0.2}}, 4, cols);
  }
}

TEST_CASE("every reduction") {
  MarginSoftmax const loss{ArcMargin{0.5}, 32.0};
  for (Reduction const r : {Reduction::mean, Reduction::sum, Reduction::none, Reduction::batch_mean, Reduction::weighted_mean})
    for (idx cols : {33, 5000, 40000}) compare<float>(loss, 5, cols, 0, 0, 0, {.reduction = r});
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
  ok(cudaDeviceSynchronize());  // this stream waits for no other, such as the one that filled the memory
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
