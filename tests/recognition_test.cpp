// Similarity, verification, and the suggested scale and margin: hand-computed values, and brute force written another
// way.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "losskit/recognition/similarity.hpp"
#include "losskit/recognition/suggest_margin.hpp"
#include "losskit/recognition/suggest_scale.hpp"
#include "losskit/recognition/verification.hpp"

using namespace losskit;

namespace {

using Doubles = std::vector<double>;
using Flags = std::vector<std::uint8_t>;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_ = std::numeric_limits<double>::quiet_NaN();
constexpr double pi = 3.14159265358979323846;

doctest::Approx near(double x) { return doctest::Approx(x).epsilon(1e-13); }

struct Pairs {
  Doubles scores;
  Flags same;
};

// Positives score higher on average; `levels` distinct scores make ties. Both kinds are present.
Pairs random_pairs(std::mt19937& random, int n, int levels) {
  Pairs p;
  std::normal_distribution<double> noise;
  for (int i = 0; i < n; ++i) {
    bool const same = i == 0 || (i != 1 && random() % 3 == 0);
    double const s = std::clamp((noise(random) + (same ? 1.0 : 0.0)) / 4, -1.0, 1.0);
    p.scores.push_back(std::round(s * levels) / levels);
    p.same.push_back(same);
  }
  return p;
}

struct Curve {
  std::vector<RocPoint> points;
  RocCurve curve;
  explicit Curve(Pairs const& p)
      : points(roc_capacity(p.scores.size())), curve(roc(p.scores, p.same, points)) {}
};

// Counted afresh at one threshold.
struct Counts {
  idx true_accepts = 0, false_accepts = 0, positives = 0, negatives = 0;
  double correct() const { return static_cast<double>(true_accepts + negatives - false_accepts); }
};
Counts count_at(Pairs const& p, double threshold, std::function<bool(std::size_t)> const& use = nullptr) {
  Counts c;
  for (std::size_t i = 0; i < p.scores.size(); ++i) {
    if (use && !use(i)) continue;
    (p.same[i] ? c.positives : c.negatives) += 1;
    if (p.scores[i] >= threshold) (p.same[i] ? c.true_accepts : c.false_accepts) += 1;
  }
  return c;
}

Doubles thresholds_of(Pairs const& p) {  // strictest first
  std::set<double, std::greater<>> all(p.scores.begin(), p.scores.end());
  Doubles t{infinity};
  t.insert(t.end(), all.begin(), all.end());
  return t;
}

VerificationAccuracy accuracy_of(Pairs const& p, auto folds, TieRule rule, std::vector<FoldAccuracy>& each) {
  std::vector<FoldedPair> scratch(folds_capacity(p.scores.size()));
  each.resize(static_cast<std::size_t>(folds.count));
  return verification_accuracy(p.scores, p.same, folds, scratch, rule, view(each));
}

template <class E, class F>
void check_refused(F f, char const* text) {
  std::string said;
  try {
    f();
  } catch (E const& e) { said = e.what(); }
  INFO("said: ", said, " expected: ", text);
  CHECK(said.find(text) != std::string::npos);
}

}  // namespace

// ---- Similarity -------------------------------------------------------------------------------------------

TEST_CASE("similarity: values by hand") {
  std::vector<float> const a{3, 0};
  Doubles const b{2, 2};
  CHECK(cosine_similarity(a, b) == near(std::sqrt(0.5)));
  CHECK(angle_between(a, b) == near(pi / 4));
  CHECK(squared_distance(a, b) == 5);
  Doubles const back{-6, 0};
  CHECK(cosine_similarity(a, back) == -1);
  CHECK(angle_between(a, back) == near(pi));
  std::vector<std::int8_t> const up{0, 127};
  CHECK(cosine_similarity(a, up) == 0);
  CHECK(angle_between(a, up) == near(pi / 2));
}

TEST_CASE("similarity: the squared distance of unit vectors is 2 - 2c, and the angle is acos(c)") {
  std::mt19937 random(7);
  std::normal_distribution<double> noise;
  for (int trial = 0; trial < 50; ++trial) {
    Doubles a(33), b(33);
    double aa = 0, bb = 0;
    for (double& x : a) x = noise(random), aa += x * x;
    for (double& x : b) x = noise(random), bb += x * x;
    for (double& x : a) x /= std::sqrt(aa);
    for (double& x : b) x /= std::sqrt(bb);
    double const c = cosine_similarity(a, b);
    CHECK(squared_distance(a, b) == near(squared_distance_from_cosine(c)));
    CHECK(angle_between(a, b) == near(std::acos(c)));
    CHECK(cosine_similarity(a, a) <= 1);
    CHECK(cosine_similarity(a, a) == near(1));
  }
  CHECK(squared_distance_from_cosine(-1) == 4);
  CHECK(squared_distance_from_cosine(1 + 1e-15) == 0);
  CHECK(std::isnan(squared_distance_from_cosine(nan_)));
}

