// SoftmaxLoss against a softmax in long double: logits of every size, infinite ones, weights, every call, every host backend.
#include "losskit/compose/softmax_loss.hpp"

#include <doctest/doctest.h>

#include <string>

#include "lanes.hpp"
#include "losskit/backend/thrust.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/objective/focal.hpp"

using namespace test;

namespace {

using Softmax = SoftmaxLoss<AnyObjective>;
using Cpp = losskit::on::thrust<::thrust::cpp::tag>;

constexpr double inf = std::numeric_limits<double>::infinity();

// --- the loss, plainly -----------------------------------------------------------------------------------------------------------

// Infinite logits follow from exp(-inf) = 0; a row with a NaN or +inf is not asked for.
template <class T>
Truth softmax_truth(AnyObjective const& objective, Batch<T, std::int64_t> const& b, Options const& options = {}) {
  idx const rows = b.cosines.rows, cols = b.cosines.cols;
  Truth t{std::vector<long double>(size(rows)), std::vector<long double>(size(rows * cols)), {}, std::vector<long double>(size(rows)), 0};
  long double valid = 0, weights = 0;
  for (idx i = 0; i < rows; ++i) {
    idx const y = b.labels[i];
    if (y == options.ignore_label) continue;
    long double const weight = (b.weights ? static_cast<long double>(b.weights[i]) : 1) *
                               (b.class_weights ? static_cast<long double>(b.class_weights[y]) : 1);
    valid += 1;
    weights += weight;
    auto const z = [&](idx j) { return static_cast<long double>(b.cosines.row(i)[j]); };
    long double top = z(0), others = 0;
    for (idx j = 1; j < cols; ++j) top = std::max(top, z(j));
    for (idx j = 0; j < cols; ++j)
      if (j != y) others += std::exp(z(j) - top);
    long double const target = std::exp(z(y) - top), sum = others + target;
    long double const log_p = others < target ? -std::log1p(others / target) : z(y) - top - std::log(sum);
    auto const o = objective(Scalar<double>(static_cast<double>(log_p)));
    t.row_losses[size(i)] = weight * (objective.objective.index() == 0 ? -log_p : static_cast<long double>(o.value.v));
    t.loss += t.row_losses[size(i)];
    long double const outer = weight * static_cast<long double>(o.slope.v) * static_cast<long double>(options.upstream) *
                              (b.upstream ? static_cast<long double>(b.upstream[i]) : 1);
    for (idx j = 0; j < cols; ++j)
      t.gradient[size(i * cols + j)] = j == y ? outer * (others / sum) : -outer * (std::exp(z(j) - top) / sum);
  }
  long double divisor = 1;
  if (options.reduction == Reduction::mean) divisor = valid;
  if (options.reduction == Reduction::batch_mean) divisor = static_cast<long double>(rows);
  if (options.reduction == Reduction::weighted_mean) divisor = weights;
  if (divisor == 0) divisor = 1;
  t.loss /= divisor;
  for (auto& g : t.gradient) g /= divisor;
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) t.largest[size(i)] = std::max(t.largest[size(i)], std::fabs(t.gradient[size(i * cols + j)]));
  return t;
}

// --- every call ------------------------------------------------------------------------------------------------------------------

template <class T>
struct Calls {
  Report apart_report, in_place_report, value_report;
  Guarded<T> apart, in_place, sum, later, later_sum;
  std::vector<T> row_losses, value_losses;
};

