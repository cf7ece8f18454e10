// The row in phases (row/row.hpp). A row that is cut at multiples of its team's block, opened part after part and finished part after
// part, gives the bits of the row in one piece; parts that are summed apart and added in order, as shards would, give its numbers.
#include <doctest/doctest.h>

#include <string>

#include "lanes.hpp"
#include "losskit/compose/softmax_loss.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/objective/label_smoothing.hpp"
#include "losskit/rest/curricular.hpp"

using namespace test;

namespace {

// Rest rules chosen at run time; none of them is left out for its slope of 1.
struct RestOf {
  static constexpr char const* name = "RestOf";
  std::variant<PlainRest, HardNegatives<>, HardNegatives<Fixed>, CurricularRest> rule;

  double bound() const { return std::visit([](auto const& r) { return r.bound(); }, rule); }
  double lowest() const { return -1; }
  template <Number X>
  Jet<X> rest(X c, X threshold) const {
    switch (rule.index()) {
      case 0: return std::get<0>(rule).rest(c, threshold);
      case 1: return std::get<1>(rule).rest(c, threshold);
      case 2: return std::get<2>(rule).rest(c, threshold);
      default: return std::get<3>(rule).rest(c, threshold);
    }
  }
};

// A team, and the backend whose rows it works on.
template <class T>
struct OneNumber {
  using Team = SerialTeam<T>;
  using Backend = on::serial;
  struct Mode { Mode() {} };
};
template <class T>
struct Packets {
  using Team = SimdTeam<Packet<T>>;
  using Backend = losskit::on::eigen<one_thread>;
  using Mode = FlushTiny;
};

template <class T>
bool same_bits(T const& a, T const& b) {
  if constexpr (std::is_floating_point_v<T>)
    if (a != a && b != b) return true;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

// What the fused row gives.
template <class T>
struct Whole {
  Report report;
  std::vector<T> gradient, loss, scale_gradient;
  std::vector<SavedRow> saved;
};
template <class On, class T, class L>
Whole<T> whole_row(L const& loss, std::vector<T> const& c, idx y) {
  idx const n = static_cast<idx>(c.size());
  std::vector<std::int64_t> const labels{y};
  Whole<T> w{{}, std::vector<T>(c.size(), T(9)), std::vector<T>(1), std::vector<T>(1), std::vector<SavedRow>(1)};
  typename On::Backend const backend;
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, 1, n, Placement::out_of_place));
  w.report = loss_and_gradient(backend, loss, Batch(losskit::matrix(c, 1, n), labels), losskit::matrix(w.gradient, 1, n), view(workspace),
                               {.upstream = 0.75}, Outputs<T>{view(w.loss), view(w.scale_gradient), view(w.saved)});
  return w;
}

// The parts of a row, cut before these classes.
std::vector<Classes> parts_of(idx n, std::vector<idx> const& cuts) {
  std::vector<Classes> parts;
  idx first = 0;
  for (idx const cut : cuts)
    if (cut > first && cut < n) parts.push_back({first, cut - first, n}), first = cut;
  parts.push_back({first, n - first, n});
  return parts;
}

