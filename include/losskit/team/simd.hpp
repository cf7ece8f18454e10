// SimdTeam: one thread that works on packets. The verbs are those of SerialTeam; P is the packet.
//
// Sums are taken in blocks of 128 packets, lane by lane in P's type, and carried in double (longer ones lose what is below half
// an ulp of a lane). Their order depends on the number of classes alone: the same inputs give the same bits on any thread, at
// any alignment.
//
// The range checks of packets may miss a NaN: it needs no clamp, and it makes the sum of e NaN, which triggers an exact recount
// (count_non_finite in row/row.hpp).
//
// A team may be pipelined: e is kept, and a row is scaled into the gradient lane by lane while the next row is read, so that memory and
// arithmetic work at the same time. The bits are those of one after the other.
#pragma once
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <type_traits>

#include "losskit/core/number.hpp"
#include "losskit/team/cosines.hpp"
#include "losskit/team/serial.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class P>
class SimdTeam {
  using T = typename P::scalar;
  static constexpr idx W = P::width;
  static constexpr idx line = 64 / sizeof(T);  // of a cache, in elements
  static constexpr std::size_t prefetch_busy = 3072, prefetch_light = 32768;  // bytes ahead of a pass: with much, with little arithmetic

 public:
  using number = P;
  static constexpr bool keeps = true;
  using kept_stretches = Stretches;
  static constexpr idx block = 128 * W / P::parts;

  // How the second pass writes: assigning, adding, or by non-temporal stores past the caches (for outputs too large to stay there).
  enum class Writes { assign, accumulate, stream };

  struct Plan {
    Writes writes = Writes::assign;
    T* buffer = nullptr;     // in which e is kept, n numbers, each row's in place of the one before; null: in the gradient (assign only)
    bool apart = false;      // the gradient lies apart from the cosines: prefetch its memory too
    bool pipelined = false;  // scale a row while the next one is read: memory and arithmetic then work at the same time
    idx ahead = 0;           // prefetch distance in elements, from the row's reads
  };
  explicit SimdTeam(Plan const& plan = {}) : plan_(plan) {}

  struct At {
    idx j;
    LOSSKIT_INLINE P load(T const* p) const { return P::load(p + j); }
    LOSSKIT_INLINE void store(T* p, P x) const { x.store(p + j); }
    LOSSKIT_INLINE void add(T* p, P x) const { (load(p) + x).store(p + j); }
    LOSSKIT_INLINE void clear(T* p, int lane) const { p[j + lane] = 0; }
    LOSSKIT_INLINE void prefetch(T const* p) const {
      for (idx k = 0; k < P::parts; ++k) __builtin_prefetch(p + j + k * (W / P::parts) + prefetch_busy / sizeof(T), 0, 3);
    }
  };
  struct Some {  // the first `count` lanes; all of them may be meant, so that what is rare is compiled once
    idx j, count;
    LOSSKIT_INLINE P load(T const* p) const { return count == W ? P::load(p + j) : P::load_some(p + j, count); }
    LOSSKIT_INLINE void store(T* p, P x) const { count == W ? x.store(p + j) : x.store_some(p + j, count); }
    LOSSKIT_INLINE void add(T* p, P x) const { store(p, load(p) + x); }
    LOSSKIT_INLINE void clear(T* p, int lane) const { p[j + lane] = 0; }
    LOSSKIT_INLINE void prefetch(T const*) const {}
  };

  void prefetch_row(T const*, idx) const {}

  template <class Sums, class All, class F>
  void sum(T const* c, idx n, idx hole, OddCosines& odd, Sums, All& total, F f) {
    finish_waiting();
    row_sum<Sums>(c, n, hole, odd, total, f, NotPipelined{}, nullptr);
  }

  template <class Sums, class All, class F>
  void sum_keeping(T const* c, idx n, idx hole, OddCosines& odd, Sums, All& total, F f, Stretches& stretches) {
    if (waiting_.n != n || waiting_.adds != F::adds) finish_waiting();  // of another length, or another kind of loss
    row_sum<Sums>(c, n, hole, odd, total, f, Pipelined<F::adds>(waiting_, plan_.writes), &stretches);
    end_waiting();
  }

