// Every call of margin softmax, on bounded scales and on pairs.
#pragma once
#include "hash.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/combined.hpp"
#include "losskit/margin/sphere.hpp"
#include "losskit/objective/focal.hpp"
#include "losskit/rest/hard_negatives.hpp"

namespace bits {

// Every policy behind a choice at run time: one loss type, few instances.
struct SomeMargin {
  static constexpr char const* name = "SomeMargin";
  int which = 0;
  ArcMargin<> arc{0.5};
  SphereMargin<> sphere{2.5};
  CombinedMargin<> combined{2, 0.3, 0.2};

  template <Number X>
  MarginJet<X> margin_jet(X c) const {
    return which == 0 ? arc.margin_jet(c) : which == 1 ? sphere.margin_jet(c) : combined.margin_jet(c);
  }
  template <Number X>
  Jet<X> target(X c) const { return margin_jet(c).target; }
};
struct SomeRest {
  static constexpr char const* name = "SomeRest";
  bool hard = false;
  HardNegatives<> negatives{0.2};

  double bound() const { return hard ? negatives.bound() : 1; }
  template <Number X>
  Jet<X> rest(X c, X threshold) const { return hard ? negatives.rest(c, threshold) : Jet<X>{c, X(1)}; }
};
struct SomeObjective {
  static constexpr char const* name = "SomeObjective";
  bool focal = false;
  FocalLoss loss{2.5};

  template <Number X>
  Jet<X> operator()(X log_p) const { return focal ? loss(log_p) : Jet<X>{-log_p, -1}; }
};
using Loss = MarginSoftmax<SomeMargin, SomeObjective, SomeRest>;

template <class T>
struct Problem {
  idx rows, cols;
  std::vector<T> cosines;
  std::vector<std::int64_t> labels;
  std::vector<T> weights, upstream;

  Problem(idx rows_, idx cols_)
      : rows(rows_), cols(cols_), cosines(numbers<T>(static_cast<std::size_t>(rows * cols), 1, -0.95F, 0.95F)),
        weights(numbers<T>(static_cast<std::size_t>(rows), 2, 0.25F, 2)), upstream(numbers<T>(static_cast<std::size_t>(rows), 3, -1, 1)) {
    for (idx i = 0; i < rows; ++i) labels.push_back((i * 977 + 5) % cols);
  }
  Batch<T, std::int64_t> batch() {
    Batch<T, std::int64_t> b(MatrixView<T>{cosines.data(), rows, cols, cols}, labels);
    b.weights = view(weights);
    b.upstream = view(upstream);
    return b;
  }
};

// Every call once. With `moment` dL/ds is asked for.
template <class T, class B>
void row_calls(B const& backend, Loss const& loss, char const* what, Problem<T>& p, bool moment) {
  auto const cells = static_cast<std::size_t>(p.rows * p.cols), rows = static_cast<std::size_t>(p.rows);
  std::vector<std::byte> memory(workspace_bytes<T>(backend, p.rows, p.cols, Placement::accumulate));
  Workspace const workspace = view(memory);
  auto const matrix = [&](std::vector<T>& v) { return MatrixView<T>{v.data(), p.rows, p.cols, p.cols}; };
  std::vector<T> apart(cells, T(9)), in_place = p.cosines, onto_zeros(cells, T(0)), accumulated(cells, T(0.25)), later(cells), z(cells),
                                     dz(cells), losses(rows), losses_alone(rows), scale_gradient(rows), later_scale_gradient(rows);
  std::vector<SavedRow> saved(rows);
  Options const assign{.upstream = 1.5}, add{.upstream = 1.5, .write = Write::accumulate};
  auto const batch = p.batch();
  auto inside = batch;
  inside.cosines = matrix(in_place);
  Outputs<T> const out{view(losses), moment ? view(scale_gradient) : VectorView<T>{}, {}};
  double const loss_apart = loss_and_gradient(backend, loss, batch, matrix(apart), workspace, assign, out).loss;
  double const loss_inside = loss_and_gradient(backend, loss, inside, matrix(in_place), workspace, assign, out).loss;
  double const loss_added = loss_and_gradient(backend, loss, batch, matrix(onto_zeros), workspace, add, out).loss;
  loss_and_gradient(backend, loss, batch, matrix(accumulated), workspace, add, out);
  double const loss_alone = loss_value(backend, loss, batch, workspace, assign, Outputs<T>{view(losses_alone), {}, view(saved)}).loss;
  loss_gradient(backend, loss, batch, saved, matrix(later), assign, view(later_scale_gradient));
  logits(backend, loss, batch, matrix(z), workspace, assign);
  logits_backward(backend, loss, batch, matrix(apart), matrix(dz), assign, view(later_scale_gradient));
  auto const law = [&](bool right, char const* text) { expect(right, B::name, type_name<T>, what, text); };
  law(loss_inside == loss_apart, "the loss in place is the loss apart");
  law(loss_added == loss_apart, "the loss accumulated is the loss apart");
  law(same_bits(in_place, apart), "the gradient in place is the gradient apart");
  law(equal(onto_zeros, apart), "the gradient accumulated onto zeros is the gradient apart");
  if (one_order<B>) {
    law(loss_alone == loss_apart, "the loss without a gradient is the loss with one");
    law(same_bits(losses_alone, losses), "each row's loss without a gradient is that with one");
  }
  Hash hash;
  for (double const x : {loss_apart, loss_inside, loss_added, loss_alone}) hash.add(x);
  hash.add(losses), hash.add(losses_alone), hash.add(scale_gradient), hash.add(apart), hash.add(accumulated);
  hash.print(B::name, type_name<T>, what);
  Hash rest;
  rest.add(saved), rest.add(later), rest.add(later_scale_gradient), rest.add(z), rest.add(dz);
  rest.print(B::name, type_name<T>, "  saved pass, logits");
}

template <class T, class B>
void rows(B const& backend) {
  constexpr bool single = sizeof(T) == 4;
  Problem<T> small(3, 1003), large(2, 4099);
  struct Case { char const* what; double scale; int margin; bool hard, focal, moment; };
  for (auto const& c : {Case{"Arc, s = 30", 30, 0, false, false, false},
                        {"Sphere(2.5), s = 64, hard, focal, dL/ds", 64, 1, true, true, true},
                        {"Combined, s = 84, dL/ds", 84, 2, false, false, true},
                        {"Arc, s = 88, hard", 88, 0, true, false, false},
                        {"Sphere(2.5), s = 200", 200, 1, false, false, false},
                        {"Arc, s = 1000, focal, dL/ds", 1000, 0, false, true, true},
                        {"Combined, s = 1e4, hard, dL/ds", 1e4, 2, true, false, true}}) {
    if (single && c.scale > 1000) continue;
    Loss const loss{{c.margin}, c.scale, {c.focal}, {c.hard}};
    row_calls<T>(backend, loss, c.what, small, c.moment);
    row_calls<T>(backend, loss, c.what, large, c.moment);
  }
}

}  // namespace bits