// A row in parts: `together`, one state goes from part to part; else each part has its own, and their sums are added in order.
template <class T, class State>
struct InParts {
  State state;
  RowEnd end;
  std::vector<T> gradient;
};
template <class On, class T, class L, class Go>
void row_in_parts(L const& loss, std::vector<T> const& c, idx y, std::vector<Classes> const& parts, bool together, Go const& go) {
  using losskit::detail::asked_by;
  idx const n = static_cast<idx>(c.size());
  std::vector<std::int64_t> const labels{y};
  Batch const batch(losskit::matrix(c, 1, n), labels);
  losskit::detail::RowPolicies<L, T, std::int64_t, host> const policies(loss, batch, {.upstream = 0.75});
  auto const start = policies.start(0);
  losskit::detail::with_exponential(loss.rest, policies, [&](auto exp_of) {
    using List = typename decltype(asked_by<L>())::template with<MomentSum>;
    using State = RowState<T, decltype(exp_of), List>;
    typename On::Mode const mode;
    typename On::Team team;
    InParts<T, State> r{{start.target}, {}, std::vector<T>(c.size(), T(9))};
    std::vector<Stretches> stretches;
    State all = r.state;
    for (Classes const& part : parts) {
      State own{start.target};
      T* const kept = r.gradient.data() + part.first;
      stretches.push_back(open_row(team, c.data() + part.first, part, y, kept, loss.rest, exp_of, together ? all : own));
      if (together) continue;
      all.sums.add(own.sums);
      all.odd.add(own.odd);
    }
    auto const known = after_sums(exp_of, all.sums);
    r.end = close_row(all.sums, start.target, known.scale(), known.shift_above(start.target.psi.value), n,
                      [&](auto log_p, auto mean) { return policies.objective(log_p, mean); }, policies.factors(0).weight);
    double at = 0;
    if constexpr (decltype(exp_of)::paired) at = all.sums.at;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      T* const g = r.gradient.data() + parts[k].first;
      finish_row<RowSums<Scalar<double>, List>::template has<RestSum>>(team, g, stretches[k], at, g, parts[k], y, r.end,
                                                                       policies.factors(0).upstream);
    }
    r.state = all;
    go(r);
  });
}

template <class Sums>
std::vector<double> numbers_of(Sums const& sums) {
  std::vector<double> all;
  sums.map([&](auto x, auto) { return all.push_back(x.v), x; });
  return all;
}

// --- one state: the same bits ------------------------------------------------------------------------------------------------------

template <class On, class T, class L>
void same_in_parts(L const& loss, std::vector<T> const& c, idx y) {
  constexpr idx block = On::Team::block;
  idx const n = static_cast<idx>(c.size()), blocks = (n + block - 1) / block;
  auto const w = whole_row<On>(loss, c, y);
  std::vector<double> one_part;
  row_in_parts<On>(loss, c, y, parts_of(n, {}), true, [&](auto const& r) { one_part = numbers_of(r.state.sums); });
  std::vector<idx> every;
  for (idx k = 1; k < blocks; ++k) every.push_back(k * block);
  for (auto const& cuts : {std::vector<idx>{}, {block}, {blocks / 2 * block}, {block, (blocks - 1) * block}, every}) {
    auto const parts = parts_of(n, cuts);
    INFO(parts.size() << " parts of " << n << " classes, target " << y);
    row_in_parts<On>(loss, c, y, parts, true, [&](auto const& r) {
      auto const numbers = numbers_of(r.state.sums);
      REQUIRE(numbers.size() == one_part.size());
      for (std::size_t k = 0; k < numbers.size(); ++k) CHECK_MESSAGE(same_bits(numbers[k], one_part[k]), "sum " << k);
      SavedRow const& s = w.saved[0];
      CHECK(same_bits(r.end.z, s.z));
      CHECK(same_bits(r.end.pull, s.pull));
      CHECK(same_bits(r.end.uniform, s.uniform));
      CHECK(same_bits(r.end.slope, s.slope));
      CHECK(same_bits(r.end.scale_slope, s.scale_slope));
      CHECK(same_bits(r.end.margin_slope, s.margin_slope));
      CHECK(same_bits(T(r.end.loss), w.loss[0]));
      CHECK(same_bits(r.end.loss, w.report.loss));
      CHECK(r.state.odd.clamped == w.report.clamped);
      CHECK(r.state.odd.out_of_range == w.report.out_of_range);
      CHECK(r.state.odd.non_finite == w.report.non_finite);
      CHECK(static_cast<idx>(r.state.sums.hard.v) == w.report.hard_negatives);
      CHECK(w.report.top1 == (r.state.sums.above.v == 0 && w.report.non_finite == 0));
      idx differ = 0, first = -1;
      for (idx j = 0; j < n; ++j)
        if (!same_bits(r.gradient[size(j)], w.gradient[size(j)])) {
          if (first < 0) first = j;
          ++differ;
        }
      if (differ)
        FAIL_CHECK(differ << " gradients differ, the first of class " << first << ": " << r.gradient[size(first)] << ", whole "
                          << w.gradient[size(first)]);
    });
  }
}

