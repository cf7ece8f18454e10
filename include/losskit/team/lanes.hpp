// LaneTeam: many lanes on one row, such as a GPU's warp, block or cluster of blocks. The verbs are those of SerialTeam.
//
// The lanes stride the row pack by pack (team/pack.hpp), beginning at the 16-byte boundary at or before its start, so that
// every whole pack is one access at any alignment of the row. Where the group has shared memory for a row (Keeps), the whole row is
// prefetched into it by asynchronous copies, and e is kept in the place of the cosines between the passes; else e is recomputed.
//
// A Group says which lanes these are and how they synchronise:
//   lanes, warps               of a block, at compile time, powers of two; a block of one warp is alone on its row
//   lane(), block(), blocks()  this lane's number in its block, its block's number, how many blocks share the row
//   sync(), sync_blocks()      barriers of the block, and of all blocks
//   swap(x, d)                 x of the lane whose number differs in bit d, in the same warp
//   first(x)                   x of the warp's first lane
//   warp_slot<X>(k)            one of warps + 1 slots in the block's shared memory, of a size for any X
//   block_slot<X>(k), k = 0, 1   one of two slots that the other blocks see too; of_block<X>(k, b): what block b has in it
// and, where Keeps:
//   room<P>()                  shared memory of the block for its part of a row, as packs
//   copy_async(to, from)       starts a copy of 16 bytes into the room; wait_copies(): waits for those of this lane
//
// Sums add lane by lane in pairs, warp by warp, block by block: always in the same order.
#pragma once
#include <type_traits>

#include "losskit/core/number.hpp"
#include "losskit/team/cosines.hpp"
#include "losskit/team/pack.hpp"

namespace losskit::inline LOSSKIT_ISA {

// How the lanes of a group add up.
template <class Group>
class LanesTogether : public Group {
 public:
  LOSSKIT_HD explicit LanesTogether(Group group) : Group(group) {}

  // The sum over all lanes, in every lane. A barrier: what a lane did before it is done for all lanes after it.
  template <class X>
  LOSSKIT_HD X together(X x) {
    constexpr int warp = Group::lanes / Group::warps;
    x = warp_sum<warp>(x);
    if constexpr (Group::warps > 1) {
      X* const all = this->template warp_slot<X>(Group::warps);
      int const lane = this->lane();
      if (lane % warp == 0) *this->template warp_slot<X>(lane / warp) = x;
      this->sync();
      if (lane < warp) {
        x = warp_sum<Group::warps>(*this->template warp_slot<X>(lane % Group::warps));
        if (lane == 0) *all = x;
      }
      if (this->blocks() > 1) {
        turn_ = !turn_;  // two slots in turn: a block may be one sum ahead of another that still reads
        if (lane == 0) *this->template block_slot<X>(turn_) = x;
        this->sync_blocks();
        if (lane == 0) {
          x = this->template of_block<X>(turn_, 0);
          for (int b = 1; b < this->blocks(); ++b) x.add(this->template of_block<X>(turn_, b));
          *all = x;
        }
      }
      this->sync();
      x = *all;
    } else {
      this->sync();  // a shuffle orders no memory
    }
    return x;
  }

 private:
  // The sum over the first `count` lanes of a warp, a power of two.
  template <int count, class X>
  LOSSKIT_HD LOSSKIT_INLINE X warp_sum(X x) const {
    LOSSKIT_UNROLL for (int d = 1; d < count; d *= 2) x.add(this->swap(x, d));
    return this->first(x);
  }

  int turn_ = 0;
};

// Bytes of shared memory that each of `blocks` blocks of `lanes` lanes needs for its part of a row of n numbers, at any alignment of the
// row. width: numbers in a pack; pack_bytes: what it takes in shared memory.
constexpr std::size_t room_of_a_row(idx n, int width, std::size_t pack_bytes, int lanes, int blocks) {
  idx const all = idx(blocks) * lanes, packs = (n + 2 * (width - 1)) / width;
  return static_cast<std::size_t>((packs + all - 1) / all * lanes) * pack_bytes;
}

template <class S, class Group, bool Keeps>
class LaneTeam {
  using P = Pack<S>;
  using T = typename P::scalar;
  static constexpr int W = P::width;

 public:
  using number = P;
  static constexpr bool keeps = Keeps;
  static constexpr idx block = 0;  // a row that lanes share is never cut
  using kept_stretches = OneStretch;