  double settle(T* kept, idx n, Stretches const& stretches, double at) const {
    for (idx j = 0; j < stretches.first[0]; ++j) kept[j] = 0;
    for (int k = 0; k < stretches.count; ++k) {
      if (stretches.at[k] == at) continue;
      P const factor = T(::exp2(stretches.at[k] - at));
      T* const from = kept + stretches.first[k];
      each(stretches.end(k, n) - stretches.first[k], [=](auto j) LOSSKIT_INLINE_LAMBDA { j.store(from, factor * j.load(from)); });
    }
    return 1;
  }

  template <class Sums, class F>
  auto total(idx n, Sums, F f) const {
    Total<Sums> total;
    for (idx begin = 0; begin < n; begin += block) total.add(across(block_total<Sums>(begin, begin + block < n ? begin + block : n, f)));
    return total;
  }

  template <class Sums, class F>
  auto total_writing(idx n, T* g, bool accumulate, T factor, Sums, F f) {
    bool const staged = accumulate || plan_.writes == Writes::stream;  // one loop for all, or f would be compiled for each
    T stages[2][block];  // a block's results until they are added, or streamed (at any alignment of g) while the next is computed
    Total<Sums> total;
    for (idx begin = 0; begin < n; begin += block) {
      idx const end = begin + block < n ? begin + block : n;
      if (end < begin + block) finish_waiting();
      T* const to = staged ? stages[begin / block % 2] : g + begin;
      T const by = staged ? T(1) : factor;
      Pipelined<> const pipelined(waiting_, plan_.writes);
      total.add(across(block_total<Sums>(begin, end, [=](auto& sums, auto at) LOSSKIT_INLINE_LAMBDA {
        auto const slope = f(sums, at);
        auto const x = std::remove_cv_t<decltype(slope)>(by) * slope;
        at.j -= begin;
        pipelined.stream(at);
        at.store(to, x);
      })));
      end_waiting();
      if (accumulate) each(end - begin, [=](auto at) { at.add(g + begin, P(factor) * at.load(to)); });
      else if (staged) finish(to, g + begin, end - begin, -1, RowEnding<T>{factor, T(0)});
    }
    finish_waiting();
    return total;
  }

  template <class Sums, class F>
  Sums tally(idx begin, idx end, Sums zero, F f) const {
    for (idx i = begin; i < end; ++i) f(zero, i);
    return zero;
  }

  template <class F>
  void each(idx n, F f) const {
    idx j = 0;
    for (; j + W <= n; j += W) f(At{j});
    if (j < n) f(Some{j, n - j});
  }

  T* keep(T* g) {
    if (plan_.buffer) return plan_.buffer;
    if (plan_.apart) filled_ = g;
    return g;
  }

  template <bool Adds>
  void finish(T const* kept, T* g, idx n, idx y, RowEnding<T, Adds> end) {
    if (waiting_.g) finish_waiting();  // no sum_keeping came between
    bool const here = y >= 0 && y < n;
    waiting_ = {kept, g, n, 0, here ? y : -1, {end.factor, end.slope, Adds ? end.uniform : -T(0)}, Adds};
    if (plan_.writes == Writes::accumulate && here) waiting_.end.slope += g[y];
    if (plan_.writes == Writes::stream) {
      waiting_.aligned = aligned_from(g, n);
      write_ends();
    }
    if (!plan_.pipelined) finish_waiting();
  }

  // Writes the gradient of the last row, if it is still pending; a backend calls it after a team's last row. It runs from the row's end:
  // where the caches do not hold a row, the first pass left the end there.
  void finish_waiting() {
    if (waiting_.g) {
      Pipelined<true> const write(waiting_, plan_.writes);
      T const* const before = waiting_.kept - prefetch_light / sizeof(T);
      idx const whole = waiting_.n / W * W;
      if (whole < waiting_.n) write(Some{whole, waiting_.n - whole});
      for (idx j = whole - W; j >= 0; j -= W) {
        __builtin_prefetch(before + j, 0, 2);
        write(At{j});
      }
      end_waiting();
    }
    if (plan_.writes == Writes::stream) P::fence_streams();
  }