// --- states apart: the same numbers ------------------------------------------------------------------------------------------------

// The e of two parts that are relative to logits of their own are the same numbers but for a power of two, where those logits are whole
// exponents (Paired: small ones, in float). Else each e is rounded anew, and what a part is relative to is off by half an ulp of that
// logit, as a double; and number by number in double e is rounded anew, for its exponent is.
template <class On, class T, class L>
void equal_apart(L const& loss, std::vector<T> const& c, idx y) {
  constexpr idx block = On::Team::block;
  idx const n = static_cast<idx>(c.size()), blocks = (n + block - 1) / block;
  constexpr double eps = double(std::numeric_limits<T>::epsilon());
  double largest_logit = 0;
  for (T const x : c) largest_logit = std::max(largest_logit, loss.scale * loss.rest.bound() * std::fabs(double(x)));
  auto const w = whole_row<On>(loss, c, y);
  long double largest = 0;
  for (T const g : w.gradient) largest = std::max(largest, std::fabs(static_cast<long double>(g)));
  std::vector<double> one_part;
  double at = 0;
  row_in_parts<On>(loss, c, y, parts_of(n, {}), true, [&](auto const& r) {
    one_part = numbers_of(r.state.sums);
    if constexpr (requires { r.state.sums.at; }) at = r.state.sums.at;
  });
  for (auto const& cuts : {std::vector<idx>{block}, {blocks / 2 * block}, {n / 3, n / 3 + 1, n - 5}}) {
    auto const parts = parts_of(n, cuts);
    INFO(parts.size() << " parts of " << n << " classes apart, target " << y);
    row_in_parts<On>(loss, c, y, parts, false, [&](auto const& r) {
      bool rounded_anew = std::is_same_v<On, OneNumber<double>>;
      double factor = 1, anew = rounded_anew ? 1e-13 : 4 * eps;
      if constexpr (requires { r.state.sums.at; }) {
        factor = std::exp2(r.state.sums.at - at);
        if (sizeof(T) == 8 || largest_logit / ln2 > 2 * Paired<T>::slack) rounded_anew = true, anew += 0x1p-52 * largest_logit;
      }
      // Where the blocks are the same, z is rounded once, as a double, for each of them and for each part.
      bool const same_blocks = cuts[0] % block == 0;
      double const z = r.state.sums.z.v * factor, roundings = double(blocks + static_cast<idx>(parts.size())) * 0x1p-53;
      CHECK(std::fabs(z - one_part[0]) <= (rounded_anew ? anew : same_blocks ? roundings : 4 * eps) * one_part[0]);
      CHECK(r.state.sums.above.v == one_part[1]);
      CHECK(r.state.sums.hard.v == one_part[2]);
      long double worst = 0;
      for (idx j = 0; j < n; ++j)
        worst = std::max(worst, std::fabs(static_cast<long double>(r.gradient[size(j)]) - static_cast<long double>(w.gradient[size(j)])));
      double const of_z = sizeof(T) == 4 ? 0 : 1;  // a double's own ulp, and that of z
      CHECK(double(worst / ulp<T>(largest)) <= (rounded_anew ? 2 * anew / eps : 1 + of_z));
    });
  }
}

// --- rows --------------------------------------------------------------------------------------------------------------------------

template <class T>
std::vector<T> random_row(idx n, double spread, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> number(-spread, spread);
  std::vector<T> row;
  for (idx j = 0; j < n; ++j) row.push_back(T(number(random)));
  return row;
}
// Logits whose level changes by `step` from block to block, beginning at `base`.
template <class T>
std::vector<T> steps(idx n, idx block, double base, double step, unsigned seed) {
  auto row = random_row<T>(n, 3, seed);
  for (idx j = 0; j < n; ++j) row[size(j)] = T(double(row[size(j)]) + base + step * double(j / block));
  return row;
}
// Each block's level anywhere within `range` of base.
template <class T>
std::vector<T> levels(idx n, idx block, double base, double range, unsigned seed) {
  auto row = random_row<T>(n, 3, seed);
  auto const level = random_row<T>(n / block + 1, range, seed + 1);
  for (idx j = 0; j < n; ++j) row[size(j)] = T(double(row[size(j)]) + base + double(level[size(j / block)]));
  return row;
}

