// losskit's point losses inside LibTorch: the mean over the rows of the loss summed over a row's elements.
#pragma once

#include <vector>

#include <torch/torch.h>

#include <losskit/backend/eigen.hpp>
#include <losskit/loss/point_loss.hpp>

namespace demo {

inline losskit::MatrixView<float> matrix_of(at::Tensor const& t) {
  return {t.data_ptr<float>(), t.size(0), t.size(1), t.size(1)};
}

template <class Loss>
struct PointLossFunction : torch::autograd::Function<PointLossFunction<Loss>> {
  using Context = torch::autograd::AutogradContext;

  // weights: one an element, or an empty view. The gradient comes with the loss and waits for backward.
  static at::Tensor forward(Context* context, at::Tensor prediction, at::Tensor truth,
                            losskit::MatrixView<float const> weights, Loss const& loss) {
    at::Tensor const gradient = torch::empty_like(prediction);
    thread_local std::vector<std::byte> workspace;
    workspace.resize(losskit::point_workspace_bytes(prediction.size(0), prediction.size(1)));
    losskit::PointReport const report = losskit::loss_and_gradient(
        losskit::on::eigen{}, loss, matrix_of(prediction), matrix_of(truth), matrix_of(gradient),
        losskit::view(workspace), {.reduction = losskit::Reduction::batch_mean}, {.weights = weights});
    context->save_for_backward({gradient});
    return torch::scalar_tensor(report.loss);
  }

  static torch::autograd::tensor_list backward(Context* context, torch::autograd::tensor_list upstream) {
    return {context->get_saved_variables()[0] * upstream[0], {}, {}, {}};
  }
};

// B x n predictions and truths, both contiguous.
template <class Loss>
at::Tensor point_loss(at::Tensor const& prediction, at::Tensor const& truth,
                      losskit::MatrixView<float const> weights, Loss const& loss) {
  return PointLossFunction<Loss>::apply(prediction, truth, weights, loss);
}

}  // namespace demo
