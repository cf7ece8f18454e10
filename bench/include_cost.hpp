// What an #include costs: the compiler itself, run in turn on a source with the header and on one with the header it is
// measured against.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "race.hpp"

namespace bench {

// LOSSKIT_BENCH_COMPILE: the compiler with its include folders, from the build.
inline Case compile(std::string const& name, std::string const& flags, std::vector<std::string> const& headers) {
  char folder[] = "/tmp/losskit-include-XXXXXX";
  if (!mkdtemp(folder)) throw std::runtime_error("no temporary folder");
  std::string const source = std::string(folder) + "/source.cpp";
  {
    std::ofstream out(source);
    for (auto const& header : headers) out << "#include <" << header << ">\n";
    out << "int main() {}\n";
  }
  std::string const command = std::string(LOSSKIT_BENCH_COMPILE) + " -std=c++20 " + flags + " -fsyntax-only " + source;
  return {name, [command] {
            if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
          }};
}

struct IncludeCost {
  std::string name, of;
  double ratio;
};

inline std::vector<IncludeCost> include_cost(int rounds) {
  std::vector<std::string> const everything = {"losskit/losskit.hpp", "losskit/backend/eigen.hpp", "losskit/executor/openmp.hpp",
                                               "losskit/adapt/eigen.hpp"};
  std::vector<IncludeCost> costs;
  auto const measure = [&](std::string const& name, std::string const& flags, std::vector<std::string> const& headers,
                           std::string const& base) {
    std::vector<Case> cases = {compile(base, flags, {base}), compile(name, flags, headers)};
    race(cases, rounds);
    costs.push_back({name, "<" + base + ">", 1 / speed_ratio(cases[1], {&cases[0]})});
  };
  measure("#include core + policies", "", {"losskit/catalogue.hpp"}, "cmath");
  measure("#include all with Eigen", "", everything, "Eigen/Core");
  measure("#include all with Eigen, native", "-march=native", everything, "Eigen/Core");
  return costs;
}

}  // namespace bench