template <class On>
constexpr idx row_length = 7 * On::Team::block + 37;

// go(loss, row, target).
template <class T, class On, class Go>
void every_row(Go const& go) {
  constexpr idx block = On::Team::block, n = row_length<On>;
  std::vector<double> const scales = sizeof(T) == 4 ? std::vector<double>{30, 64, 84, 200, 1e4, 1e6} : std::vector<double>{64, 1e4};
  unsigned seed = 0;
  auto const target = [&](unsigned k) { return std::vector<idx>{5, 3 * block + 1, n - 2, block - 1}[k % 4]; };
  for (double const s : scales)
    for (double const spread : {0.95, 0.05}) {
      INFO("s = " << s << ", cosines up to " << spread << ", " << sizeof(T) << " bytes");
      auto row = random_row<T>(n, spread, ++seed);
      idx const y = target(seed);
      row[size(y)] = T(0.3F);
      go(MarginSoftmax{ArcMargin{0.4}, s}, row, y);
      go(MarginSoftmax{ArcMargin{0.4}, s, LabelSmoothing{0.1}}, row, y);
      for (auto const& rest : {RestOf{HardNegatives<>{0.2}}, RestOf{HardNegatives<Fixed>{0.3}}, RestOf{CurricularRest{0.3}}})
        go(MarginSoftmax{ArcMargin{0.4}, s, CrossEntropy{}, rest}, row, y);
    }
  std::vector<std::vector<T>> rows;
  for (double const base : {0.0, 1e6, -1e6}) {
    for (double const step : {0.0, 50.0, 400.0, -50.0, -400.0}) rows.push_back(steps<T>(n, block, base, step, ++seed));
    for (double const range : {40.0, 100.0, 400.0}) rows.push_back(levels<T>(n, block, base, range, ++seed));
  }
  rows.push_back(random_row<T>(n, 1e6, ++seed));
  for (std::size_t k = 0; k < rows.size(); ++k)
    for (unsigned y = 0; y < 3; ++y) {
      INFO("logits " << k << ", " << sizeof(T) << " bytes");
      go(SoftmaxLoss{}, rows[k], target(y));
      if (y == 0) go(SoftmaxLoss{LabelSmoothing{0.1}}, rows[k], target(unsigned(k)));
    }
}

// Odd cosines in several parts, the target among them.
template <class T, class On, class Go>
void odd_rows(Go const& go) {
  constexpr idx block = On::Team::block, n = row_length<On>;
  T const eps = std::numeric_limits<T>::epsilon(), inf = std::numeric_limits<T>::infinity();
  for (double const s : {30.0, 2000.0})
    for (T const odd : {1 + 2 * eps, T(1.5), T(NAN), inf})
      for (bool const at_target : {false, true}) {
        INFO("s = " << s << ", odd cosine " << odd << ", at the target: " << at_target);
        auto row = random_row<T>(n, 0.9, 77);
        idx const y = 2 * block + 3;
        row[3] = row[size(3 * block)] = row[size(n - 1)] = odd;
        if (at_target) row[size(y)] = odd;
        go(MarginSoftmax{ArcMargin{0.4}, s}, row, y);
      }
}

// --- rows that wait ------------------------------------------------------------------------------------------------------------------

