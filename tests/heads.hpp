// What the tests of point losses and heads share: every call of theirs, on the serial backend against another.
#pragma once
#include "backends.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/head/pair_cosines.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/recognition/similarity.hpp"

namespace test {

// One type for all of them, so that the calls compile once.
struct AnyPoint {
  static constexpr char const* name = "AnyPoint";
  std::variant<WingLoss, AdaptiveWingLoss, SmoothL1Loss, HuberLoss, SigmoidFocalLoss> loss;
  template <Number X>
  Jet<X> operator()(X prediction, X truth) const {
    switch (loss.index()) {
      case 0: return std::get<0>(loss)(prediction, truth);
      case 1: return std::get<1>(loss)(prediction, truth);
      case 2: return std::get<2>(loss)(prediction, truth);
      case 3: return std::get<3>(loss)(prediction, truth);
      default: return std::get<4>(loss)(prediction, truth);
    }
  }
};

template <class T, class B, class L>
struct Points {
  PointReport fused, value;
  Guarded<T> gradient, in_place, sum, losses;
  Points(B const& backend, L const& loss, Problem<T>& x, Problem<T>& truth, Problem<T>& weights, idx gap, idx offset, PointOptions options)
      : gradient(x.rows, x.cols, gap, offset, T(9)), in_place(x.cosines), sum(x.rows, x.cols, gap, offset, T(0.25)), losses(gradient) {
    std::vector<std::byte> workspace(point_workspace_bytes(x.rows, x.cols));
    PointOutputs<T> const extra{weights.cosines.matrix(), losses.matrix()};
    auto const p = x.cosines.matrix(), t = truth.cosines.matrix();
    fused = loss_and_gradient(backend, loss, p, t, gradient.matrix(), view(workspace), options, extra);
    value = loss_value(backend, loss, p, t, view(workspace), options, extra);
    loss_and_gradient(backend, loss, in_place.matrix(), t, in_place.matrix(), view(workspace), options,
                      PointOutputs<T>{weights.cosines.matrix(), {}});
    options.write = Write::accumulate;
    loss_and_gradient(backend, loss, p, t, sum.matrix(), view(workspace), options, extra);
  }
};

template <class T, class B = losskit::on::eigen<one_thread>>
void compare_points(idx rows, idx cols, idx gap, idx offset, B const& backend = B{}) {
  Problem<T> x(rows, cols, 1, gap, offset, 30), truth(rows, cols, 2, gap, offset, 1.2), weights(rows, cols, 3, gap, offset, 2);
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) weights.cosines.at(i, j) = std::fabs(weights.cosines.at(i, j));
  for_each(point_losses{}, [&](auto policy) {
    INFO(std::string(decltype(policy)::name) << ' ' << rows << " x " << cols << " + " << gap << ", " << sizeof(T));
    AnyPoint const loss{policy};
    for (auto const reduction : {Reduction::mean, Reduction::weighted_mean}) {
      PointOptions const options{.reduction = reduction, .upstream = double(rows * cols)};
      Points const a(on::serial{}, loss, x, truth, weights, gap, offset, options);
      Points const b(backend, loss, x, truth, weights, gap, offset, options);
      CHECK(a.fused.elements == rows * cols);
      CHECK(b.fused.elements == rows * cols);
      CHECK(a.fused.truth_clamped == b.fused.truth_clamped);
      CHECK(a.fused.non_finite == 0);
      CHECK(b.fused.non_finite == 0);
      double const ulps = sizeof(T) == 4 ? 8 : 450;
      CHECK(std::fabs(a.fused.loss - b.fused.loss) <= ulps * double(std::numeric_limits<T>::epsilon()) * std::max(1.0, a.fused.loss));
      CHECK(apart(a.gradient, b.gradient, rows, cols) <= ulps);
      CHECK(apart(a.losses, b.losses, rows, cols) <= ulps);
      CHECK(apart(a.sum, b.sum, rows, cols) <= ulps);
      auto const holds = [&](auto const& r) {
        CHECK(r.value.loss == r.fused.loss);
        CHECK(r.in_place.same_bits(r.gradient));
        for (auto const* g : {&r.gradient, &r.in_place, &r.sum, &r.losses}) CHECK(g->guards_hold());
      };
      holds(a);
      holds(b);
    }
  });
}

