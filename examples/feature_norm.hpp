// A loss whose scale is each embedding's own length, from raw embeddings to their gradient. feature_norm.cpp runs it.
//
//   n_i = |x_i|   c = cosines of x and w   s_i = s(n_i), FeatureNorm   z_ij = s_i psi(c_ij)   L = cross-entropy
//
// The length acts twice: c does not depend on it, s does. So dL/dx_i has two parts, and the backward of the normalisation adds both:
//
//   dL/dc_ij chained through the direction     dL/dn_i = dL/ds_i s'(n_i) along x_i / n_i
#pragma once
#include <vector>

#include "losskit/losskit.hpp"

// x: B x D embeddings, not normalised; w: C x D class centres; labels: B. Fills dx and dw, of the sizes of x and w; returns the loss.
inline double feature_norm_loss(losskit::FeatureNorm const& scale, std::vector<double> const& x, std::vector<double> const& w,
                                std::vector<int> const& labels, std::vector<double>& dx, std::vector<double>& dw) {
  using namespace losskit;
  on::serial const backend;
  idx const B = static_cast<idx>(labels.size()), D = static_cast<idx>(x.size()) / B, C = static_cast<idx>(w.size()) / D;

  // 1. Raw embeddings to cosines. The norms are kept beside the unit rows.
  std::vector<double> unit_x(x.size()), unit_w(w.size()), norms_x(labels.size()), norms_w(w.size() / static_cast<std::size_t>(D));
  std::vector<double> cosines(labels.size() * norms_w.size()), dcosines(cosines.size());
  CosineLayer<double> const layer{matrix(unit_x, B, D), matrix(unit_w, C, D), view(norms_x), view(norms_w)};
  cosine_layer(backend, matrix(x, B, D), matrix(w, C, D), layer, matrix(cosines, B, C));

  // 2. Norms to scales, one a row, and the slope of each.
  std::vector<double> scales(norms_x.size()), slopes(norms_x.size());
  for (std::size_t i = 0; i < norms_x.size(); ++i) {
    auto const s = value_and_slope(scale, norms_x[i]);
    scales[i] = s.value, slopes[i] = s.slope;
  }

  // 3. The loss, dL/dc and dL/ds. The scale of the loss itself is not used: each row has its own.
  MarginSoftmax const loss{SphereMargin{2}, 1.0};
  Batch batch(matrix(cosines, B, C), labels);
  batch.scales = view(scales);
  std::vector<double> dscales(scales.size());
  std::vector<std::byte> workspace(workspace_bytes<double>(backend, B, C, Placement::out_of_place));
  Report const report = loss_and_gradient(backend, loss, batch, matrix(dcosines, B, C), view(workspace), {},
                                          Outputs<double>{.scale_gradient = view(dscales)});

  // 4. dL/dn = dL/ds ds/dn, and back through the normalisation.
  std::vector<double> dnorms(dscales.size());
  for (std::size_t i = 0; i < dnorms.size(); ++i) dnorms[i] = dscales[i] * slopes[i];
  dx.resize(x.size()), dw.resize(w.size());
  cosine_layer_backward(backend, layer, matrix(dcosines, B, C), matrix(dx, B, D), matrix(dw, C, D), {}, Write::assign, view(dnorms));
  return report.loss;
}
