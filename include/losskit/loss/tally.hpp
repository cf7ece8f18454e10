// Sums over the rows of a batch, on any backend: in parts of 4096, each by the team that the backend has, then the parts in order. A
// call leaves them, and its report, in the backend's memory: a host hands the report over, a device lets it be read later.
#pragma once
#include <cstddef>

#include "losskit/core/config.hpp"
#include "losskit/loss/batch.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

inline constexpr idx tally_part = 4096;
inline constexpr idx tally_parts(idx n) { return n > 0 ? (n + tally_part - 1) / tally_part : 1; }

// One part: f(sums, i) for its items.
template <class Sums, class F>
struct TallyPart {
  idx n;
  F f;
  Sums* parts;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx k) const {
    idx const end = (k + 1) * tally_part < n ? (k + 1) * tally_part : n;
    Sums const sums = team.tally(k * tally_part, end, Sums{}, f);
    team.once([&] { parts[k] = sums; });
  }
};

template <class Sums>
struct AddParts {
  Sums const* parts;
  LOSSKIT_HD void operator()(Sums& sums, idx k) const { sums.add(parts[k]); }
};

// The parts together, and what is done with their sum.
template <class Sums, class End>
struct TallyEnd {
  idx count;
  Sums const* parts;
  End end;

  template <class Team>
  LOSSKIT_HD void operator()(Team& team, idx) const {
    Sums const sums = team.tally(0, count, Sums{}, AddParts<Sums>{parts});
    team.once([&] { end(sums); });
  }
};

// end(sum of f over [0, n)), one team for each 4096 items; always cut the same way and added in the same order. `parts`:
// tally_parts(n) sums of scratch.
template <class T, class Sums, class B, class F, class End>
void tally(B const& backend, idx n, Sums* parts, F const& f, End const& end) {
  idx const count = tally_parts(n);
  backend.template blocks<T>(count, TallyPart<Sums, F>{n, f, parts});
  backend.template blocks<T>(1, TallyEnd<Sums, End>{count, parts, end});
}

}  // namespace losskit::inline LOSSKIT_ISA::detail