template <class T, class B, class L>
Calls<T> every_softmax_call(B const& backend, L const& loss, Problem<T>& p, bool weighted, Options options, idx gap = 0) {
  auto const blank = [&](idx offset, T fill) { return Guarded<T>(p.rows, p.cols, gap, offset, fill); };
  std::vector<T> const none(size(p.rows), T(7));
  Calls<T> r{{}, {}, {}, blank(1, 9), p.cosines, blank(2, T(0.25)), blank(3, 9), blank(0, T(0.25)), none, none};
  std::vector<std::byte> memory(workspace_bytes<T>(backend, p.rows, p.cols, Placement::accumulate));
  Workspace const workspace = view(memory);
  auto const batch = weighted ? p.weighted() : p.plain();
  r.apart_report = loss_and_gradient(backend, loss, batch, r.apart.matrix(), workspace, options, Outputs<T>{view(r.row_losses), {}, {}});
  auto own = batch;
  own.cosines = r.in_place.matrix();
  r.in_place_report = loss_and_gradient(backend, loss, own, r.in_place.matrix(), workspace, options);
  std::vector<SavedRow> saved(size(p.rows));
  r.value_report = loss_value(backend, loss, batch, workspace, options, Outputs<T>{view(r.value_losses), {}, view(saved)});
  loss_gradient(backend, loss, batch, saved, r.later.matrix(), options);
  options.write = Write::accumulate;
  loss_and_gradient(backend, loss, batch, r.sum.matrix(), workspace, options);
  loss_gradient(backend, loss, batch, saved, r.later_sum.matrix(), options);
  for (auto const* g : {&r.apart, &r.in_place, &r.sum, &r.later, &r.later_sum}) CHECK(g->guards_hold());
  return r;
}

// Counts that belong to cosines, and ranks that do not.
template <class T>
void expect_report(Report const& r, Batch<T, std::int64_t> const& b, Options const& options) {
  idx valid = 0, top1 = 0, topk = 0;
  for (idx i = 0; i < b.cosines.rows; ++i) {
    idx const y = b.labels[i];
    if (y == options.ignore_label) continue;
    idx above = 0;
    for (idx j = 0; j < b.cosines.cols; ++j) above += j != y && b.cosines.row(i)[j] >= b.cosines.row(i)[y];
    ++valid, top1 += above == 0, topk += above < options.top_k;
  }
  CHECK(r.rows == b.cosines.rows);
  CHECK(r.valid == valid);
  CHECK(r.top1 == top1);
  CHECK(r.topk == topk);
  CHECK(r.clamped == 0);
  CHECK(r.out_of_range == 0);
  CHECK(r.non_finite == 0);
  CHECK(r.mean_target_angle == 0);
}

// In float 4 ulp. In double the difference of two logits is rounded: half an ulp of a difference d is d / 2 epsilon of exp(d), or d
// ulp; 750 is the largest d at which exp(-d) is a number. Its sums are not better than 64 ulp.
template <class T>
double allowed_ulps(Problem<T> const& p) {
  if (sizeof(T) == 4) return 4;
  double largest = 0;
  for (idx i = 0; i < p.rows; ++i)
    for (idx j = 0; j < p.cols; ++j) largest = std::max(largest, std::fabs(double(p.cosines.at(i, j))));
  return std::max(64.0, 2 * std::min(largest, 750.0));
}

template <class T>
void expect_losses(std::vector<T> const& losses, Truth const& t, double ulps) {
  for (std::size_t i = 0; i < losses.size(); ++i) {
    long double const expected = t.row_losses[i], got = static_cast<long double>(losses[i]);
    bool const passes = expected > static_cast<long double>(std::numeric_limits<T>::max());  // T's largest number
    if (!(passes ? losses[i] == std::numeric_limits<T>::infinity() : std::fabs(got - expected) <= ulps * ulp<T>(expected)))
      FAIL_CHECK("row " << i << ": loss " << double(got) << ", expected " << double(expected));
  }
}

template <class T, class B>
void against_truth(B const& backend, Problem<T>& p, AnyObjective const& objective, bool weighted, Options const& options, idx gap = 0) {
  auto const batch = weighted ? p.weighted() : p.plain();
  Truth const t = softmax_truth(objective, batch, options);
  // A focal loss of gamma = 2 is q^2 times a cross-entropy that is about q: an error of q counts three times.
  double const ulps = allowed_ulps(p) * (objective.objective.index() == 1 ? 3 : 1);
  auto const r = every_softmax_call<T>(backend, Softmax{objective}, p, weighted, options, gap);
  expect_losses(r.row_losses, t, ulps);
  expect_losses(r.value_losses, t, ulps);
  CHECK(worst_ulp(r.apart, t, p.rows, p.cols) <= ulps);
  CHECK(worst_ulp(r.later, t, p.rows, p.cols) <= ulps);
  CHECK(r.in_place.same_bits(r.apart));
  for (auto const* sum : {&r.sum, &r.later_sum})
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < p.cols; ++j) {
        long double const expected = 0.25L + t.gradient[size(i * p.cols + j)];
        long double const off = std::fabs(static_cast<long double>(sum->at(i, j)) - expected);
        if (!(off <= ulps * ulp<T>(t.largest[size(i)]) + ulp<T>(std::max(0.25L, std::fabs(expected)))))
          FAIL_CHECK("accumulated at " << i << ", " << j << ": " << sum->at(i, j) << ", expected " << double(expected));
      }
  for (auto const* report : {&r.apart_report, &r.in_place_report, &r.value_report}) {
    expect_report(*report, batch, options);
    CHECK(report->loss == doctest::Approx(static_cast<double>(t.loss)).epsilon(sizeof(T) == 4 ? 1e-6 : 1e-12));
  }
}