TEST_CASE("similarity: no direction, no overflow, no lost digits") {
  Doubles const zero{0, 0}, x{1, 2}, none;
  CHECK(cosine_similarity(zero, x) == 0);
  CHECK(cosine_similarity(zero, zero) == 0);
  CHECK(angle_between(zero, x) == near(pi / 2));
  CHECK(angle_between(zero, zero) == near(pi / 2));
  CHECK(cosine_similarity(none, none) == 0);
  CHECK(squared_distance(none, none) == 0);
  for (double size : {1e-320, 1e-200, 1e200, 1e308}) {
    Doubles const a{size, 0}, b{size, size};
    CHECK(cosine_similarity(a, b) == near(std::sqrt(0.5)));
    CHECK(angle_between(a, b) == near(pi / 4));
  }
  std::vector<float> const large{3e38f, 3e38f}, small{1e-45f, 0};
  CHECK(cosine_similarity(large, small) == near(std::sqrt(0.5)));
  Doubles const e{1, 0}, tilted{1, 1e-9};  // cosine 1 - 5e-19 is 1 in double
  CHECK(cosine_similarity(e, tilted) == 1);
  CHECK(angle_between(e, tilted) == near(1e-9));
  for (double bad : {nan_, infinity}) {
    Doubles const y{bad, 1};
    for (Doubles const& other : {x, zero, y}) {
      CHECK(std::isnan(cosine_similarity(y, other)));
      CHECK(std::isnan(angle_between(other, y)));
    }
  }
  Doubles const three{1, 2, 3};
  check_refused<ShapeError>([&] { cosine_similarity(x, three); }, "a has 2 elements and b has 3");
  check_refused<ShapeError>([&] { squared_distance(VectorView<double>{nullptr, 2}, x); }, "null vector of 2");
}

// ---- The curve and what is read off it --------------------------------------------------------------------

TEST_CASE("roc: ties are one vertex, both corners are there") {
  //  0.9 +   0.8 + -   0.5 - -   0.1 +
  Pairs const p{{0.5, 0.9, 0.8, 0.1, 0.8, 0.5}, {0, 1, 0, 1, 1, 0}};
  Curve const c(p);
  REQUIRE(c.curve.points.size == 5);
  CHECK(c.curve.positives == 3);
  CHECK(c.curve.negatives == 3);
  double const threshold[] = {infinity, 0.9, 0.8, 0.5, 0.1};
  idx const true_accepts[] = {0, 1, 2, 2, 3}, false_accepts[] = {0, 0, 1, 3, 3};
  for (idx i = 0; i < 5; ++i) {
    CHECK(c.curve.points[i].threshold == threshold[i]);
    CHECK(c.curve.points[i].true_accepts == true_accepts[i]);
    CHECK(c.curve.points[i].false_accepts == false_accepts[i]);
  }
  CHECK(c.curve.true_accept_rate(4) == 1);
  CHECK(c.curve.false_accept_rate(2) == near(1.0 / 3));
  CHECK(auc(c.curve) == near(5.5 / 9));  // wins: 0.9 beats 3, 0.8 beats 2 and ties 1, 0.1 none
  // FAR - FRR at 0.8: 1/3 - 1/3
  CHECK(equal_error_rate(c.curve).rate == near(1.0 / 3));
  CHECK(equal_error_rate(c.curve).threshold == 0.8);
  BestAccuracy const best =
      optimistic_accuracy(c.curve);  // leads 1, 1, -1, 0: best from 0.9 down to above 0.5
  CHECK(best.accuracy == near(4.0 / 6));
  CHECK(best.threshold == 0.9);
  CHECK(optimistic_accuracy(c.curve, TieRule::middle).threshold == near(0.7));
  CHECK(optimistic_accuracy(c.curve, TieRule::most_lenient).threshold == 0.8);
}

