# The C ABI: packaging/c against the C++ that it is made of, as a C program sees it, and what its symbols are.
set(set_names baseline)
set(set_objects "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(set_names x86-64-v4 x86-64-v3 baseline)
endif()
foreach(set IN LISTS LOSSKIT_C_SET_ORDER)
  list(APPEND set_objects "${PROJECT_BINARY_DIR}/packaging/c/${set}.o")
endforeach()
# With commas: a test's arguments lose semicolons.
list(JOIN set_names "," set_names)
list(JOIN set_objects "," set_objects)

losskit_test_program(abi_test c/abi_test.cpp losskit::c)
losskit_test(c_symbols ${CMAKE_COMMAND} -D "NM=${CMAKE_NM}" -D "READELF=${CMAKE_READELF}" -D "LIBRARY=$<TARGET_FILE:losskit_c>" -D "SETS=${set_objects}"
             -D "HEADER=${PROJECT_SOURCE_DIR}/include/losskit/c/losskit.h" -P "${PROJECT_SOURCE_DIR}/cmake/c_symbols.cmake")
losskit_test(c_program ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -D PAGE=README.md -D "LIBRARY=$<TARGET_FILE:losskit_c>"
             -D "SETS=${set_names}" -D CC=cc -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/c_program" -P "${PROJECT_SOURCE_DIR}/cmake/c_program.cmake")
if(TARGET abi_test)
  target_compile_options(abi_test PRIVATE -O1)  # many instances, little to compute
  # The library takes the set that the test is compiled for.
  set(isa baseline)
  if(LOSSKIT_MARCH MATCHES "^x86-64-v[34]$")
    set(isa ${LOSSKIT_MARCH})
  endif()
  set_property(TEST "${losskit_test_prefix}abi_test" APPEND PROPERTY ENVIRONMENT "LOSSKIT_ISA=${isa}")
endif()

# Real dlpack.h files: Debian's, before version 1, and one since.
file(GLOB dlpacks "/usr/include/dlpack/dlpack.h" "${PROJECT_SOURCE_DIR}/build/wheels/*/dlpack/dlpack.h" "${PROJECT_SOURCE_DIR}/build/wheels/*/*/dlpack/dlpack.h"
     "${PROJECT_SOURCE_DIR}/build/wheels/*/*/*/dlpack/dlpack.h")
set(number 0)
foreach(dlpack IN LISTS dlpacks)
  math(EXPR number "${number} + 1")
  losskit_test_program(dlpack_${number}_test c/dlpack_test.cpp losskit::c)
  if(TARGET dlpack_${number}_test)
    target_compile_definitions(dlpack_${number}_test PRIVATE "LOSSKIT_DLPACK_H=\"${dlpack}\"")
  endif()
endforeach()
if(NOT dlpacks)
  losskit_test(dlpack ${CMAKE_COMMAND} -E echo "left out: no dlpack.h here (libdlpack-dev)")
  set_tests_properties("${losskit_test_prefix}dlpack" PROPERTIES SKIP_REGULAR_EXPRESSION "left out: no dlpack.h")
endif()

# The library's units by the other compiler, warnings included, each of its instances: syntax alone, for to build it all takes minutes.
find_program(losskit_clang NAMES clang++ clang++-14)
if(losskit_clang AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  get_target_property(eigen_folder Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  foreach(unit IN ITEMS losskit functions policies losses)
    losskit_test(c_clang/${unit} ${losskit_clang} -fsyntax-only -std=c++20 ${losskit_warnings} "-DLOSSKIT_C_SETS=LOSSKIT_C_EACH(own)"
                 -DLOSSKIT_C_SET=own "-DLOSSKIT_C_ISA=\"own\"" "-DLOSSKIT_C_VERSION=\"0\"" -DLOSSKIT_C_PARTS=1 -DLOSSKIT_C_PART=0
                 -I "${PROJECT_SOURCE_DIR}/include" -I "${PROJECT_SOURCE_DIR}/packaging/c" -isystem "${eigen_folder}"
                 "${PROJECT_SOURCE_DIR}/packaging/c/${unit}.cpp")
  endforeach()
else()
  losskit_test(c_clang ${CMAKE_COMMAND} -E echo "left out: no second compiler here (clang)")
  set_tests_properties("${losskit_test_prefix}c_clang" PROPERTIES SKIP_REGULAR_EXPRESSION "left out: no second")
endif()

# `./dev bench --frameworks` builds and runs it, nothing else does.
add_executable(losskit_c_gates EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/c_gates.cpp")
target_link_libraries(losskit_c_gates PRIVATE losskit_develop losskit::c)
