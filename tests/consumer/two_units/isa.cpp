// One of the units of isa.hpp, for the instruction set that it is built for.
#include "isa.hpp"

#include <cstring>

#define PASTE(a, b) a##b
#define NAME(prefix, unit) PASTE(prefix, unit)
#define TEXT(name) #name
#define MARCH(name) TEXT(name)

namespace {

using namespace losskit;

char const* set() { return typeid(Scalar<float>).name(); }

void const* function() {
  using Function = Jet<Scalar<float>> (ArcMargin<>::*)(Scalar<float>) const;
  static Function const target = &ArcMargin<>::target<Scalar<float>>;
  return *reinterpret_cast<void* const*>(&target);
}

std::type_info const* const* plain_types() {
  static std::type_info const* const all[] = {
      &typeid(Error),          &typeid(ParameterError),           &typeid(ShapeError),       &typeid(StrideError),
      &typeid(LabelError),     &typeid(AliasError),               &typeid(MemoryError),      &typeid(WorkspaceError),
      &typeid(host),           &typeid(device),                   &typeid(MatrixView<float>), &typeid(VectorView<double const, device>),
      &typeid(as_view<float>), &typeid(Batch<float, int, device>), &typeid(Options),          &typeid(Outputs<double>),
      &typeid(SavedRow),       &typeid(Fault),                    &typeid(Report),           &typeid(Reduction),
      &typeid(Write),          &typeid(Placement),                &typeid(PointOptions),     &typeid(PointOutputs<float>),
      &typeid(PointReport),    &typeid(AdaCosState),              &typeid(ScaleStatistics),  &typeid(stored_number<float>),
      nullptr};
  return all;
}

Batch<float, std::int32_t> batch(MatrixView<float> cosines, VectorView<std::int32_t> labels) { return {cosines, labels}; }

Report loss(Batch<float, std::int32_t> const& batch, Outputs<float> const& outputs, Options const& options, Workspace workspace) {
  return loss_value(on::serial{}, MarginSoftmax{ArcMargin{0.5}, 32.0}, batch, workspace, options, outputs);
}

double read(Report const& report) { return report.loss; }

AdaCosState next(AdaCosState const& state) { return AdaCosScale{10}.next(state, {8, 2.5, 0.5}); }

void fails() { fail<ShapeError>("from %s, %g", MARCH(UNIT), 0.5); }

bool catches(void (*other)()) {
  bool typed = false, as_base = false;
  try {
    other();
  } catch (AliasError const&) {
  } catch (ShapeError const& e) {
    typed = std::strncmp(e.what(), "from x86_64", 11) == 0 && std::strstr(e.what(), ", 0.5");
  }
  try {
    other();
  } catch (Error const&) {
    as_base = true;
  }
  return typed && as_base;
}

}  // namespace

Unit const NAME(unit_, UNIT){MARCH(UNIT), set, function, plain_types, batch, loss, read, next, fails, catches};