TEST_CASE("roc: perfect, reversed and equal scores") {
  Curve const perfect(Pairs{{0.9, 0.7, 0.2, 0.1}, {1, 1, 0, 0}});
  CHECK(auc(perfect.curve) == 1);
  CHECK(equal_error_rate(perfect.curve).rate == 0);
  CHECK(equal_error_rate(perfect.curve).threshold == 0.7);
  CHECK(tar_at_far(perfect.curve, 0).tar == 1);
  CHECK(optimistic_accuracy(perfect.curve).accuracy == 1);
  CHECK(optimistic_accuracy(perfect.curve).threshold == 0.7);
  CHECK(optimistic_accuracy(perfect.curve, TieRule::middle).threshold == near(0.45));
  CHECK(optimistic_accuracy(perfect.curve, TieRule::most_lenient).threshold == 0.7);  // one step is best

  Curve const reversed(Pairs{{0.9, 0.7, 0.2, 0.1}, {0, 0, 1, 1}});
  CHECK(auc(reversed.curve) == 0);
  CHECK(equal_error_rate(reversed.curve).rate == 1);
  CHECK(tar_at_far(reversed.curve, 0.99).tar == 0);
  CHECK(optimistic_accuracy(reversed.curve).accuracy == 0.5);
  CHECK(optimistic_accuracy(reversed.curve).threshold == infinity);
  CHECK(optimistic_accuracy(reversed.curve, TieRule::most_lenient).threshold == 0.1);  // accepting all is as good as nothing

  Curve const nothing(Pairs{{0.9, 0.7, 0.2}, {0, 0, 1}});  // accepting nothing is best, alone
  for (TieRule const rule : {TieRule::strictest, TieRule::middle, TieRule::most_lenient})
    CHECK(optimistic_accuracy(nothing.curve, rule).threshold == infinity);

  Curve const apart(Pairs{{0.9, 0.8, 0.7, 0.6}, {1, 0, 1, 0}});  // leads 1, 0, 1, 0: the first maximum and the last
  CHECK(optimistic_accuracy(apart.curve, TieRule::strictest).threshold == 0.9);
  CHECK(optimistic_accuracy(apart.curve, TieRule::most_lenient).threshold == 0.7);

  Curve const equal(Pairs{{0.3, 0.3, 0.3}, {0, 1, 1}});
  CHECK(equal.curve.points.size == 2);
  CHECK(auc(equal.curve) == 0.5);
  CHECK(equal_error_rate(equal.curve).rate == 0.5);
  CHECK(optimistic_accuracy(equal.curve).accuracy == near(2.0 / 3));
  CHECK(optimistic_accuracy(equal.curve, TieRule::middle).threshold == 0.3);  // no best step has a length

  Curve const zeros(Pairs{{0.0, -0.0}, {0, 1}});  // one score, not two
  CHECK(zeros.curve.points.size == 2);

  for (double end : {0.0, 1.0}) {  // nothing lies between neighbours: the middle must still tell them apart
    double const next = std::nextafter(0.5, end), high = std::max(next, 0.5);
    Curve const close(Pairs{{high, std::min(next, 0.5)}, {1, 0}});
    CHECK(optimistic_accuracy(close.curve, TieRule::middle).threshold == high);
  }
}

TEST_CASE("equal error rate: interpolated between vertices") {
  // vertices (FAR, TAR): (0, 0), (0, 1/3), (1/2, 2/3), (1, 1). FAR - FRR: -1, -2/3, 1/6. Share 4/5: rate 2/5.
  Curve const c(Pairs{{0.9, 0.5, 0.5, 0.1, 0.1}, {1, 1, 0, 1, 0}});
  CHECK(equal_error_rate(c.curve).rate == near(0.4));
  CHECK(equal_error_rate(c.curve).threshold == 0.5);
}

TEST_CASE("a curve that is not roc()'s is refused by everything that reads one") {
  std::vector<RocPoint> const vertices{{infinity, 0, 0}, {0.5, 1, 0}, {0.1, 1, 1}};
  auto const refused = [](RocCurve const& curve, char const* text) {
    check_refused<ParameterError>([&] { auc(curve); }, text);
    check_refused<ParameterError>([&] { equal_error_rate(curve); }, text);
    check_refused<ParameterError>([&] { tar_at_far(curve, 0.5); }, text);
    check_refused<ParameterError>([&] { optimistic_accuracy(curve); }, text);
  };
  refused({}, "0 vertices, 0 positive and 0 negative pairs");
  refused({VectorView<RocPoint const>{nullptr, 3}, 1, 1}, "0 vertices");
  refused({VectorView<RocPoint const>{vertices.data(), 1}, 1, 1}, "1 vertices");
  refused({view(vertices), 1, 0}, "1 positive and 0 negative");
  refused({view(vertices), 0, 1}, "0 positive and 1 negative");
  refused({view(vertices), 1, 2}, "from no accepted pair to all");
  refused({view(vertices), 2, 1}, "from no accepted pair to all");
  refused({VectorView<RocPoint const>{vertices.data() + 1, 2}, 1, 1}, "from no accepted pair to all");
  CHECK(equal_error_rate({view(vertices), 1, 1}).rate == 0);
  check_refused<ParameterError>([] { equal_error_rate(RocCurve{}); }, "equal_error_rate");
  // No pairs at all: what is wrong is not the memory.
  check_refused<ParameterError>([] { verification_accuracy(Doubles{}, Flags{}, ContiguousFolds{2}, VectorView<FoldedPair>{}); },
                                "0 positive and 0 negative pairs");
}

