// The smallest use of losskit: a loss and its gradient, with no dependency but the standard library.
#include <cstddef>
#include <cstdio>
#include <vector>

#include "losskit/losskit.hpp"

int main() {
  std::vector<float> cosines{0.8f, 0.1f, -0.3f, 0.2f, 0.5f, 0.4f};
  std::vector<int> const labels{0, 2};
  auto const scores = losskit::matrix(cosines, 2, 3);
  losskit::Batch batch{scores, labels};
  std::vector<float> memory(cosines.size());
  auto const gradient = losskit::matrix(memory, 2, 3);
  std::vector<std::byte> workspace(losskit::workspace_bytes<float>(losskit::on::serial{}, 2, 3, losskit::Placement::out_of_place));

  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 16.0};
  auto const report =
      losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, losskit::view(workspace));
  std::printf("loss %.4f, top-1 %d of %d\n", report.loss, static_cast<int>(report.top1), static_cast<int>(report.valid));
  return report.loss > 0 && memory[0] < 0 ? 0 : 1;
}
