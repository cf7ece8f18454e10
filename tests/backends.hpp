// What the backend tests share: two gradients compared, every call made once, two backends against each other.
#pragma once
#include "losskit/backend/eigen.hpp"

#include <doctest/doctest.h>

#include <string>

#include "losskit/backend/serial.hpp"
#include "problem.hpp"

namespace test {

inline constexpr idx odd_sizes[] = {1, 2, 3, 15, 16, 17, 31, 33, 1000, 4095, 4096, 4097, 10007};

// How far two backends may be apart, in ulp of a row's largest term. An ulp of a logit is an ulp of s in e: that is what a
// rest rule's own rounding costs (plain classes enter the exponent unrounded), and everything where pairs are carried.
template <class T, class L>
double allowed(L const& loss, double s) {
  double const base = sizeof(T) == 4 ? 6 : 450;  // 450 ulp of double are 1e-13
  bool const pairs = s * loss.rest.bound() > (sizeof(T) == 4 ? 80 : 700);
  return base + (pairs || loss.rest.bound() > 1 ? 4 * s : 0);
}

// Each number against the largest of its row.
template <class T>
double apart(Guarded<T> const& a, Guarded<T> const& b, idx rows, idx cols) {
  double worst = 0;
  for (idx i = 0; i < rows; ++i) {
    T largest = 0;
    for (idx j = 0; j < cols; ++j) largest = std::max(largest, std::fabs(a.at(i, j)));
    for (idx j = 0; j < cols; ++j) {
      double const off =
          std::fabs(double(a.at(i, j)) - double(b.at(i, j))) / static_cast<double>(ulp<T>(static_cast<long double>(largest)));
      if (!(off <= worst)) worst = off;
    }
  }
  return worst;
}
template <class T>
double apart(std::vector<T> const& a, std::vector<T> const& b) {  // each against the largest of all, or 1
  double worst = 0, largest = 1;
  for (T x : a) largest = std::max(largest, std::fabs(double(x)));
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const off = std::fabs(double(a[i]) - double(b[i])) / (largest * double(std::numeric_limits<T>::epsilon()));
    if (!(off <= worst)) worst = off;
  }
  return worst;
}

inline void expect_same_counts(Report const& a, Report const& b) {
  CHECK(a.rows == b.rows);
  CHECK(a.valid == b.valid);
  CHECK(a.top1 == b.top1);
  CHECK(a.topk == b.topk);
  CHECK(a.hard_negatives == b.hard_negatives);
  CHECK(a.clamped == b.clamped);
  CHECK(a.out_of_range == b.out_of_range);
  CHECK(a.non_finite == b.non_finite);
  CHECK(a.mean_target_angle == doctest::Approx(b.mean_target_angle).epsilon(1e-14));  // added in another order by lanes
}

// Has a loss the same bits with its gradient and without? Not where lanes that keep e add in another order.
template <class B>
inline constexpr bool one_order = true;

template <class T>
struct Everything {  // what the calls give back
  Report fused, in_place, accumulated, value, logit;
  Guarded<T> out_of_place, cosines, sum, later, later_sum, z, dz, later_in_place, z_in_place, dz_in_place, dz_sum;
  std::vector<T> row_losses, scale_gradient, later_scale_gradient, logit_scale_gradient;
};

// Every call once, on buffers with gaps between their rows, each off the alignment of the cosines by another number of elements.
// The workspace starts off its alignment too.
template <class T, class B, class L, class I>
Everything<T> every_call(B const& backend, L const& loss, Problem<T, I>& p, Options options, bool per_row_scales, idx gap, idx offset) {
  idx const rows = p.rows, cols = p.cols;
  auto const blank = [&](idx further, T fill) { return Guarded<T>(rows, cols, gap, offset + further, fill); };
  std::vector<T> const each_row(size(rows));
  Everything<T> r{{}, {}, {}, {}, {}, blank(cols % 2, 9), p.cosines, blank(1, T(0.25)), blank(2, 9), blank(3, T(0.25)), blank(1, 9),
                  blank(2, 9), p.cosines, p.cosines, blank(0, 9), blank(3, T(0.25)), each_row, each_row, each_row, each_row};
  std::vector<std::byte> memory(workspace_bytes<T>(backend, rows, cols, Placement::accumulate) + 9);
  Workspace const workspace{memory.data() + 1, static_cast<idx>(memory.size()) - 9};
  memory.back() = std::byte(77);
  auto batch = p.weighted();
  if (per_row_scales) batch.scales = view(p.scales);
  Outputs<T> outputs{view(r.row_losses), view(r.scale_gradient), {}};
  r.fused = loss_and_gradient(backend, loss, batch, r.out_of_place.matrix(), workspace, options, outputs);
  std::vector<T> again(size(rows));
  std::vector<SavedRow> saved(size(rows));
  r.value = loss_value(backend, loss, batch, workspace, options, Outputs<T>{view(again), {}, view(saved)});
  if (one_order<B>) CHECK(again == r.row_losses);
  CHECK(apart(again, r.row_losses) <= 6);
  loss_gradient(backend, loss, batch, saved, r.later.matrix(), options, view(r.later_scale_gradient));
  r.logit = logits(backend, loss, batch, r.z.matrix(), workspace, options);
  logits_backward(backend, loss, batch, r.later.matrix(), r.dz.matrix(), options, view(r.logit_scale_gradient));
  r.dz_in_place = r.later;
  logits_backward(backend, loss, batch, r.dz_in_place.matrix(), r.dz_in_place.matrix(), options);
  options.write = Write::accumulate;
  r.accumulated = loss_and_gradient(backend, loss, batch, r.sum.matrix(), workspace, options);
  loss_gradient(backend, loss, batch, saved, r.later_sum.matrix(), options);
  logits_backward(backend, loss, batch, r.later.matrix(), r.dz_sum.matrix(), options);
  options.write = Write::assign;
  auto in_place = batch;
  in_place.cosines = r.cosines.matrix();
  r.in_place = loss_and_gradient(backend, loss, in_place, r.cosines.matrix(), workspace, options);
  in_place.cosines = r.later_in_place.matrix();
  loss_gradient(backend, loss, in_place, saved, r.later_in_place.matrix(), options);
  in_place.cosines = r.z_in_place.matrix();
  logits(backend, loss, in_place, r.z_in_place.matrix(), workspace, options);
  CHECK(memory.back() == std::byte(77));
  return r;
}