TEST_CASE("tar at far: achieved rate, threshold and resolution") {
  // negatives 0.7 0.4 0.3 0.2; positives 0.9 0.6 0.4 0.1
  Curve const c(Pairs{{0.9, 0.7, 0.6, 0.4, 0.4, 0.3, 0.2, 0.1}, {1, 0, 1, 1, 0, 0, 0, 1}});
  TarAtFar t = tar_at_far(c.curve, 0.25);
  CHECK(t.tar == 0.5);
  CHECK(t.far == 0.25);
  CHECK(t.threshold == 0.6);
  CHECK(!t.resolution_insufficient);
  t = tar_at_far(c.curve, 0.6);
  CHECK(t.tar == 0.75);
  CHECK(t.far == 0.5);
  CHECK(t.threshold == 0.4);
  t = tar_at_far(c.curve, 0.2);
  CHECK(t.tar == 0.25);
  CHECK(t.far == 0);
  CHECK(t.threshold == 0.9);
  CHECK(t.resolution_insufficient);
  t = tar_at_far(c.curve, 1);
  CHECK(t.tar == 1);
  CHECK(t.threshold == 0.1);
  // A negative on top: only accepting nothing is below the target, and TAR is 0 there, not 1.
  t = tar_at_far(Curve(Pairs{{0.9, 0.5}, {0, 1}}).curve, 0.001);
  CHECK(t.threshold == infinity);
  CHECK(t.tar == 0);
  check_refused<ParameterError>([&] { tar_at_far(c.curve, 1.5); }, "target = 1.5 is outside [0, 1]");
  check_refused<ParameterError>([&] { tar_at_far(c.curve, nan_); }, "target");
}

TEST_CASE("random pairs with ties: every figure agrees with brute force") {
  std::mt19937 random(20240611);
  for (int trial = 0; trial < 300; ++trial) {
    int const n = 2 + static_cast<int>(random() % 60), levels = 1 + static_cast<int>(random() % 40);
    CAPTURE(trial);
    Pairs const p = random_pairs(random, n, levels);
    Curve const c(p);
    Doubles const thresholds = thresholds_of(p);

    REQUIRE(c.curve.points.size == static_cast<idx>(thresholds.size()));
    for (idx i = 0; i < c.curve.points.size; ++i) {
      double const t = thresholds[static_cast<std::size_t>(i)];
      CHECK(c.curve.points[i].threshold == t);
      CHECK(c.curve.points[i].true_accepts == count_at(p, t).true_accepts);
      CHECK(c.curve.points[i].false_accepts == count_at(p, t).false_accepts);
    }

    double wins = 0, duels = 0;  // Mann and Whitney
    for (std::size_t i = 0; i < p.scores.size(); ++i)
      for (std::size_t j = 0; j < p.scores.size(); ++j)
        if (p.same[i] && !p.same[j]) {
          duels += 1;
          wins += p.scores[i] > p.scores[j] ? 1 : p.scores[i] == p.scores[j] ? 0.5 : 0;
        }
    CHECK(auc(c.curve) == near(wins / duels));

    double rate = -1;  // equal error: bisection of FAR - FRR along each line between vertices
    for (std::size_t v = 1; v < thresholds.size() && rate < 0; ++v) {
      Counts const a = count_at(p, thresholds[v - 1]), b = count_at(p, thresholds[v]);
      auto const mixed = [&](idx x, idx y, idx whole, double share) {
        return ((1 - share) * static_cast<double>(x) + share * static_cast<double>(y)) /
               static_cast<double>(whole);
      };
      auto const gap = [&](double share) {
        return mixed(a.false_accepts, b.false_accepts, a.negatives, share) -
               (1 - mixed(a.true_accepts, b.true_accepts, a.positives, share));
      };
      if (gap(1) < -1e-12) continue;
      double low = 0, high = 1;
      for (int step = 0; step < 60; ++step) (gap(0.5 * (low + high)) < 0 ? low : high) = 0.5 * (low + high);
      rate = mixed(a.false_accepts, b.false_accepts, a.negatives, high);
    }
    CHECK(equal_error_rate(c.curve).rate == doctest::Approx(rate).epsilon(1e-10));

    for (int thousandths = 0; thousandths <= 1000; thousandths += 1 + static_cast<int>(random() % 50)) {
      Counts best;  // in whole numbers: false / negatives <= thousandths / 1000
      for (double t : thresholds) {
        Counts const at = count_at(p, t);
        if (at.false_accepts * 1000 <= thousandths * at.negatives &&
            at.true_accepts + at.false_accepts >= best.true_accepts + best.false_accepts)
          best = at;
      }
      TarAtFar const t = tar_at_far(c.curve, thousandths / 1000.0);
      CHECK(t.tar == static_cast<double>(best.true_accepts) / static_cast<double>(best.positives));
      CHECK(t.far == static_cast<double>(best.false_accepts) / static_cast<double>(best.negatives));
      CHECK(t.resolution_insufficient == (thousandths * best.negatives < 1000));
      CHECK(count_at(p, t.threshold).true_accepts == best.true_accepts);
      CHECK(count_at(p, t.threshold).false_accepts == best.false_accepts);
    }

    double most = 0, strictest = 0;
    for (double t : thresholds)
      if (count_at(p, t).correct() > most || t == infinity) most = count_at(p, t).correct(), strictest = t;
    CHECK(optimistic_accuracy(c.curve).accuracy == near(most / n));
    CHECK(optimistic_accuracy(c.curve).threshold == strictest);
  }
}

