// Losses that take other ways through the row than a margin softmax of one margin: plain logits, sums that policies ask for, a rest rule
// that bends, a margin for each row; and states that stay on the device. Against serial in double.
#include "compare.cuh"

using namespace test;

TEST_CASE_TEMPLATE("plain logits", S, float, double, __half) {
  for (idx cols : {1, 33, 5000, 40000}) compare<S>(SoftmaxLoss{}, 4, cols, 0, 0, 0, {.largest = 40});
}

TEST_CASE("label smoothing: e is kept, or not, where r' varies") {
  for (idx cols : {1, 33, 5000, 40000}) {
    compare<float>(SoftmaxLoss{LabelSmoothing{0.1}}, 4, cols, 3, 1, 1, {.largest = 8});
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, LabelSmoothing{0.1}}, 4, cols);
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 16.0, LabelSmoothing{0.1}, HardNegatives{0.2}}, 4, cols);
  }
}

TEST_CASE("a rest rule that bends the hard classes") {
  for (idx cols : {33, 5000, 40000}) compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, CurricularRest{0.3}}, 4, cols);
}

TEST_CASE("a margin for each row, and the gradient by it") {
  for (idx cols : {33, 5000, 40000}) {
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0}, 4, cols, 0, 0, 0, {.margins = true});
    compare<float>(MarginSoftmax{CosMargin{0.35}, 200.0}, 4, cols, 0, 0, 0, {.margins = true});
  }
}

TEST_CASE("AdaCos: its state stays on the device, and the next step reads it there") {
  idx const rows = 33, cols = 2003;
  Problem<float> p(rows, cols);
  AdaCosScale const scale(cols, 1, 60);
  AdaCosState const start = scale.start();
  std::vector<std::byte> memory(advance_workspace_bytes(rows) + workspace_bytes<double>(on::serial{}, rows, cols, Placement::no_gradient));
  Batch const exact(MatrixView<double const>{p.exact.data(), rows, cols, cols}, p.labels);
  AdaCosState const expected = advance(on::serial{}, scale, start, exact, view(memory));

  each_backend([&](auto const& gpu) {
    OnDevice<float> cosines(p.cosines);
    OnDevice<std::int64_t> labels(p.labels);
    OnDevice<AdaCosState> state(std::vector<AdaCosState>{start});
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
  });
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

  each_backend([&](auto const& gpu) {
    OnDevice<float> cosines(p.cosines), gradient(rows * cols);
    OnDevice<std::int64_t> labels(p.labels);
    OnDevice<CurricularState> state(std::vector<CurricularState>{rest.start()});
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
    CHECK(apart(gradient.get(), truth, rows, cols, cols) <= 64);
  });
}
