// A cosine layer, given an executor for its backend.
// first error: first argument is not a Backend
#include <cstddef>
#include <vector>

#include "losskit/executor/one_thread.hpp"
#include "losskit/losskit.hpp"

void call(losskit::MatrixView<float> x, losskit::MatrixView<float> w, losskit::CosineLayer<float> const& layer,
          losskit::MatrixView<float> cosines);
void call(losskit::MatrixView<float> x, losskit::MatrixView<float> w, losskit::CosineLayer<float> const& layer,
          losskit::MatrixView<float> cosines) {
#ifdef MISTAKE
  losskit::cosine_layer(losskit::one_thread{}, x, w, layer, cosines);
#else
  losskit::cosine_layer(losskit::on::serial{}, x, w, layer, cosines);
#endif
}
