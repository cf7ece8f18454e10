# tests/bits by each compiler (cmake/bits.cmake).
set(LOSSKIT_BITS_COMPILERS "g++;clang++-14" CACHE STRING "The compilers that the bits test builds with")
find_program(losskit_ninja NAMES ninja ninja-build REQUIRED)
get_target_property(eigen_folder Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
foreach(compiler IN LISTS LOSSKIT_BITS_COMPILERS)
  losskit_test(bits/${compiler} ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${compiler}" -D "EIGEN=${eigen_folder}"
               -D "NINJA=${losskit_ninja}" -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/bits/${compiler}"
               -P "${PROJECT_SOURCE_DIR}/cmake/bits.cmake")
  set_tests_properties("${losskit_test_prefix}bits/${compiler}" PROPERTIES PROCESSORS ${cores} COST 200)
endforeach()
