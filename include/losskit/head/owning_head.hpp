// OwningHead: a whole head over memory of its own, for whoever does not mind an allocation.
//
//   x: B x D embeddings, w: C x D class centres   ->   c_ij = x_i . w_j / (|x_i| |w_j|)   ->   loss, dL/dx, dL/dw
//
//   OwningHead<float> head;
//   Report report = head.loss_and_gradient(on::eigen{}, MarginSoftmax{ArcMargin{0.5}, 64.0}, x, w, labels);
//   optimiser.step(head.dx(), head.dw());
//
// It is cosine_layer, losskit::loss_and_gradient in place and cosine_layer_backward, bit for bit; whoever needs row weights, scales of
// the rows or to accumulate calls these. Its memory grows to the largest call, B x C + (2 B + C) x D numbers, the norms and a workspace;
// a call that fits allocates nothing.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/calls.hpp"

namespace losskit::inline LOSSKIT_ISA {

// T: float or double, of embeddings, centres and gradients. On host backends.
template <class T>
class OwningHead {
 public:
  // x: B x D, w: C x D, labels: B; any stride. Fills dx and dw. Options as of a loss, with Write::assign. Throws what cosine_layer and
  // losskit::loss_and_gradient throw; dx and dw then are those of the call before.
  template <class B, class L, class Y>
  Report loss_and_gradient(B const& backend, L const& loss, MatrixView<T const> x, MatrixView<T const> w, Y&& labels,
                           Options const& options = {}, Outputs<T> const& out = {}) {
    detail::expect_backend<B>();
    detail::expect_loss<L>();
    detail::expect_reachable<B, MatrixView<T>>();
    detail::expect_matrix("x", x);
    detail::expect_matrix("w", w);
    if (options.write != Write::assign) fail<ParameterError>("write: an OwningHead writes its gradients anew, it adds to nothing");

    idx const rows = x.rows, classes = w.rows, width = x.cols;
    CosineLayer<T> const layer{grown(unit_x_, rows, width), grown(unit_w_, classes, w.cols), grown(norms_x_, rows),
                               grown(norms_w_, classes)};
    MatrixView<T> const cosines = grown(cosines_, rows, classes), dx = grown(dx_, rows, width);
    std::size_t const of_loss = workspace_bytes<T>(backend, rows, classes, Placement::in_place);
    std::size_t const of_layer = cosine_layer_workspace_bytes<T>(rows, classes, width, Write::accumulate);
    Workspace const workspace = grown(workspace_, static_cast<idx>(std::max(of_loss, of_layer)));
    Batch const batch{cosines, static_cast<Y&&>(labels)};
    detail::expect_cosine_layer(backend, x, w, layer, cosines);
    detail::expect_batch(backend, loss, batch, options);
    detail::expect_outputs(backend, batch, cosines, workspace, out);

    cosine_layer(backend, x, w, layer, cosines);
    Report const report = losskit::loss_and_gradient(backend, loss, batch, cosines, workspace, options, out);
    cosine_layer_backward(backend, layer, cosines, dx, layer.unit_w, workspace);
    rows_ = rows, classes_ = classes, width_ = width;
    return report;
  }

  // B x D and C x D, of the last call. They hold until the next one.
  MatrixView<T const> dx() const { return {dx_.data(), rows_, width_, width_}; }
  MatrixView<T const> dw() const { return {unit_w_.data(), classes_, width_, width_}; }  // dw took the place of the unit centres

 private:
  // The first elements of a buffer, which grows and never shrinks.
  template <class U>
  static VectorView<U> grown(std::vector<U>& buffer, idx size) {
    if (buffer.size() < static_cast<std::size_t>(size)) buffer.resize(static_cast<std::size_t>(size));
    return {buffer.data(), size};
  }
  static MatrixView<T> grown(std::vector<T>& buffer, idx rows, idx cols) { return {grown(buffer, rows * cols).data, rows, cols, cols}; }

  std::vector<T> unit_x_, unit_w_, norms_x_, norms_w_, cosines_, dx_;
  std::vector<std::byte> workspace_;
  idx rows_ = 0, classes_ = 0, width_ = 0;
};

}  // namespace losskit::inline LOSSKIT_ISA