  static constexpr std::size_t room_bytes(idx n, int blocks) { return room_of_a_row(n, W, sizeof(P), Group::lanes, blocks); }

  LOSSKIT_HD explicit LaneTeam(Group group, bool accumulate = false) : group_(group), accumulate_(accumulate) {}

  struct Room {};  // what keep gives
  struct At {
    idx j;
    int from, to;  // the lanes of the pack that lie in the row
    P* kept;

    LOSSKIT_HD LOSSKIT_INLINE bool whole() const { return from == 0 && to == W; }
    LOSSKIT_HD LOSSKIT_INLINE P load(S const* p) const {
      return whole() && P::aligned(p + j) ? P::load(p + j) : P::load_some(p + j, from, to);
    }
    LOSSKIT_HD LOSSKIT_INLINE void store(S* p, P const& x) const {
      whole() && P::aligned(p + j) ? x.store(p + j) : x.store_some(p + j, from, to);
    }
    LOSSKIT_HD LOSSKIT_INLINE void add(S* p, P const& x) const { store(p, load(p) + x); }
    LOSSKIT_HD LOSSKIT_INLINE P load(Room) const { return *kept; }
    LOSSKIT_HD LOSSKIT_INLINE void store(Room, P const& x) const { *kept = x; }
    LOSSKIT_HD LOSSKIT_INLINE void clear(Room, int lane) const { kept->v[lane] = 0; }
    LOSSKIT_HD LOSSKIT_INLINE void prefetch(S const*) const {}
  };

  LOSSKIT_HD LOSSKIT_INLINE void prefetch_row(S const* c, idx n) {
    begin_walk(c);
    group_.wait_copies();  // of a skipped row: two asynchronous copies to one place would end in any order
    for (Walk w = walk(n); w.has(); w.next()) {
      At const at = w.at();
      if (at.whole()) group_.copy_async(at.kept, c + at.j); else P::copy_some(at.kept, c + at.j, at.from, at.to);
    }
  }

  template <class Sums, class Total, class F>
  LOSSKIT_HD LOSSKIT_INLINE void sum(S const* c, idx n, idx hole, OddCosines& odd, Sums zero, Total& total, F f) {
    begin_walk(c);
    if constexpr (paired_pass<F>) set_relative(f, n, hole, [=](At const& at) LOSSKIT_INLINE_LAMBDA { return at.load(c); });
    auto part = begin_sum(hole, zero);
    Walk w = walk(n);
    while (w.has()) {
      P raw[flight];  // all loads start before the first is used
      Walk ahead = w;
      LOSSKIT_UNROLL for (int k = 0; k < flight; ++k, ahead.next())
        if (ahead.has()) raw[k] = ahead.at().load(c);
      LOSSKIT_UNROLL for (int k = 0; k < flight; ++k, w.next())
        if (w.has()) part.add(w.at(), raw[k], zero, f);
      part.carry(zero);
    }
    end_sum(part, odd, total, f);
  }

  template <class Sums, class Total, class F>
  LOSSKIT_HD LOSSKIT_INLINE void sum_keeping(S const*, idx n, idx hole, OddCosines& odd, Sums zero, Total& total, F f,
                                             OneStretch& stretches) {
    auto part = begin_sum(hole, zero);
    auto const copied = [](At const& at) LOSSKIT_INLINE_LAMBDA { return P::load(reinterpret_cast<S const*>(at.kept)); };
    group_.wait_copies();  // of prefetch_row
    if constexpr (paired_pass<F>) {
      set_relative(f, n, hole, copied);
      stretches.add(0, f.at());
    }
    for (Walk w = walk(n); w.has(); w.next()) part.add(w.at(), copied(w.at()), zero, f);
    part.carry(zero);
    end_sum(part, odd, total, f);
  }

  LOSSKIT_HD LOSSKIT_INLINE double settle(Room, idx, OneStretch const& stretches, double at) const {
    return ::exp2(stretches.last_at() - at);
  }

  template <class Sums, class F>
  LOSSKIT_HD LOSSKIT_INLINE auto total(idx n, Sums zero, F f) {
    auto const none = narrow(zero);
    auto all = wide(none);
    Walk w = walk(n);
    while (w.has()) {
      auto part = none;
      for (int k = 0; k < 64 && w.has(); ++k, w.next()) {
        At const at = w.at();
        Sums one = zero;
        f(one, at);
        part.add(narrow(at.whole() ? one : within(one, at.from, at.to)));
      }
      all.add(wide(part));
    }
    return group_.together(all);
  }

