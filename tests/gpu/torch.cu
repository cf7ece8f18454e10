// The LibTorch adapter over CUDA tensors: compiled here, run nowhere yet. SoftmaxLoss has the fewest kernels.
#include "losskit/adapt/torch.hpp"
#include "losskit/compose/softmax_loss.hpp"
#include "losskit/objective/cross_entropy.hpp"
#include "losskit/point/wing.hpp"

at::Tensor class_loss(at::Tensor const& logits, at::Tensor const& labels, at::Tensor const& scales, losskit::Report& report) {
  return losskit::adapt::margin_loss(losskit::SoftmaxLoss{}, logits, labels, {.in_place = true, .scales = scales, .report = &report});
}
at::Tensor point_loss(at::Tensor const& prediction, at::Tensor const& truth) {
  return losskit::adapt::point_loss(losskit::WingLoss{}, prediction, truth);
}