  void sync() const {}

  template <class F>
  void once(F f) const { f(); }

 private:
  template <class Sums, class All, class F, class Lag>
  void row_sum(T const* c, idx n, idx hole, OddCosines& odd, All& total, F& f, Lag const& pipelined, Stretches* stretches) const {
    for (idx begin = 0; begin < n; begin += block) {
      idx const end = begin + block < n ? begin + block : n;
      if constexpr (paired_pass<F>) {
        double const top = block_top(c, begin, end, hole, f);
        bool const reaches = f.reaches(top);
        if (!reaches) f.set_relative_to(top);
        if (stretches && (begin == 0 || !reaches)) stretches->add(begin, f.at());
      }
      total.add(placed_by(f, across(block_sum<Sums>(c, begin, end, hole, odd, f, pipelined))));
    }
  }

  // The largest r of a block, which is then in the first cache for the sum that follows.
  template <class F>
  static double block_top(T const* c, idx begin, idx end, idx hole, F const& f) {
    P const lowest = -std::numeric_limits<T>::max();
    P tops[4] = {lowest, lowest, lowest, lowest};
    auto const r_of = [&](P x) LOSSKIT_INLINE_LAMBDA {
      if constexpr (over_logits<F>) return f.rest_of(x); else return f.rest_of(min(max(x, P(-1)), P(1)));
    };
    idx const full = begin + (end - begin) / W * W;
    idx const split = hole >= begin && hole < full ? begin + (hole - begin) / W * W : full;
    idx j = begin;
    for (idx const stop : {split, full}) {  // up to the hole's packet, and from there
      for (; j + 4 * W <= stop; j += 4 * W)
        for (idx k = 0; k < 4; ++k) tops[k] = max(tops[k], r_of(P::load(c + j + k * W)));
      for (; j < stop; j += W) tops[0] = max(tops[0], r_of(P::load(c + j)));
      if (j < full) {
        tops[0] = max(tops[0], select(lanes_but(hole - j, W), r_of(P::load(c + j)), lowest));
        j += W;
      }
    }
    if (full < end) tops[0] = max(tops[0], select(lanes_but(hole - full, end - full), r_of(P::load_some(c + full, end - full)), lowest));
    T all[W];
    max(max(tops[0], tops[1]), max(tops[2], tops[3])).store(all);
    T top = all[0];
    for (idx l = 1; l < W; ++l) top = top < all[l] ? all[l] : top;
    return double(top);
  }

  // The first `count` lanes without lane `hole`.
  static LOSSKIT_INLINE auto lanes_but(idx hole, idx count) {
    bool const here = hole >= 0 && hole < count;
    return here ? P::first_lanes(hole) | (P::first_lanes(count) & !P::first_lanes(hole + 1)) : P::first_lanes(count);
  }