  template <class Sums, class F>
  LOSSKIT_HD LOSSKIT_INLINE auto total_writing(idx n, S* g, bool accumulate, T factor, Sums zero, F f) {
    return total(n, zero, [=](auto& sums, auto at) LOSSKIT_INLINE_LAMBDA {
      P const x = P(factor) * f(sums, at);
      accumulate ? at.add(g, x) : at.store(g, x);
    });
  }

  template <class Sums, class F>
  LOSSKIT_HD LOSSKIT_INLINE Sums tally(idx begin, idx end, Sums zero, F f) {
    for (idx i = begin + lane(); i < end; i += lanes()) f(zero, i);
    return group_.together(zero);
  }

  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE void each(idx n, F f) {
    for (Walk w = walk(n); w.has(); w.next()) f(w.at());
  }

  LOSSKIT_HD LOSSKIT_INLINE Room keep(S*) const { return {}; }

  template <bool Adds>
  LOSSKIT_HD LOSSKIT_INLINE void finish(Room kept, S* g, idx n, idx y, RowEnding<T, Adds> end) {
    bool const add = accumulate_;
    each(n, [=](At const& at) {
      P x = end.of(at.load(kept));
      idx const target = y - at.j;
      LOSSKIT_UNROLL for (int l = 0; l < W; ++l)
        if (l == target) x.v[l] = end.slope;
      add ? at.add(g, x) : at.store(g, x);
    });
  }

  LOSSKIT_HD LOSSKIT_INLINE void sync() const {
    if (group_.blocks() > 1) group_.sync_blocks(); else group_.sync();
  }

  template <class F>
  LOSSKIT_HD LOSSKIT_INLINE void once(F f) const {
    if (lane() == 0) f();
  }

 private:
  static constexpr int flight = 4;

  LOSSKIT_HD LOSSKIT_INLINE idx lane() const { return idx(group_.block()) * Group::lanes + group_.lane(); }
  LOSSKIT_HD LOSSKIT_INLINE idx lanes() const { return idx(group_.blocks()) * Group::lanes; }

  // This lane's packs of a row. Counted in 32 bits: registers are scarce, and 2^31 packs are enough.
  struct Walk {
    int pack, stride, packs;
    int shift, last;  // lanes of the first pack before the row; lanes of the last pack up to its end
    P* kept;

    LOSSKIT_HD LOSSKIT_INLINE bool has() const { return pack < packs; }
    LOSSKIT_HD LOSSKIT_INLINE At at() const {
      return {idx(pack) * W - shift, pack == 0 ? shift : 0, pack == packs - 1 ? last : W, kept};
    }
    LOSSKIT_HD LOSSKIT_INLINE void next() {
      pack += stride;
      if constexpr (Keeps) kept += Group::lanes;
    }
  };
  LOSSKIT_HD LOSSKIT_INLINE Walk walk(idx n) {
    int const packs = static_cast<int>((n + shift_ + W - 1) / W);
    Walk w{static_cast<int>(lane()), static_cast<int>(lanes()), packs, shift_, static_cast<int>(n + shift_ - idx(packs - 1) * W), nullptr};
    if constexpr (Keeps) w.kept = group_.template room<P>() + group_.lane();
    return w;
  }

  // OddCosines of one lane, in 32 bits: its part of a row is short.
  struct Odd {
    unsigned clamped = 0, out_of_range = 0, non_finite = 0;
    LOSSKIT_HD LOSSKIT_INLINE void add(Odd const& b) {
      clamped += b.clamped;
      out_of_range += b.out_of_range;
      non_finite += b.non_finite;
    }
  };
  template <class Wide>
  struct With {
    Wide sums;
    Odd odd;
    LOSSKIT_HD LOSSKIT_INLINE void add(With const& b) {
      sums.add(b.sums);
      odd.add(b.odd);
    }
  };

  // The cosines that the formulas see, or the logits as they are.
  template <class F, class Counts>
  static LOSSKIT_HD LOSSKIT_INLINE P in_range(P const& raw, Counts& odd) {
    P x = raw;
    if constexpr (!over_logits<F>) {
      bool inside = true;
      LOSSKIT_UNROLL for (int l = 0; l < W; ++l) inside = inside && abs(raw.v[l]) <= T(1);
      if (!inside)
        LOSSKIT_UNROLL for (int l = 0; l < W; ++l) x.v[l] = clamped_cosine<T, S>(raw.v[l].v, odd);
    }
    return x;
  }