template <class T, class B>
struct Normalised {
  Guarded<T> y, dx;
  std::vector<T> norms;
  Normalised(B const& backend, Problem<T>& x, Problem<T>& dy, idx gap, idx offset)
      : y(x.rows, x.cols, gap, offset, T(9)), dx(x.rows, x.cols, gap, offset, T(9)), norms(size(x.rows)) {
    normalize_rows(backend, x.cosines.matrix(), y.matrix(), norms);
    normalize_rows_backward(backend, y.matrix(), norms, dy.cosines.matrix(), dx.matrix(), Write::assign,
                            VectorView<T const>(view(dy.weights)));
    CHECK(y.guards_hold());
    CHECK(dx.guards_hold());
  }
};

template <class T, class B>
struct Layered {
  Guarded<T> unit_x, unit_w, cosines, dx, dw;
  std::vector<T> norms_x, norms_w;
  Layered(B const& backend, Problem<T>& x, Problem<T>& w, Problem<T>& dc, idx gap)
      : unit_x(x.rows, x.cols, gap), unit_w(w.rows, w.cols, gap), cosines(x.rows, w.rows, gap), dx(x.rows, x.cols, gap, 0, T(0.25)),
        dw(w.rows, w.cols, gap, 0, T(0.25)), norms_x(size(x.rows)), norms_w(size(w.rows)) {
    CosineLayer<T> const layer{unit_x.matrix(), unit_w.matrix(), view(norms_x), view(norms_w)};
    cosine_layer(backend, x.cosines.matrix(), w.cosines.matrix(), layer, cosines.matrix());
    std::vector<std::byte> workspace(cosine_layer_workspace_bytes<T>(x.rows, w.rows, x.cols, Write::accumulate));
    cosine_layer_backward(backend, layer, dc.cosines.matrix(), dx.matrix(), dw.matrix(), view(workspace), Write::accumulate,
                          VectorView<T const>(view(x.weights)));
    Guarded<T> dx_alone(x.rows, x.cols, gap), dw_alone(w.rows, w.cols, gap);
    cosine_layer_backward(backend, layer, dc.cosines.matrix(), dx_alone.matrix(), dw_alone.matrix(), {}, Write::assign,
                          VectorView<T const>(view(x.weights)));
    Guarded<T> in_place(w.rows, w.cols, gap), dx_again(x.rows, x.cols, gap);
    for (idx j = 0; j < w.rows; ++j)
      for (idx k = 0; k < w.cols; ++k) in_place.at(j, k) = unit_w.at(j, k);
    CosineLayer<T> const lost{unit_x.matrix(), in_place.matrix(), view(norms_x), view(norms_w)};
    cosine_layer_backward(backend, lost, dc.cosines.matrix(), dx_again.matrix(), in_place.matrix(), view(workspace), Write::assign,
                          VectorView<T const>(view(x.weights)));
    CHECK(dx_again.same_bits(dx_alone));
    CHECK(in_place.guards_hold());
    for (idx j = 0; j < w.rows; ++j)
      for (idx k = 0; k < w.cols; ++k) {
        T const g = dw_alone.at(j, k), room = 4 * std::numeric_limits<T>::epsilon();
        CHECK(std::fabs(in_place.at(j, k) - g) <= room * (std::fabs(g) + T(1)));
        CHECK(std::fabs(dw.at(j, k) - g - T(0.25)) <= room * (1 + std::fabs(dw.at(j, k))));
      }
    for (idx i = 0; i < x.rows; ++i)
      for (idx k = 0; k < x.cols; ++k)
        CHECK(std::fabs(dx.at(i, k) - dx_alone.at(i, k) - T(0.25)) <= 4 * std::numeric_limits<T>::epsilon() * (1 + std::fabs(dx.at(i, k))));
    for (auto const* g : {&unit_x, &unit_w, &cosines, &dx, &dw}) CHECK(g->guards_hold());
  }
};

// Normalised rows and their gradient.
template <class T, class B = losskit::on::eigen<one_thread>>
void compare_rows(idx cols, B const& backend = B{}) {
  Problem<T> x(3, cols, 1, 3, 1, 5), dy(3, cols, 2, 3, 1);
  Normalised const a(on::serial{}, x, dy, 3, 1);
  Normalised const b(backend, x, dy, 3, 1);
  CHECK(apart(a.y, b.y, 3, cols) <= (sizeof(T) == 4 ? 4 : 450));
  CHECK(apart(a.norms, b.norms) <= (sizeof(T) == 4 ? 4 : 450));
  CHECK(apart(a.dx, b.dx, 3, cols) <= (sizeof(T) == 4 ? 8 : 450));
}

