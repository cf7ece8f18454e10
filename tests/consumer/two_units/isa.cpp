// One of several units of a program, each built for another instruction set and without inlining. Says which set this
// unit's losskit was compiled for, and what it computes.
#include <cstddef>
#include <typeinfo>
#include <vector>

#include "losskit/losskit.hpp"

#define PASTE(a, b) a##b
#define NAME(prefix, unit) PASTE(prefix, unit)

char const* NAME(isa_of_, UNIT)();
char const* NAME(isa_of_, UNIT)() { return typeid(losskit::Error).name(); }

// An address inside the library, as this unit sees it: two units of different sets must not share one.
void const* NAME(function_of_, UNIT)();
void const* NAME(function_of_, UNIT)() {
  using Function = losskit::Jet<losskit::Scalar<float>> (losskit::ArcMargin<>::*)(losskit::Scalar<float>) const;
  static Function const function = &losskit::ArcMargin<>::target<losskit::Scalar<float>>;
  return *reinterpret_cast<void* const*>(&function);
}

double NAME(loss_of_, UNIT)();
double NAME(loss_of_, UNIT)() {
  std::vector<float> cosines(7 * 101), memory(7 * 101);
  std::vector<int> labels(7);
  for (std::size_t i = 0; i < cosines.size(); ++i) cosines[i] = static_cast<float>(i * 37 % 199) / 100.0f - 0.99f;
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i * 13);
  auto const scores = losskit::matrix(cosines, 7, 101);
  auto const gradient = losskit::matrix(memory, 7, 101);
  losskit::Batch batch{scores, labels};
  std::vector<std::byte> workspace(losskit::workspace_bytes<float>(losskit::on::serial{}, 7, 101, losskit::Placement::out_of_place));
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 32.0};
  return losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, gradient, losskit::view(workspace)).loss;
}