  // e relative to the largest r of the row's classes.
  struct Top {
    T r;
    LOSSKIT_HD LOSSKIT_INLINE void add(Top const& b) { r = r < b.r ? b.r : r; }
  };
  template <class F, class Load>
  LOSSKIT_HD LOSSKIT_INLINE void set_relative(F& f, idx n, idx hole, Load const& load) {
    Top all{-static_cast<T>(stored_number<T>::largest)};
    Odd not_counted;
    for (Walk w = walk(n); w.has(); w.next()) {
      At const at = w.at();
      P const r = f.rest_of(in_range<F>(load(at), not_counted));
      LOSSKIT_UNROLL for (int l = 0; l < W; ++l)
        if (l >= at.from && l < at.to && at.j + l != hole) all.add({r.v[l].v});
    }
    double const top = double(group_.together(all).r);
    if (!f.reaches(top)) f.set_relative_to(top);
  }

  // One lane's sum over cosines: `some` in the type that computes, carried into `all` in double.
  template <class Sums, class Narrow, class Wide>
  struct Part {
    idx hole;
    Narrow some;
    With<Wide> all;

    template <class F>
    LOSSKIT_HD LOSSKIT_INLINE void add(At const& at, P const& raw, Sums const& zero, F const& f) {
      P const x = in_range<F>(raw, all.odd);
      Sums one = zero;
      f(one, at, raw, x);
      if constexpr (paired_pass<F>)
        if (idx const l = hole - at.j; l >= at.from && l < at.to) f.forget(at, static_cast<int>(l));
      if (!at.whole()) one = within(one, at.from, at.to);
      if (idx const l = hole - at.j; l >= 0 && l < W) one = without(one, static_cast<int>(l));
      some.add(narrow(one));
    }
    LOSSKIT_HD LOSSKIT_INLINE void carry(Sums const& zero) {
      all.sums.add(wide(some));
      some = narrow(zero);
    }
  };
  LOSSKIT_HD LOSSKIT_INLINE void begin_walk(S const* c) {
    shift_ = static_cast<int>(reinterpret_cast<std::uintptr_t>(c) % 16 / sizeof(S));
  }
  template <class Sums>
  LOSSKIT_HD LOSSKIT_INLINE auto begin_sum(idx hole, Sums const& zero) {
    auto const none = narrow(zero);
    return Part<Sums, decltype(narrow(zero)), decltype(wide(none))>{hole < 0 ? -idx(2 * W) : hole, none, {wide(none), {}}};
  }
  template <class Part, class Total, class F>
  LOSSKIT_HD LOSSKIT_INLINE void end_sum(Part const& part, OddCosines& odd, Total& total, F const& f) {
    auto const whole = group_.together(part.all);
    odd.add(OddCosines{whole.odd.clamped, whole.odd.out_of_range, whole.odd.non_finite});
    total.add(placed_by(f, whole.sums));
  }

  template <class Sums>
  static LOSSKIT_HD LOSSKIT_INLINE Sums within(Sums const& sums, int from, int to) {
    return sums.map([=](P const& x, P const& none) { return P::each([&](int i) { return i >= from && i < to ? x.v[i] : none.v[i]; }); });
  }
  template <class Sums>
  static LOSSKIT_HD LOSSKIT_INLINE Sums without(Sums const& sums, int hole) {
    return sums.map([=](P const& x, P const& none) { return P::each([&](int i) { return i != hole ? x.v[i] : none.v[i]; }); });
  }

  // narrow: the sum over a pack's numbers, in the type that computes; wide: that in double.
  template <class Sums>
  static LOSSKIT_HD LOSSKIT_INLINE auto narrow(Sums const& sums) {
    return sums.map([](P const& x, P const&) { return typename P::Lane(x.sum()); });
  }
  template <class Narrow>
  static LOSSKIT_HD LOSSKIT_INLINE auto wide(Narrow const& sums) {
    return sums.map([](auto x, auto) { return Scalar<double>(double(x.v)); });
  }

  LanesTogether<Group> group_;
  bool accumulate_;
  int shift_ = 0;
};

}  // namespace losskit::inline LOSSKIT_ISA