TEST_CASE("tar at far: a decimal target is met by the same fraction") {
  Pairs p{{2}, {1}};  // 100 negatives 0.00 .. 0.99
  for (int i = 0; i < 100; ++i) p.scores.push_back(i / 100.0), p.same.push_back(0);
  Curve const c(p);
  for (int i = 0; i <= 100; ++i) CHECK(tar_at_far(c.curve, i / 100.0).far == i / 100.0);
  CHECK(!tar_at_far(c.curve, 0.01).resolution_insufficient);
  CHECK(tar_at_far(c.curve, 0.009).resolution_insufficient);
}

TEST_CASE("verification: as the head of its file shows it") {
  std::vector<float> const scores{0.9f, 0.3f, 0.8f, 0.4f};
  std::vector<int> const same{1, 0, 1, 0};
  std::vector<RocPoint> points(roc_capacity(scores.size()));
  RocCurve curve = roc(scores, same, points);
  CHECK(auc(curve) == 1);
  CHECK(equal_error_rate(curve).rate == 0);
  CHECK(tar_at_far(curve, 1e-3).resolution_insufficient);
  std::vector<FoldedPair> scratch(folds_capacity(scores.size()));
  CHECK(verification_accuracy(scores, same, ContiguousFolds{2}, scratch).mean == 0.75);
}

// ---- Accuracy over folds ----------------------------------------------------------------------------------

TEST_CASE("verification accuracy: a fold does not choose its own threshold") {
  // Fold 0 is best cut at 0.8 (accuracy 1), fold 1 at 0.4 (accuracy 1); each is judged with the other's.
  Pairs const p{{0.9, 0.8, 0.7, 0.5, 0.4, 0.3}, {1, 1, 0, 1, 1, 0}};
  std::vector<FoldAccuracy> each;
  VerificationAccuracy const a = accuracy_of(p, ContiguousFolds{2}, TieRule::strictest, each);
  CHECK(each[0].threshold == 0.4);
  CHECK(each[0].accuracy == near(2.0 / 3));
  CHECK(each[1].threshold == 0.8);
  CHECK(each[1].accuracy == near(1.0 / 3));
  CHECK(a.mean == near(0.5));
  CHECK(a.standard_deviation == near(1.0 / 6));
  CHECK(optimistic_accuracy(Curve(p).curve).accuracy == near(5.0 / 6));

  accuracy_of(p, ContiguousFolds{2}, TieRule::middle, each);
  CHECK(each[0].threshold == near(0.35));
  CHECK(each[1].threshold == near(0.75));

  // What fold 0 holds cannot move its own threshold.
  Pairs changed = p;
  changed.scores[0] = -5, changed.scores[1] = 0.45, changed.same[2] = 1;
  for (TieRule rule : {TieRule::strictest, TieRule::middle}) {
    std::vector<FoldAccuracy> before, after;
    accuracy_of(p, ContiguousFolds{2}, rule, before);
    accuracy_of(changed, ContiguousFolds{2}, rule, after);
    CHECK(before[0].threshold == after[0].threshold);
  }
}

TEST_CASE("verification accuracy: the tie rules") {
  // Training fold 1: 0.9 +, 0.5 -, 0.4 +, 0.1 -. Leads 1, 0, 1, 0: best on (0.5, 0.9] and on (0.1, 0.4].
  Pairs const p{{0.9, 0.5, 0.4, 0.1, 0.6, 0.2}, {1, 0, 1, 0, 1, 0}};
  std::vector<std::int64_t> const ids{1, 1, 1, 1, 0, 0};
  std::vector<FoldAccuracy> each;
  accuracy_of(p, GivenFolds{view(ids), 2}, TieRule::strictest, each);
  CHECK(each[0].threshold == 0.9);
  CHECK(each[0].accuracy == 0.5);
  CHECK(each[0].pairs == 2);
  accuracy_of(p, GivenFolds{view(ids), 2}, TieRule::middle, each);
  CHECK(each[0].threshold == near((0.4 * 0.7 + 0.3 * 0.25) / 0.7));
  CHECK(each[0].accuracy == 1);
}

