// The same with the eigen backend over Eigen's own objects, on the threads of OpenMP.
#include <Eigen/Core>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "losskit/adapt/eigen.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/losskit.hpp"

int main() {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix cosines(2, 3), gradient(2, 3);
  cosines << 0.8f, 0.1f, -0.3f, 0.2f, 0.5f, 0.4f;
  std::vector<int> const labels{0, 2};
  losskit::Batch batch{cosines, labels};
  losskit::on::eigen<losskit::openmp> const backend{losskit::openmp{}};
  std::vector<std::byte> workspace(losskit::workspace_bytes<float>(backend, 2, 3, losskit::Placement::out_of_place));

  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 16.0};
  auto const report = losskit::loss_and_gradient(backend, loss, batch, gradient, losskit::view(workspace));
  std::printf("loss %.4f, top-1 %d of %d\n", report.loss, static_cast<int>(report.top1), static_cast<int>(report.valid));
  return report.loss > 0 && gradient(0, 0) < 0 ? 0 : 1;
}
