// The main() of a program of a few gates.
#pragma once
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "machine.hpp"
#include "table.hpp"

namespace bench {

// print_rows(smoke), below a head that says what was measured `with`. --smoke: quick, judges nothing. A busy machine is refused (2), but
// with --anyway. What is thrown is said, and returns 1.
template <class F>
int gates_main(int argc, char** argv, std::string const& with, F const& print_rows) try {
  bool smoke = false, anyway = false;
  for (int i = 1; i < argc; ++i) {
    smoke = smoke || std::strcmp(argv[i], "--smoke") == 0;
    anyway = anyway || std::strcmp(argv[i], "--anyway") == 0;
  }
  std::printf("%s; %smedians of ratios taken in turn\n", processor().c_str(), with.c_str());
  std::string const busy = why_busy();
  if (!busy.empty()) {
    std::printf("This machine is busy: %s.\n", busy.c_str());
    if (!anyway && !smoke) return 2;
    std::printf("Measured all the same: these ratios judge nothing.\n");
  }
  print_head();
  print_rows(smoke);
  return 0;
} catch (std::exception const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}

}  // namespace bench
