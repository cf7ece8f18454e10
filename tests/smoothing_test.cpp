// Label smoothing against golden values of torch (golden/torch_smoothing.py), over logits and over cosines; against the formula in
// long double for long rows; with weights; every host backend.
#include <doctest/doctest.h>

#include <string>

#include "golden/smoothing.inc"
#include "lanes.hpp"
#include "losskit/backend/thrust.hpp"
#include "losskit/compose/softmax_loss.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/objective/label_smoothing.hpp"

using namespace test;

namespace {

using Cpp = losskit::on::thrust<::thrust::cpp::tag>;

// What a row should give, and how far off it may be: in float 4 ulp, in double 1e-13 of the largest term; and torch's own rounding.
struct Expected {
  long double loss;
  std::vector<long double> gradient;
  long double loss_term, gradient_term;  // the largest terms of the two formulas
  long double reference;                 // how far off the reference itself may be, of 1 and of the scale
};

template <class T>
long double allowed(long double term, long double reference) {
  return (sizeof(T) == 4 ? 4 * ulp<T>(term) : 1e-13L * term) + reference;
}

// Every call over one row, `inputs`, which are cosines or logits as the loss has it.
template <class T, class B, class L>
void expect_row(B const& backend, L const& loss, std::vector<T> const& inputs, idx label, long double scale, Expected const& e) {
  idx const n = static_cast<idx>(inputs.size());
  std::vector<std::int64_t> const labels{label};
  std::vector<T> apart(size(n), T(9)), in_place(inputs), later(apart), sum(size(n), T(0)), row_losses(1), values(1), by_scale(1);
  std::vector<SavedRow> saved(1);
  std::vector<std::byte> memory(workspace_bytes<T>(backend, 1, n, Placement::accumulate));
  Workspace const workspace = view(memory);
  Batch const batch(losskit::matrix(inputs, 1, n), labels);
  Report const r =
      loss_and_gradient(backend, loss, batch, losskit::matrix(apart, 1, n), workspace, {}, Outputs<T>{view(row_losses), {}, {}});
  loss_and_gradient(backend, loss, Batch(losskit::matrix(in_place, 1, n), labels), losskit::matrix(in_place, 1, n), workspace);
  Report const v = loss_value(backend, loss, batch, workspace, {}, Outputs<T>{view(values), {}, view(saved)});
  loss_gradient(backend, loss, batch, saved, losskit::matrix(later, 1, n), {}, view(by_scale));
  loss_and_gradient(backend, loss, batch, losskit::matrix(sum, 1, n), workspace, {.write = Write::accumulate});

  long double const off_loss = allowed<T>(e.loss_term, e.reference * std::max(1.0L, e.loss));
  auto const expect_loss = [&](long double x) {
    if (!(std::fabs(x - e.loss) <= off_loss))
      FAIL_CHECK("loss " << double(x) << ", expected " << double(e.loss) << " +- " << double(off_loss));
  };
  for (T const x : {row_losses[0], values[0]}) expect_loss(static_cast<long double>(x));
  for (double const x : {r.loss, v.loss}) expect_loss(static_cast<long double>(x));
  CHECK(in_place == apart);
  long double const off = allowed<T>(e.gradient_term, e.reference * scale);
  for (auto const* g : {&apart, &later, &sum})
    for (std::size_t j = 0; j < apart.size(); ++j) {
      long double const x = static_cast<long double>((*g)[j]);
      if (!(std::fabs(x - e.gradient[j]) <= off))
        FAIL_CHECK("class " << j << ": " << double(x) << ", expected " << double(e.gradient[j]) << " +- " << double(off));
    }
  // Without a margin dL/ds = sum over j of dL/dc_j c_j / s.
  long double expected = 0, off_by_scale = 0;
  for (std::size_t j = 0; j < inputs.size(); ++j) {
    expected += e.gradient[j] * static_cast<long double>(inputs[j]) / scale;
    off_by_scale += off * std::fabs(static_cast<long double>(inputs[j])) / scale;
  }
  if (!(std::fabs(static_cast<long double>(by_scale[0]) - expected) <= off_by_scale + ulp<T>(expected)))
    FAIL_CHECK("dL/ds " << by_scale[0] << ", expected " << double(expected) << " +- " << double(off_by_scale));
}

// The largest terms: of the loss its own value, or the mean logit that eps weighs; of the gradient the largest of p and eps.
Expected expected_of(long double loss, std::vector<long double> gradient, std::vector<long double> const& z, long double eps,
                     long double scale, long double reference) {
  long double top = 0, largest = scale * eps;
  for (long double x : z) top = std::max(top, std::fabs(x));
  for (long double g : gradient) largest = std::max(largest, std::fabs(g));
  return {loss, std::move(gradient), std::max(loss, eps * top), largest, reference};
}

template <class T>
std::vector<T> inputs_of(golden::SmoothingCase const& c, double factor = 1) {
  std::vector<T> x;
  for (int j = 0; j < c.classes; ++j) {
    x.push_back(T(factor * golden::smoothing_inputs[c.input + j]));
    REQUIRE(double(x.back()) == factor * golden::smoothing_inputs[c.input + j]);
  }
  return x;
}

Expected golden_of(golden::SmoothingCase const& c, bool by_logits) {
  double const scale = c.scale > 0 && !by_logits ? c.scale : 1, by = c.scale > 0 ? scale / c.scale : 1;
  std::vector<long double> gradient, z;
  for (int j = 0; j < c.classes; ++j) {
    gradient.push_back(static_cast<long double>(golden::smoothing_slopes[c.slope + j]) * static_cast<long double>(by));
    z.push_back(static_cast<long double>(golden::smoothing_inputs[c.input + j]) * static_cast<long double>(c.scale > 0 ? c.scale : 1));
  }
  return expected_of(static_cast<long double>(c.loss), gradient, z, static_cast<long double>(c.epsilon), static_cast<long double>(scale),
                     1e-14L);
}

template <class T, class B>
void golden_values(B const& backend) {
  idx over_cosines = 0, over_logits = 0;
  for (golden::SmoothingCase const& c : golden::smoothing_cases) {
    INFO("C = " << c.classes << ", label " << c.label << ", s = " << c.scale << ", eps = " << c.epsilon << ", input " << c.input << ", "
                << sizeof(T) << " bytes");
    LabelSmoothing const objective{c.epsilon};
    Expected const logits = golden_of(c, true);
    auto const z = inputs_of<T>(c, c.scale > 0 ? c.scale : 1);
    expect_row<T>(backend, SoftmaxLoss{objective}, z, c.label, 1, logits), ++over_logits;
    if (c.epsilon == 0) expect_row<T>(backend, SoftmaxLoss{CrossEntropy{}}, z, c.label, 1, logits);
    if (c.scale == 0) continue;
    expect_row<T>(backend, MarginSoftmax{NoMargin{}, c.scale, objective}, inputs_of<T>(c), c.label, static_cast<long double>(c.scale),
                  golden_of(c, false));
    ++over_cosines;
  }
  CHECK(over_logits >= 100);
  CHECK(over_cosines >= 50);
}

// --- long rows ---------------------------------------------------------------------------------------------------------------------

Expected formula(std::vector<long double> const& z, idx y, long double eps, long double scale) {
  auto const n = static_cast<long double>(z.size());
  long double top = z[0], sum = 0, others = 0, gap = 0;
  for (long double x : z) top = std::max(top, x);
  for (std::size_t j = 0; j < z.size(); ++j) {
    long double const e = std::exp(z[j] - top);
    sum += e;
    if (j != size(y)) others += e;
    gap += z[size(y)] - z[j];
  }
  // -log p_j = -log p_y + z_y - z_j
  long double const target = std::exp(z[size(y)] - top);
  long double const loss = (others < target ? std::log1p(others / target) : std::log(sum) + top - z[size(y)]) + eps * gap / n;
  std::vector<long double> gradient;
  for (std::size_t j = 0; j < z.size(); ++j)
    gradient.push_back(scale * (j == size(y) ? eps - others / sum - eps / n : std::exp(z[j] - top) / sum - eps / n));
  return expected_of(loss, gradient, z, eps, scale, 0);
}

template <class T, class B>
void long_rows(B const& backend, std::vector<idx> const& sizes) {
  for (idx const cols : sizes)
    for (double const eps : {0.0, 0.1, 0.7}) {
      INFO("C = " << cols << ", eps = " << eps << ", " << sizeof(T) << " bytes");
      Problem<T> p(1, cols, 31);
      idx const y = p.labels[0];
      p.cosines.at(0, y) = T(0.96875F);
      std::vector<T> const c(p.cosines.row(0), p.cosines.row(0) + cols);
      for (double const s : {32.0, 512.0}) {
        std::vector<T> logits;
        std::vector<long double> z;
        for (T x : c) logits.push_back(T(s) * x), z.push_back(static_cast<long double>(s) * static_cast<long double>(x));
        expect_row<T>(backend, SoftmaxLoss{LabelSmoothing{eps}}, logits, y, 1, formula(z, y, static_cast<long double>(eps), 1));
        expect_row<T>(backend, MarginSoftmax{NoMargin{}, s, LabelSmoothing{eps}}, c, y, static_cast<long double>(s),
                      formula(z, y, static_cast<long double>(eps), static_cast<long double>(s)));
      }
    }
}

// --- weights and reductions --------------------------------------------------------------------------------------------------------

// Rows in one batch are the rows alone, times what belongs to each.
template <class T, class B, class L>
void rows_together(B const& backend, L const& loss, idx cols) {
  INFO("C = " << cols << ", " << sizeof(T) << " bytes");
  constexpr idx rows = 7;
  Problem<T> p(rows, cols, 41);
  p.labels[3] = -1;
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, rows, cols, Placement::out_of_place));
  std::vector<T> losses(size(rows));
  Guarded<T> g(rows, cols, 0, 0, 9);
  Options const options{.upstream = 3, .ignore_label = -1};
  Report const r = loss_and_gradient(backend, loss, p.weighted(), g.matrix(), view(workspace), options, Outputs<T>{view(losses), {}, {}});
  CHECK(r.valid == rows - 1);
  double total = 0;
  for (idx i = 0; i < rows; ++i) {
    if (i == 3) {
      CHECK(losses[3] == 0);
      for (idx j = 0; j < cols; ++j) CHECK(g.at(3, j) == 0);
      continue;
    }
    std::vector<T> const c(p.cosines.row(i), p.cosines.row(i) + cols);
    std::vector<T> alone(size(cols)), own(1);
    std::vector<std::int64_t> const label{p.labels[size(i)]};
    loss_and_gradient(backend, loss, Batch(losskit::matrix(c, 1, cols), label), losskit::matrix(alone, 1, cols), view(workspace), {},
                      Outputs<T>{view(own), {}, {}});
    double const weight = double(p.weights[size(i)]) * double(p.class_weights[size(p.labels[size(i)])]);
    double const factor = weight * 3 * double(p.upstream[size(i)]) / (rows - 1), eps = double(std::numeric_limits<T>::epsilon());
    double largest = 0;
    for (T x : alone) largest = std::max(largest, std::fabs(double(x)));
    CHECK(std::fabs(double(losses[size(i)]) - weight * double(own[0])) <= 4 * eps * weight * double(own[0]));
    for (idx j = 0; j < cols; ++j)
      CHECK(std::fabs(double(g.at(i, j)) - factor * double(alone[size(j)])) <= 4 * eps * std::fabs(factor) * largest);
    total += weight * double(own[0]);
  }
  CHECK(r.loss == doctest::Approx(total / (rows - 1)).epsilon(sizeof(T) == 4 ? 1e-6 : 1e-13));
}