// --- logits ----------------------------------------------------------------------------------------------------------------------

// One row of each kind: every size, around 0 and around a large number, all sizes in one row, and ties of the largest numbers.
template <class T>
Problem<T> logits_of_every_size(idx cols, unsigned seed, idx gap = 0, idx offset = 0) {
  double const huge = sizeof(T) == 4 ? 3e38 : 1e300;
  double const sizes[] = {1e-3, 1, 50, 1e3, 1e6, 1e30, huge}, offsets[] = {100, -1e3, 3e4, -1e6};
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(-1, 1);
  idx const rows = 7 + 4 + 3;
  Problem<T> p(rows, cols, seed, gap, offset);
  for (idx j = 0; j < cols; ++j) {
    for (idx i = 0; i < 7; ++i) p.cosines.at(i, j) = T(sizes[i] * unit(random));
    for (idx i = 0; i < 4; ++i) p.cosines.at(7 + i, j) = T(offsets[i] + 12 * unit(random));
    p.cosines.at(11, j) = T(sizes[random() % 7] * unit(random));
    p.cosines.at(12, j) = T(huge * (random() % 3 == 0 ? 1 : -1));
    p.cosines.at(13, j) = T(-huge);
  }
  p.cosines.at(12, p.labels[12]) = T(huge);
  for (idx const i : {idx(0), idx(3), idx(8)}) p.cosines.at(i, p.labels[size(i)]) = p.cosines.at(i, 0);  // a tie
  return p;
}

template <class T, class B>
void every_size(B const& backend, std::vector<idx> const& sizes) {
  unsigned seed = 0;
  for (idx const cols : sizes) {
    INFO("C = " << cols << ", " << sizeof(T) << " bytes");
    ++seed;
    Problem<T> p = logits_of_every_size<T>(cols, seed, seed % 3, seed % 4);
    against_truth<T>(backend, p, {CrossEntropy{}}, false, {.reduction = Reduction::sum, .top_k = 2}, seed % 3);
    against_truth<T>(backend, p, {FocalLoss{2}}, false, {.reduction = Reduction::none}, 1);
  }
}

template <class T, class B>
void weights_and_reductions(B const& backend) {
  for (auto const reduction : {Reduction::none, Reduction::sum, Reduction::mean, Reduction::batch_mean, Reduction::weighted_mean}) {
    Problem<T> p(9, 37, 5, 0, 0, 20);
    p.labels[2] = p.labels[7] = -100;
    against_truth<T>(backend, p, {CrossEntropy{}}, true, {.reduction = reduction, .upstream = -3.5, .ignore_label = -100, .top_k = 3});
  }
  Problem<T> p(3, 5, 6, 0, 0, 20);  // nobody is left
  p.labels = {-1, -1, -1};
  against_truth<T>(backend, p, {CrossEntropy{}}, true, {.ignore_label = -1});
}

