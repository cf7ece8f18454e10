// Whatever a user's unit may make of losskit: every policy of the catalogue, every call, on two backends. Its object is not run;
// cmake/symbols.cmake reads the names in it.
#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

#include "losskit/adapt/eigen.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

constexpr idx rows = 4, classes = 10, width = 8;

template <class B, class L, class T, class I>
void calls(B const& backend, L const& loss, Batch<T, I> const& batch, MatrixView<T> gradient, Workspace workspace) {
  std::vector<T> per_row(rows);
  std::vector<SavedRow> saved(rows);
  Outputs<T> const out{.row_losses = view(per_row), .saved = view(saved)};
  Options const options{.reduction = Reduction::weighted_mean, .write = Write::accumulate};
  Report report = loss_and_gradient(backend, loss, batch, gradient, workspace, options, out);
  report = read(backend, loss_value(backend, loss, batch, workspace, {}, out));
  loss_gradient(backend, loss, batch, saved, gradient);
  report = logits(backend, loss, batch, gradient, workspace);
  logits_backward(backend, loss, batch, gradient, gradient, {.upstream = report.loss});
}

template <class B>
void each_call(B const& backend) {
  std::vector<float> cosines(rows * classes), other(rows * classes), weights(rows, 1);
  std::array<std::int64_t, rows> labels{};
  std::vector<std::byte> memory(workspace_bytes<float>(backend, rows, classes, Placement::accumulate) + advance_workspace_bytes(rows));
  Batch batch{matrix(cosines, rows, classes), labels};
  batch.weights = view(weights);
  calls(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, matrix(other, rows, classes), view(memory));
  AdaCosScale const scale{classes};
  AdaCosState state = advance(backend, scale, scale.start(), batch, view(memory));
  batch.scale = scale_of(VectorView<AdaCosState>{&state, 1});

  Eigen::Matrix<float, -1, -1, Eigen::RowMajor> prediction(rows, classes), truth(rows, classes);
  std::vector<std::byte> scratch(point_workspace_bytes(rows, classes));
  for_each(point_losses{}, [&](auto loss) {
    PointReport const report = loss_and_gradient(backend, loss, prediction, truth, prediction, view(scratch));
    loss_value(backend, loss, cosines, other, view(scratch), {.upstream = report.loss}, {.element_losses = {}});
  });
}

void each_policy() {
  std::vector<double> cosines(rows * classes);
  std::array<int, rows> labels{};
  on::serial const backend;
  std::vector<std::byte> memory(workspace_bytes<double>(backend, rows, classes, Placement::in_place));
  auto const scores = matrix(cosines, rows, classes);
  Batch const batch{scores, labels};
  for_each(margins{}, [&](auto margin) { logits(backend, MarginSoftmax{margin, 64.0}, batch, scores, view(memory)); });
  for_each(rests{}, [&](auto rest) {
    logits(backend, MarginSoftmax{ArcMargin{0.5}, 64.0, CrossEntropy{}, rest}, batch, scores, view(memory));
  });
  for_each(objectives{}, [&](auto objective) { loss_value(backend, MarginSoftmax{ArcMargin{0.5}, 64.0, objective}, batch, view(memory)); });
}

void each_head() {
  std::vector<float> x(rows * width), w(classes * width), cosines(rows * classes), norms_x(rows), norms_w(classes);
  auto const unit_x = matrix(x, rows, width), unit_w = matrix(w, classes, width), c = matrix(cosines, rows, classes);
  CosineLayer<float> const layer{unit_x, unit_w, view(norms_x), view(norms_w)};
  cosine_layer(on::serial{}, unit_x, unit_w, layer, c);
  cosine_layer_backward(on::serial{}, layer, c, unit_x, unit_w);
}

}  // namespace

void use_everything();
void use_everything() {
  each_call(on::serial{});
  each_call(on::eigen{openmp{2}});
  each_policy();
  each_head();
}
