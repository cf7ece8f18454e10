// The C ABI against the template call that it makes, in turn in one run: every margin of the catalogue over a matrix, and the cost of a
// call over nothing to speak of. Built for the set of instructions that the library is told to take (LOSSKIT_ISA).
//
//   losskit_c_gates [--smoke] [--anyway]
#include <omp.h>

#include <cstdio>
#include <string>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/c/losskit.h"
#include "losskit/losskit.hpp"
#include "losskit/named.hpp"
#include "gates_main.hpp"
#include "machine.hpp"
#include "names.hpp"
#include "table.hpp"

namespace bench {
namespace {

using namespace losskit;

// The same two threads of OpenMP for both.
void on_two_threads(void*, int64_t tasks, void (*task)(void*, int64_t), void* context) {
  two_threads.run(tasks, [=](idx t) { task(context, t); });
}

template <class M>
Row compare(M const& margin, idx rows, idx cols, int threads, int rounds, int repeats, Gate gate) {
  auto const n = std::size_t(rows * cols);
  std::vector<float> cosines(n), g(n), h(n);
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < n; ++i) cosines[i] = float((i * 2654435761u) % 1000003u) / 1000003.0F - 0.5F;
  for (idx i = 0; i < rows; ++i) labels.push_back((i * 37) % cols);
  on::eigen const backend{openmp{threads}};
  MarginSoftmax const loss{margin, 64.0};
  std::vector<std::byte> memory(workspace_bytes<float>(backend, rows, cols, Placement::out_of_place));

  losskit_policy* policy = nullptr;
  std::string const text = "MarginSoftmax(" + text_of<M>() + ", scale=64)";
  if (losskit_make(text.c_str(), &policy) != LOSSKIT_OK) throw std::runtime_error(losskit_last_error());
  losskit_batch const batch = losskit_batch_of(losskit_matrix(LOSSKIT_F32, cosines.data(), rows, cols), losskit_vector(LOSSKIT_I64, labels.data(), rows));
  losskit_options options = losskit_default_options();
  options.threads = threads;
  options.parallel_for = threads > 1 ? &on_two_threads : nullptr;
  losskit_report report{};
  report.struct_size = sizeof report;
  std::vector<Case> cases(2);
  cases[0] = {"template", [&] {
                loss_and_gradient(backend, loss, Batch(matrix(cosines, rows, cols), labels), matrix(g, rows, cols), view(memory));
              }};
  cases[1] = {"C", [&] {
                if (losskit_loss_and_gradient(policy, &batch, losskit_matrix(LOSSKIT_F32, h.data(), rows, cols), memory.data(), memory.size(),
                                              &options, nullptr, &report) != LOSSKIT_OK)
                  throw std::runtime_error(losskit_last_error());
              }};
  race(cases, rounds, repeats);
  losskit_free(policy);
  if (g != h) throw std::runtime_error(text + ": C and the template differ");
  double const ratio = speed_ratio(cases[1], {&cases[0]});
  return row("C ABI, " + name_of<M>(), std::to_string(rows) + "x" + std::to_string(cols), gate.higher ? ratio : 1 / ratio,
             gate.higher ? "speed of the template call" : "time of the template call", gate);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  return gates_main(argc, argv, std::string("the library's set: ") + losskit_isa() + "; ", [](bool smoke) {
    for_each(losskit::margins{}, [&](auto margin) {
      print(compare(margin, 256, smoke ? 200 : 10000, 2, smoke ? 2 : 41, 2, {0.97, 1.00}));
    });
    print(compare(losskit::ArcMargin{}, 4, 10, 1, smoke ? 2 : 101, smoke ? 10 : 2000, {1.2, 1.1, false}));
  });
}
