// The race: every case once a round, in turn, so that whatever slows the machine slows all of them. What is reported is
// the median over rounds of a ratio within a round.
#pragma once
#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace bench {

struct Case {
  std::string name;
  std::function<void()> run;
  std::function<void()> prepare = [] {};  // before every run, not timed
  std::vector<double> seconds = {};       // one a round
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> v) {
  auto const middle = v.begin() + std::ptrdiff_t(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

// Round 0 warms up. `repeats`: runs summed into one sample, for runs too short for the clock. Each round starts with
// another case, so that nobody always follows the same one. `clock`: what is measured, in seconds.
inline void race(std::vector<Case>& cases, int rounds, int repeats = 1, double (*clock)() = now) {
  for (int round = 0; round <= rounds; ++round)
    for (std::size_t i = 0; i < cases.size(); ++i) {
      Case& c = cases[(i + std::size_t(round)) % cases.size()];
      double sum = 0;
      for (int k = 0; k < repeats; ++k) {
        c.prepare();
        double const from = clock();
        c.run();
        sum += clock() - from;
      }
      if (round > 0) c.seconds.push_back(sum);
    }
}

// How much the machine changed its speed: of each case the median time of one half of the rounds over that of the other, of all
// cases the median. 1: not at all. Ratios within a round suffer little, absolute times do.
inline double drift_of(std::vector<Case> const& cases) {
  std::vector<double> drifts;
  for (Case const& c : cases) {
    auto const middle = c.seconds.begin() + std::ptrdiff_t(c.seconds.size() / 2);
    drifts.push_back(median({c.seconds.begin(), middle}) / median({middle, c.seconds.end()}));
  }
  double const drift = median(drifts);
  return std::max(drift, 1 / drift);
}

// Speed of `c` over that of the fastest of `ceilings`.
inline double speed_ratio(Case const& c, std::vector<Case const*> const& ceilings) {
  double lowest = std::numeric_limits<double>::infinity();
  for (Case const* ceiling : ceilings) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < c.seconds.size(); ++r) ratios.push_back(ceiling->seconds[r] / c.seconds[r]);
    lowest = std::min(lowest, median(ratios));
  }
  return lowest;
}

}  // namespace bench
