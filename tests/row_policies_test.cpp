// Policies that see their row: a margin's number a row (Batch::margins, Outputs::margin_gradient), a rest rule's (Batch::rest), a rest
// rule that pulls on its target through the threshold, and CurricularRest's state (advance). On every backend that needs no GPU, a
// device's memory included.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "expect_error.hpp"
#include "lanes.hpp"
#include "losskit/backend/thrust.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/rest/curricular.hpp"

using namespace test;

namespace {

using Cpp = losskit::on::thrust<::thrust::cpp::tag>;

constexpr idx rows = 7, cols = 33, ignored_row = 2;
constexpr double pi = 3.14159265358979323846, scale = 16;

// --- policies chosen at run time ---------------------------------------------------------------------------------------------------

using row_margins = Policies<ArcMargin<>, ArcMargin<NoRule>, ArcMargin<LegacyLinear>, ArcMargin<ContinuousLinear>, ArcMargin<FallToCosine>,
                             ArcMargin<Clamp>, ArcMargin<Easy>, ArcMargin<NoRule, Detached>, CosMargin<>, CosMargin<Easy>, NoMargin,
                             SphereMargin<>, Annealed<>, CombinedMargin<>>;
struct RowMargin : AnyMargin<row_margins> {
  static constexpr Interval row_numbers = Interval::closed(-3, 3);
  RowMargin at_row(RowContext const& row) const {
    return std::visit([&](auto const& m) { return RowMargin{{losskit::at_row(m, row)}}; }, margin);
  }
};

// Curricular where t is a number, else hard negatives or plain.
struct RowRest {
  static constexpr char const* name = "RowRest";
  std::variant<PlainRest, HardNegatives<>, CurricularRest> rule;

  double bound() const { return std::visit([](auto const& r) { return r.bound(); }, rule); }
  double lowest() const { return -1; }
  template <Number X>
  Jet<X> rest(X c, X threshold) const {
    if (auto const* plain = std::get_if<0>(&rule)) return plain->rest(c, threshold);
    if (auto const* hard = std::get_if<1>(&rule)) return hard->rest(c, threshold);
    return std::get<2>(rule).rest(c, threshold);
  }
  static constexpr Interval row_numbers = CurricularRest::row_numbers;
  RowRest at_row(RowContext const& row) const {
    return std::visit([&](auto const& r) { return RowRest{losskit::at_row(r, row)}; }, rule);
  }
};

// r(c) = c + a (c - T) where c > T, else c: the harder a class, the more it weighs, and T moves with the target.
struct PullingRest {
  static constexpr char const* name = "PullingRest";
  double a = 0.4;

