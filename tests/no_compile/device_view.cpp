// Memory of a device, given to a backend that computes on the host.
// first error: (device|host)
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

#ifdef MISTAKE
using Space = losskit::device;
#else
using Space = losskit::host;
#endif

void call(losskit::MatrixView<float, Space> cosines, losskit::VectorView<int, Space> labels,
          std::vector<std::byte>& workspace);
void call(losskit::MatrixView<float, Space> cosines, losskit::VectorView<int, Space> labels,
          std::vector<std::byte>& workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, cosines, losskit::view(workspace));
}