TEST_CASE("verification accuracy: folds as in KFold, a fold may hold one kind only") {
  Pairs const p{{0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1}, {1, 1, 1, 1, 0, 0, 0}};
  std::vector<int> const ids{0, 0, 0, 1, 1, 2, 2};
  std::vector<FoldAccuracy> contiguous, given;
  VerificationAccuracy const a = accuracy_of(p, ContiguousFolds{3}, TieRule::middle, contiguous);
  VerificationAccuracy const b = accuracy_of(p, GivenFolds{view(ids), 3}, TieRule::middle, given);
  CHECK(a.mean == b.mean);
  idx const sizes[] = {3, 2, 2};
  for (std::size_t f = 0; f < 3; ++f) {
    CHECK(contiguous[f].pairs == sizes[f]);
    CHECK(contiguous[f].accuracy == given[f].accuracy);
    CHECK(contiguous[f].threshold == given[f].threshold);
  }
  CHECK(a.mean == 1);
  CHECK(a.standard_deviation == 0);
  // Each pair its own fold.
  CHECK(accuracy_of(p, ContiguousFolds{7}, TieRule::middle, contiguous).mean == 1);
}

TEST_CASE("random folds with ties: both tie rules agree with brute force") {
  std::mt19937 random(99);
  for (int trial = 0; trial < 200; ++trial) {
    CAPTURE(trial);
    int const k = 2 + static_cast<int>(random() % 4), n = k + 2 + static_cast<int>(random() % 40), levels = 8;
    Pairs const p = random_pairs(random, n, levels);
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < n; ++i)
      ids.push_back(
          static_cast<std::uint16_t>(i < k ? i : static_cast<int>(random() % static_cast<unsigned>(k))));
    std::vector<FoldAccuracy> strict, middle, lenient;
    VerificationAccuracy const a = accuracy_of(p, GivenFolds{view(ids), k}, TieRule::strictest, strict);
    accuracy_of(p, GivenFolds{view(ids), k}, TieRule::middle, middle);
    accuracy_of(p, GivenFolds{view(ids), k}, TieRule::most_lenient, lenient);
    double sum = 0, squares = 0;
    for (int f = 0; f < k; ++f) {
      auto const trains = [&](std::size_t i) { return ids[i] != f; };
      auto const held = [&](std::size_t i) { return ids[i] == f; };
      Doubles thresholds{infinity};
      double lowest = infinity, highest = -infinity;
      for (std::size_t i = 0; i < p.scores.size(); ++i)
        if (trains(i)) {
          thresholds.push_back(p.scores[i]);
          lowest = std::min(lowest, p.scores[i]), highest = std::max(highest, p.scores[i]);
        }
      std::sort(thresholds.begin(), thresholds.end(), std::greater<>());
      double most = -1, strictest = 0, most_lenient = 0;
      for (double t : thresholds) {
        double const correct = count_at(p, t, trains).correct();
        if (correct > most) most = correct, strictest = t;
        if (correct == most) most_lenient = t;
      }
      auto const accuracy = [&](double t) {
        Counts const c = count_at(p, t, held);
        return c.correct() / static_cast<double>(c.positives + c.negatives);
      };
      FoldAccuracy const& s = strict[static_cast<std::size_t>(f)];
      CHECK(s.threshold == strictest);
      CHECK(s.accuracy == near(accuracy(strictest)));
      CHECK(lenient[static_cast<std::size_t>(f)].threshold == most_lenient);
      CHECK(lenient[static_cast<std::size_t>(f)].accuracy == near(accuracy(most_lenient)));
      sum += s.accuracy, squares += s.accuracy * s.accuracy;

      // The mean over a grid that the scores, multiples of 1/8, lie on the edges of.
      double const step = 1.0 / (4 * levels);
      double total = 0, points = 0;
      for (double t = lowest + step / 2; t < highest; t += step)
        if (count_at(p, t, trains).correct() == most) total += t, points += 1;
      FoldAccuracy const& m = middle[static_cast<std::size_t>(f)];
      double const expected = points > 0 ? total / points : strictest;
      if (std::isinf(expected)) CHECK(m.threshold == expected);
      else CHECK(m.threshold == doctest::Approx(expected).epsilon(1e-12));
      CHECK(m.accuracy == near(accuracy(m.threshold)));
    }
    CHECK(a.mean == near(sum / k));
    CHECK(a.standard_deviation ==
          doctest::Approx(std::sqrt(std::max(0.0, squares / k - sum / k * sum / k))).epsilon(1e-6));
  }
}

TEST_CASE("optimistic accuracy is never below the accuracy over equal folds") {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    Pairs const p = random_pairs(random, 40, 20);
    std::vector<FoldAccuracy> each;
    CHECK(accuracy_of(p, ContiguousFolds{10}, TieRule::strictest, each).mean <=
          optimistic_accuracy(Curve(p).curve).accuracy + 1e-12);
  }
}