// Rows of two parts on one team that is pipelined: a part is finished while one that was finished before still waits to be written.
template <class T>
void finish_twice(typename SimdTeam<Packet<T>>::Writes writes) {
  using Team = SimdTeam<Packet<T>>;
  constexpr idx n = 2 * Team::block + 21, cut = Team::block, rows = 3;
  INFO("writes " << int(writes));
  double const s = 30;
  std::vector<T> gradient(size(rows * n), T(0.25)), kept(size(rows * n));
  std::vector<std::vector<T>> expected;
  Team team({.writes = writes, .pipelined = true});
  auto const exp_of = Bounded<T>::of(s, rest_range(PlainRest{}), double(n));
  CrossEntropy const objective;
  for (idx i = 0; i < rows; ++i) {
    auto const c = random_row<T>(n, 0.9, unsigned(i + 1));
    idx const y = i == 1 ? cut + 3 : 3;
    MarginSoftmax const loss{NoMargin{}, s};
    expected.push_back(whole_row<Packets<T>>(loss, c, y).gradient);
    RowState<T, Bounded<T>, Asked<>> state{target_of(NoMargin{}, c[size(y)])};
    Classes const parts[] = {{0, cut, n}, {cut, n - cut, n}};
    T *const e = kept.data() + i * n, *const g = gradient.data() + i * n;
    for (Classes const& part : parts) open_row(team, c.data() + part.first, part, y, e + part.first, PlainRest{}, exp_of, state);
    RowEnd const end = close_row(state.sums, state.target, exp_of.scale(), exp_of.shift_above(state.target.psi.value), n,
                                 [&](auto log_p, auto mean) { return objective_jet_of(objective, log_p, mean); }, 1);
    for (Classes const& part : parts) finish_row<false>(team, e + part.first, {}, 0, g + part.first, part, y, end, 0.75);
  }
  team.finish_waiting();
  for (idx i = 0; i < rows; ++i) {
    idx wrong = 0;
    for (idx j = 0; j < n; ++j) {
      T const before = writes == Team::Writes::accumulate ? T(0.25) : T(0), want = before + expected[size(i)][size(j)];
      T const off = std::fabs(gradient[size(i * n + j)] - want);
      wrong += !(off <= (before > 0 ? std::numeric_limits<T>::epsilon() * std::fabs(want) : T(0)));
    }
    CHECK_MESSAGE(wrong == 0, "row " << i << ": " << wrong << " numbers");
  }
}

// --- against long double -----------------------------------------------------------------------------------------------------------

// Logits that rise and fall through so many stretches that the first of them have become nothing.
template <class T, class B>
void rise_and_fall(B const& backend, idx block) {
  double const eps = double(std::numeric_limits<T>::epsilon());
  idx const n = 9 * block + 11;
  for (double const step : sizeof(T) == 4 ? std::vector<double>{3, 50, 61, -50} : std::vector<double>{3, 50, 400, -400})
    for (double const base : {0.0, -900.0})
      for (idx const y : {idx(2), 4 * block + 5, n - 1}) {
        INFO("block of " << block << ", step " << step << " from " << base << ", target " << y << ", " << sizeof(T) << " bytes");
        auto const z = steps<T>(n, block, base, step, 5);
        std::vector<std::int64_t> const labels{y};
        Batch const batch(losskit::matrix(z, 1, n), labels);
        std::vector<T> apart(size(n), T(9)), in_place(z), later(apart), sum(size(n), T(0)), row_loss(1);
        std::vector<SavedRow> saved(1);
        std::vector<std::byte> memory(workspace_bytes<T>(backend, 1, n, Placement::accumulate));
        SoftmaxLoss const loss;
        loss_and_gradient(backend, loss, batch, losskit::matrix(apart, 1, n), view(memory), {}, Outputs<T>{view(row_loss), {}, {}});
        loss_and_gradient(backend, loss, Batch(losskit::matrix(in_place, 1, n), labels), losskit::matrix(in_place, 1, n), view(memory));
        loss_and_gradient(backend, loss, batch, losskit::matrix(sum, 1, n), view(memory), {.write = Write::accumulate});
        loss_value(backend, loss, batch, view(memory), {}, Outputs<T>{{}, {}, view(saved)});
        loss_gradient(backend, loss, batch, saved, losskit::matrix(later, 1, n));
        long double top = -HUGE_VALL, others = 0;
        for (T x : z) top = std::max(top, static_cast<long double>(x));
        auto const e = [&](idx j) { return std::exp(static_cast<long double>(z[size(j)]) - top); };
        for (idx j = 0; j < n; ++j) others += j == y ? 0 : e(j);
        long double const all = others + e(y), q = others / all;
        long double const expected = q < 0.5L ? std::log1p(others / e(y)) : std::log(all) + top - static_cast<long double>(z[size(y)]);
        double const rounding = 0x1p-53 * std::fabs(double(top));  // of the largest logit, as a double
        CHECK(std::fabs(double(row_loss[0]) - double(expected)) <= (sizeof(T) == 4 ? 2 * eps : 1e-13) * double(expected) + rounding);
        long double largest = q;
        std::vector<long double> expected_gradient;
        for (idx j = 0; j < n; ++j) {
          expected_gradient.push_back(j == y ? -q : e(j) / all);
          largest = std::max(largest, std::fabs(expected_gradient.back()));
        }
        long double const allowed = sizeof(T) == 4 ? 4 * ulp<T>(largest) : 1e-13L * largest;
        for (auto const* g : {&apart, &in_place, &later, &sum}) {
          long double worst = 0;
          for (idx j = 0; j < n; ++j)
            worst = std::max(worst, std::fabs(static_cast<long double>((*g)[size(j)]) - expected_gradient[size(j)]));
          CHECK(worst <= allowed);
        }
        CHECK(in_place == apart);
      }
}

