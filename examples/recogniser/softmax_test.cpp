// The demo's baseline against losskit: cross-entropy as LibTorch computes it, loss and gradient, and SoftmaxLoss over the same logits.
// The baseline stays the framework's own code, so that the two are independent.
#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include <losskit/backend/eigen.hpp>
#include <losskit/compose/softmax_loss.hpp>
#include <losskit/loss/calls.hpp>

namespace {

using losskit::idx;

// How far the two are apart over logits of N(0, spread): of the loss, and of the gradient's largest number.
template <class T>
bool agree(idx rows, idx cols, double spread, double allowed) {
  auto const type = torch::CppTypeToScalarType<T>::value;
  at::Tensor logits = torch::randn({rows, cols}, type).mul_(spread).requires_grad_(true);
  at::Tensor const labels = torch::randint(cols, {rows}, torch::kInt64);
  at::Tensor const expected = torch::nn::functional::cross_entropy(logits, labels);
  expected.backward();

  at::Tensor const z = logits.detach(), gradient = torch::empty_like(z);
  losskit::on::eigen const backend{};
  std::vector<std::byte> workspace(losskit::workspace_bytes<T>(backend, rows, cols, losskit::Placement::out_of_place));
  losskit::Batch const batch{losskit::MatrixView<T>{z.data_ptr<T>(), rows, cols, cols},
                             losskit::VectorView<std::int64_t const>{labels.data_ptr<std::int64_t>(), rows}};
  losskit::Report const report = losskit::loss_and_gradient(backend, losskit::SoftmaxLoss{}, batch,
                                                            losskit::MatrixView<T>{gradient.data_ptr<T>(), rows, cols, cols}, workspace);

  double const loss = expected.template item<double>(), off_loss = std::fabs(report.loss - loss) / loss;
  double const off_gradient = (gradient - logits.grad()).abs().max().template item<double>() /
                              logits.grad().abs().max().template item<double>();
  bool const fine = off_loss <= allowed && off_gradient <= allowed;
  std::printf("%-6s %4lld x %-6lld logits of N(0, %g): loss %.1e, gradient %.1e, allowed %.1e  %s\n", sizeof(T) == 4 ? "float" : "double",
              static_cast<long long>(rows), static_cast<long long>(cols), spread, off_loss, off_gradient, allowed, fine ? "ok" : "FAILED");
  return fine;
}

}  // namespace

int main() {
  torch::manual_seed(1);
  bool fine = true;
  for (double const spread : {1.0, 8.0, 100.0})
    for (idx const cols : {2, 100, 5003}) {
      fine = agree<double>(64, cols, spread, 3e-14) && fine;
      fine = agree<float>(64, cols, spread, 2e-6) && fine;
    }
  return fine ? 0 : 1;
}
