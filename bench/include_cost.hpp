// What an #include costs, and what a unit with one call does: the compiler itself, run in turn on a source with it and on one with the
// header that it is measured against. In user seconds, of which other programs take none.
#pragma once
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "race.hpp"

namespace bench {

// What this program's children have taken so far.
inline double user_seconds_of_children() {
  rusage used;
  getrusage(RUSAGE_CHILDREN, &used);
  return double(used.ru_utime.tv_sec) + 1e-6 * double(used.ru_utime.tv_usec);
}

// `code`: what follows the #includes. LOSSKIT_BENCH_COMPILE: the compiler with its include folders, from the build.
inline Case compile(std::string const& name, std::string const& flags, std::vector<std::string> const& headers,
                    std::string const& code = "") {
  char folder[] = "/tmp/losskit-include-XXXXXX";
  if (!mkdtemp(folder)) throw std::runtime_error("no temporary folder");
  std::string const source = std::string(folder) + "/source.cpp";
  {
    std::ofstream out(source);
    for (auto const& header : headers) out << "#include <" << header << ">\n";
    out << code << "int main() {}\n";
  }
  std::string const command = std::string(LOSSKIT_BENCH_COMPILE) + " -std=c++20 " + flags + " " + source;
  return {name, [command] {
            if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
          }};
}

struct IncludeCost {
  std::string name, of;
  double ratio;
};

inline IncludeCost cost_over(std::string const& base, Case const& of_base, Case const& unit, int rounds) {
  std::vector<Case> cases = {of_base, unit};
  race(cases, rounds, 1, user_seconds_of_children);
  return {unit.name, "<" + base + ">", 1 / speed_ratio(cases[1], {&cases[0]})};
}

inline std::vector<std::string> const& everything() {
  static std::vector<std::string> const headers = {"losskit/losskit.hpp", "losskit/backend/eigen.hpp", "losskit/executor/openmp.hpp",
                                                   "losskit/adapt/eigen.hpp"};
  return headers;
}

inline std::vector<IncludeCost> include_cost(int rounds) {
  auto const measure = [rounds](std::string const& name, std::string const& flags, std::vector<std::string> const& headers,
                                std::string const& base) {
    std::string const all = flags + " -fsyntax-only";
    return cost_over(base, compile(base, all, {base}), compile(name, all, headers), rounds);
  };
  return {measure("#include core + policies", "", {"losskit/catalogue.hpp"}, "cmath"),
          measure("#include all with Eigen", "", everything(), "Eigen/Core"),
          measure("#include all with Eigen, native", "-march=native", everything(), "Eigen/Core")};
}

// A unit with one call at -O2, in float, by Eigen over OpenMP's threads. `arguments`: loss, inputs x, y and labels, gradient.
inline IncludeCost call_cost(std::string const& loss, std::string const& arguments, int rounds) {
  std::string const flags = "-O2 -c -o /dev/null", base = "Eigen/Core";
  std::string const code =
      "using namespace losskit;\n"
      "void call(MatrixView<float> x, MatrixView<float> y, VectorView<int const> labels, VectorView<std::byte> workspace) {\n"
      "  loss_and_gradient(on::eigen{openmp{}}, " + loss + ", " + arguments + ", workspace);\n"
      "}\n";
  return cost_over(base, compile(base, flags, {base}), compile("one call: " + loss, flags, everything(), code), rounds);
}

}  // namespace bench
