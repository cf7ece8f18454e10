// Verification: is a pair the same person? Each pair has a score (higher = more alike; of distances give the
// negative) and the truth. A threshold t accepts the pairs with score >= t: these are predicted "same".
//
//   TAR = accepted positives / positives       FAR = accepted negatives / negatives       FRR = 1 - TAR
//
// Everything here is exact: thresholds are the scores themselves, not a grid, and equal scores are accepted
// together. The caller owns all memory; one sort, n ln n, and no allocation.
//
//   std::vector<RocPoint> points(roc_capacity(scores.size()));
//   RocCurve curve = roc(scores, same, points);
//   double area = auc(curve);                          EqualErrorRate e = equal_error_rate(curve);
//   TarAtFar t = tar_at_far(curve, 1e-3);              // look at t.resolution_insufficient
//
//   std::vector<FoldedPair> scratch(folds_capacity(scores.size()));
//   VerificationAccuracy a = verification_accuracy(scores, same, ContiguousFolds{10}, scratch);
//
// What every call with scores takes, and refuses before it writes:
//   scores   n float or double on the host, finite, |score| <= 1e300; else ParameterError naming the pair
//   same     n flags, bool or any integer, 1 = same, 0 = different; else (-1, say) ParameterError
//            at least one pair of each kind, else ParameterError
//   sizes    that disagree, or null with a size: ShapeError
//   memory   below its ..._capacity(n): WorkspaceError
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA {

// ---- The curve --------------------------------------------------------------------------------------------

// A vertex of the ROC: what the threshold accepts.
struct RocPoint {
  double threshold = 0;
  idx true_accepts = 0;
  idx false_accepts = 0;
};

// The vertices, strictest threshold first, one per distinct score: from (FAR, TAR) = (0, 0), with threshold
// +infinity, to (1, 1), with the lowest score. Both counts never fall, and one of them rises at each vertex.
struct RocCurve {
  VectorView<RocPoint const> points;
  idx positives = 0;
  idx negatives = 0;

  double true_accept_rate(idx i) const { return ratio(points[i].true_accepts, positives); }
  double false_accept_rate(idx i) const { return ratio(points[i].false_accepts, negatives); }

 private:
  static double ratio(idx part, idx whole) { return static_cast<double>(part) / static_cast<double>(whole); }
};

// How many RocPoints roc() needs for n pairs.
constexpr std::size_t roc_capacity(std::size_t pairs) { return pairs + 1; }

namespace detail {

// Refuses what the head of this file lists; returns the number of positives.
template <class T, class Flag, class Scratch>
idx check_pairs(char const* who, VectorView<T> scores, VectorView<Flag> same, VectorView<Scratch> memory,
                idx needed) {
  static_assert(std::is_floating_point_v<T> && std::is_integral_v<Flag>,
                "losskit: verification takes host scores in float or double and flags in bool or an integer");
  auto const n = static_cast<long long>(scores.size);
  if (same.size != scores.size)
    fail<ShapeError>("%s: %lld scores and %lld truth flags", who, n, static_cast<long long>(same.size));
  if (n > 0 && (!scores.data || !same.data))
    fail<ShapeError>("%s: null scores or flags of %lld pairs", who, n);
  if (memory.size < needed || (needed > 0 && !memory.data))
    fail<WorkspaceError>("%s: memory for %lld elements, needed %lld", who,
                         memory.data ? static_cast<long long>(memory.size) : 0LL,
                         static_cast<long long>(needed));
  idx positives = 0;
  for (idx i = 0; i < scores.size; ++i) {
    auto const score = static_cast<double>(scores[i]);
    if (!(std::abs(score) <= 1e300))
      fail<ParameterError>("%s: score %g of pair %lld is not in [-1e300, 1e300]", who, score,
                           static_cast<long long>(i));
    if (!(same[i] == Flag(0) || same[i] == Flag(1)))
      fail<ParameterError>("%s: truth flag %lld of pair %lld is not 0 or 1", who,
                           static_cast<long long>(same[i]), static_cast<long long>(i));
    positives += same[i] == Flag(1);
  }
  if (positives == 0 || positives == scores.size)
    fail<ParameterError>("%s: %lld positive and %lld negative pairs; at least one of each is needed", who,
                         static_cast<long long>(positives), n - static_cast<long long>(positives));
  return positives;
}

template <class T, class Flag>
RocCurve roc(VectorView<T> scores, VectorView<Flag> same, VectorView<RocPoint> points) {
  idx const n = scores.size, positives = check_pairs("roc", scores, same, points, n + 1);
  RocPoint* const p = points.data;
  p[0] = {std::numeric_limits<double>::infinity(), 0, 0};
  for (idx i = 0; i < n; ++i) p[i + 1] = {static_cast<double>(scores[i]), same[i] ? 1 : 0, same[i] ? 0 : 1};
  std::sort(p + 1, p + 1 + n, [](RocPoint const& a, RocPoint const& b) { return a.threshold > b.threshold; });
  idx last = 0;  // the vertices grow in front of the pairs that are still to be counted: last < i
  for (idx i = 1; i <= n; ++i) {
    RocPoint const pair = p[i], before = p[last];
    if (pair.threshold != before.threshold) ++last;
    p[last] = {pair.threshold, before.true_accepts + pair.true_accepts,
               before.false_accepts + pair.false_accepts};
  }
  return {{p, last + 1}, positives, n - positives};
}

}  // namespace detail

// The exact curve. points: at least roc_capacity(n); the result is a view of them.
template <class Scores, class Flags, class Points>
RocCurve roc(Scores const& scores, Flags const& same, Points&& points) {
  return detail::roc(view(scores), view(same), view(static_cast<Points&&>(points)));
}

// ---- What is read off the curve ---------------------------------------------------------------------------
//
// Each call takes a curve as roc() gives it; an empty one, or one that does not lead from (0, 0) to (1, 1), is a
// ParameterError.

namespace detail {

inline void check_curve(char const* who, RocCurve const& curve) {
  auto const points = curve.points;
  if (!points.data || points.size < 2 || curve.positives < 1 || curve.negatives < 1)
    fail<ParameterError>("%s: a curve of %lld vertices, %lld positive and %lld negative pairs; roc() gives one", who,
                         static_cast<long long>(points.data ? points.size : 0),
                         static_cast<long long>(curve.positives), static_cast<long long>(curve.negatives));
  RocPoint const first = points[0], last = points[points.size - 1];
  if (first.true_accepts != 0 || first.false_accepts != 0 || last.true_accepts != curve.positives ||
      last.false_accepts != curve.negatives)
    fail<ParameterError>("%s: the curve does not lead from no accepted pair to all of them; roc() gives one that does", who);
}

}  // namespace detail

// The area under the curve by trapezoids = P(positive > negative) + P(equal) / 2 over all positive-negative
// pairs (the statistic of Mann and Whitney 1947). Rounded once only while positives * negatives < 2^52.
inline double auc(RocCurve const& curve) {
  detail::check_curve("auc", curve);
  double twice_area = 0;  // in steps of one positive times one negative
  for (idx i = 1; i < curve.points.size; ++i) {
    RocPoint const a = curve.points[i - 1], b = curve.points[i];
    twice_area += static_cast<double>(b.false_accepts - a.false_accepts) *
                  static_cast<double>(a.true_accepts + b.true_accepts);
  }
  return twice_area / (2 * static_cast<double>(curve.positives) * static_cast<double>(curve.negatives));
}

struct EqualErrorRate {
  double rate = 0;
  double threshold = 0;  // the strictest with FAR >= FRR: the vertex at or just past the crossing
};

// Where FAR = FRR on the curve drawn with straight lines between its vertices. FAR - FRR rises strictly from
// -1 at the first vertex to 1 at the last, so there is exactly one crossing.
inline EqualErrorRate equal_error_rate(RocCurve const& curve) {
  detail::check_curve("equal_error_rate", curve);
  auto const gap = [&](idx i) {  // (FAR - FRR) * positives * negatives, in whole numbers
    RocPoint const p = curve.points[i];
    return static_cast<double>(p.false_accepts) * static_cast<double>(curve.positives) -
           static_cast<double>(curve.positives - p.true_accepts) * static_cast<double>(curve.negatives);
  };
  idx i = 1;
  while (gap(i) < 0) ++i;
  double const share = gap(i - 1) / (gap(i - 1) - gap(i));  // of the way from vertex i - 1 to i, in (0, 1]
  double const before = curve.false_accept_rate(i - 1), after = curve.false_accept_rate(i);
  return {share == 1 ? after : before + share * (after - before), curve.points[i].threshold};
}

struct TarAtFar {
  double tar = 0;        // there
  double far = 0;        // what was reached, <= the target
  double threshold = 0;  // +infinity if only accepting nothing stays below the target
  bool resolution_insufficient = false;
};

// The most lenient threshold with FAR <= target, target in [0, 1] (else ParameterError). Data with too few
// negatives cannot tell a target below 1 / negatives from 0: the answer, TAR at no false accept, is then
// flagged. FAR is compared as the quotient false / negatives: 29 of 100 meets a target of 0.29, though in
// double 0.29 * 100 < 29.
inline TarAtFar tar_at_far(RocCurve const& curve, double target) {
  detail::check_curve("tar_at_far", curve);
  if (!(target >= 0 && target <= 1))
    fail<ParameterError>("tar_at_far: target = %g is outside [0, 1]", target);
  idx i = 0;
  while (i + 1 < curve.points.size && curve.false_accept_rate(i + 1) <= target) ++i;
  return {curve.true_accept_rate(i), curve.false_accept_rate(i), curve.points[i].threshold,
          target < 1 / static_cast<double>(curve.negatives)};
}

// ---- Accuracy ---------------------------------------------------------------------------------------------

// Accuracy as a function of the threshold is a staircase: constant on (s', s] for neighbouring distinct
// scores s' < s. Often several steps are best, and a whole step decides alike on these pairs, but not on
// others. Which one to take:
enum class TieRule {
  // The highest best threshold: a score, or +infinity where accepting nothing is best. The first maximum along
  // the curve: what facenet's first argmax over growing distances (lfw.py) tends to as its grid of 0.01 is made
  // finer.
  strictest,
  // The mean of all best thresholds between the lowest and the highest score; as strictest if there are none.
  // What sphereface's mean of argmaxes (evaluation.m) tends to as its grid of 1e-4 is made finer. Where the
  // best steps lie apart, their mean may lie on a worse one.
  middle,
  // The lowest score that is a best threshold, +infinity if none is. The last maximum along the curve: what a
  // first argmax over the scores themselves, in rising order, takes.
  most_lenient,
};

struct BestAccuracy {
  double accuracy = 0;
  double threshold = 0;
};

struct FoldAccuracy {
  double accuracy = 0;   // on this fold, with ...
  double threshold = 0;  // ... the threshold of the other folds
  idx pairs = 0;
};

struct VerificationAccuracy {
  // Over the folds, each counting the same.
  double mean = 0;
  // sqrt(mean square around that mean), as numpy.std; LFW's standard error is this / sqrt(k - 1).
  double standard_deviation = 0;
};

// Folds 0 .. count - 1 of neighbouring pairs; the first n mod count folds have one more (KFold without
// shuffling). These are the official folds of LFW only if no pair was skipped; where some are, give the fold
// of each pair.
struct ContiguousFolds {
  idx count = 10;
};

// The fold of each pair, any order and sizes: n integers in [0, count).
template <class Id>
struct GivenFolds {
  VectorView<Id> ids;
  idx count;
  GivenFolds(VectorView<Id> fold_of_pair, idx folds) : ids(fold_of_pair), count(folds) {}
};

struct FoldedPair {  // scratch
  double score = 0;
  idx fold = 0;
  bool same = false;
};

// How many FoldedPairs verification_accuracy() needs for n pairs.
constexpr std::size_t folds_capacity(std::size_t pairs) { return pairs; }

namespace detail {

// Finds the best threshold from the vertices, told strictest first. lead = true accepts - false accepts, so
// that lead + negatives decisions are correct. Accepting nothing, with lead 0, is there from the start.
class BestThreshold {
 public:
  void add(double score, idx lead) {
    // Is the step (score, last_], which ends here, one of the best so far? (The one above all scores has no
    // centre.)
    if (last_lead_ == best_lead_ && std::isfinite(last_)) {
      double const half_way = 0.5 * last_ + 0.5 * score;
      double const centre = half_way > score ? half_way : last_;  // for scores one ulp apart
      length_ += last_ - score;
      double const share = (last_ - score) / length_;
      mean_ = mean_ * (1 - share) + centre * share;
    }
    if (lead > best_lead_) {
      best_lead_ = lead;
      strictest_ = score;
      length_ = 0;
    }
    if (lead == best_lead_) most_lenient_ = score;
    last_ = score;
    last_lead_ = lead;
  }
  idx lead() const { return best_lead_; }
  double threshold(TieRule rule) const {
    if (rule == TieRule::most_lenient) return most_lenient_;
    return rule == TieRule::strictest || length_ == 0 ? strictest_ : mean_;
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  double strictest_ = infinity, most_lenient_ = infinity, last_ = infinity;
  double mean_ = 0, length_ = 0;  // over the best steps: of their thresholds, and together
  idx best_lead_ = 0, last_lead_ = 0;
};

// The fold of pair i of n: the first `longer` folds have size + 1 pairs.
inline idx fold_of(ContiguousFolds folds, idx i, idx n) {
  idx const size = n / folds.count, longer = n % folds.count, boundary = longer * (size + 1);
  return i < boundary ? i / (size + 1) : longer + (i - boundary) / size;
}
template <class Id>
idx fold_of(GivenFolds<Id> const& folds, idx i, idx) {
  return static_cast<idx>(folds.ids[i]);
}

inline void check_folds(ContiguousFolds folds, idx n) {
  if (folds.count < 2 || folds.count > n)
    fail<ParameterError>("verification_accuracy: %lld folds are outside [2, %lld], the number of pairs",
                         static_cast<long long>(folds.count), static_cast<long long>(n));
}
template <class Id>
void check_folds(GivenFolds<Id> const& folds, idx n) {
  static_assert(std::is_integral_v<Id>, "losskit: the folds of the pairs are integers on the host");
  check_folds(ContiguousFolds{folds.count}, n);
  if (folds.ids.size != n || !folds.ids.data)
    fail<ShapeError>("verification_accuracy: %lld pairs and %lld fold ids", static_cast<long long>(n),
                     folds.ids.data ? static_cast<long long>(folds.ids.size) : 0LL);
  for (idx i = 0; i < n; ++i)
    if (fold_of(folds, i, n) < 0 || fold_of(folds, i, n) >= folds.count)
      fail<ParameterError>("verification_accuracy: fold %lld of pair %lld is outside [0, %lld)",
                           static_cast<long long>(folds.ids[i]), static_cast<long long>(i),
                           static_cast<long long>(folds.count));
  for (idx fold = 0; fold < folds.count; ++fold) {
    idx i = 0;
    while (i < n && fold_of(folds, i, n) != fold) ++i;
    if (i == n)
      fail<ParameterError>("verification_accuracy: fold %lld has no pair", static_cast<long long>(fold));
  }
}

// The threshold from the other folds, the accuracy on this one. Pairs are sorted by falling score.
inline FoldAccuracy hold_out(FoldedPair const* pairs, idx n, idx fold, TieRule rule) {
  BestThreshold best;
  idx lead = 0;
  for (idx i = 0; i < n;) {
    double const score = pairs[i].score;
    bool trains = false;
    for (; i < n && pairs[i].score == score; ++i) {
      if (pairs[i].fold == fold) continue;
      lead += pairs[i].same ? 1 : -1;
      trains = true;
    }
    if (trains) best.add(score, lead);
  }
  double const threshold = best.threshold(rule);
  idx held_out = 0, correct = 0;
  for (idx i = 0; i < n; ++i) {
    if (pairs[i].fold != fold) continue;
    ++held_out;
    correct += (pairs[i].score >= threshold) == pairs[i].same;
  }
  return {static_cast<double>(correct) / static_cast<double>(held_out), threshold, held_out};
}

template <class T, class Flag, class Folds>
VerificationAccuracy verification_accuracy(VectorView<T> scores, VectorView<Flag> same, Folds const& folds,
                                           VectorView<FoldedPair> scratch, TieRule rule,
                                           VectorView<FoldAccuracy> each_fold) {
  idx const n = scores.size;
  check_pairs("verification_accuracy", scores, same, scratch, n);
  check_folds(folds, n);
  if (each_fold && each_fold.size != folds.count)
    fail<ShapeError>("verification_accuracy: %lld results for %lld folds",
                     static_cast<long long>(each_fold.size), static_cast<long long>(folds.count));
  FoldedPair* const pairs = scratch.data;
  for (idx i = 0; i < n; ++i)
    pairs[i] = {static_cast<double>(scores[i]), fold_of(folds, i, n), same[i] == Flag(1)};
  std::sort(pairs, pairs + n, [](FoldedPair const& a, FoldedPair const& b) { return a.score > b.score; });
  double mean = 0, squares = 0;  // running mean and sum of squares around it
  for (idx fold = 0; fold < folds.count; ++fold) {
    FoldAccuracy const result = hold_out(pairs, n, fold, rule);
    double const off = result.accuracy - mean;
    mean += off / static_cast<double>(fold + 1);
    squares += off * (result.accuracy - mean);
    if (each_fold) each_fold[fold] = result;
  }
  return {mean, std::sqrt(squares / static_cast<double>(folds.count))};
}

}  // namespace detail

// k-fold accuracy: each fold is judged with the threshold that is best on all the others, so no pair chooses
// the threshold it is judged with. folds: ContiguousFolds{k} or GivenFolds{view(ids), k}, 2 <= k <= n (else
// ParameterError); an empty fold or an id outside [0, k) is a ParameterError, a fold without positives or
// without negatives is fine. scratch: at least folds_capacity(n). each_fold: empty, or k results to be
// written. n ln n + k n steps.
template <class Scores, class Flags, class Folds, class Scratch>
VerificationAccuracy verification_accuracy(Scores const& scores, Flags const& same, Folds const& folds,
                                           Scratch&& scratch, TieRule rule = TieRule::strictest,
                                           VectorView<FoldAccuracy> each_fold = {}) {
  return detail::verification_accuracy(view(scores), view(same), folds, view(scratch), rule, each_fold);
}

// The best accuracy of any threshold on these very pairs. The threshold has seen what it is judged on:
// optimistic (never below the strictest verification_accuracy over folds of one size), not to be reported as
// accuracy on unseen pairs. A curve that is not roc()'s is a ParameterError.
inline BestAccuracy optimistic_accuracy(RocCurve const& curve, TieRule rule = TieRule::strictest) {
  detail::check_curve("optimistic_accuracy", curve);
  detail::BestThreshold best;
  for (idx i = 1; i < curve.points.size; ++i)
    best.add(curve.points[i].threshold, curve.points[i].true_accepts - curve.points[i].false_accepts);
  return {static_cast<double>(best.lead() + curve.negatives) /
              static_cast<double>(curve.positives + curve.negatives),
          best.threshold(rule)};
}

}  // namespace losskit::inline LOSSKIT_ISA
