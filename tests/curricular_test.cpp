// CurricularFace, the rest rule that is given a number t by its batch, against golden values (golden/curricular.py): every call, float
// and double, every host backend, one loss for any t.
#include <doctest/doctest.h>

#include <string>

#include "golden/curricular.inc"
#include "lanes.hpp"
#include "losskit/backend/thrust.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/rest/curricular.hpp"

using namespace test;

namespace {

using Cpp = losskit::on::thrust<::thrust::cpp::tag>;

template <class F>
void with_margin(golden::CurricularCase const& c, F const& f) {
  if (c.kind == golden::Kind::none) f(NoMargin{});
  else if (c.m == 0.5) f(ArcMargin<LegacyLinear>{c.m});
  else f(ArcMargin{c.m});
}

template <class T, class B, class M>
void expect_case(B const& backend, golden::CurricularCase const& c, M const& margin) {
  INFO(std::string(M::name) << " " << c.m << ", t = " << c.t << ", s = " << c.scale << ", C = " << c.classes << ", label " << c.label
                            << ", input " << c.input << ", " << sizeof(T) << " bytes");
  idx const n = c.classes;
  std::vector<T> cosines;
  long double largest = 0;
  for (idx j = 0; j < n; ++j) {
    cosines.push_back(T(golden::curricular_inputs[c.input + j]));
    REQUIRE(double(cosines.back()) == golden::curricular_inputs[c.input + j]);
    largest = std::max(largest, std::fabs(static_cast<long double>(golden::curricular_slopes[c.slope + j])));
  }
  std::vector<std::int64_t> const labels{c.label};
  std::vector<double> const t{c.t};
  std::vector<T> apart(size(n), T(9)), in_place(cosines), later(apart), sum(size(n), T(0)), row_losses(1), values(1);
  std::vector<SavedRow> saved(1);
  std::vector<std::byte> memory(workspace_bytes<T>(backend, 1, n, Placement::accumulate));
  Workspace const workspace = view(memory);
  MarginSoftmax const loss{margin, c.scale, CrossEntropy{}, CurricularRest{}};
  Batch batch(losskit::matrix(cosines, 1, n), labels);
  batch.rest = view(t);
  auto own = batch;
  own.cosines = losskit::matrix(in_place, 1, n);
  loss_and_gradient(backend, loss, batch, losskit::matrix(apart, 1, n), workspace, {}, Outputs<T>{view(row_losses), {}, {}});
  loss_and_gradient(backend, loss, own, losskit::matrix(in_place, 1, n), workspace);
  loss_value(backend, loss, batch, workspace, {}, Outputs<T>{view(values), {}, view(saved)});
  loss_gradient(backend, loss, batch, saved, losskit::matrix(later, 1, n));
  loss_and_gradient(backend, loss, batch, losskit::matrix(sum, 1, n), workspace, {.write = Write::accumulate});

  // r = c (t + c) is rounded twice, psi once, each by half an epsilon of a number below 2: s times that in every e.
  long double const eps = std::numeric_limits<T>::epsilon(), relative = eps / 2 * (6 + 4 * static_cast<long double>(c.scale));
  long double const least = static_cast<long double>(c.scale) * std::numeric_limits<T>::min();
  auto const expected = static_cast<long double>(c.loss);
  for (T const x : {row_losses[0], values[0]})
    if (!(std::fabs(static_cast<long double>(x) - expected) <= relative * expected + least))
      FAIL_CHECK("loss " << x << ", expected " << c.loss);
  CHECK(in_place == apart);
  for (auto const* g : {&apart, &later, &sum})
    for (idx j = 0; j < n; ++j) {
      double const x = golden::curricular_slopes[c.slope + j];
      if (!(std::fabs(static_cast<long double>((*g)[size(j)]) - static_cast<long double>(x)) <= relative * largest + least))
        FAIL_CHECK("class " << j << ": " << (*g)[size(j)] << ", expected " << x);
    }
}

template <class T, class B>
void golden_values(B const& backend, idx step = 1) {
  for (idx k = 0; k < static_cast<idx>(std::size(golden::curricular_cases)); k += step) {
    auto const& c = golden::curricular_cases[k];
    with_margin(c, [&](auto const& margin) { expect_case<T>(backend, c, margin); });
  }
}

}  // namespace

TEST_CASE("curricular rest: one thread, number by number") {
  golden_values<float>(on::serial{});
  golden_values<double>(on::serial{});
}
TEST_CASE("curricular rest: SIMD packets") {
  golden_values<float>(losskit::on::eigen{});
  golden_values<double>(losskit::on::eigen{});
}
TEST_CASE("curricular rest: tasks of Thrust") {
  golden_values<float>(Cpp{});
  golden_values<double>(Cpp{});
}
TEST_CASE("curricular rest: lanes") {
  golden_values<float>(Few<true>{}, 3);
  golden_values<float>(Few<false>{}, 7);
  golden_values<double>(Few<true>{}, 7);
}
