// Units built for four instruction sets in one program. Where two sets differ, their functions do: otherwise the linker would
// keep one of the two, and an old machine would run into a new machine's instructions. Plain types are the same in all: an object
// or an error of one unit is another's.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "isa.hpp"

namespace {

int wrong = 0;
void expect(bool holds, char const* what, Unit const& a, Unit const& b) {
  if (holds) return;
  std::printf("%s and %s: %s\n", a.march, b.march, what);
  wrong = 1;
}

constexpr losskit::idx rows = 7, classes = 101;

// Makes the batch in one unit, computes in another, reads in a third.
double loss_by(Unit const& makes, Unit const& computes, Unit const& reads) {
  static float cosines[rows * classes], row_losses[rows];
  static std::int32_t labels[rows];
  static std::byte workspace[1 << 14];
  for (int i = 0; i < rows * classes; ++i) cosines[i] = static_cast<float>(i * 37 % 199) / 100.0f - 0.99f;
  for (int i = 0; i < rows; ++i) labels[i] = i * 13;
  losskit::Outputs<float> const outputs{.row_losses = {row_losses, rows}};
  losskit::Options const options{.reduction = losskit::Reduction::sum, .ignore_label = 13};
  auto const batch = makes.batch({cosines, rows, classes, classes}, {labels, rows});
  losskit::Report const report = computes.loss(batch, outputs, options, {workspace, sizeof workspace});
  double sum = 0;
  for (float const each : row_losses) sum += double(each);
  expect(std::abs(sum - report.loss) <= 1e-5 * sum && sum > 1, "the outputs are not those of the report", makes, computes);
  expect(report.rows == rows && report.valid == rows - 1, "options or report were not understood", makes, computes);
  return reads.read(report);
}

}  // namespace

int main() {
  Unit const* units[4];
  int count = 0;
  units[count++] = &unit_x86_64;
  if (__builtin_cpu_supports("sse4.2")) units[count++] = &unit_x86_64_v2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) units[count++] = &unit_x86_64_v3;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
    units[count++] = &unit_x86_64_v4;

  double const expected = loss_by(unit_x86_64, unit_x86_64, unit_x86_64);
  for (int i = 0; i < count; ++i)
    for (int k = 0; k < count; ++k) {
      Unit const &a = *units[i], &b = *units[k];
      if (i != k) {
        expect(std::strcmp(a.set(), b.set()) != 0, "one tag for two instruction sets", a, b);
        expect(a.function() != b.function(), "one function for two instruction sets", a, b);
      }
      auto const *types_a = a.plain_types(), *types_b = b.plain_types();
      for (; *types_a && *types_b; ++types_a, ++types_b) expect(**types_a == **types_b, (*types_a)->name(), a, b);
      expect(!*types_a && !*types_b, "other types", a, b);
      expect(b.catches(a.fails), "an error was not caught as what it is", a, b);
      auto const state = b.next(a.next({16}));
      expect(state.steps == 2 && state.kept == 0 && state.scale > 3 && state.scale < 4, "the state was not understood", a, b);
      double const loss = loss_by(a, b, a);
      expect(std::abs(loss - expected) <= 1e-5 * expected, "another loss", a, b);
    }
  std::printf("%d of 4 units ran here; loss %.9f\n", count, expected);
  return wrong;
}
