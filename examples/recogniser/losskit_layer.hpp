// losskit inside LibTorch: any MarginSoftmax as a differentiable function of a B x C matrix of cosines.
//
// Loss and gradient come from one call, so the forward pass already leaves the gradient behind, written over
// the cosines: their producer, a matrix product, needs its inputs for its own backward but never its output.
// Backward only hands it on.
#pragma once

#include <torch/torch.h>

#include <losskit/backend/eigen.hpp>
#include <losskit/compose/margin_softmax.hpp>
#include <losskit/loss/calls.hpp>

namespace demo {

// Views of contiguous tensors.
inline losskit::MatrixView<float> matrix_of(at::Tensor const& t) {
  return {t.data_ptr<float>(), t.size(0), t.size(1), t.size(1)};
}
inline losskit::VectorView<std::int64_t const> labels_of(at::Tensor const& t) {
  return {t.data_ptr<std::int64_t>(), t.size(0)};
}

template <class Loss>
struct MarginSoftmaxFunction : torch::autograd::Function<MarginSoftmaxFunction<Loss>> {
  using Context = torch::autograd::AutogradContext;

  static at::Tensor forward(Context* context, at::Tensor cosines, at::Tensor labels, Loss const& loss,
                            losskit::Report& report) {
    at::Tensor const gradient = cosines.detach();  // the same memory
    losskit::Batch const batch{matrix_of(cosines), labels_of(labels)};
    losskit::on::eigen const backend{};
    // Kept from batch to batch; one for each thread that trains.
    thread_local std::vector<std::byte> workspace;
    workspace.resize(losskit::workspace_bytes<float>(backend, cosines.size(0), cosines.size(1),
                                                     losskit::Placement::in_place));
    report = losskit::loss_and_gradient(backend, loss, batch, matrix_of(gradient), losskit::view(workspace));
    context->save_for_backward({gradient});
    return torch::scalar_tensor(report.loss);
  }

  static torch::autograd::tensor_list backward(Context* context, torch::autograd::tensor_list upstream) {
    at::Tensor gradient = context->get_saved_variables()[0];
    return {gradient.mul_(upstream[0]), {}, {}, {}};
  }
};

// The mean loss of the rows. The cosines are overwritten.
template <class Loss>
at::Tensor margin_softmax(at::Tensor const& cosines, at::Tensor const& labels, Loss const& loss,
                          losskit::Report& report) {
  return MarginSoftmaxFunction<Loss>::apply(cosines, labels, loss, report);
}

}  // namespace demo
