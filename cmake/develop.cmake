# What every test, benchmark and example of losskit itself is built with. Users of the library see none of it.
#
#   losskit_develop          an interface target: losskit, Eigen (as system headers), OpenMP, -march, warnings as errors
#   losskit_checked_headers  a target of `all`: the layers of the headers, checked whenever one of them changes
set(LOSSKIT_MARCH "" CACHE STRING "The -march of tests, benchmarks and examples: native, x86-64-v3, or empty")
set(LOSSKIT_NAME "" CACHE STRING "Stands before every test's name, so that several configurations share one summary")

include(cmake/find_eigen.cmake)
losskit_find_eigen(REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
set(losskit_warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
set(losskit_march)
if(LOSSKIT_MARCH)
  set(losskit_march -march=${LOSSKIT_MARCH})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND LOSSKIT_MARCH STREQUAL "native")
  # g++ 12 warns inside its own AVX-512 intrinsics, whoever calls them.
  list(APPEND losskit_warnings -Wno-maybe-uninitialized -Wno-uninitialized)
endif()

add_library(losskit_develop INTERFACE)
target_link_libraries(losskit_develop INTERFACE losskit::losskit Eigen3::Eigen OpenMP::OpenMP_CXX)
target_compile_options(losskit_develop INTERFACE ${losskit_warnings} ${losskit_march})
if(NOT LOSSKIT_NAME STREQUAL "")
  set(losskit_test_prefix "${LOSSKIT_NAME}/")
endif()

# The layers, as part of every build: a header that reaches upwards stops it.
set(losskit_layers_command
    ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -P "${PROJECT_SOURCE_DIR}/cmake/layers.cmake")
add_custom_command(OUTPUT "${PROJECT_BINARY_DIR}/layers.stamp"
  COMMAND ${losskit_layers_command}
  COMMAND ${CMAKE_COMMAND} -E touch "${PROJECT_BINARY_DIR}/layers.stamp"
  DEPENDS ${losskit_headers} "${PROJECT_SOURCE_DIR}/cmake/layers.cmake"
  COMMENT "Checking the layers of the headers" VERBATIM)
add_custom_target(losskit_checked_headers ALL DEPENDS "${PROJECT_BINARY_DIR}/layers.stamp")