  LOSSKIT_HD double bound() const { return 1 + a * 4; }  // T >= -3 here
  LOSSKIT_HD double lowest() const { return -1; }
  template <Number X>
  LOSSKIT_HD LOSSKIT_INLINE RestJet<X> rest(X c, X threshold) const {
    X const one = 1, none = 0, by = a;
    auto const hard = c > threshold;
    return {select(hard, multiply_add(by, c - threshold, c), c), select(hard, one + by, one), select(hard, -by, none)};
  }
};
static_assert(RestRule<PullingRest> && pulls_on_threshold<PullingRest>);

using Seen = MarginSoftmax<RowMargin, AnyObjective, RowRest>;
using Pulling = MarginSoftmax<RowMargin, CrossEntropy, PullingRest>;

// A margin as its own constructor makes it of a number, which lies within `range`.
struct Kind {
  std::string name;
  double range;
  std::function<RowMargin(double)> make;
};
std::vector<Kind> const& kinds() {
  static std::vector<Kind> const all{
      {"Arc, Monotone", 3, [](double m) { return RowMargin{{ArcMargin<>{m}}}; }},
      {"Arc, NoRule", 3, [](double m) { return RowMargin{{ArcMargin<NoRule>{m}}}; }},
      {"Arc, LegacyLinear", 3, [](double m) { return RowMargin{{ArcMargin<LegacyLinear>{m}}}; }},
      {"Arc, ContinuousLinear", 3, [](double m) { return RowMargin{{ArcMargin<ContinuousLinear>{m}}}; }},
      {"Arc, FallToCosine", 3, [](double m) { return RowMargin{{ArcMargin<FallToCosine>{m}}}; }},
      {"Arc, Clamp", 3, [](double m) { return RowMargin{{ArcMargin<Clamp>{m, Clamp{0.05}}}}; }},
      {"Arc, Easy", 3, [](double m) { return RowMargin{{ArcMargin<Easy>{m, Easy{0.1}}}}; }},
      {"Arc, NoRule, Detached", 3, [](double m) { return RowMargin{{ArcMargin<NoRule, Detached>{m}}}; }},
      {"Cos", 1.5, [](double m) { return RowMargin{{CosMargin<>{m}}}; }},
      {"Cos, Easy", 1.5, [](double m) { return RowMargin{{CosMargin<Easy>{m, Easy{0.1}}}}; }}};
  return all;
}

// --- batches -----------------------------------------------------------------------------------------------------------------------

// Is a row away from every place where value or slope jumps: the target by its margin, the other classes by the threshold?
template <class T>
bool smooth(RowMargin const& margin, double m, T const* c, idx y) {
  double const target = double(c[y]), phi = std::acos(target) + m;
  double const threshold = threshold_of(margin, Scalar<double>(target)).v;
  if (std::fabs(phi) < 0.1 || std::fabs(phi - pi) < 0.1 || std::fabs(target - 0.1) < 0.01) return false;
  for (idx j = 0; j < cols; ++j)
    if (j != y && std::fabs(double(c[j]) - threshold) < 1e-3) return false;
  return true;
}

// Cosines and a margin for each row: of both signs and past pi.
template <class T>
struct Case {
  Problem<T> p;
  std::vector<T> margins;
  Case(Kind const& kind, unsigned seed, bool plain_numbers = false) : p(rows, cols, seed, 3, 1) {
    std::mt19937 random(seed + 77);
    std::uniform_real_distribution<float> unit(-1, 1);
    for (idx i = 0; i < rows; ++i)
      for (;;) {
        T const m = T(static_cast<float>(kind.range) * unit(random));
        for (idx j = 0; j < cols; ++j) p.cosines.at(i, j) = T(0.95F * unit(random));
        if (!smooth(kind.make(double(m)), double(m), p.cosines.row(i), static_cast<idx>(p.labels[size(i)]))) continue;
        margins.push_back(plain_numbers ? T(0) : m);
        break;
      }
    p.labels[size(ignored_row)] = -5;
  }
};

template <class Space, class T>
VectorView<T, Space> in(VectorView<T> v) { return {v.data, v.size}; }
template <class Space, class T>
MatrixView<T, Space> in(MatrixView<T> m) { return {m.data, m.rows, m.cols, m.stride}; }

// What a batch may be given besides.
template <class T>
struct Given {
  std::vector<T> margins{};
  std::vector<double> rest{};
};

template <class T>
struct Results {
  Report report;
  Guarded<T> gradient, later;
  std::vector<T> losses, by_scale, by_margin, later_by_scale, later_by_margin;
};
// Every call that knows a margin's number, on rows [first, first + count) of a problem.
template <class T, class B, class L>
Results<T> results(B const& backend, L const& loss, Problem<T>& p, idx first, idx count, Given<T> const& given, Reduction reduction) {
  using Space = typename B::space;
  auto const part = [&](auto& v) {
    using V = std::remove_reference_t<decltype(v[0])>;
    return VectorView<V const, Space>{v.data() + first, count};
  };
  MatrixView<T const, Space> const cosines{p.cosines.row(first), count, cols, p.cosines.matrix().stride};
  Batch<T, std::int64_t, Space> batch(cosines, part(p.labels));
  batch.weights = part(p.weights), batch.upstream = part(p.upstream);
  batch.class_weights = in<Space>(VectorView<T const>(view(p.class_weights)));
  if (!given.margins.empty()) batch.margins = part(given.margins);
  if (!given.rest.empty()) batch.rest = {given.rest.data(), static_cast<idx>(given.rest.size())};
  Options const options{.reduction = reduction, .upstream = 1.5, .ignore_label = -5};
  std::vector<T> const zeros(size(count), T(9));
  Guarded<T> const blank(count, cols, 3, 1, T(9));
  Results<T> r{{}, blank, blank, zeros, zeros, zeros, zeros, zeros};
  std::vector<SavedRow> saved(size(count));
  std::vector<std::byte> memory(workspace_bytes<T>(backend, count, cols, Placement::out_of_place));
  WorkspaceIn<Space> const workspace{memory.data(), static_cast<idx>(memory.size())};
  auto const out = [](auto& v) { return in<Space>(view(v)); };
  r.report = loss_and_gradient(backend, loss, batch, in<Space>(r.gradient.matrix()), workspace, options,
                               Outputs<T, Space>{out(r.losses), out(r.by_scale), {}, out(r.by_margin)});
  loss_value(backend, loss, batch, workspace, options, Outputs<T, Space>{{}, {}, out(saved)});
  VectorView<SavedRow const, Space> const read = out(saved);
  loss_gradient(backend, loss, batch, read, in<Space>(r.later.matrix()), options, out(r.later_by_scale), out(r.later_by_margin));
  return r;
}
template <class T, class B, class L>
Results<T> results(B const& backend, L const& loss, Problem<T>& p, Given<T> const& given, Reduction reduction = Reduction::sum) {
  return results(backend, loss, p, 0, rows, given, reduction);
}

template <class T>
void expect_same_rows(Results<T> const& all, Results<T> const& one, idx i) {
  INFO("row " << i);
  CHECK(std::memcmp(all.gradient.row(i), one.gradient.row(0), size(cols) * sizeof(T)) == 0);
  CHECK(std::memcmp(all.later.row(i), one.later.row(0), size(cols) * sizeof(T)) == 0);
  CHECK(all.losses[size(i)] == one.losses[0]);
  CHECK(all.by_scale[size(i)] == one.by_scale[0]);
  CHECK(all.by_margin[size(i)] == one.by_margin[0]);
  CHECK(all.later_by_scale[size(i)] == one.later_by_scale[0]);
  CHECK(all.later_by_margin[size(i)] == one.later_by_margin[0]);
}

// --- a margin a row ----------------------------------------------------------------------------------------------------------------

// Rows with a margin each are calls with that margin; other reductions divide; an ignored row has no part in it.
template <class T, class B>
void a_margin_a_row(B const& backend) {
  constexpr double eps = double(std::numeric_limits<T>::epsilon());
  unsigned seed = 0;
  for (Kind const& kind : kinds())
    for (auto const& rest : {RowRest{PlainRest{}}, RowRest{HardNegatives<>{0.3}}}) {
      INFO(kind.name << ", " << sizeof(T) << " bytes, " << std::string(B::name));
      Case<T> c(kind, ++seed);
      AnyObjective const objective = all_objectives()[seed % 3];
      Given<T> const given{c.margins};
      Seen const loss{kind.make(0.5), scale, objective, rest};
      auto const all = results<T>(backend, loss, c.p, given);
      CHECK(all.report.valid == rows - 1);
      for (idx i = 0; i < rows; ++i) {
        Seen const own{kind.make(double(c.margins[size(i)])), scale, objective, rest};
        expect_same_rows(all, results<T>(backend, own, c.p, i, 1, {}, Reduction::sum), i);
      }
      CHECK(all.by_margin[size(ignored_row)] == 0);
      CHECK(all.later_by_margin[size(ignored_row)] == 0);
      CHECK(apart(all.by_margin, all.later_by_margin) <= (sizeof(T) == 4 ? 6 : 450));
      double weights = 0;
      for (idx i = 0; i < rows; ++i)
        if (i != ignored_row) weights += double(c.p.weights[size(i)]) * double(c.p.class_weights[size(c.p.labels[size(i)])]);
      for (auto const& [reduction, divisor] : {std::pair(Reduction::mean, rows - 1.0), std::pair(Reduction::batch_mean, double(rows)),
                                               std::pair(Reduction::weighted_mean, weights)}) {
        auto const reduced = results<T>(backend, loss, c.p, given, reduction);
        for (auto const* by : {&reduced.by_margin, &reduced.later_by_margin})
          for (idx i = 0; i < rows; ++i) {
            double const want = double(all.by_margin[size(i)]) / divisor;
            CHECK(std::fabs(double((*by)[size(i)]) - want) <= (sizeof(T) == 4 ? 12 : 450) * eps * (std::fabs(want) + 1e-3));
          }
      }
      for (auto const* g : {&all.gradient, &all.later}) CHECK(g->guards_hold());
    }
}

// --- derivatives -------------------------------------------------------------------------------------------------------------------

// dJ_i by one number of each row, by central differences: change(h) moves it.
template <class L>
std::vector<double> differences(L const& loss, Problem<double>& p, Given<double>& given, std::function<void(double)> const& change) {
  double const h = 1e-6;
  auto const losses = [&] {
    std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, cols, Placement::no_gradient));
    std::vector<double> row_losses(size(rows));
    auto batch = p.weighted();
    if (!given.margins.empty()) batch.margins = view(given.margins);
    loss_value(on::serial{}, loss, batch, view(memory), {.ignore_label = -5}, Outputs<double>{view(row_losses)});
    return row_losses;
  };
  change(h);
  auto const above = losses();
  change(-2 * h);
  auto const below = losses();
  change(h);
  std::vector<double> d;
  for (std::size_t i = 0; i < above.size(); ++i) d.push_back((above[i] - below[i]) / (2 * h) * 1.5 * p.upstream[i]);
  return d;
}
bool close(double x, double expected, double largest) {
  return std::fabs(x - expected) <= 1e-7 + 2e-6 * std::max(std::fabs(expected), largest);
}

