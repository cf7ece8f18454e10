// A GPU's warps, blocks and clusters on the CPU: every lane is a thread, barriers are real, and shared memory is shared. Runs the
// text of team/lanes.hpp, so that a missing barrier, a wrong tail or an index past the end shows without a GPU.
#pragma once
#include <barrier>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "losskit/loss/batch.hpp"
#include "losskit/team/lanes.hpp"

namespace test {

using namespace losskit;

// What the lanes of one cluster share.
template <int Lanes>
struct Machine {
  static constexpr int warp = Lanes < 32 ? Lanes : 32, warps = Lanes / warp;
  static constexpr std::size_t largest = 192;  // bytes of a sum

  explicit Machine(int blocks_, std::size_t room) : blocks(blocks_), all(blocks_ * Lanes) {
    for (int b = 0; b < blocks; ++b) {
      block.push_back(std::make_unique<Block>());
      block.back()->room.resize(room / sizeof(Line));
    }
  }
  struct alignas(16) Line { unsigned char byte[16]; };
  struct Warp {
    std::barrier<> meet{warp};
    unsigned char said[std::size_t(warp) * largest];
  };
  struct Block {
    std::barrier<> meet{Lanes};
    Warp warp_of[std::size_t(warps)];
    alignas(16) unsigned char mail[std::size_t(warps + 1) * largest];
    alignas(16) unsigned char own[2 * largest];
    std::vector<Line> room;
  };
  int blocks;
  std::barrier<> all;
  std::vector<std::unique_ptr<Block>> block;
};

template <int Lanes>
class EmulatedGroup {
  using M = Machine<Lanes>;

 public:
  static constexpr int lanes = Lanes, warps = M::warps;

  EmulatedGroup(M& machine, int block, int lane) : machine_(&machine), block_(block), lane_(lane) {}
  int lane() const { return lane_; }
  int block() const { return block_; }
  int blocks() const { return machine_->blocks; }
  void sync() const { mine().meet.arrive_and_wait(); }
  void sync_blocks() const { machine_->all.arrive_and_wait(); }

  template <class X>
  X swap(X const& x, int d) const { return exchange(x, (lane_ % M::warp) ^ d); }
  template <class X>
  X first(X const& x) const { return exchange(x, 0); }

  template <class X>
  X* mail() const { return reinterpret_cast<X*>(mine().mail); }
  template <class X>
  X* own(int k) const { return their<X>(k, block_); }
  template <class X>
  X* their(int k, int b) const { return reinterpret_cast<X*>(machine_->block[std::size_t(b)]->own + std::size_t(k) * M::largest); }
  // What was asked for comes as late as it may.
  void ask(void* to, void const* from) { asked_.push_back({to, from}); }
  void arrived() {
    for (auto const& [to, from] : asked_) std::memcpy(to, from, 16);
    asked_.clear();
  }
  template <class P>
  P* room() const { return reinterpret_cast<P*>(mine().room.data()); }

 private:
  typename M::Block& mine() const { return *machine_->block[std::size_t(block_)]; }
  template <class X>
  X exchange(X const& x, int from) const {
    static_assert(sizeof(X) <= M::largest);
    auto& w = mine().warp_of[lane_ / M::warp];
    std::memcpy(w.said + std::size_t(lane_ % M::warp) * M::largest, &x, sizeof x);
    w.meet.arrive_and_wait();
    X y;
    std::memcpy(&y, w.said + std::size_t(from) * M::largest, sizeof y);
    w.meet.arrive_and_wait();
    return y;
  }

  M* machine_;
  int block_, lane_;
  std::vector<std::pair<void*, void const*>> asked_;
};

// The backend: one cluster of blocks, which takes one row after the other. Keeps as in LaneTeam.
template <int Lanes, bool Keeps>
struct emulated {
  using space = host;
  static constexpr char const* name = "emulated";
  int blocks_per_row = 1;

  template <class T>
  std::size_t scratch_bytes(idx, idx, Placement) const { return 0; }

  template <class T, class F>
  void rows(idx rows, idx cols, Placement placement, std::byte*, F const& f) const {
    if (rows > 0) run<T, Keeps>(blocks_per_row, rows, cols, placement == Placement::accumulate, f);
  }
  template <class T, class F>
  void blocks(idx count, F const& f) const {
    if (count > 0) run<T, false>(1, count, 0, false, f);
  }
  template <class R>
  R given(R const* p) const { return *p; }
  template <class T>
  void product(MatrixView<T const> a, bool ta, MatrixView<T const> b, bool tb, MatrixView<T> c, T beta) const {
    serial{}.product<T>(a, ta, b, tb, c, beta);
  }

 private:
  template <class T, bool Kept, class F>
  static void run(int blocks, idx count, idx cols, bool accumulate, F const& f) {
    using Team = LaneTeam<T, EmulatedGroup<Lanes>, Kept>;
    Machine<Lanes> machine(blocks, Kept ? Team::room_bytes(cols, blocks) : 0);
    std::vector<std::jthread> threads;
    for (int b = 0; b < blocks; ++b)
      for (int l = 0; l < Lanes; ++l)
        threads.emplace_back([&machine, &f, b, l, count, accumulate] {
          Team team(EmulatedGroup<Lanes>(machine, b, l), accumulate);
          for (idx i = 0; i < count; ++i) f(team, i);
        });
  }
};

}  // namespace test
