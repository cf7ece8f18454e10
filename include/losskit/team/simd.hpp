// SimdTeam: one thread that works on packets. The verbs are those of SerialTeam; P is the packet.
//
// Sums are taken in blocks of at most 4096 elements, lane by lane in P's type, and carried in double: in a fixed order that
// depends on the number of classes alone, so that the same inputs give the same bits on any thread, at any alignment.
#pragma once
#include <cstdint>

#include "losskit/core/number.hpp"
#include "losskit/team/cosines.hpp"
#include "losskit/team/serial.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class P>
class SimdTeam {
  using T = typename P::scalar;
  static constexpr idx W = P::width, block = 4096;

 public:
  using number = P;

  // How the second pass writes: over what the gradient holds, adding to it, or past the caches (for outputs too large
  // to stay there).
  enum class Writes { assign, accumulate, stream };

  // `buffer`: n numbers for e to wait in, needed by accumulate and stream; null lets e wait in the gradient itself.
  // `ahead`: how far in front of the row's reads, in elements, memory is asked for.
  explicit SimdTeam(T* buffer = nullptr, Writes writes = Writes::assign, idx ahead = 0)
      : buffer_(buffer), writes_(writes), ahead_(ahead) {}

  struct At {
    idx j;
    LOSSKIT_INLINE P load(T const* p) const { return P::load(p + j); }
    LOSSKIT_INLINE void store(T* p, P x) const { x.store(p + j); }
    LOSSKIT_INLINE void add(T* p, P x) const { (load(p) + x).store(p + j); }
  };
  struct Some {  // the first `count` lanes only
    idx j, count;
    LOSSKIT_INLINE P load(T const* p) const { return P::load_some(p + j, count); }
    LOSSKIT_INLINE void store(T* p, P x) const { x.store_some(p + j, count); }
    LOSSKIT_INLINE void add(T* p, P x) const { (load(p) + x).store_some(p + j, count); }
  };

  template <class Sums, class F>
  auto sum(T const* c, idx n, idx hole, OddCosines& odd, Sums zero, F f) const {
    auto total = across(zero);
    for (idx begin = 0; begin < n; begin += block) {
      idx const end = begin + block < n ? begin + block : n;
      if (inside(c, begin, end)) {
        total = total + across(block_sum(c, begin, end, hole, zero, f, Clean{}));
      } else {
        T tame[block];
        for (idx j = begin; j < end; ++j) tame[j - begin] = tamed(c[j], odd);
        total = total + across(block_sum(c, begin, end, hole, zero, f, Tamed{tame, begin}));
      }
    }
    return total;
  }

  template <class Sums, class F>
  auto total(idx n, Sums zero, F f) const {
    auto total = across(zero);
    for (idx begin = 0; begin < n; begin += block) {
      idx const end = begin + block < n ? begin + block : n;
      Sums sums = zero;
      idx j = begin;
      for (; j + W <= end; j += W) sums = f(sums, At{j});
      if (j < end) sums = sums + masked(f(zero, Some{j, end - j}), P::first_lanes(end - j));
      total = total + across(sums);
    }
    return total;
  }

  template <class F>
  void each(idx n, F f) const {
    idx j = 0;
    for (; j + W <= n; j += W) f(At{j});
    if (j < n) f(Some{j, n - j});
  }

  T* keep(T* g) const { return buffer_ ? buffer_ : g; }

  void finish(T const* kept, T* g, idx n, idx y, RowScale scale) const {
    bool const here = y >= 0 && y < n;
    T const before = here && writes_ == Writes::accumulate ? g[y] : T(0);
    P const factor = T(scale.factor);
    switch (writes_) {
      case Writes::assign: each(n, [=](auto at) { at.store(g, factor * at.load(kept)); }); break;
      case Writes::accumulate: each(n, [=](auto at) { at.add(g, factor * at.load(kept)); }); break;
      case Writes::stream: stream_row(kept, g, n, T(scale.factor)); break;
    }
    if (here) g[y] = before + T(scale.slope);
  }

  template <class F>
  void once(F f) const { f(); }

 private:
  // Where the tamed cosines of a block come from: the row itself if all lie inside (-1, 1), as nearly all do, else a copy.
  struct Clean {
    template <class At_>
    LOSSKIT_INLINE P operator()(At_ const&, P raw) const { return raw; }
  };
  struct Tamed {
    T const* tame;
    idx begin;
    LOSSKIT_INLINE P operator()(At const& at, P) const { return P::load(tame + (at.j - begin)); }
    LOSSKIT_INLINE P operator()(Some const& at, P) const { return P::load_some(tame + (at.j - begin), at.count); }
  };

  static LOSSKIT_INLINE bool inside(T const* c, idx begin, idx end) {
    typename P::ReachesOne outside;
    idx j = begin;
    for (; j + W <= end; j += W) outside.see(P::load(c + j));
    if (j < end) outside.see(P::load_some(c + j, end - j));
    return !outside.any();
  }

  template <class Sums, class F, class Tame>
  LOSSKIT_INLINE Sums block_sum(T const* c, idx begin, idx end, idx hole, Sums zero, F const& f, Tame tame) const {
    Sums sums = zero;
    T const* const soon = c + ahead_;
    auto const run = [&](idx from, idx to) {
      for (idx j = from; j < to; j += W) {
        __builtin_prefetch(soon + j);
        At const at{j};
        P const raw = at.load(c);
        sums = f(sums, at, raw, tame(at, raw));
      }
    };
    auto const part = [&](idx j, idx count) {
      Some const at{j, count};
      P const raw = at.load(c);
      // The hole, if it is here, splits the lanes in two: those before it and those after.
      auto const counted = hole >= j && hole < j + count
                               ? P::first_lanes(hole - j) | (P::first_lanes(count) & !P::first_lanes(hole - j + 1))
                               : P::first_lanes(count);
      sums = sums + masked(f(zero, at, raw, tame(at, raw)), counted);
    };
    idx const full = begin + (end - begin) / W * W, split = hole >= begin && hole < full ? begin + (hole - begin) / W * W : full;
    run(begin, split);
    if (split < full) {
      part(split, W);
      run(split + W, full);
    }
    if (full < end) part(full, end - full);
    return sums;
  }

  template <class Sums, class Mask>
  static LOSSKIT_INLINE Sums masked(Sums const& sums, Mask const& counted) {
    return sums.map([&](P const& x, P const& none) { return select(counted, x, none); });
  }

  // The lanes of a block as one sum in double. Pairs merge through their own +, lane by lane.
  template <class Lanes>
  static auto across(Lanes const& lanes) {
    if constexpr (Lanes::paired) {
      auto const lane = [](idx l) {
        return [l](P const& x, P const&) {
          T all[W];
          x.store(all);
          return Scalar<double>(all[l]);
        };
      };
      auto sum = lanes.map(lane(0));
      for (idx l = 1; l < W; ++l) sum = sum + lanes.map(lane(l));
      return sum;
    } else {
      return lanes.map([](P const& x, P const&) { return Scalar<double>(x.sum()); });
    }
  }

  void stream_row(T const* kept, T* g, idx n, T factor) const {
    idx j = 0;
    for (; j < n && reinterpret_cast<std::uintptr_t>(g + j) % sizeof(P) != 0; ++j) g[j] = factor * kept[j];
    for (P const k = factor; j + W <= n; j += W) (k * P::load(kept + j)).stream(g + j);
    for (; j < n; ++j) g[j] = factor * kept[j];
    stream_fence();
  }

  T* buffer_;
  Writes writes_;
  idx ahead_;
};

}  // namespace losskit::inline LOSSKIT_ISA