// --- sums of one's own -------------------------------------------------------------------------------------------------------------

struct HardRestSum {  // of r over the classes above the threshold
  static constexpr bool of_e = false;
  template <class X, class Terms>
  static X added(X sum, Terms const& t) { return sum + select(t.is_hard, t.r, X(0)); }
};
struct SquareSum {  // of e r^2
  static constexpr bool of_e = true;
  template <class X, class Terms>
  static X added(X sum, Terms const& t) { return multiply_add(t.e * t.r, t.r, sum); }
};
using Own = Asked<MomentSum, HardRestSum>::with<RestSum>::with<SquareSum>;

template <class T, class Exp>
struct OwnSumsRow {
  MatrixView<T const> cosines;
  idx y;
  Exp exp_of;
  std::vector<double>* sums;

  template <class Team>
  void operator()(Team& team, idx i) const {
    T const* const c = cosines.row(i);
    RowState<T, Exp, Own> state{target_of(ArcMargin{0.5}, c[y])};
    open_row(team, c, Classes::whole(cosines.cols), y, Nothing{}, PlainRest{}, exp_of, state);
    team.once([&] {
      auto const& all = state.sums;
      *sums = {all.z.v, all.template get<MomentSum>().v, all.template get<SquareSum>().v, all.template get<HardRestSum>().v,
               all.template get<RestSum>().v, all.hard.v};
    });
  }
};

template <class T, class B>
void own_sums(B const& backend) {
  constexpr idx n = 4 * 2048 + 77, y = 2100;
  for (double const s : {30.0, 3000.0}) {
    INFO("s = " << s << ", " << std::string(B::name) << ", " << sizeof(T) << " bytes");
    auto c = random_row<T>(n, 0.9, 11);
    c[size(y)] = T(0.75F);
    std::vector<double> sums;
    MatrixView<T const> const row{c.data(), 1, n, n};
    auto const run = [&](auto exp_of) {
      OwnSumsRow<T, decltype(exp_of)> const own{row, y, exp_of, &sums};
      backend.template rows<T>(1, n, Placement::no_gradient, static_cast<std::byte*>(nullptr), own);
    };
    if (s == 30) run(Bounded<T>::of(s, rest_range(PlainRest{}), double(n))); else run(Paired<T>::of(s));
    double const threshold = std::cos(std::acos(0.75) + 0.5);
    long double z = 0, moment = 0, square = 0, hard_rest = 0, rest = 0, hard = 0, top = 0, sizes = 0;
    for (idx j = 0; j < n; ++j) top = j == y ? top : std::max(top, static_cast<long double>(c[size(j)]));
    for (idx j = 0; j < n; ++j) {
      if (j == y) continue;
      auto const r = static_cast<long double>(c[size(j)]), e = std::exp(static_cast<long double>(s) * (r - top));
      z += e, moment += e * r, square += e * r * r, rest += r, sizes += std::fabs(r);
      if (r > static_cast<long double>(threshold)) hard_rest += r, hard += 1;
    }
    REQUIRE(sums.size() == 6);
    long double const eps = sizeof(T) == 4 ? 1e-6L : 1e-13L;
    CHECK(std::fabs(static_cast<long double>(sums[1] / sums[0]) - moment / z) <= eps * (moment / z));
    CHECK(std::fabs(static_cast<long double>(sums[2] / sums[0]) - square / z) <= eps * (square / z));
    CHECK(std::fabs(static_cast<long double>(sums[3]) - hard_rest) <= eps * hard_rest);
    CHECK(std::fabs(static_cast<long double>(sums[4]) - rest) <= eps * sizes);
    CHECK(sums[5] == double(hard));
    CHECK(sums[5] > 100);
  }
}