TEST_CASE("verification: floats, flags of any kind, and what is refused") {
  std::vector<float> const scores{0.9f, 0.1f};
  bool const same[] = {true, false};
  std::vector<RocPoint> points(3);
  CHECK(auc(roc(scores, same, points)) == 1);
  std::vector<FoldedPair> scratch(2);
  // Fold 0 is trained on the negative alone: accepting nothing is best, and its positive is refused. Fold 1
  // is right.
  VerificationAccuracy const a = verification_accuracy(scores, same, ContiguousFolds{2}, scratch);
  CHECK(a.mean == 0.5);
  CHECK(a.standard_deviation == 0.5);

  Doubles const s{0.9, 0.5, 0.1};
  std::vector<int> const good{1, 0, 1}, sign{1, -1, 1}, all{1, 1, 1}, none{0, 0, 0}, two{1, 0};
  std::vector<RocPoint> room(4), tight(3);
  points[0].true_accepts = room[0].true_accepts = 77;
  check_refused<ParameterError>([&] { roc(s, sign, room); }, "truth flag -1 of pair 1 is not 0 or 1");
  check_refused<ParameterError>([&] { roc(s, all, room); }, "3 positive and 0 negative pairs");
  check_refused<ParameterError>([&] { roc(s, none, room); }, "0 positive and 3 negative pairs");
  check_refused<ParameterError>([&] { roc(Doubles{}, std::vector<int>{}, room); },
                                "0 positive and 0 negative pairs");
  check_refused<ShapeError>([&] { roc(s, two, room); }, "3 scores and 2 truth flags");
  check_refused<ShapeError>([&] { roc(VectorView<double>{nullptr, 3}, good, room); }, "null");
  check_refused<WorkspaceError>([&] { roc(s, good, tight); }, "memory for 3 elements, needed 4");
  for (double bad : {nan_, infinity, -infinity, 1e301})
    check_refused<ParameterError>([&] { roc(Doubles{1, 2, bad}, good, room); }, "of pair 2 is not in");
  CHECK(room[0].true_accepts == 77);  // refused before anything was written

  std::vector<FoldedPair> three(3);
  auto const with = [&](auto folds, auto&& memory, VectorView<FoldAccuracy> each = {}) {
    return [&s, &good, folds, &memory, each] {
      verification_accuracy(s, good, folds, memory, TieRule::middle, each);
    };
  };
  std::vector<FoldAccuracy> each(2);
  std::vector<int> const outside{0, 1, 2}, negative{0, -1, 1}, hole{0, 2, 2}, few{0, 1};
  check_refused<WorkspaceError>(with(ContiguousFolds{2}, scratch), "memory for 2 elements, needed 3");
  check_refused<ParameterError>(with(ContiguousFolds{1}, three), "1 folds are outside [2, 3]");
  check_refused<ParameterError>(with(ContiguousFolds{4}, three), "4 folds are outside [2, 3]");
  check_refused<ParameterError>(with(GivenFolds{view(outside), 2}, three),
                                "fold 2 of pair 2 is outside [0, 2)");
  check_refused<ParameterError>(with(GivenFolds{view(negative), 2}, three), "fold -1 of pair 1");
  check_refused<ParameterError>(with(GivenFolds{view(hole), 3}, three), "fold 1 has no pair");
  check_refused<ShapeError>(with(GivenFolds{view(few), 2}, three), "3 pairs and 2 fold ids");
  check_refused<ShapeError>(with(ContiguousFolds{3}, three, view(each)), "2 results for 3 folds");
}

// ---- The suggested scale ----------------------------------------------------------------------------------

TEST_CASE("suggest_scale: published value, and P comes back at the simplex") {
  CHECK(suggest_scale(2, 0.999) == near(0.5 * std::log(999.0)));
  CHECK(suggest_scale(10, 0.9) == near(0.9 * std::log(81.0)));
  for (idx classes : {2, 3, 10, 10575})
    for (double probability : {0.6, 0.9, 0.999999})
      for (double margin : {0.0, 0.35, 0.9}) {
        double const s = suggest_scale(classes, probability, margin),
                     others = static_cast<double>(classes - 1);
        double const rest = others * std::exp(-s / others - s * (1 - margin));
        CHECK(1 / (1 + rest) == doctest::Approx(probability).epsilon(1e-12));
      }
}

TEST_CASE("suggest_scale: what is refused") {
  check_refused<ParameterError>([] { suggest_scale(1, 0.9); }, "classes = 1 is below 2");
  for (double p : {0.0, 0.25, 0.2, 1.0, 1.5, -0.1, nan_, infinity, -infinity})
    check_refused<ParameterError>([p] { suggest_scale(4, p); }, "is outside (1/C, 1) = (0.25, 1)");
  for (double m : {-0.1, 1.5, nan_})
    check_refused<ParameterError>([m] { suggest_scale(3, 0.9, m); }, "is outside [0, C/(C - 1)) = [0, 1.5)");
}