// The logits are multiples of 1 / 64, so that each of these shifts is exact: loss and gradient stay, but for their own rounding.
template <class T, class B>
void shifts(B const& backend) {
  for (idx const cols : {2, 10, 333}) {
    Problem<T> p(6, cols, 8, 0, 0, 1);
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < cols; ++j) p.cosines.at(i, j) = T(std::nearbyint(512 * p.cosines.at(i, j)) / 64);
    auto const before = every_softmax_call<T>(backend, SoftmaxLoss{CrossEntropy{}}, p, false, {});
    for (double const shift : {100.0, -100.0, 4096.0, -65536.0}) {
      INFO("C = " << cols << ", all logits + " << shift);
      Problem<T> q = p;
      for (idx i = 0; i < p.rows; ++i)
        for (idx j = 0; j < cols; ++j) {
          q.cosines.at(i, j) += T(shift);
          REQUIRE(double(q.cosines.at(i, j)) - shift == double(p.cosines.at(i, j)));
        }
      auto const after = every_softmax_call<T>(backend, SoftmaxLoss{CrossEntropy{}}, q, false, {});
      double const ulps = sizeof(T) == 4 ? 4 : 64;
      CHECK(apart(before.apart, after.apart, p.rows, cols) <= ulps);
      CHECK(apart(before.later, after.later, p.rows, cols) <= ulps);
      CHECK(apart(before.row_losses, after.row_losses) <= ulps);
      CHECK(before.apart_report.top1 == after.apart_report.top1);
    }
  }
}

// --- infinite logits -------------------------------------------------------------------------------------------------------------

// Where each kind of odd row lies, between rows that have nothing odd.
template <class T>
struct Odd {
  static constexpr idx rows = 9, classes_gone = 1, target_gone = 3, rest_gone = 5, nan_or_inf = 7;
  Problem<T> p;
  explicit Odd(idx cols) : p(rows, cols, 12, 1, 2, 15) {
    for (idx i = 0; i < rows; ++i) p.labels[size(i)] = (i * 5) % cols;
  }
  idx y(idx i) const { return p.labels[size(i)]; }
  void all_but(idx i, idx j, T x) {
    for (idx k = 0; k < p.cols; ++k)
      if (k != j) p.cosines.at(i, k) = x;
  }
};

template <class T, class B>
void minus_infinity(B const& backend, idx cols) {
  INFO("C = " << cols << ", " << sizeof(T) << " bytes");
  using O = Odd<T>;
  O odd(cols);
  for (idx j = 0; j < cols; j += 2)
    if (j != odd.y(O::classes_gone)) odd.p.cosines.at(O::classes_gone, j) = T(-inf);
  odd.p.cosines.at(O::target_gone, odd.y(O::target_gone)) = T(-inf);
  odd.all_but(O::rest_gone, odd.y(O::rest_gone), T(-inf));
  for (bool const weighted : {false, true}) {
    Options const options{.reduction = Reduction::sum};
    auto const batch = weighted ? odd.p.weighted() : odd.p.plain();
    Truth const t = softmax_truth<T>({CrossEntropy{}}, batch, options);
    auto const r = every_softmax_call<T>(backend, SoftmaxLoss{CrossEntropy{}}, odd.p, weighted, options, 1);
    double const ulps = sizeof(T) == 4 ? 4 : 64;
    expect_losses(r.row_losses, t, ulps);
    expect_losses(r.value_losses, t, ulps);
    CHECK(r.in_place.same_bits(r.apart));
    for (auto const* g : {&r.apart, &r.later}) {
      CHECK(worst_ulp(*g, t, odd.p.rows, cols) <= ulps);
      for (idx j = 0; j < cols; ++j) {
        CHECK(std::isfinite(g->at(O::target_gone, j)));
        if (odd.p.cosines.at(O::classes_gone, j) == T(-inf)) CHECK(g->at(O::classes_gone, j) == 0);
        CHECK(g->at(O::rest_gone, j) == 0);
      }
      idx const i = O::target_gone, y = odd.y(i);
      T const weight = weighted ? batch.weights[i] * batch.class_weights[y] * batch.upstream[i] : T(1);
      CHECK(double(g->at(i, y)) == doctest::Approx(-double(weight)).epsilon(1e-6));
    }
    for (auto const* losses : {&r.row_losses, &r.value_losses}) {
      CHECK((*losses)[O::target_gone] == T(inf));
      CHECK((*losses)[O::rest_gone] == 0);
    }
    for (auto const* report : {&r.apart_report, &r.in_place_report, &r.value_report}) {
      CHECK(report->loss == inf);
      expect_report(*report, batch, options);
    }
    for (auto const* sum : {&r.sum, &r.later_sum}) {
      for (idx j = 0; j < cols; ++j) CHECK(sum->at(O::rest_gone, j) == T(0.25));
      CHECK(std::isfinite(sum->at(O::target_gone, 0)));
    }
  }
}