template <class L, class... B>
void expect_derivatives(L const& loss, Case<double>& c, bool given_margins, B const&... backends) {
  Given<double> given;
  if (given_margins) given.margins = c.margins;
  std::vector<std::vector<double>> by_cosine;
  for (idx j = 0; j < cols; ++j)
    by_cosine.push_back(differences(loss, c.p, given, [&](double h) { for (idx i = 0; i < rows; ++i) c.p.cosines.at(i, j) += h; }));
  std::vector<double> by_margin(size(rows));
  if (given_margins) by_margin = differences(loss, c.p, given, [&](double h) { for (double& m : given.margins) m += h; });
  auto const check = [&](auto const& backend) {
    INFO(std::string(backend.name));
    auto const r = results<double>(backend, loss, c.p, given);
    for (idx i = 0; i < rows; ++i) {
      INFO("row " << i);
      double largest = 0;
      for (auto const& column : by_cosine) largest = std::max(largest, std::fabs(column[size(i)]));
      idx wrong = 0;
      for (auto const* g : {&r.gradient, &r.later})
        for (idx j = 0; j < cols; ++j)
          if (!close(g->at(i, j), by_cosine[size(j)][size(i)], largest) && ++wrong == 1)
            FAIL_CHECK("class " << j << ": " << g->at(i, j) << ", by differences " << by_cosine[size(j)][size(i)] << ", label "
                                << c.p.labels[size(i)]);
      if (!given_margins) continue;
      for (auto const* g : {&r.by_margin, &r.later_by_margin})
        if (!close((*g)[size(i)], by_margin[size(i)], 0))
          FAIL_CHECK("margin " << c.margins[size(i)] << ": " << (*g)[size(i)] << ", by differences " << by_margin[size(i)]);
    }
  };
  (check(backends), ...);
}

