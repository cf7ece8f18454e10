// SerialTeam: one thread, one number at a time. The reference for every other team: read this one.
//
// A Team (team/team.hpp) works on one row. Its verbs:
//   block                           a row cut at multiples of it, and summed part after part, gives the bits of the whole
//   prefetch_row(c, n)              prefetches a row for the sum_keeping that follows
//   sum(c, n, hole, odd, zero, total, f)   f(sums, at, raw, c) adds each cosine to sums that begin at zero: raw as stored, c clamped
//                                   (team/cosines.hpp). f runs on the hole too, but what it adds there is dropped. The sums are
//                                   added to total in double; odd cosines are counted
//   sum_keeping(..., stretches)     the same where f fills what keep gave; stretches: which logits that is relative to. A pipelined
//                                   team writes the gradient of the row before meanwhile
//   settle(kept, n, stretches, at)  rescales what was kept to be relative to the logit `at` (base 2); returns a factor still to apply
//   total(n, zero, f)               f(sums, at) over n elements. A team whose number is several packets calls f on one of them at the
//                                   row's end, with sums of that packet
//   total_writing(n, g, accumulate, factor, zero, f)   the same, and factor * f(sums, at) is assigned to element `at` of g, or
//                                   added to it
//   tally(begin, end, zero, f)      f(sums, i) for single items, such as rows, whose sums are double already
//   each(n, f)                      f(at) on every element
//   keeps, keep(g)                  whether e is kept between the two passes over a row, and where
//   finish(kept, g, n, y, end)      the second pass: what was kept becomes the gradient; y: the target's place, or -1
//   sync()                          a barrier of the team; every sum, total and tally is one too
//   once(f)                         f() by one member of the team
// at.load(p), at.store(p, x) and at.add(p, x) reach element `at` of an array; at.prefetch(p) prefetches what a pass over p reads next.
#pragma once
#include <limits>

#include "losskit/core/number.hpp"
#include "losskit/team/cosines.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class T>
class SerialTeam {
 public:
  using number = Scalar<T>;
  static constexpr bool keeps = true;
  using kept_stretches = Stretches;
  static constexpr idx block = 256;  // classes to a partial sum: one long chain of additions rounds more

  // `buffer`: n numbers in which e is kept, or null to keep it in the gradient itself (assigning only).
  LOSSKIT_HD explicit SerialTeam(T* buffer = nullptr, bool accumulate = false) : buffer_(buffer), accumulate_(accumulate) {}

  struct At {
    idx j;
    LOSSKIT_HD number load(T const* p) const { return p[j]; }
    LOSSKIT_HD void store(T* p, number x) const { p[j] = x.v; }
    LOSSKIT_HD void add(T* p, number x) const { p[j] += x.v; }
    LOSSKIT_HD void clear(T* p, int) const { p[j] = 0; }
    LOSSKIT_HD void prefetch(T const*) const {}
  };

  LOSSKIT_HD void prefetch_row(T const*, idx) const {}

  template <class Sums, class Total, class F>
  LOSSKIT_HD void sum(T const* c, idx n, idx hole, OddCosines& odd, Sums zero, Total& total, F f) const {
    Stretches not_kept;
    sum_keeping(c, n, hole, odd, zero, total, f, not_kept);
  }

  template <class Sums, class Total, class F>
  LOSSKIT_HD void sum_keeping(T const* c, idx n, idx hole, OddCosines& odd, Sums zero, Total& total, F f, Stretches& stretches) const {
    for (idx begin = 0; begin < n; begin += block) {
      idx const end = begin + block < n ? begin + block : n;
      if constexpr (paired_pass<F>) {
        double const top = largest(c, begin, end, hole, f);
        bool const reaches = f.reaches(top);
        if (!reaches) f.set_relative_to(top);
        if (begin == 0 || !reaches) stretches.add(begin, f.at());
      }
      auto part = zero.map(widen);
      for (idx j = begin; j < end; ++j) {
        Sums one = zero;
        f(one, At{j}, number(c[j]), in_range<F>(c[j], odd));
        if (j != hole) part.add(one.map(widen));
        else if constexpr (paired_pass<F>) f.forget(At{j}, 0);
      }
      total.add(placed_by(f, part));
    }
  }

  LOSSKIT_HD double settle(T* kept, idx n, Stretches const& stretches, double at) const {
    idx j = 0;
    for (; j < stretches.first[0]; ++j) kept[j] = 0;
    for (int k = 0; k < stretches.count; ++k) {
      idx const end = stretches.end(k, n);
      if (stretches.at[k] != at)
        for (T const factor = T(::exp2(stretches.at[k] - at)); j < end; ++j) kept[j] *= factor;
      j = end;
    }
    return 1;
  }

  template <class Sums, class F>
  LOSSKIT_HD auto total(idx n, Sums zero, F f) const {
    auto total = zero.map(widen);
    for (idx j = 0; j < n; ++j) {
      Sums one = zero;
      f(one, At{j});
      total.add(one.map(widen));
    }
    return total;
  }

  template <class Sums, class F>
  LOSSKIT_HD auto total_writing(idx n, T* g, bool accumulate, T factor, Sums zero, F f) const {
    return total(n, zero, [=](auto& sums, auto at) {
      T const x = product(factor, f(sums, at).v);
      g[at.j] = accumulate ? g[at.j] + x : x;
    });
  }

  template <class Sums, class F>
  LOSSKIT_HD Sums tally(idx begin, idx end, Sums zero, F f) const {
    for (idx i = begin; i < end; ++i) f(zero, i);
    return zero;
  }

  template <class F>
  LOSSKIT_HD void each(idx n, F f) const {
    for (idx j = 0; j < n; ++j) f(At{j});
  }

  LOSSKIT_HD T* keep(T* g) const { return buffer_ ? buffer_ : g; }

  template <bool Adds>
  LOSSKIT_HD void finish(T const* kept, T* g, idx n, idx y, RowEnding<T, Adds> end) const {
    bool const here = y >= 0 && y < n;
    T const before = here && accumulate_ ? g[y] : T(0);
    for (idx j = 0; j < n; ++j) {
      T const x = end.of(number(kept[j])).v;
      g[j] = accumulate_ ? g[j] + x : x;
    }
    if (here) g[y] = before + end.slope;
  }

  LOSSKIT_HD void sync() const {}

  template <class F>
  LOSSKIT_HD void once(F f) const { f(); }

 private:
  // The cosine that the formulas see, or the logit as it is.
  template <class F>
  LOSSKIT_HD static number in_range(T c, OddCosines& odd) {
    if constexpr (over_logits<F>) return c; else return clamped_cosine(c, odd);
  }
  // The largest r of some classes.
  template <class F>
  LOSSKIT_HD static double largest(T const* c, idx begin, idx end, idx hole, F const& f) {
    number top = -stored_number<T>::largest;
    OddCosines not_counted;
    for (idx j = begin; j < end; ++j)
      if (j != hole) top = max(top, f.rest_of(in_range<F>(c[j], not_counted)));
    return double(top.v);
  }
  LOSSKIT_HD static Scalar<double> widen(number x, number) { return double(x.v); }

  T* buffer_;
  bool accumulate_;
};

}  // namespace losskit::inline LOSSKIT_ISA