template <class T, class B>
void not_a_number(B const& backend, idx cols) {
  using O = Odd<T>;
  O const plain(cols);
  auto clean = plain;
  auto const before = every_softmax_call<T>(backend, SoftmaxLoss{CrossEntropy{}}, clean.p, false, {.reduction = Reduction::sum}, 1);
  idx const y = plain.y(O::nan_or_inf);
  struct Place { idx j; T x; };
  idx const next = (y + 1) % cols;
  std::vector<std::vector<Place>> const cases{{{y, T(NAN)}},
                                              {{y, T(inf)}},
                                              {{next, T(NAN)}},
                                              {{next, T(inf)}},
                                              {{cols - 1, T(inf)}, {0, T(-inf)}},
                                              {{y, T(-inf)}, {next, T(NAN)}},
                                              {{y, T(inf)}, {next, T(inf)}}};
  for (auto const& places : cases) {
    O odd = plain;
    idx count = 0;
    std::string text;
    for (auto const& [j, x] : places) {
      odd.p.cosines.at(O::nan_or_inf, j) = x;
      count += x != T(-inf);
      text += (x != x ? " NaN at " : x > 0 ? " +inf at " : " -inf at ") + std::to_string(j);
    }
    INFO("C = " << cols << ", " << sizeof(T) << " bytes, target " << y << "," << text);
    auto const r = every_softmax_call<T>(backend, SoftmaxLoss{CrossEntropy{}}, odd.p, false, {.reduction = Reduction::sum}, 1);
    for (auto const* report : {&r.apart_report, &r.in_place_report, &r.value_report}) {
      CHECK(report->non_finite == count);
      CHECK(std::isnan(report->loss));
      CHECK(report->clamped == 0);
      CHECK(report->out_of_range == 0);
      CHECK(report->valid == O::rows);
      if (cols <= 5 && std::isnan(odd.p.cosines.at(O::nan_or_inf, y))) CHECK(report->topk == O::rows - 1);  // NaN has no rank
    }
    auto const same = [&](idx i, auto const& a, auto const& b, char const* what) {
      for (idx j = 0; j < cols; ++j) {
        T const x = a.at(i, j), z = b.at(i, j);
        if (i == O::nan_or_inf ? !std::isnan(x) : !(x == z))
          FAIL_CHECK(what << ", row " << i << ", class " << j << ": " << x << ", before " << z);
      }
    };
    for (idx i = 0; i < O::rows; ++i) {
      same(i, r.apart, before.apart, "apart");
      same(i, r.in_place, before.in_place, "in place");
      same(i, r.sum, before.sum, "accumulated");
      same(i, r.later, before.later, "later");
      same(i, r.later_sum, before.later_sum, "accumulated later");
      for (auto const* losses : {&r.row_losses, &r.value_losses}) {
        T const x = (*losses)[size(i)];
        CHECK((i == O::nan_or_inf ? std::isnan(x) : x == (losses == &r.row_losses ? before.row_losses : before.value_losses)[size(i)]));
      }
    }
  }
}

// --- beside the bounded loss ------------------------------------------------------------------------------------------------------