template <class L>
void expect_derivatives_everywhere(L const& loss, Case<double>& c, bool given_margins) {
  expect_derivatives(loss, c, given_margins, on::serial{}, losskit::on::eigen{}, Cpp{}, Few<true>{}, Few<false>{}, Few<true, device>{});
}

// --- numbers of a rest rule --------------------------------------------------------------------------------------------------------

template <class T, class B>
void a_rest_number(B const& backend) {
  Case<T> c(kinds()[0], 5);
  std::vector<double> each;
  for (idx i = 0; i < rows; ++i) each.push_back(-1 + 2 * double(i) / double(rows - 1));
  auto const loss = [](double t) { return Seen{RowMargin{{ArcMargin<>{0.5}}}, scale, {}, RowRest{CurricularRest{t}}}; };
  INFO(sizeof(T) << " bytes, " << std::string(B::name));
  auto const all = results<T>(backend, loss(0.77), c.p, {{}, each});
  auto const common = results<T>(backend, loss(0.77), c.p, {{}, {0.25}});
  idx differ = 0;
  for (idx i = 0; i < rows; ++i) {
    expect_same_rows(all, results<T>(backend, loss(each[size(i)]), c.p, i, 1, {}, Reduction::sum), i);
    expect_same_rows(common, results<T>(backend, loss(0.25), c.p, i, 1, {}, Reduction::sum), i);
    differ += std::memcmp(all.gradient.row(i), common.gradient.row(i), size(cols) * sizeof(T)) != 0;
  }
  CHECK(differ >= rows - 2);  // t matters
}

