// The cosine layer: from embeddings and class centres to cosines, and both gradients back, through both normalisations.
//
//   c_ij = x_i . w_j / (|x_i| |w_j|)      x: B x D embeddings, w: C x D class centres, one a row; no bias
//   dL/dx^ = dL/dc w^     dL/dw^ = (dL/dc)^T x^     and each through normalize_rows_backward, so w_j . dL/dw_j = 0
#pragma once
#include <algorithm>
#include <type_traits>

#include "losskit/head/normalize.hpp"
#include "losskit/loss/arguments.hpp"
#include "losskit/loss/checks.hpp"
#include "losskit/loss/workspace.hpp"

namespace losskit::inline LOSSKIT_ISA {

// What the backward needs of the forward, in the caller's memory: unit rows and norms. S: the stored type; B rows, C classes, D the
// embedding width.
template <class S, class Space = host>
struct CosineLayer {
  MatrixView<S, Space> unit_x;             // B x D; may be x itself
  MatrixView<S, Space> unit_w;             // C x D; may be w itself, which then stays normalised
  VectorView<computed<S>, Space> norms_x;  // B
  VectorView<computed<S>, Space> norms_w;  // C
};

namespace detail {

template <class B, class S, class Space>
void expect_cosine_layer(B const& backend, MatrixView<S const, Space> x, MatrixView<S const, Space> w, CosineLayer<S, Space> const& layer,
                         MatrixView<S, Space> cosines) {
  expect_normalize("x", x, "unit_x", layer.unit_x, layer.norms_x);
  expect_normalize("w", w, "unit_w", layer.unit_w, layer.norms_w);
  if (x.cols != w.cols) fail<ShapeError>("x has %lld columns and w %lld: both are the embedding width", ll(x.cols), ll(w.cols));
  expect_shape("cosines", cosines, x.rows, w.rows);
  Extent const of_x = extent("x", x), of_w = extent("w", w), of_cosines = extent("cosines", cosines);
  Extent const unit_x = extent("unit_x", layer.unit_x), norms_x = extent("norms_x", layer.norms_x);
  Extent const unit_w = extent("unit_w", layer.unit_w), norms_w = extent("norms_w", layer.norms_w);
  expect_memory(backend, {of_x, of_w, unit_x, unit_w, norms_x, norms_w, of_cosines});
  expect_all_apart({unit_x, unit_w, norms_x, norms_w, of_cosines});
  for (auto const& out : {of_cosines, unit_x, norms_x}) expect_apart(out, of_w);
  for (auto const& out : {of_cosines, unit_w, norms_w}) expect_apart(out, of_x);
}

}  // namespace detail

// Cosines of B x D embeddings and C x D centres, B x C. Fills `layer`. Throws ShapeError, StrideError, AliasError, MemoryError.
template <class B, class S, class Space, class X, class W, class C>
void cosine_layer(B const& backend, X&& x, W&& w, CosineLayer<S, Space> const& layer, C&& cosines) {
  detail::expect_backend<B>();
  MatrixView<S, Space> const c = view(static_cast<C&&>(cosines));
  MatrixView<S const, Space> const from_x = view(static_cast<X&&>(x)), from_w = view(static_cast<W&&>(w));
  detail::expect_cosine_layer(backend, from_x, from_w, layer, c);
  normalize_rows(backend, from_x, layer.unit_x, layer.norms_x);
  normalize_rows(backend, from_w, layer.unit_w, layer.norms_w);
  backend.template product<S>(layer.unit_x, false, layer.unit_w, true, c, computed<S>(0));
}

namespace detail {
// dL/dw that is added to something, or written over the unit centres, is computed in the workspace first: for so many classes at a time.
inline constexpr idx classes_at_a_time = 4096;
}  // namespace detail

// Bytes of workspace for cosine_layer_backward: none to assign; (B + min(C, 4096)) x D numbers and padding to accumulate, and where dw
// takes unit_w's place.
template <class S>
std::size_t cosine_layer_workspace_bytes(idx rows, idx classes, idx width, Write write) {
  auto const matrix = [&](idx n) { return detail::padded(static_cast<std::size_t>(n * width) * sizeof(S)); };
  return write == Write::assign ? 0 : detail::alignment + matrix(rows) + matrix(std::min(classes, detail::classes_at_a_time));
}

// dL/dx (B x D) and dL/dw (C x D) from dL/dcosines (B x C). dnorms_x: dL/d|x_i| of a scale that is the feature norm (B), or empty.
// dw may be layer.unit_w itself, unless accumulated: the unit centres are then lost, a C x D matrix is saved, and the workspace is that
// of Write::accumulate. Throws ShapeError, StrideError, AliasError, WorkspaceError, MemoryError.
template <class B, class S, class Space, class D, class X, class W>
void cosine_layer_backward(B const& backend, CosineLayer<S, Space> const& layer, D&& dcosines, X&& dx, W&& dw,
                           WorkspaceIn<typename B::space> workspace = {}, Write write = Write::assign,
                           VectorView<computed<S> const, typename B::space> dnorms_x = {}) {
  detail::expect_backend<B>();
  MatrixView<S const, Space> const dc = view(static_cast<D&&>(dcosines));
  MatrixView<S, Space> const gx = view(static_cast<X&&>(dx)), gw = view(static_cast<W&&>(dw));
  idx const rows = layer.unit_x.rows, classes = layer.unit_w.rows, width = layer.unit_x.cols;
  detail::expect_shape("dcosines", dc, rows, classes);
  detail::expect_shape("unit_x", layer.unit_x, rows, width);
  detail::expect_shape("unit_w", layer.unit_w, classes, width);
  detail::expect_size("norms_x", layer.norms_x, rows);
  detail::expect_size("norms_w", layer.norms_w, classes);
  detail::expect_shape("dx", gx, rows, width);
  detail::expect_shape("dw", gw, classes, width);
  detail::expect_size_or_none("dnorms_x", dnorms_x, rows);
  bool const in_place = gw.data && gw.data == layer.unit_w.data;
  detail::expect_workspace(workspace, cosine_layer_workspace_bytes<S>(rows, classes, width, in_place ? Write::accumulate : write));
  detail::expect_memory(backend,
                        {detail::extent("dcosines", dc), detail::extent("unit_x", layer.unit_x), detail::extent("unit_w", layer.unit_w),
                         detail::extent("norms_x", layer.norms_x), detail::extent("norms_w", layer.norms_w), detail::extent("dx", gx),
                         detail::extent("dw", gw), detail::extent("workspace", workspace), detail::extent("dnorms_x", dnorms_x)});
  detail::expect_all_apart({detail::extent("dx", gx), detail::extent("dw", gw), detail::extent("workspace", workspace)});
  for (auto const& out : {detail::extent("dx", gx), detail::extent("dw", gw), detail::extent("workspace", workspace)})
    for (auto const& in : {detail::extent("dcosines", dc), detail::extent("unit_x", layer.unit_x), detail::extent("norms_x", layer.norms_x),
                           detail::extent("norms_w", layer.norms_w), detail::extent("dnorms_x", dnorms_x)})
      detail::expect_apart(out, in);
  for (auto const& out : {detail::extent("dx", gx), detail::extent("workspace", workspace)})
    detail::expect_apart(out, detail::extent("unit_w", layer.unit_w));
  detail::expect_same_or_apart("unit_w", layer.unit_w, "dw", gw, write == Write::assign);
  detail::Arena arena(workspace);
  bool const direct = write == Write::assign;
  auto const matrix = [&](idx n) {
    return MatrixView<S, Space>{arena.template take<S>(static_cast<std::size_t>(n * width)), n, width, width};
  };
  MatrixView<S, Space> const unit_gx = direct ? gx : matrix(rows);
  backend.template product<S>(dc, false, layer.unit_w, false, unit_gx, computed<S>(0));
  normalize_rows_backward(backend, layer.unit_x, layer.norms_x, unit_gx, gx, write, dnorms_x);

  if (direct && !in_place) {
    backend.template product<S>(dc, true, layer.unit_x, false, gw, computed<S>(0));
    return normalize_rows_backward(backend, layer.unit_w, layer.norms_w, gw, gw);
  }
  MatrixView<S, Space> const band = matrix(std::min(classes, detail::classes_at_a_time));
  for (idx from = 0; from < classes; from += band.rows) {
    idx const count = std::min(band.rows, classes - from);
    auto const rows_of = [&](MatrixView<S, Space> m) { return MatrixView<S, Space>{m.row(from), count, width, m.stride}; };
    MatrixView<S, Space> const unit_gw{band.data, count, width, width};
    MatrixView<S const, Space> const of_band{dc.data + from, rows, count, dc.stride};
    VectorView<computed<S>, Space> const norms{layer.norms_w.data + from, count};
    backend.template product<S>(of_band, true, layer.unit_x, false, unit_gw, computed<S>(0));
    normalize_rows_backward(backend, rows_of(layer.unit_w), norms, unit_gw, rows_of(gw), write);
  }
}

// Overload for arguments that fit no call above: its static_assert says which call is meant.
template <class B>
void cosine_layer(B const&, detail::Anything, detail::Anything, detail::Anything, detail::Anything) {
  detail::expect_backend<B>();
  static_assert(!Backend<B>, "losskit: the arguments do not fit; the call is cosine_layer(backend, x, w, layer, cosines)");
}
template <class B>
void cosine_layer_backward(B const&, detail::Anything, detail::Anything, detail::Anything, detail::Anything, detail::Anything = {},
                           detail::Anything = {}, detail::Anything = {}) {
  detail::expect_backend<B>();
  static_assert(!Backend<B>, "losskit: the arguments do not fit; the call is cosine_layer_backward(backend, layer, dcosines, dx, dw, "
                             "workspace, write, dnorms_x)");
}

}  // namespace losskit::inline LOSSKIT_ISA