// The serial backend against another, and each call against the others.
template <class T, class I = std::int64_t, class B = losskit::on::eigen<one_thread>>
void compare(AnyLoss const& loss, idx rows, idx cols, idx gap, idx offset, unsigned seed = 1, double spread = 0.9,
             bool per_row_scales = false,
             B const& backend = B{}) {
  INFO(std::string(loss.margin.own_name()) << " s = " << loss.scale << ", " << rows << " x " << cols << " + " << gap << " at " << offset
                                           << ", " << sizeof(T));
  Problem<T, I> p(rows, cols, seed, gap, offset, spread);
  if (rows > 2) p.labels[1] = -5;
  Options const options{.upstream = 1.5, .ignore_label = -5, .top_k = 3};
  auto const a = every_call(on::serial{}, loss, p, options, per_row_scales, gap, offset),
             b = every_call(backend, loss, p, options, per_row_scales, gap, offset);
  CHECK(p.cosines.guards_hold());
  for (auto const* r : {&a, &b})
    for (auto const* g : {&r->out_of_place, &r->cosines, &r->sum, &r->later, &r->later_sum, &r->z, &r->dz, &r->later_in_place,
                          &r->z_in_place, &r->dz_in_place, &r->dz_sum})
      CHECK(g->guards_hold());
  double const ulps = allowed<T>(loss, per_row_scales ? 20 : loss.scale);
  double const tight = sizeof(T) == 4 ? 6 : 450;
  // Backend against backend.
  CHECK(apart(a.out_of_place, b.out_of_place, rows, cols) <= ulps);
  CHECK(apart(a.z, b.z, rows, cols) <= 3);
  CHECK(apart(a.dz, b.dz, rows, cols) <= ulps + 2);
  CHECK(apart(a.row_losses, b.row_losses) <= ulps);
  CHECK(apart(a.scale_gradient, b.scale_gradient) <= ulps);
  CHECK(apart(a.logit_scale_gradient, b.logit_scale_gradient) <= 16 * ulps * loss.scale);
  CHECK(std::fabs(a.fused.loss - b.fused.loss) <= ulps * double(std::numeric_limits<T>::epsilon()) * std::max(1.0, a.fused.loss));
  expect_same_counts(a.fused, b.fused);
  expect_same_counts(a.logit, b.logit);
  // Call against call: the fast path does what the plain one does.
  for (auto const* r : {&a, &b}) {
    CHECK(r->in_place.loss == r->fused.loss);
    if (one_order<B>) CHECK(r->value.loss == r->fused.loss);
    CHECK(std::fabs(r->value.loss - r->fused.loss) <= tight * double(std::numeric_limits<T>::epsilon()) * std::max(1.0, r->fused.loss));
    CHECK(r->accumulated.loss == r->fused.loss);
    for (auto const* report : {&r->in_place, &r->value, &r->accumulated, &r->logit}) expect_same_counts(*report, r->fused);
    CHECK(r->cosines.same_bits(r->out_of_place));
    CHECK(r->later_in_place.same_bits(r->later));
    CHECK(r->z_in_place.same_bits(r->z));
    CHECK(r->dz_in_place.same_bits(r->dz));
    CHECK(apart(r->out_of_place, r->later, rows, cols) <= tight);
    CHECK(apart(r->sum, r->later_sum, rows, cols) <= tight);
    CHECK(apart(r->scale_gradient, r->later_scale_gradient) <= tight);
    auto const adds = [&](Guarded<T> const& sum, Guarded<T> const& alone) {
      for (idx i = 0; i < rows; ++i)
        for (idx j = 0; j < cols; ++j) {
          T const expected = T(0.25) + alone.at(i, j);
          if (!(std::fabs(sum.at(i, j) - expected) <= 2 * std::numeric_limits<T>::epsilon() * std::max(T(0.25), std::fabs(expected))))
            FAIL_CHECK("accumulate at " << i << ", " << j << ": " << sum.at(i, j) << ", expected " << expected);
        }
    };
    adds(r->sum, r->out_of_place);
    adds(r->dz_sum, r->dz);
  }
}

inline AnyLoss loss_of(Margins margin, double scale = 20, AnyObjective objective = {}, AnyRest rest = {}) {
  return {margin, scale, objective, rest};
}

template <class T, class B = losskit::on::eigen<one_thread>>
void whole_catalogue(B const& backend = B{}) {
  unsigned seed = 0;
  for (auto const& margin : all_margins())
    for (auto const& rest : all_rests()) {
      ++seed;
      auto const objective = all_objectives()[seed % all_objectives().size()];
      compare<T>(loss_of(margin, 16, objective, rest), 2, 37, seed % 3, seed % 5, seed, 0.9, false, backend);
    }
}

}  // namespace test
