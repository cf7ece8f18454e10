// The table: one line a path, and the same as JSON.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

namespace bench {

struct Gate {
  double must, aim;
  bool higher = true;  // is more better?
};

struct Row {
  std::string path, shape;
  double ratio;
  std::string of;
  Gate gate;
  std::string verdict;
  double twin = 0;  // ratio to the twin, where there is one
};

inline bool reaches(double ratio, double bar, bool higher) { return higher ? ratio >= bar : ratio <= bar; }

inline Row row(std::string path, std::string shape, double ratio, std::string of, Gate gate, double twin = 0) {
  return {std::move(path), std::move(shape), ratio, std::move(of), gate, reaches(ratio, gate.must, gate.higher) ? "ok" : "short", twin};
}

inline void print_head() {
  std::printf("%-36s %-12s %7s  %-26s %6s %6s %6s  %s\n", "path", "shape", "ratio", "of", "must", "aim", "/twin", "verdict");
}
inline void print(Row const& r) {
  char twin[16] = "";
  if (r.twin > 0) std::snprintf(twin, sizeof twin, "%.3f", r.twin);
  std::printf("%-36s %-12s %7.3f  %-26s %6.2f %6.2f %6s  %s%s\n", r.path.c_str(), r.shape.c_str(), r.ratio, r.of.c_str(),
              r.gate.must, r.gate.aim, twin, r.verdict.c_str(),
              r.verdict == "ok" && reaches(r.ratio, r.gate.aim, r.gate.higher) ? ", aim reached" : "");
  std::fflush(stdout);
}

inline bool write_json(std::vector<Row> const& rows, std::string const& file) {
  std::FILE* const out = std::fopen(file.c_str(), "w");
  if (!out) return false;
  std::fputs("[\n", out);
  for (Row const& r : rows)
    std::fprintf(out,
                 "  {\"path\": \"%s\", \"shape\": \"%s\", \"ratio\": %.4g, \"of\": \"%s\", \"better\": \"%s\", "
                 "\"must\": %g, \"aim\": %g, \"verdict\": \"%s\"}%s\n",
                 r.path.c_str(), r.shape.c_str(), r.ratio, r.of.c_str(), r.gate.higher ? "higher" : "lower", r.gate.must,
                 r.gate.aim, r.verdict.c_str(), &r == &rows.back() ? "" : ",");
  std::fputs("]\n", out);
  return std::fclose(out) == 0;
}

}  // namespace bench
