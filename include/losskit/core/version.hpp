// The version of losskit: the one place that says it. CMake, the C library, the wheel and the packages read it here.
//
// What is API: whatever README or a header documents in losskit, losskit::on, losskit::adapt, losskit::presets and losskit::testing, the
// macros LOSSKIT_..., losskit/c/losskit.h, the CMake targets, and the names of the Python package without a leading underscore. What is
// not: namespace detail, the names of the inline namespaces, which header includes which, what a workspace, SavedRow or a team holds,
// and the last bits of a result from one version to another. Until 1.0 a minor version may change the API, and CHANGELOG.md says how.
//
// What is ABI: of the headers nothing. All units of a program are compiled with one version; they may differ in -march, and share views,
// errors and reports then. The C library keeps its ABI within one SONAME: structs carry their size, and functions are only added.
#pragma once

#define LOSSKIT_VERSION_MAJOR 0
#define LOSSKIT_VERSION_MINOR 1
#define LOSSKIT_VERSION_PATCH 0

// For #if: 10000 * major + 100 * minor + patch.
#define LOSSKIT_VERSION (10000 * LOSSKIT_VERSION_MAJOR + 100 * LOSSKIT_VERSION_MINOR + LOSSKIT_VERSION_PATCH)
