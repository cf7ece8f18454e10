// One lane alone on its row: the text of team/lanes.hpp with no thread to meet.
#pragma once
#include <cstddef>
#include <cstring>
#include <vector>

#include "hash.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/team/lanes.hpp"

namespace bits {

using namespace losskit;

class SoloGroup {
 public:
  static constexpr int lanes = 1, warps = 1;
  explicit SoloGroup(std::byte* room) : room_(room) {}

  int lane() const { return 0; }
  int block() const { return 0; }
  int blocks() const { return 1; }
  void sync() const {}
  void sync_blocks() const {}
  template <class X>
  X swap(X const& x, int) const { return x; }
  template <class X>
  X first(X const& x) const { return x; }
  void copy_async(void* to, void const* from) const { std::memcpy(to, from, 16); }
  void wait_copies() const {}
  template <class P>
  P* room() const { return reinterpret_cast<P*>(room_); }

 private:
  std::byte* room_;
};

struct solo {
  using space = host;
  static constexpr char const* name = "lanes";

  template <class S>
  std::size_t scratch_bytes(idx, idx, Placement) const { return 0; }
  template <class S, class F>
  void rows(idx rows, idx cols, Placement placement, std::byte*, F const& f) const {
    run<S, requires { requires F::keeps; }>(rows, cols, placement == Placement::accumulate, f);
  }
  template <class S, class F>
  void blocks(idx count, F const& f) const { run<S, false>(count, 0, false, f); }
  template <class R>
  R given(R const* p) const { return *p; }

 private:
  template <class S, bool Keeps, class F>
  static void run(idx count, idx cols, bool accumulate, F const& f) {
    using Team = LaneTeam<S, SoloGroup, Keeps>;
    struct alignas(16) Line { std::byte byte[16]; };
    std::vector<Line> room(Team::room_bytes(cols, 1) / sizeof(Line) + 1);
    Team team(SoloGroup(room.data()->byte), accumulate);
    for (idx i = 0; i < count; ++i) f(team, i);
  }
};

template <>
inline constexpr bool one_order<solo> = false;

}  // namespace bits
