// Every header with exceptions switched off. Called with an argument: a wrong parameter aborts with its text.
#include <cstddef>
#include <cstdio>
#include <vector>

#include "all_headers.hpp"

int main(int argc, char**) {
  double const m = argc > 1 ? 7.0 : 0.5;
  losskit::MarginSoftmax const loss{losskit::ArcMargin{m}, 16.0};
  std::vector<float> cosines{0.8f, 0.1f, -0.3f, 0.2f, 0.5f, 0.4f};
  std::vector<int> const labels{0, 2};
  auto const scores = losskit::matrix(cosines, 2, 3);
  losskit::Batch batch{scores, labels};
  std::vector<std::byte> workspace(losskit::workspace_bytes<float>(losskit::on::serial{}, 2, 3, losskit::Placement::in_place));
  auto const report = losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, scores, losskit::view(workspace));
  std::printf("loss %.4f\n", report.loss);
  return report.loss > 0 ? 0 : 1;
}
