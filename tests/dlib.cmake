# The dlib adapter: its tests, the README's lines, the example, and the benchmark. Without dlib one test says what is left out.
find_package(dlib QUIET)
if(NOT TARGET dlib::dlib)
  losskit_test(dlib_test ${CMAKE_COMMAND} -E echo "left out: no dlib here (libdlib-dev), so its adapter is not tested")
  set_tests_properties("${losskit_test_prefix}dlib_test" PROPERTIES SKIP_REGULAR_EXPRESSION "left out: no dlib")
  add_custom_target(dlib_tests)
  return()
endif()

losskit_test_program(dlib_test adapt/dlib_test.cpp dlib::dlib)

losskit_readme_program(dlib_readme dlib [[
int main() {
  std::srand(1);
  std::vector<dlib::matrix<float>> samples;
  std::vector<unsigned long> labels;
  for (unsigned long i = 0; i < 300; ++i) {
    samples.push_back(dlib::matrix_cast<float>(dlib::gaussian_randm(8, 1, i % 10) + 0.2 * dlib::gaussian_randm(8, 1, 100 + i)));
    labels.push_back(i % 10);
  }
  return name_after_training(samples, labels) == labels[0] ? 0 : 1;
}
]] dlib::dlib)
add_executable(dlib_example "${PROJECT_SOURCE_DIR}/examples/dlib/train.cpp")
target_link_libraries(dlib_example PRIVATE losskit_develop dlib::dlib)
losskit_test(dlib_example dlib_example)
add_custom_target(dlib_tests DEPENDS dlib_test dlib_readme dlib_example)

# `./dev bench --frameworks` builds and runs it, nothing else does. For this machine, as a user builds: dlib's own products pick their
# instructions when they run.
set(for_this_machine -march=native)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)  # cmake/develop.cmake says why
  list(APPEND for_this_machine -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
set_source_files_properties("${PROJECT_SOURCE_DIR}/bench/dlib_gates.cpp" PROPERTIES COMPILE_OPTIONS "${for_this_machine}")
add_executable(losskit_dlib_gates EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/dlib_gates.cpp")
target_link_libraries(losskit_dlib_gates PRIVATE losskit_develop dlib::dlib)
