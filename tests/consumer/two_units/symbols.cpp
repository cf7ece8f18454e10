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
void everything(B const& backend) {
  std::vector<float> cosines(rows * classes), other(rows * classes), weights(rows, 1);
  std::array<std::int64_t, rows> labels{};
  std::vector<std::byte> memory(workspace_bytes<float>(backend, rows, classes, Placement::accumulate) + advance_workspace_bytes(rows));
  Batch batch{matrix(cosines, rows, classes), labels};
  batch.weights = view(weights);
  auto const gradient = matrix(other, rows, classes);
  auto const workspace = view(memory);
  calls(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, gradient, workspace);
  for_each(margins{}, [&](auto margin) { loss_and_gradient(backend, MarginSoftmax{margin, 64.0}, batch, gradient, workspace); });
  for_each(rests{}, [&](auto rest) {
    loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0, CrossEntropy{}, rest}, batch, gradient, workspace);
  });
  for_each(objectives{}, [&](auto objective) {
    loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0, objective}, batch, gradient, workspace);
  });
  AdaCosScale const scale{classes};
  AdaCosState state = advance(backend, scale, scale.start(), batch, workspace);
  batch.scale = scale_of(VectorView<AdaCosState>{&state, 1});

  Eigen::Matrix<float, -1, -1, Eigen::RowMajor> prediction(rows, classes), truth(rows, classes);
  std::vector<std::byte> scratch(point_workspace_bytes(rows, classes));
  for_each(point_losses{}, [&](auto loss) {
    PointReport const report = loss_and_gradient(backend, loss, prediction, truth, gradient, view(scratch));
    loss_value(backend, loss, cosines, other, view(scratch), {.upstream = report.loss}, {.element_losses = {}});
  });

  std::vector<float> x(rows * width), w(classes * width), unit_x(rows * width), unit_w(classes * width), norms_x(rows), norms_w(classes);
  CosineLayer<float> const layer{matrix(unit_x, rows, width), matrix(unit_w, classes, width), view(norms_x), view(norms_w)};
  cosine_layer(backend, matrix(x, rows, width), matrix(w, classes, width), layer, gradient);
  cosine_layer_backward(backend, layer, gradient, matrix(x, rows, width), matrix(w, classes, width));
}

}  // namespace

void use_everything();
void use_everything() {
  everything(on::serial{});
  everything(on::eigen{});
  everything(on::eigen{openmp{2}});
}
