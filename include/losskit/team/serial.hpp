// SerialTeam: one thread, one number at a time. The reference for every other team: read this one.
//
// A Team (team/team.hpp) works on one row. Its verbs:
//   block                           a row cut at multiples of it, and summed part after part, gives the bits of the whole
//   prefetch_row(c, n)              a row's memory will be read soon, by sum_keeping
//   sum(c, n, hole, odd, zero, total, f)   f(sums, at, raw, c) adds each cosine to sums, from zero: as stored, and clamped
//                                   (team/cosines.hpp). f sees the hole too, but it counts for nothing. What comes of it is
//                                   added to total, in double; odd cosines are counted
//   sum_keeping(..., stretches)     the same for the pass that fills what keep gave, and what that is relative to; a team may
//                                   end the row before in it
//   settle(kept, n, stretches, at)  what was kept, made relative to the logit `at`, but for the factor that it returns
//   total(n, zero, f)               f(sums, at) over n elements
//   total_writing(n, g, accumulate, factor, zero, f)   the same, and factor * what f gives for an element goes to g, or is
//                                   added there
//   tally(begin, end, zero, f)      f(sums, i) for single things, such as rows, in sums that are given in double already
//   each(n, f)                      f(at) on every element
//   keeps, keep(g)                  can e wait between the two passes over a row, and where
//   finish(kept, g, n, y, scale)    the second pass: scales what was kept into the gradient
//   sync()                          every member has come here before any goes on; a sum of any kind does the same
//   once(f)                         f() by one member of the team
// at.load(p), at.store(p, x) and at.add(p, x) reach element `at` of an array; at.prefetch(p) asks for what a walk over p comes to next.
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
  static constexpr idx block = 256;  // of a sum: a longer one, added to one by one, loses more

  // `buffer`: n numbers for e to wait in, or null to let it wait in the gradient itself.
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