// --- the state of CurricularRest ---------------------------------------------------------------------------------------------------

template <class T, class B>
void curriculum(B const& backend) {
  using Space = typename B::space;
  INFO(sizeof(T) << " bytes, " << std::string(B::name));
  constexpr double largest = std::numeric_limits<double>::infinity();
  CurricularRest const rest;
  CurricularState state = rest.start();
  CHECK(state.t == 0);
  CHECK(state.steps == 0);
  VectorView<CurricularState, Space> const there{&state, 1};
  std::vector<std::byte> memory(advance_workspace_bytes(300));
  WorkspaceIn<Space> const workspace{memory.data(), static_cast<idx>(memory.size())};
  double t = 0;
  idx steps = 0;
  Options const options{.ignore_label = -5};
  auto const step = [&](Problem<T>& p, idx count) {
    Batch<T, std::int64_t, Space> batch(MatrixView<T const, Space>{p.cosines.row(0), count, p.cols, p.cosines.matrix().stride},
                                        VectorView<std::int64_t const, Space>{p.labels.data(), count});
    batch.weights = {p.weights.data(), count};  // they have no part in it
    advance(backend, rest, there, batch, workspace, options);
    CHECK(state.steps == ++steps);
    return batch;
  };
  for (unsigned k = 0; k < 6; ++k) {
    idx const count = k == 5 ? 300 : rows;
    Problem<T> p(count, cols, k + 1, 2, 1);
    double sum = 0, n = 0;
    if (k % 2) p.labels[1] = -5;
    if (k == 2) p.cosines.at(0, static_cast<idx>(p.labels[0])) = T(1.75);  // clamped to 1
    if (k == 3) p.cosines.at(4, static_cast<idx>(p.labels[4])) = T(-1.25);
    if (k == 4) p.cosines.at(0, static_cast<idx>(p.labels[0]) == 0 ? 1 : 0) = T(NAN);  // no target
    for (idx i = 0; i < count; ++i)
      if (p.labels[size(i)] != -5) sum += std::clamp(double(p.cosines.at(i, static_cast<idx>(p.labels[size(i)]))), -1.0, 1.0), ++n;
    double const before = t;
    t = 0.01 * (sum / n) + 0.99 * t;
    step(p, count);
    CHECK(std::fabs(state.t - t) <= 1e-15);
    CHECK(t != before);
    // The row reads its number where the state is.
    auto batch = step(p, 0);
    CHECK(std::fabs(state.t - t) <= 1e-15);  // no rows: kept
    batch.cosines.rows = count, batch.labels.size = count, batch.weights = {};
    batch.rest = rest_of(there);
    std::vector<std::byte> scratch(workspace_bytes<T>(backend, count, cols, Placement::no_gradient));
    WorkspaceIn<Space> const ws{scratch.data(), static_cast<idx>(scratch.size())};
    Seen const loss{RowMargin{{ArcMargin<>{0.5}}}, scale, {}, RowRest{rest}},
        own{RowMargin{{ArcMargin<>{0.5}}}, scale, {}, RowRest{rest.at(state)}};
    std::vector<T> losses(size(count)), expected(size(count));
    loss_value(backend, loss, batch, ws, options, Outputs<T, Space>{in<Space>(view(losses))});
    batch.rest = {};
    loss_value(backend, own, batch, ws, options, Outputs<T, Space>{in<Space>(view(expected))});
    CHECK(std::memcmp(losses.data(), expected.data(), size(count) * sizeof(T)) == 0);
  }
  double const kept = state.t;
  for (double const odd : {double(NAN), largest, -largest}) {  // a target that is no number
    Problem<T> p(rows, cols, 9);
    p.cosines.at(3, static_cast<idx>(p.labels[3])) = T(odd);
    step(p, rows);
    CHECK(state.t == kept);
  }
  Problem<T> p(rows, cols, 9);
  for (auto& label : p.labels) label = -5;  // every row ignored
  step(p, rows);
  CHECK(state.t == kept);
}

