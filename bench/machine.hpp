// The machine: what it is, and whether it has time for us.
#pragma once
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "memory.hpp"
#include "race.hpp"

namespace bench {

inline double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

inline double own_seconds() {
  double sum = 0;
  for (int const who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage u;
    getrusage(who, &u);
    sum += double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * double(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
  }
  return sum;
}

// CPU seconds of everybody since boot, those that the hypervisor took from us included.
inline double all_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  stat >> cpu >> user >> nice >> system >> idle >> wait >> irq >> softirq >> steal;
  return (user + nice + system + irq + softirq + steal) / double(sysconf(_SC_CLK_TCK));
}

// How many cores somebody else used since the last look.
class OtherLoad {
 public:
  double look() {
    double const all = all_seconds(), own = own_seconds(), clock = now();
    double const load = std::max(0.0, (all - all_) - (own - own_)) / std::max(1e-3, clock - clock_);
    all_ = all, own_ = own, clock_ = clock;
    return load;
  }

 private:
  double all_ = all_seconds(), own_ = own_seconds(), clock_ = now();
};
inline constexpr double tolerated_load = 0.06;  // cores; the clock of /proc/stat ticks at 100 Hz

// Why this machine cannot judge now, or "".
inline std::string why_busy() {
  OtherLoad load;
  usleep(700000);
  char text[120] = "";
  if (double const others = load.look(); others > tolerated_load) {
    std::snprintf(text, sizeof text, "other processes use %.2f cores", others);
    return text;
  }
  // Two threads that only spin must have two cores.
  double got[2] = {};
  two_threads.run(2, [&](idx t) {
    double const from = now(), cpu = thread_seconds();
    while (now() < from + 0.4) {}
    got[t] = (thread_seconds() - cpu) / (now() - from);
  });
  if (std::min(got[0], got[1]) < 0.97) {
    std::snprintf(text, sizeof text, "two spinning threads got %.2f and %.2f of a core", got[0], got[1]);
    return text;
  }
  return "";
}

inline std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

}  // namespace bench