  template <class Sums, class F, class Lag>
  LOSSKIT_INLINE Sums block_sum(T const* c, idx begin, idx end, idx hole, OddCosines& odd, F const& f, Lag const& pipelined) const {
    // A paired pass seeks a block's largest r before it sums it: the block is prefetched while the one before is summed.
    T const* const soon = c + (paired_pass<F> && plan_.ahead > 0 ? block : plan_.ahead);
    T* const filled = filled_ ? filled_ + plan_.ahead : nullptr;
    F const hot = f;  // copies that no call sees stay in registers
    Lag const hot_pipelined = pipelined;
    idx const full = begin + (end - begin) / W * W;
    idx const split = hole >= begin && hole < full ? begin + (hole - begin) / W * W : full;
    Sums sums;
    idx j = begin;
    for (idx const stop : {split, full}) {  // up to the hole's packet, and from there
      for (; j + 4 * W <= stop; j += 4 * W) {
        // Four at a time, loaded before any is written: e may be kept in place of the cosines.
        P const x0 = P::load(c + j), x1 = P::load(c + j + W), x2 = P::load(c + j + 2 * W), x3 = P::load(c + j + 3 * W);
        hot_pipelined.four(j);
        if (any_outside<F>(x0, x1, x2, x3)) [[unlikely]] {
          for (idx k = j; k < j + 4 * W; k += W) sums.add(careful<Sums>(c, Some{k, W}, hole, odd, f));
          continue;
        }
        for (idx k = 0; k < 4 * W; k += line) __builtin_prefetch(soon + j + k, 0, 2);
        if (filled)
          for (idx k = 0; k < 4 * W; k += line) __builtin_prefetch(filled + j + k, 1, 2);
        if constexpr (requires { hot.four(sums, At{j}, W, x0, x1, x2, x3); }) {
          hot.four(sums, At{j}, W, x0, x1, x2, x3);
        } else {
          hot(sums, At{j}, x0, x0);
          hot(sums, At{j + W}, x1, x1);
          hot(sums, At{j + 2 * W}, x2, x2);
          hot(sums, At{j + 3 * W}, x3, x3);
        }
      }
      for (; j < stop; j += W) {
        P const x = P::load(c + j);
        hot_pipelined(At{j});
        if (any_outside<F>(x, x, x, x)) [[unlikely]]
          sums.add(careful<Sums>(c, Some{j, W}, hole, odd, f));
        else
          hot(sums, At{j}, x, x);
      }
      if (j < full) {
        hot_pipelined(At{j});
        sums.add(careful<Sums>(c, Some{j, W}, hole, odd, f));
        j += W;
      }
    }
    if (full < end) {
      hot_pipelined(Some{full, end - full});
      sums.add(careful<Sums>(c, Some{full, end - full}, hole, odd, f));
    }
    return sums;
  }

  // A packet with the hole, the row's end, or a cosine outside [-1, 1].
  template <class Sums, class F>
  [[gnu::noinline]] static Sums careful(T const* c, Some at, idx hole, OddCosines& odd, F const& f) {
    idx const j = at.j, count = at.count;
    P const raw = at.load(c);
    P x = raw;
    if (any_outside<F>(raw, raw, raw, raw)) {
      T clean[W] = {};
      for (idx l = 0; l < count; ++l) clean[l] = clamped_cosine(c[j + l], odd);
      x = P::load(clean);
    }
    Sums sums;
    f(sums, at, raw, x);
    if constexpr (paired_pass<F>)
      if (hole >= j && hole < j + count) f.forget(at, static_cast<int>(hole - j));
    return masked(sums, lanes_but(hole - j, count));
  }

  template <class F>
  static LOSSKIT_INLINE bool any_outside(P a, P b, P c, P d) {
    if constexpr (over_logits<F>) return false; else return P::any_outside(a, b, c, d);
  }

  template <class Sums, class Mask>
  static LOSSKIT_INLINE Sums masked(Sums const& sums, Mask const& counted) {
    return sums.map([&](auto const& value, auto const& none) LOSSKIT_INLINE_LAMBDA { return select(counted, value, none); });
  }

  // The lanes of a block as one sum in double.
  template <class Lanes>
  static auto across(Lanes const& lanes) {
    return lanes.map([](auto const& x, auto const&) LOSSKIT_INLINE_LAMBDA { return Scalar<double>(x.sum()); });
  }

  template <class Sums, class F>
  static LOSSKIT_INLINE Sums block_total(idx begin, idx end, F const& f) {
    using Part = typename P::part;
    Sums sums;
    idx j = begin;
    for (; j + W <= end; j += W) f(sums, At{j});
    // The end part by part: what a long formula takes to compile, it takes for a part once more, not for a number of many.
    for (idx k = 0; j < end; j += Part::width, ++k) {
      idx const count = end - j < Part::width ? end - j : Part::width;
      auto last = sums.map([](P const&, P const&) LOSSKIT_INLINE_LAMBDA { return Part(0); });
      f(last, typename SimdTeam<Part>::Some{j, count});
      sums.add(last.map([=](Part const& x, Part const& none) LOSSKIT_INLINE_LAMBDA {
        return P::with_part(k, select(Part::first_lanes(count), x, none));
      }));
    }
    return sums;
  }