// Cosines of pairs, against those of two vectors in double: rows of any size among them, parallel ones, and one without a direction.
template <class T, class B = losskit::on::eigen<one_thread>>
void compare_pairs(idx cols, B const& backend = B{}) {
  constexpr bool single = sizeof(T) == 4;
  Problem<T> a(7, cols, 1, 3, 1, 5), b(7, cols, 2, 5, 2, 5);
  for (idx j = 0; j < cols; ++j) {
    a.cosines.at(1, j) *= T(single ? 1e-25 : 1e-200);  // squares vanish
    a.cosines.at(2, j) *= T(single ? 1e25 : 1e200);    // squares overflow
    b.cosines.at(2, j) *= T(single ? 1e30 : 1e250);
    a.cosines.at(3, j) = 0;
    b.cosines.at(4, j) = 3 * a.cosines.at(4, j);
    b.cosines.at(5, j) = -a.cosines.at(5, j) / 7;
  }
  b.cosines.at(6, cols - 1) = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> c(7, T(9));
  pair_cosines(backend, a.cosines.matrix(), b.cosines.matrix(), c);
  for (idx i = 0; i < 6; ++i) {
    VectorView<T const> const left{a.cosines.matrix().row(i), cols}, right{b.cosines.matrix().row(i), cols};
    // Sums of 128 packets are T's own (team/simd.hpp): half an ulp of 1 each, at most.
    CHECK(std::fabs(double(c[size(i)]) - cosine_similarity(left, right)) <= (single ? 3e-7 : 128 * 1.2e-16));
    CHECK(std::fabs(c[size(i)]) <= 1);
  }
  CHECK(c[3] == 0);
  CHECK(std::isnan(c[6]));
}

// The cosine layer and its backward.
template <class T, class B = losskit::on::eigen<one_thread>>
void compare_layer(idx rows, idx classes, idx width, B const& backend = B{}) {
  Problem<T> x(rows, width, 1, 2, 0, 5), w(classes, width, 2, 2), dc(rows, classes, 3, 2);
  Layered const a(on::serial{}, x, w, dc, 2);
  Layered const b(backend, x, w, dc, 2);
  INFO(rows << ' ' << classes << ' ' << width);
  // Of a sum of products, in another order: against the sum of their sizes.
  double const tolerance = (sizeof(T) == 4 ? 8 : 450) * double(std::numeric_limits<T>::epsilon());
  for (idx i = 0; i < rows; ++i) {
    double all = 0;
    for (idx j = 0; j < classes; ++j) all += std::fabs(double(dc.cosines.at(i, j))) / double(a.norms_x[size(i)]);
    for (idx j = 0; j < classes; ++j) CHECK(std::fabs(a.cosines.at(i, j) - b.cosines.at(i, j)) <= tolerance);
    for (idx k = 0; k < width; ++k) CHECK(std::fabs(a.dx.at(i, k) - b.dx.at(i, k)) <= tolerance * (all + 0.25));
  }
  for (idx j = 0; j < classes; ++j) {
    double all = 0;
    for (idx i = 0; i < rows; ++i) all += std::fabs(double(dc.cosines.at(i, j))) / double(a.norms_w[size(j)]);
    for (idx k = 0; k < width; ++k) CHECK(std::fabs(a.dw.at(j, k) - b.dw.at(j, k)) <= tolerance * (all + 0.25));
  }
}

// The next scale of AdaCos.
template <class T, class B = losskit::on::eigen<one_thread>>
void compare_advance(idx cols, double scale, double tolerance, B const& backend = B{}) {
  for (idx const rows : {idx(1), idx(2), idx(9)}) {
    Problem<T> p(rows, cols, 4, 2, 1);
    if (rows > 5) p.labels[3] = -1;
    AdaCosScale const policy(cols);
    AdaCosState const state{scale};
    std::vector<std::byte> workspace(advance_workspace_bytes(rows));
    auto const a = advance(on::serial{}, policy, state, p.plain(), view(workspace), {.ignore_label = -1});
    auto const b = advance(backend, policy, state, p.plain(), view(workspace), {.ignore_label = -1});
    CHECK(a.scale == doctest::Approx(b.scale).epsilon(tolerance));
    CHECK(a.kept == b.kept);
    CHECK(b.steps == 1);
  }
}

}  // namespace test