// --- errors ------------------------------------------------------------------------------------------------------------------------

// Every call that is given numbers a row refuses these, and writes nothing.
template <class L>
void refused(L const& loss, std::vector<float> const& margins, std::vector<double> const& rest, std::initializer_list<char const*> words) {
  Problem<float> p(rows, cols, 3);
  std::vector<float> gradient(size(rows * cols), 7), out(size(rows), 7);
  std::vector<SavedRow> saved(size(rows), SavedRow{});
  std::vector<std::byte> memory(4096, std::byte(7));
  auto batch = p.plain();
  if (!margins.empty()) batch.margins = view(margins);
  if (!rest.empty()) batch.rest = view(rest);
  auto const g = losskit::matrix(gradient, rows, cols);
  losskit::on::eigen<one_thread> const on;
  expect_error<ParameterError>([&] { loss_and_gradient(on, loss, batch, g, view(memory), {}, Outputs<float>{view(out)}); }, words);
  expect_error<ParameterError>([&] { loss_value(on, loss, batch, view(memory), {}, Outputs<float>{view(out)}); }, words);
  expect_error<ParameterError>([&] { loss_gradient(on, loss, batch, saved, g, {}, view(out)); }, words);
  expect_error<ParameterError>([&] { logits(on, loss, batch, g, view(memory)); }, words);
  expect_error<ParameterError>([&] { logits_backward(on, loss, batch, p.cosines.matrix(), g); }, words);
  CHECK(gradient == std::vector<float>(size(rows * cols), 7));
  CHECK(out == std::vector<float>(size(rows), 7));
  CHECK(memory == std::vector<std::byte>(4096, std::byte(7)));
}

// On a device such a row is a fault: no loss, a zero gradient.
template <class L>
void is_a_fault(L const& loss, Given<float> const& given, Fault::What what, idx row) {
  Problem<float> p(rows, cols, 3);
  auto const r = results<float>(Few<true, device>{}, loss, p, given);
  CHECK(r.report.fault.what == what);
  CHECK(r.report.fault.row == row);
  for (idx i = 0; i < rows; ++i) {
    idx zeros = 0;
    for (idx j = 0; j < cols; ++j) zeros += r.gradient.at(i, j) == 0 && r.later.at(i, j) == 0;
    bool const none = r.losses[size(i)] == 0 && r.by_margin[size(i)] == 0 && r.later_by_margin[size(i)] == 0 && zeros == cols;
    CHECK(none == (i == row));
  }
}

}  // namespace

