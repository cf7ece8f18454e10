// `using namespace losskit` leaves the names of Thrust and CCCL alone, and theirs leave losskit's.
#include "beside.hpp"

#include "losskit/adapt/eigen.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/thrust.hpp"
#include "losskit/losskit.hpp"

using namespace losskit;

int main() {
  thrust::host_vector<float> cosines(2 * 3, 0.25F);
  thrust::device_vector<float> doubled(cosines.size());
  thrust::transform(cosines.begin(), cosines.end(), doubled.begin(), [](float c) { return 2 * c; });
  cuda::std::array<std::int32_t, 2> labels{0, 2};
  cuda::std::tuple<float, double> const scale_and_margin{32.0F, 0.5};

  std::vector<float> gradient(6), gradient_of_thrust(6);
  std::vector<std::byte> workspace(1 << 14);
  MarginSoftmax const loss{ArcMargin<NoRule>{cuda::std::get<1>(scale_and_margin)}, double(cuda::std::get<0>(scale_and_margin))};
  Batch const batch{MatrixView<float>{thrust::raw_pointer_cast(doubled.data()), 2, 3, 3}, labels};
  Report const a = loss_and_gradient(on::eigen{}, loss, batch, matrix(gradient, 2, 3), view(workspace));
  Report const b = loss_and_gradient(on::thrust{}, loss, batch, matrix(gradient_of_thrust, 2, 3), view(workspace));
  float const sum = thrust::reduce(thrust::host, gradient.begin(), gradient.end(), 0.0F);
  std::printf("loss %.6f, sum of the gradient %.6f\n", a.loss, double(sum));
  return a.loss == b.loss && gradient == gradient_of_thrust && a.loss > 1 && cuda::std::isfinite(sum) ? 0 : 1;
}
