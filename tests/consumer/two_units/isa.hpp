// What each of several units of a program offers to the others. Each is built for another instruction set, and without inlining.
#pragma once
#include <cstdint>
#include <typeinfo>

#include "losskit/losskit.hpp"

// A unit's functions by address: only the units that the machine can run are called.
struct Unit {
  char const* march;
  char const* (*set)();             // the name of a tagged type
  void const* (*function)();        // a function inside the library, as this unit sees it
  std::type_info const* const* (*plain_types)();  // ends with null
  losskit::Batch<float, std::int32_t> (*batch)(losskit::MatrixView<float> cosines, losskit::VectorView<std::int32_t> labels);
  losskit::Report (*loss)(losskit::Batch<float, std::int32_t> const& batch, losskit::Outputs<float> const& outputs,
                          losskit::Options const& options, losskit::Workspace workspace);
  double (*read)(losskit::Report const& report);
  losskit::AdaCosState (*next)(losskit::AdaCosState const& state);
  void (*fails)();                  // ShapeError
  bool (*catches)(void (*fails)());  // as ShapeError, with the text of fails
};
extern Unit const unit_x86_64, unit_x86_64_v2, unit_x86_64_v3, unit_x86_64_v4;
