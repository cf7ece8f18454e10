// The LibTorch adapter over CUDA tensors: compiled here, run nowhere yet.
#include "losskit/adapt/torch.hpp"
#include "losskit/losskit.hpp"

at::Tensor loss_of(at::Tensor const& cosines, at::Tensor const& labels, at::Tensor const& scales, losskit::Report& report) {
  using namespace losskit;
  return adapt::margin_loss(MarginSoftmax{ArcMargin{0.5}, 64.0}, cosines, labels, {.in_place = true, .scales = scales, .report = &report});
}
at::Tensor loss_of(at::Tensor const& prediction, at::Tensor const& truth) {
  return losskit::adapt::point_loss(losskit::WingLoss{}, prediction, truth);
}