TEST_CASE("a margin a row is B calls with that margin: one number at a time") {
  a_margin_a_row<float>(on::serial{});
  a_margin_a_row<double>(on::serial{});
}
TEST_CASE("a margin a row is B calls with that margin: SIMD packets") {
  a_margin_a_row<float>(losskit::on::eigen{});
  a_margin_a_row<double>(losskit::on::eigen{});
}
TEST_CASE("a margin a row is B calls with that margin: tasks of Thrust") { a_margin_a_row<double>(Cpp{}); }
TEST_CASE("a margin a row is B calls with that margin: lanes, and lanes over a device's memory") {
  a_margin_a_row<double>(Few<true>{});
  a_margin_a_row<double>(Few<false>{});
  a_margin_a_row<float>(Few<true, device>{});
  a_margin_a_row<double>(Few<true, device>{});
}

TEST_CASE("the gradient by each row's margin is the derivative, under every rule past pi, on every backend") {
  unsigned seed = 100;
  for (Kind const& kind : kinds()) {
    if (kind.name == "Arc, NoRule, Detached") continue;  // by its cosine it is no derivative
    INFO(kind.name);
    Case<double> c(kind, ++seed);
    expect_derivatives_everywhere(Seen{kind.make(0.5), scale, {FocalLoss{2}}, RowRest{HardNegatives<>{0.3}}}, c, true);
  }
}

TEST_CASE("a rest rule that pulls on its target: the gradient by every cosine and by the margin is the derivative") {
  unsigned seed = 200;
  for (Kind const& kind : kinds()) {
    if (kind.name == "Arc, NoRule, Detached") continue;
    INFO(kind.name);
    Case<double> c(kind, ++seed);
    expect_derivatives_everywhere(Pulling{kind.make(0.5), scale, CrossEntropy{}, PullingRest{}}, c, true);
  }
  for (RowMargin const& margin : {RowMargin{{NoMargin{}}}, RowMargin{{SphereMargin<>{}}}, RowMargin{{SphereMargin<>{1.7}}},
                                  RowMargin{{Annealed<>{SphereMargin<>{4.0}, 2}}}, RowMargin{{CombinedMargin<>{1.3, 0.4, 0.1}}},
                                  RowMargin{{ArcMargin<LegacyLinear>{1.9}}}}) {
    INFO(std::string(margin.own_name()));
    Kind const kind{margin.own_name(), 0, [&](double) { return margin; }};
    Case<double> c(kind, ++seed, true);
    expect_derivatives_everywhere(Pulling{margin, scale, CrossEntropy{}, PullingRest{}}, c, false);
  }
}

TEST_CASE("a rest rule's number, one for all or one a row, is that of its constructor") {
  a_rest_number<float>(on::serial{});
  a_rest_number<double>(on::serial{});
  a_rest_number<float>(losskit::on::eigen{});
  a_rest_number<double>(losskit::on::eigen{});
  a_rest_number<double>(Cpp{});
  a_rest_number<double>(Few<true>{});
  a_rest_number<double>(Few<false>{});
  a_rest_number<float>(Few<true, device>{});
}

TEST_CASE("CurricularRest follows its batches: t = 0.01 mean + 0.99 t") {
  curriculum<float>(on::serial{});
  curriculum<double>(on::serial{});
  curriculum<float>(losskit::on::eigen{});
  curriculum<double>(losskit::on::eigen{});
  curriculum<double>(Cpp{});
  curriculum<double>(Few<true>{});
  curriculum<float>(Few<true, device>{});
}