  template <class Sums>
  using Total = decltype(across(Sums{}));

  // A row whose sums are known and whose gradient is not written yet.
  struct Waiting {
    T const* kept = nullptr;
    T* g = nullptr;
    idx n = 0, aligned = 0, y = -1;  // aligned: where a streamed row meets a packet's boundary; y: the target, or -1
    // end.slope: what the target's place gets in the end. end.uniform: -0 where none is added, as x + (-0) is x for every x, -0 too.
    RowEnding<T, true> end{};
    bool adds = false;  // whether a uniform term is added
  };

  // The second pass of the pending row on element `at`, while the same element of the next row is read. A copy of what it needs of
  // Waiting, so that it stays in registers. How it writes is asked once every four packets: that takes no time that can be measured, and
  // the first pass is compiled once, not for each of the ways.
  struct NotPipelined {
    template <class At_>
    LOSSKIT_INLINE void operator()(At_ const&) const {}
    LOSSKIT_INLINE void four(idx) const {}
  };
  template <bool Adds = false>
  class Pipelined {
   public:
    // Where no row waits it streams a row of no elements, which writes nothing: one question less in the loop.
    Pipelined(Waiting const& w, Writes writes)
        : kept_(w.kept), g_(w.g), n_(w.n), aligned_(w.aligned), writes_(w.g ? writes : Writes::stream),
          end_{w.end.factor, 0, w.end.uniform} {}

    template <class At_>
    LOSSKIT_INLINE void operator()(At_ const& at) const {
      if (writes_ == Writes::assign) at.store(g_, end_.of(at.load(kept_)));
      else if (writes_ == Writes::stream) stream(at);
      else at.add(g_, end_.of(at.load(kept_)));
    }
    // Of four packets from element j.
    LOSSKIT_INLINE void four(idx j) const {
      if (writes_ == Writes::assign)
        for (idx k = 0; k < 4 * W; k += W) At{j + k}.store(g_, end_.of(At{j + k}.load(kept_)));
      else if (writes_ == Writes::stream)
        for (idx k = 0; k < 4 * W; k += W) stream(At{j + k});
      else
        for (idx k = 0; k < 4 * W; k += W) At{j + k}.add(g_, end_.of(At{j + k}.load(kept_)));
    }
    LOSSKIT_INLINE void stream(At const& at) const {
      if (idx const j = at.j + aligned_; j + W <= n_) end_.of(P::load(kept_ + j)).stream(g_ + j);
    }
    template <class At_>
    LOSSKIT_INLINE void stream(At_ const&) const {}  // the ends of a streamed row are written already

   private:
    T const* kept_;
    T* g_;
    idx n_, aligned_;
    Writes writes_;
    RowEnding<P, Adds> end_;
  };

  // Both ends of a streamed row, which no whole packet covers. At once: the next row's e takes the place of this one's packet by packet
  // from the row's start, and these ends are behind.
  void write_ends() {
    Waiting const& w = waiting_;
    auto const write = [&w](idx j) { w.g[j] = multiply_add(w.end.factor, w.kept[j], w.end.uniform); };
    for (idx j = 0; j < w.aligned; ++j) write(j);
    for (idx j = w.aligned + (w.n - w.aligned) / W * W; j < w.n; ++j) write(j);
  }

  void end_waiting() {
    if (waiting_.g && waiting_.y >= 0) waiting_.g[waiting_.y] = waiting_.end.slope;
    waiting_ = {};
  }
  static idx aligned_from(T const* g, idx n) {
    idx const past = static_cast<idx>(reinterpret_cast<std::uintptr_t>(g) % sizeof(P) / sizeof(T)), j = past == 0 ? 0 : W - past;
    return j < n ? j : n;
  }

  Plan plan_;
  Waiting waiting_;
  T* filled_ = nullptr;  // what a pass over a row fills, where it is to be prefetched
};

}  // namespace losskit::inline LOSSKIT_ISA