// ---- The suggested margin ---------------------------------------------------------------------------------

TEST_CASE("suggest_margin: the bounds of the papers, and centres that reach them") {
  CHECK(suggest_margin(2, 1) == 2);
  CHECK(suggest_margin(2, 512) == 2);
  CHECK(suggest_margin(3, 1) == 0);
  CHECK(suggest_margin(3, 2) == 1.5);
  CHECK(suggest_margin(513, 512) == near(513.0 / 512));
  CHECK(suggest_margin(514, 512) == 1);
  CHECK(suggest_margin(1'000'000, 512) == 1);
  for (idx c : {2, 3, 4, 8, 10, 1000}) CHECK(suggest_margin(c, 2) == near(1 - std::cos(2 * pi / static_cast<double>(c))));
  CHECK(suggest_margin(100'000'000, 2) == near(2 * std::pow(pi / 1e8, 2)));

  // 1 - the largest cosine of two centres, for three sets of them
  auto const room = [](std::vector<Doubles> const& centres) {
    double largest = -1;
    for (std::size_t i = 0; i < centres.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) largest = std::max(largest, cosine_similarity(centres[i], centres[j]));
    return 1 - largest;
  };
  for (idx const c : {2, 3, 5, 17}) {
    std::vector<Doubles> simplex, circle;
    for (idx i = 0; i < c; ++i) {
      Doubles corner(static_cast<std::size_t>(c), -1.0 / static_cast<double>(c));  // a corner of the simplex, its centre at 0
      corner[static_cast<std::size_t>(i)] += 1;
      simplex.push_back(corner);
      double const angle = 2 * pi * static_cast<double>(i) / static_cast<double>(c);
      circle.push_back({std::cos(angle), std::sin(angle)});
    }
    CHECK(suggest_margin(c, c - 1) == near(room(simplex)));
    CHECK(suggest_margin(c, 2) == doctest::Approx(room(circle)).epsilon(1e-12));
  }
  CHECK(suggest_margin(6, 3) == near(room({{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}})));

  // and no random set of five or more in three dimensions has more room
  std::mt19937 random(3);
  std::normal_distribution<double> noise;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<Doubles> centres;
    for (int i = 0; i < 5 + trial % 3; ++i) centres.push_back({noise(random), noise(random), noise(random)});
    CHECK(room(centres) <= suggest_margin(static_cast<idx>(centres.size()), 3));
  }
}

TEST_CASE("suggest_margin: what is refused") {
  check_refused<ParameterError>([] { suggest_margin(1, 512); }, "classes = 1 is below 2");
  check_refused<ParameterError>([] { suggest_margin(-3, 512); }, "classes = -3 is below 2");
  check_refused<ParameterError>([] { suggest_margin(10, 0); }, "width = 0 is below 1");
}

// Every number of README.md's table "Which margin, which s and m for my C?": cells are C, D, the scales without a margin, with CosMargin
// 0.35 and with ArcMargin 0.5, the largest margins as cosine and as angle.
TEST_CASE("README's table of scales and margins") {
  std::ifstream page(LOSSKIT_README);
  std::string line;
  while (std::getline(page, line) && line.rfind("<!-- scales:", 0) != 0) {}
  std::getline(page, line), std::getline(page, line);
  int rows = 0;
  while (std::getline(page, line) && line.rfind("| ", 0) == 0) {
    std::vector<std::string> cells;
    for (std::size_t from = 2, to; (to = line.find(" |", from)) != line.npos; from = to + 3) cells.push_back(line.substr(from, to - from));
    INFO(line);
    REQUIRE(cells.size() == 8);
    std::string digits = cells[0].substr(0, cells[0].find(' '));
    digits.erase(std::remove(digits.begin(), digits.end(), ','), digits.end());
    idx const classes = std::stoll(digits), width = std::stoll(cells[1]);
    double const cosine = suggest_margin(classes, width);
    double const expected[] = {suggest_scale(classes, 0.999), suggest_scale(classes, 0.999, 0.35),
                               suggest_scale(classes, 0.999, 1 - std::cos(0.5)), cosine, std::acos(1 - cosine)};
    for (std::size_t k = 0; k < 5; ++k) CHECK(std::stod(cells[2 + k]) == doctest::Approx(expected[k]).epsilon(6e-4));
    CHECK(cells[7].find("arXiv:") != std::string::npos);  // its source
    ++rows;
  }
  CHECK(line.rfind("<!-- end of scales", 0) == 0);
  CHECK(rows >= 6);
}