TEST_CASE("numbers a row that a policy does not take") {
  std::vector<float> const good(size(rows), 0.5F);
  for (float const bad : {3.1415927F, -3.1415927F, 4.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    INFO("m = " << bad);
    auto margins = good;
    margins[4] = bad;
    refused(MarginSoftmax{ArcMargin{0.5}, scale}, margins, {}, {"margins[4]", "ArcMargin"});
    bool const finite = std::fabs(bad) <= 4;
    if (!finite) refused(MarginSoftmax{CosMargin{0.3}, scale}, margins, {}, {"margins[4]", "CosMargin"});
    is_a_fault(MarginSoftmax{ArcMargin{0.5}, scale}, {margins}, Fault::margin, 4);
  }
  refused(MarginSoftmax{NoMargin{}, scale}, good, {}, {"margins", "takes no number"});
  refused(MarginSoftmax{SphereMargin{}, scale}, good, {}, {"margins", "takes no number"});
  refused(MarginSoftmax{ArcMargin{0.5}, scale}, {}, std::vector<double>{0.5}, {"rest", "takes no number"});
  MarginSoftmax const curricular{ArcMargin{0.5}, scale, CrossEntropy{}, CurricularRest{}};
  for (double const bad : {1.0000001, -1.5, double(NAN)}) {
    INFO("t = " << bad);
    std::vector<double> each(size(rows), 0.5);
    each[1] = bad;
    refused(curricular, {}, each, {"rest[1]", "CurricularRest"});
    refused(curricular, {}, std::vector<double>{bad}, {"rest[0]", "CurricularRest"});
    is_a_fault(curricular, {{}, each}, Fault::rest, 1);
    expect_error<ParameterError>([&] { CurricularRest{bad}; }, {"CurricularRest", "[-1, 1]"});
    expect_error<ParameterError>([&] { CurricularRest(0, bad); }, {"CurricularRest", "momentum"});
  }
  // The ends of (-pi, pi) themselves, as doubles.
  Problem<double> p(rows, cols, 3);
  std::vector<std::byte> memory(4096);
  for (double const sign : {1.0, -1.0}) {
    std::vector<double> margins(size(rows), sign * std::nextafter(pi, 0.0));
    auto batch = p.plain();
    batch.margins = view(margins);
    MarginSoftmax const loss{ArcMargin{0.5}, scale};
    CHECK_NOTHROW(loss_value(on::serial{}, loss, batch, view(memory)));
    margins[6] = sign * pi;
    expect_error<ParameterError>([&] { loss_value(on::serial{}, loss, batch, view(memory)); }, {"margins[6]", "ArcMargin"});
  }
}

TEST_CASE("advance of a CurricularRest: bad arguments change no state") {
  Problem<float> p(rows, cols, 3);
  CurricularState state{0.25, 7};
  CurricularRest const rest;
  std::vector<std::byte> memory(advance_workspace_bytes(rows));
  auto const batch = p.plain();
  VectorView<CurricularState> const there{&state, 1};
  expect_error<ShapeError>([&] { advance(on::serial{}, rest, VectorView<CurricularState>{&state, 2}, batch, view(memory)); },
                           {"state", "2", "1"});
  expect_error<ShapeError>([&] { advance(on::serial{}, rest, VectorView<CurricularState>{}, batch, view(memory)); }, {"state", "0", "1"});
  expect_error<WorkspaceError>([&] { advance(on::serial{}, rest, there, batch, Workspace{memory.data(), 5}); }, {"workspace", "5 bytes"});
  VectorView<CurricularState> const inside{reinterpret_cast<CurricularState*>(memory.data()), 1};
  expect_error<AliasError>([&] { advance(on::serial{}, rest, inside, batch, view(memory)); }, {"state", "workspace"});
  p.labels[3] = cols;
  expect_error<LabelError>([&] { advance(on::serial{}, rest, there, batch, view(memory)); }, {"labels[3]"});
  expect_error<LabelError>([&] { advance(on::serial{}, rest, state, batch, view(memory)); }, {"labels[3]"});
  CHECK(state.t == 0.25);
  CHECK(state.steps == 7);
}