template <class T, class B>
void all_of_it(B const& backend, std::vector<idx> const& sizes) {
  golden_values<T>(backend);
  long_rows<T>(backend, sizes);
  for (idx const cols : {2, 37}) {
    rows_together<T>(backend, SoftmaxLoss{LabelSmoothing{}}, cols);
    rows_together<T>(backend, MarginSoftmax{NoMargin{}, 16.0, LabelSmoothing{0.3}}, cols);
  }
}

}  // namespace

TEST_CASE("label smoothing: one thread, number by number") {
  SUBCASE("float") { all_of_it<float>(on::serial{}, {1, 17, 1000}); }
  SUBCASE("double") { all_of_it<double>(on::serial{}, {1, 17, 1000}); }
}
TEST_CASE("label smoothing: SIMD packets") {
  SUBCASE("float") { all_of_it<float>(losskit::on::eigen{}, {1, 15, 16, 17, 33, 1000, 4097, 100003}); }
  SUBCASE("double") { all_of_it<double>(losskit::on::eigen{}, {1, 15, 16, 17, 33, 1000, 4097, 100003}); }
}
TEST_CASE("label smoothing: tasks of Thrust") {
  SUBCASE("float") { all_of_it<float>(Cpp{}, {17, 4097}); }
  SUBCASE("double") { all_of_it<double>(Cpp{}, {17, 4097}); }
}
TEST_CASE("label smoothing: lanes") {
  SUBCASE("float, e kept") { all_of_it<float>(Few<true>{}, {1, 17, 333}); }
  SUBCASE("float, e forgotten") { all_of_it<float>(Few<false>{}, {1, 17, 333}); }
  SUBCASE("double, e kept") { all_of_it<double>(Few<true>{}, {17}); }
  SUBCASE("double, e forgotten") { all_of_it<double>(Few<false>{}, {17}); }
}

TEST_CASE("label smoothing: an epsilon outside [0, 1] is refused, and the usual one is 0.1") {
  for (double const eps : {-0.1, 1.5, double(NAN), HUGE_VAL}) CHECK_THROWS_AS(LabelSmoothing{eps}, ParameterError);
  std::vector<float> const logits{1, 2, 3};
  std::vector<float> a(3), b(3);
  std::vector<int> const labels{1};
  std::vector<std::byte> workspace(workspace_bytes<float>(on::serial{}, 1, 3, Placement::out_of_place));
  Batch const batch(losskit::matrix(logits, 1, 3), labels);
  loss_and_gradient(on::serial{}, SoftmaxLoss{LabelSmoothing{}}, batch, losskit::matrix(a, 1, 3), view(workspace));
  loss_and_gradient(on::serial{}, SoftmaxLoss{LabelSmoothing{0.1}}, batch, losskit::matrix(b, 1, 3), view(workspace));
  CHECK(a == b);
}
