// The lines of the README inside LibTorch; `using namespace losskit` leaves torch:: and at:: alone.
#include <losskit/adapt/torch.hpp>
#include <losskit/compose/margin_softmax.hpp>
#include <losskit/margin/arc.hpp>
#include <torch/torch.h>

#include <cstdio>

using namespace losskit;

int main() {
  torch::manual_seed(1);
  at::Tensor const embeddings = torch::randn({8, 16}).requires_grad_(true), centres = torch::randn({10, 16}).requires_grad_(true);
  at::Tensor const labels = torch::randint(10, {8}, torch::kInt64);
  Report report;
  at::Tensor cosines = losskit::adapt::cosine_layer(embeddings, centres);
  at::Tensor loss = losskit::adapt::margin_loss(MarginSoftmax{ArcMargin{0.5}, 64.0}, cosines, labels, {.in_place = true, .report = &report});
  loss.backward();
  std::printf("loss %.4f, |dL/dx| %.4f\n", report.loss, embeddings.grad().norm().item<double>());
  return loss.item<float>() > 1 && centres.grad().defined() ? 0 : 1;
}