template <class On, class T>
void whole_and_cut() {
  every_row<T, On>([](auto const& loss, std::vector<T> const& row, idx y) { same_in_parts<On>(loss, row, y); });
  odd_rows<T, On>([](auto const& loss, std::vector<T> const& row, idx y) { same_in_parts<On>(loss, row, y); });
}
template <class On, class T>
void whole_and_shards() {
  every_row<T, On>([](auto const& loss, std::vector<T> const& row, idx y) { equal_apart<On>(loss, row, y); });
}

}  // namespace

TEST_CASE("a row cut in parts has the bits of the whole: one number at a time, float") { whole_and_cut<OneNumber<float>, float>(); }
TEST_CASE("a row cut in parts has the bits of the whole: one number at a time, double") { whole_and_cut<OneNumber<double>, double>(); }
TEST_CASE("a row cut in parts has the bits of the whole: packets of float") { whole_and_cut<Packets<float>, float>(); }
TEST_CASE("a row cut in parts has the bits of the whole: packets of double") { whole_and_cut<Packets<double>, double>(); }

TEST_CASE("parts of a row summed apart give the whole: one number at a time, float") { whole_and_shards<OneNumber<float>, float>(); }
TEST_CASE("parts of a row summed apart give the whole: one number at a time, double") { whole_and_shards<OneNumber<double>, double>(); }
TEST_CASE("parts of a row summed apart give the whole: packets of float") { whole_and_shards<Packets<float>, float>(); }
TEST_CASE("parts of a row summed apart give the whole: packets of double") { whole_and_shards<Packets<double>, double>(); }

TEST_CASE("a part that is finished while another one waits loses nothing") {
  using Writes = SimdTeam<Packet<float>>::Writes;
  using Doubles = SimdTeam<Packet<double>>::Writes;
  for (auto const writes : {Writes::assign, Writes::accumulate, Writes::stream}) finish_twice<float>(writes);
  for (auto const writes : {Doubles::assign, Doubles::accumulate, Doubles::stream}) finish_twice<double>(writes);
}

TEST_CASE("logits that rise or fall through many stretches agree with long double: one number at a time") {
  rise_and_fall<float>(on::serial{}, SerialTeam<float>::block);
  rise_and_fall<double>(on::serial{}, SerialTeam<double>::block);
}
TEST_CASE("logits that rise or fall through many stretches agree with long double: packets") {
  rise_and_fall<float>(losskit::on::eigen{}, SimdTeam<Packet<float>>::block);
  rise_and_fall<double>(losskit::on::eigen{}, SimdTeam<Packet<double>>::block);
}
TEST_CASE("logits that rise or fall through many stretches agree with long double: lanes") {
  rise_and_fall<float>(Few<true>{}, 100);
  rise_and_fall<float>(Few<false>{}, 100);
  rise_and_fall<double>(TwoBlocks<true>{}, 100);
}

TEST_CASE("sums of one's own go beside those of the library, on every team") {
  own_sums<float>(on::serial{});
  own_sums<double>(on::serial{});
  own_sums<float>(losskit::on::eigen{});
  own_sums<double>(losskit::on::eigen{});
  own_sums<float>(Few<false>{});
  own_sums<double>(TwoBlocks<false>{});
}
