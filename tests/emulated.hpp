// A GPU's warps, blocks and clusters on the CPU: every lane is a thread, barriers are real, and shared memory is shared. Runs the
// text of team/lanes.hpp, so that a missing barrier, a wrong tail or an index past the end shows without a GPU.
#pragma once
#include <pthread.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "losskit/backend/serial.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/team/lanes.hpp"

// Does a thread sanitizer watch?
#if defined(__SANITIZE_THREAD__)
#define LOSSKIT_TEST_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOSSKIT_TEST_WATCHED 1
#endif
#endif
#if defined(LOSSKIT_TEST_WATCHED)
extern "C" {
void AnnotateIgnoreSyncBegin(char const*, int);
void AnnotateIgnoreSyncEnd(char const*, int);
void AnnotateIgnoreReadsBegin(char const*, int);
void AnnotateIgnoreReadsEnd(char const*, int);
void AnnotateIgnoreWritesBegin(char const*, int);
void AnnotateIgnoreWritesEnd(char const*, int);
}
#endif

namespace test {

using namespace losskit;

// While it lives, what threads do orders nothing in the eyes of a thread sanitizer: a GPU's shuffle is no barrier for memory.
#if defined(LOSSKIT_TEST_WATCHED)
inline constexpr bool watched = true;
struct OrdersNothing {
  OrdersNothing() {
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~OrdersNothing() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  }
};
#else
inline constexpr bool watched = false;
struct OrdersNothing {
  OrdersNothing() {}
};
#endif

// Orders those who meet at it and nobody else; libstdc++'s shares counters with every other, so that a sanitizer sees more order.
class Barrier {
 public:
  explicit Barrier(int count) { pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(count)); }
  Barrier(Barrier const&) = delete;
  ~Barrier() { pthread_barrier_destroy(&barrier_); }
  void meet() { pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

// Threads that wait for work: to start them for every kernel would take longer than the kernels.
class Crew {
 public:
  explicit Crew(int members) : barrier_(members + 1) {
    for (int k = 0; k < members; ++k)
      threads_.emplace_back([this, k] {
        for (;;) {
          barrier_.meet();
          if (!work_) return;
          (*work_)(k);
          barrier_.meet();
        }
      });
  }
  ~Crew() { barrier_.meet(); }
  // work(k) on every member.
  void run(std::function<void(int)> const& work) {
    work_ = &work;
    barrier_.meet();
    barrier_.meet();
    work_ = nullptr;
  }
  template <int members>
  static Crew& of() {
    static Crew crew(members);
    return crew;
  }

 private:
  Barrier barrier_;
  std::function<void(int)> const* work_ = nullptr;
  std::vector<std::jthread> threads_;
};

// A GPU would fault, or its neighbour would.
inline void expect(bool right, char const* what) {
  if (right) return;
  std::fprintf(stderr, "emulated lanes: %s\n", what);
  std::abort();
}

// What the lanes of one cluster share.
template <int Lanes, int Warps>
struct Machine {
  static constexpr int warp = Lanes / Warps;
  static constexpr std::size_t largest = 192;  // bytes of a sum

  Machine(int blocks_, std::size_t room) : blocks(blocks_), barrier(blocks_ * Lanes) {
    for (int b = 0; b < blocks; ++b) {
      block.push_back(std::make_unique<Block>());
      block.back()->room.assign(room / sizeof(Line) + 1, Line{});
    }
  }
  ~Machine() {
    for (auto const& b : block)
      for (unsigned char byte : b->room.back().byte) expect(byte == 0, "a lane wrote past the room of its block");
  }
  struct alignas(16) Line { unsigned char byte[16]; };
  struct Warp {
    Barrier barrier{warp};
    Line said[2][std::size_t(warp) * largest / sizeof(Line)];
  };
  struct Block {
    Barrier barrier{Lanes};
    Warp warp_of[std::size_t(Warps)];
    Line warp_slots[Warps + 1][largest / sizeof(Line)];
    Line block_slots[2][largest / sizeof(Line)];
    std::vector<Line> room;
  };
  int blocks;
  Barrier barrier;
  std::vector<std::unique_ptr<Block>> block;
};

template <int Lanes, int Warps>
class EmulatedGroup {
  using M = Machine<Lanes, Warps>;

 public:
  static constexpr int lanes = Lanes, warps = Warps;

  EmulatedGroup(M& machine, int block, int lane) : machine_(&machine), block_(block), lane_(lane) {}
  int lane() const { return lane_; }
  int block() const { return block_; }
  int blocks() const { return machine_->blocks; }
  void sync() const { mine().barrier.meet(); }
  void sync_blocks() const { machine_->barrier.meet(); }

  template <class X>
  X swap(X const& x, int d) const { return exchange(x, (lane_ % M::warp) ^ d); }
  template <class X>
  X first(X const& x) const { return exchange(x, 0); }

  template <class X>
  X* warp_slot(int k) const {
    static_assert(sizeof(X) <= M::largest);
    return reinterpret_cast<X*>(mine().warp_slots[k]);
  }
  template <class X>
  X* block_slot(int k) const { return slot_of<X>(k, block_); }
  template <class X>
  X of_block(int k, int b) const { return *slot_of<X>(k, b); }
  // What was asked for comes as late as it may.
  void copy_async(void* to, void const* from) {
    for (auto const p : {static_cast<void const*>(to), from})
      expect(reinterpret_cast<std::uintptr_t>(p) % 16 == 0, "16 bytes asked for off their alignment");
    asked_.push_back({to, from});
  }
  void wait_copies() {
    for (auto const& [to, from] : asked_) std::memcpy(to, from, 16);
    asked_.clear();
  }
  template <class P>
  P* room() const { return reinterpret_cast<P*>(mine().room.data()); }

 private:
  template <class X>
  X* slot_of(int k, int b) const { return reinterpret_cast<X*>(machine_->block[std::size_t(b)]->block_slots[k]); }
  typename M::Block& mine() const { return *machine_->block[std::size_t(block_)]; }
  template <class X>
  X exchange(X const& x, int from) const {
    static_assert(sizeof(X) <= M::largest);
    OrdersNothing const here;
    auto& w = mine().warp_of[lane_ / M::warp];
    auto const place = [&](int lane) { return reinterpret_cast<unsigned char*>(w.said[turn_]) + std::size_t(lane) * M::largest; };
    turn_ = !turn_;  // a lane may be one exchange ahead of another that still reads
    std::memcpy(place(lane_ % M::warp), &x, sizeof x);
    w.barrier.meet();
    X y;
    std::memcpy(&y, place(from), sizeof y);
    return y;
  }

  M* machine_;
  int block_, lane_;
  mutable int turn_ = 0;
  std::vector<std::pair<void*, void const*>> asked_;
};

// The backend: one cluster of so many blocks, which takes one row after the other. Keeps as in LaneTeam. With Space = device the
// calls behave as over a GPU's memory, which nobody looks at before the rows run; it is the host's all the same.
template <int Lanes, int Warps, bool Keeps, int Blocks = 1, class Space = host>
struct emulated {
  static_assert(Warps > 1 || Blocks == 1);
  using space = Space;
  static constexpr char const* name = "emulated";

  template <class S>
  std::size_t scratch_bytes(idx, idx, Placement) const { return 0; }

  template <class S, class F>
  void rows(idx rows, idx cols, Placement placement, std::byte*, F const& f) const {
    run<S, Keeps && requires { requires F::keeps; }, Blocks>(rows, cols, placement == Placement::accumulate, f);
  }
  template <class S, class F>
  void blocks(idx count, F const& f) const { run<S, false, 1>(count, 0, false, f); }
  template <class R>
  R given(R const* p) const { return *p; }
  template <class S>
  void product(MatrixView<S const> a, bool ta, MatrixView<S const> b, bool tb, MatrixView<S> c, S beta) const {
    on::serial{}.product<S>(a, ta, b, tb, c, beta);
  }

 private:
  template <class S, bool Kept, int blocks, class F>
  static void run(idx count, idx cols, bool accumulate, F const& f) {
    using Group = EmulatedGroup<Lanes, Warps>;
    using Team = LaneTeam<S, Group, Kept>;
    if (count <= 0) return;
    Machine<Lanes, Warps> machine(blocks, Kept ? Team::room_bytes(cols, blocks) : 0);
    Crew::of<blocks * Lanes>().run([&](int k) {
      Team team(Group(machine, k / Lanes, k % Lanes), accumulate);
      for (idx i = 0; i < count; ++i) f(team, i);
    });
  }
};

}  // namespace test