// s is a power of two, so that s c is exact: MarginSoftmax without a margin is this loss over s c, and its gradient s times this one's.
template <class T, class B>
void like_margin_softmax(B const& backend, idx cols) {
  for (double const s : {0x1p-10, 1.0, 16.0, 64.0, 128.0, 1024.0, 131072.0}) {
    INFO("s = " << s << ", C = " << cols << ", " << sizeof(T) << " bytes");
    Problem<T> p(5, cols, 21), q = p;
    for (idx i = 0; i < p.rows; ++i) {
      // A target that competes with the hardest class.
      T hardest = -1;
      for (idx j = 0; j < cols; ++j) hardest = std::max(hardest, p.cosines.at(i, j));
      p.cosines.at(i, p.labels[size(i)]) = T(double(hardest) + double(i - 2) * 3 / std::max(s, 64.0));
      for (idx j = 0; j < cols; ++j) q.cosines.at(i, j) = T(s) * p.cosines.at(i, j);
    }
    Guarded<T> g(p.rows, cols), h(p.rows, cols);
    std::vector<T> losses(size(p.rows)), others(losses);
    std::vector<std::byte> workspace(workspace_bytes<T>(backend, p.rows, cols, Placement::out_of_place));
    auto const a = loss_and_gradient(backend, MarginSoftmax{NoMargin{}, s}, p.plain(), g.matrix(), view(workspace), {},
                                     Outputs<T>{view(losses), {}, {}});
    auto const b = loss_and_gradient(backend, SoftmaxLoss{}, q.plain(), h.matrix(), view(workspace), {}, Outputs<T>{view(others), {}, {}});
    for (idx i = 0; i < p.rows; ++i)
      for (idx j = 0; j < cols; ++j) h.at(i, j) *= T(s);
    double const ulps = sizeof(T) == 4 ? 6 : std::max(64.0, 3 * s);
    CHECK(apart(g, h, p.rows, cols) <= ulps);
    for (std::size_t i = 0; i < losses.size(); ++i)
      CHECK(std::fabs(static_cast<long double>(losses[i]) - static_cast<long double>(others[i])) <=
            ulps * ulp<T>(static_cast<long double>(losses[i])));
    CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-6));
    CHECK(a.top1 == b.top1);
    CHECK(a.topk == b.topk);
  }
}

template <class T, class B>
void all_of_it(B const& backend, std::vector<idx> const& sizes) {
  every_size<T>(backend, sizes);
  weights_and_reductions<T>(backend);
  shifts<T>(backend);
  for (idx const cols : {2, 3, 16, 67}) minus_infinity<T>(backend, cols), not_a_number<T>(backend, cols);
  for (idx const cols : {2, 131}) like_margin_softmax<T>(backend, cols);
}

}  // namespace

TEST_CASE("a loss over plain logits, as it is called") {
  std::vector<float> logits{2, 1, -300, 1000, 1000, 0}, gradient(6);
  std::vector<int> labels{0, 1};
  std::vector<std::byte> workspace(workspace_bytes<float>(losskit::on::eigen{}, 2, 3, Placement::out_of_place));
  Report const r = loss_and_gradient(losskit::on::eigen{}, SoftmaxLoss{CrossEntropy{}}, Batch(losskit::matrix(logits, 2, 3), labels),
                                     losskit::matrix(gradient, 2, 3), view(workspace));
  CHECK(r.loss == doctest::Approx((std::log1p(std::exp(-1.0)) + std::log(2.0)) / 2).epsilon(1e-7));
  double const p = 1 / (1 + std::exp(1.0));
  CHECK(double(gradient[0]) == doctest::Approx(-p / 2).epsilon(1e-6));
  CHECK(double(gradient[1]) == doctest::Approx(p / 2).epsilon(1e-6));
  CHECK(gradient[2] == 0);
  CHECK(gradient[3] == 0.25F);
  CHECK(gradient[4] == -0.25F);
  CHECK(gradient[5] == 0);
  CHECK(r.top1 == 1);  // a tie is wrong
  CHECK(r.topk == 2);
}

TEST_CASE("softmax of any finite logits: one thread, number by number") {
  all_of_it<float>(on::serial{}, {1, 2, 3, 10, 17, 33, 1000, 4097});
  all_of_it<double>(on::serial{}, {1, 2, 3, 10, 17, 33, 1000, 4097});
}
TEST_CASE("softmax of any finite logits: SIMD packets") {
  all_of_it<float>(losskit::on::eigen{}, {1, 2, 3, 10, 15, 16, 17, 31, 32, 33, 1000, 4095, 4096, 4097, 100003});
  all_of_it<double>(losskit::on::eigen{}, {1, 2, 3, 10, 15, 16, 17, 31, 32, 33, 1000, 4095, 4096, 4097, 100003});
}
TEST_CASE("softmax of any finite logits: tasks of Thrust") {
  all_of_it<float>(Cpp{}, {1, 2, 33, 4097});
  all_of_it<double>(Cpp{}, {1, 2, 33, 4097});
}
TEST_CASE("softmax of any finite logits: lanes") {
  all_of_it<float>(Few<true>{}, {1, 2, 33, 333});
  all_of_it<float>(Few<false>{}, {1, 2, 33, 333});
  all_of_it<double>(Few<true>{}, {1, 2, 33});
  all_of_it<double>(Few<false>{}, {1, 2, 33});
}
