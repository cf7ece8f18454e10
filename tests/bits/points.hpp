// Every call of the point losses.
#pragma once
#include <type_traits>
#include <utility>
#include <vector>

#include "hash.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/point/sigmoid_focal.hpp"
#include "losskit/point/smooth_l1.hpp"
#include "losskit/point/wing.hpp"

namespace bits {

// Formulas behind a choice at run time: one loss type.
struct SomePoints {
  static constexpr char const* name = "SomePoints";
  enum Which { wing, smooth_l1, huber, focal, focal_root } which = wing;
  WingLoss wing_loss{};
  SmoothL1Loss smooth_l1_loss{1.5};
  HuberLoss huber_loss{0.7};
  SigmoidFocalLoss focal_loss{2}, focal_root_loss{2.5};

  template <Number X>
  LOSSKIT_INLINE Jet<X> operator()(X x, X y) const {
    switch (which) {
      case wing: return wing_loss(x, y);
      case smooth_l1: return smooth_l1_loss(x, y);
      case huber: return huber_loss(x, y);
      default: return (which == focal ? focal_loss : focal_root_loss)(x, y);
    }
  }
};

template <class T, class B, class L>
void point_calls(B const& backend, L const& loss, char const* what, idx rows, idx cols) {
  auto const cells = static_cast<std::size_t>(rows * cols);
  std::vector<T> const x = numbers<T>(cells, 5, -3, 3), y = numbers<T>(cells, 6, 0, 1), weights = numbers<T>(cells, 7, 0, 2);
  std::vector<std::byte> memory(point_workspace_bytes(rows, cols));
  std::vector<T> apart(cells, T(9)), in_place = x, onto_zeros(cells, T(0)), accumulated(cells, T(0.25)), losses(cells), weighted(cells);
  PointOptions const assign{.reduction = Reduction::batch_mean, .upstream = 1.5},
      add{.reduction = Reduction::batch_mean, .upstream = 1.5, .write = Write::accumulate};
  auto const matrix = [&](auto& v) { return MatrixView<std::remove_reference_t<decltype(v[0])>>{v.data(), rows, cols, cols}; };
  auto const call = [&](auto const& from, std::vector<T>& gradient, PointOptions const& options, PointOutputs<T> const& extra = {}) {
    return loss_and_gradient(backend, loss, matrix(from), matrix(y), matrix(gradient), view(memory), options, extra).loss;
  };
  double const sums[] = {call(x, apart, assign), call(in_place, in_place, assign), call(x, onto_zeros, add), call(x, accumulated, add),
                         call(x, weighted, assign, {matrix(weights), matrix(losses)})};
  auto const law = [&](bool right, char const* text) { expect(right, B::name, type_name<T>, what, text); };
  for (int k = 1; k < 4; ++k) law(sums[k] == sums[0], "one loss in place, apart and accumulated");
  law(same_bits(in_place, apart), "the gradient in place is the gradient apart");
  law(equal(onto_zeros, apart), "the gradient accumulated onto zeros is the gradient apart");
  Hash hash;
  hash.add(sums, 5), hash.add(apart), hash.add(accumulated), hash.add(weighted), hash.add(losses);
  hash.print(B::name, type_name<T>, what);
}

template <class T, class B>
void points(B const& backend) {
  struct Case { SomePoints::Which which; char const* what; };
  for (auto const& c : {Case{SomePoints::wing, "Wing"}, {SomePoints::smooth_l1, "Smooth L1"}, {SomePoints::huber, "Huber"},
                        {SomePoints::focal, "Sigmoid focal"}, {SomePoints::focal_root, "Sigmoid focal, gamma = 2.5"}}) {
    point_calls<T>(backend, SomePoints{c.which}, c.what, 3, 1003);
    point_calls<T>(backend, SomePoints{c.which}, c.what, 2, 4099);
  }
}

}  // namespace bits
