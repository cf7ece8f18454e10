# What a user's own build sees of losskit.
get_target_property(eigen_folders Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
set(user_flags -std=c++20 ${losskit_warnings} ${losskit_march} ${OpenMP_CXX_FLAGS})
foreach(folder IN LISTS eigen_folders losskit_cccl_folder)
  list(APPEND user_flags -isystem ${folder})
endforeach()
set(folder "${CMAKE_CURRENT_SOURCE_DIR}/consumer")
list(JOIN user_flags " " user_flags)
set(compiled_by -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${CMAKE_CXX_COMPILER}" -D "FLAGS=${user_flags}")

# --- headers: each alone; all of them in two units of one program; between a user's macros; without exceptions -------------
losskit_test(headers_alone ${CMAKE_COMMAND} ${compiled_by} -P "${PROJECT_SOURCE_DIR}/cmake/headers_alone.cmake")
losskit_test(single_header ${CMAKE_COMMAND} ${compiled_by} -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/single_header"
             -P "${PROJECT_SOURCE_DIR}/cmake/single_header_test.cmake")

include("${PROJECT_SOURCE_DIR}/cmake/frameworks.cmake")
set(includes "")
foreach(header IN LISTS losskit_headers)
  file(RELATIVE_PATH header "${PROJECT_SOURCE_DIR}/include" "${header}")
  if(NOT header IN_LIST losskit_framework_headers)
    string(APPEND includes "#include \"${header}\"\n")
  endif()
endforeach()
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/generated/all_headers.hpp"
     CONTENT "// Every header of losskit that needs no framework.\n#pragma once\n${includes}")

function(losskit_consumer name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE losskit_develop losskit_cccl)
  target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/generated")
endfunction()

losskit_consumer(two_units "${folder}/two_units/one.cpp" "${folder}/two_units/two.cpp" "${folder}/two_units/traps.cpp")
losskit_test(two_units two_units)

losskit_consumer(no_exceptions "${folder}/no_exceptions/main.cpp")
target_compile_options(no_exceptions PRIVATE -fno-exceptions)
losskit_test(no_exceptions no_exceptions)
losskit_test(no_exceptions_abort ${CMAKE_COMMAND} -D "PROGRAM=$<TARGET_FILE:no_exceptions>"
             -D "TEXT=losskit: ArcMargin: m" -P "${PROJECT_SOURCE_DIR}/cmake/must_abort.cmake")

# What a unit includes beside losskit, and says with `using namespace`, is no hindrance.
losskit_consumer(beside_program "${folder}/beside_program.cpp")
losskit_test(beside_program beside_program)

# --- one program of units with different flags: whichever unit the linker sees first, each keeps its own functions ---------
# losskit_unit(<program> <unit> <flags...>): an object library of one unit, without inlining.
function(losskit_unit program unit)
  add_library(${program}_${unit} OBJECT "${folder}/two_units/${program}.cpp")
  target_link_libraries(${program}_${unit} PRIVATE losskit::losskit)
  target_compile_options(${program}_${unit} PRIVATE ${losskit_warnings} -O0 ${ARGN})
  target_compile_definitions(${program}_${unit} PRIVATE UNIT=${unit})
endfunction()
# losskit_linked(<program> <order> <libraries> <units...>): the units linked in this order, and run.
function(losskit_linked program order libraries)
  list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_OBJECTS:${program}_\\1>" OUTPUT_VARIABLE objects)
  add_executable(${program}_${order} ${objects} "${folder}/two_units/${program}_main.cpp")
  target_link_libraries(${program}_${order} PRIVATE losskit::losskit ${libraries})
  losskit_test(${program}_${order} ${program}_${order})
endfunction()

losskit_unit(flags plain)
losskit_unit(flags openmp ${OpenMP_CXX_FLAGS})
losskit_unit(flags no_exceptions -fno-exceptions)
losskit_linked(flags forward "${OpenMP_CXX_FLAGS}" plain openmp no_exceptions)
losskit_linked(flags backward "${OpenMP_CXX_FLAGS}" no_exceptions openmp plain)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  losskit_unit(isa x86_64 -march=x86-64)
  losskit_unit(isa x86_64_v2 -march=x86-64-v2)
  losskit_unit(isa x86_64_v3 -march=x86-64-v3)
  losskit_unit(isa x86_64_v4 -march=x86-64-v4)
  losskit_linked(isa forward "" x86_64 x86_64_v2 x86_64_v3 x86_64_v4)
  losskit_linked(isa backward "" x86_64_v4 x86_64_v3 x86_64_v2 x86_64)

  # The names in an object: what a linker may merge is the errors' own, at every level of inlining.
  set(levels_if_ON O0 O2)
  foreach(level IN LISTS levels_if_${LOSSKIT_LEVELS})
    losskit_unit(symbols ${level} -march=x86-64-v4 -${level} ${OpenMP_CXX_FLAGS}
                 -Wno-uninitialized $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # g++ 12, inside its own AVX-512 intrinsics
    target_link_libraries(symbols_${level} PRIVATE Eigen3::Eigen)
    losskit_test(symbols_${level} ${CMAKE_COMMAND} -D "NM=${CMAKE_NM}" -D "OBJECT=$<TARGET_OBJECTS:symbols_${level}>"
                 -P "${PROJECT_SOURCE_DIR}/cmake/symbols.cmake")
  endforeach()
endif()

# --- how many row kernels the catalogue is: what margin, objective and label type leave out of the heavy part on a host --------------
if(LOSSKIT_LEVELS AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # a count of templates: one compiler's is every compiler's
  add_library(row_kernels OBJECT "${CMAKE_CURRENT_SOURCE_DIR}/row_kernels/catalogue.cpp")
  target_link_libraries(row_kernels PRIVATE losskit_develop Eigen3::Eigen)
  target_compile_options(row_kernels PRIVATE -O0 -g0 -fno-sanitize=all)
  losskit_test(row_kernels ${CMAKE_COMMAND} -D "NM=${CMAKE_NM}" -D "OBJECT=$<TARGET_OBJECTS:row_kernels>" -D MOST=200
               -P "${PROJECT_SOURCE_DIR}/cmake/row_kernels.cmake")
endif()

# --- wrong use must not compile, and must say why --------------------------------------------------------------------------
file(GLOB mistakes CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/no_compile/*.cpp")
foreach(mistake IN LISTS mistakes)
  get_filename_component(name "${mistake}" NAME_WE)
  losskit_test(no_compile/${name} ${CMAKE_COMMAND} ${compiled_by} -D "CASE=${mistake}"
               -P "${PROJECT_SOURCE_DIR}/cmake/no_compile.cmake")
endforeach()

# --- the README's own code and table, and the checks of the layer check --------------------------------------------------------------
if(EXISTS "${PROJECT_SOURCE_DIR}/README.md")
  losskit_test(readme ${CMAKE_COMMAND} ${compiled_by} -D PAGE=README.md -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/readme"
               -P "${PROJECT_SOURCE_DIR}/cmake/snippets.cmake")
  losskit_test(readme_beside_others ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${CMAKE_CXX_COMPILER}"
               -D "FLAGS=${user_flags} -include ${folder}/beside.hpp" -D PAGE=README.md
               -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/readme_beside_others" -P "${PROJECT_SOURCE_DIR}/cmake/snippets.cmake")
  losskit_test(readme_table ${CMAKE_COMMAND} -D MODE=check -P "${PROJECT_SOURCE_DIR}/cmake/policy_table.cmake")
endif()
losskit_test(layers_broken ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}"
             -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/layers_broken" -P "${PROJECT_SOURCE_DIR}/cmake/layers_test.cmake")

# --- packages: installed and found, embedded, and by pkg-config ------------------------------------------------------------
set(prefix "${CMAKE_CURRENT_BINARY_DIR}/prefix")
losskit_test(package/versions ${CMAKE_COMMAND} -P "${PROJECT_SOURCE_DIR}/cmake/versions_test.cmake")
losskit_test(package/install ${CMAKE_COMMAND} --install "${PROJECT_BINARY_DIR}" --prefix "${prefix}")
function(losskit_package_test name)
  losskit_test(package/${name} ${CMAKE_CTEST_COMMAND}
    --build-and-test "${folder}/${name}" "${CMAKE_CURRENT_BINARY_DIR}/${name}" --build-generator "${CMAKE_GENERATOR}"
    --build-options "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}" ${ARGN}
    --test-command sh -c "./program && ./eigen_program")
endfunction()
losskit_package_test(find_package "-DCMAKE_PREFIX_PATH=${prefix}")
losskit_package_test(add_subdirectory "-DLOSSKIT_SOURCE=${PROJECT_SOURCE_DIR}")
find_program(pkg_config NAMES pkg-config pkgconf REQUIRED)
losskit_test(package/pkg_config sh -c
  "'${CMAKE_CXX_COMPILER}' -std=c++20 $(PKG_CONFIG_PATH='${prefix}/share/pkgconfig' '${pkg_config}' --cflags losskit) \
'${folder}/program.cpp' -o '${CMAKE_CURRENT_BINARY_DIR}/by_pkg_config' && '${CMAKE_CURRENT_BINARY_DIR}/by_pkg_config'")

# --- versions of Eigen: packages that only say which one they are, 3.4.0 as that version does, 5.0.1 as 5 does ---------------
# Each must be found where Eigen3_DIR says, by an installed losskit, an embedded one and losskit's own build, and without a warning.
include(CMakePackageConfigHelpers)
set(eigens "${CMAKE_CURRENT_BINARY_DIR}/eigen")
write_basic_package_version_file("${eigens}/3.4.0/Eigen3ConfigVersion.cmake" VERSION 3.4.0 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
file(WRITE "${eigens}/5.0.1/Eigen3ConfigVersion.cmake" [[
set(PACKAGE_VERSION 5.0.1)
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if(PACKAGE_FIND_VERSION_RANGE)  # 3.4...5 is all of 3.4 to 5
  if(PACKAGE_FIND_VERSION_MIN VERSION_LESS_EQUAL 5.0.1 AND PACKAGE_FIND_VERSION_MAX_MAJOR GREATER_EQUAL 5)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
elseif(PACKAGE_FIND_VERSION_MAJOR EQUAL 5 AND PACKAGE_FIND_VERSION VERSION_LESS_EQUAL 5.0.1)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
]])
# losskit_finds_eigen(NAME SOURCE OPTIONS...): a test of each version: SOURCE is configured, and Eigen3_DIR is what it was.
function(losskit_finds_eigen name source)
  list(JOIN ARGN " " options)
  foreach(version IN ITEMS 3.4.0 5.0.1)
    set(build "${CMAKE_CURRENT_BINARY_DIR}/eigen/${name}_${version}")
    losskit_test(package/eigen_${version}_${name} sh -c "'${CMAKE_COMMAND}' -S '${source}' -B '${build}' -G '${CMAKE_GENERATOR}' \
'-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}' '-DEigen3_DIR=${eigens}/${version}' ${options} && \
grep -q '^Eigen3_DIR:[A-Z]*=${eigens}/${version}$' '${build}/CMakeCache.txt'")
    set_tests_properties("${losskit_test_prefix}package/eigen_${version}_${name}" PROPERTIES FAIL_REGULAR_EXPRESSION "package \"Eigen3\"")
  endforeach()
endfunction()
foreach(version IN ITEMS 3.4.0 5.0.1)
  file(WRITE "${eigens}/${version}/Eigen3Config.cmake" "add_library(Eigen3::Eigen INTERFACE IMPORTED)\n")
endforeach()
losskit_finds_eigen(find_package "${folder}/find_package" "'-DCMAKE_PREFIX_PATH=${prefix}'")
losskit_finds_eigen(add_subdirectory "${folder}/add_subdirectory" "'-DLOSSKIT_SOURCE=${PROJECT_SOURCE_DIR}'")
losskit_finds_eigen(develop "${PROJECT_SOURCE_DIR}" -DLOSSKIT_EIGEN=OFF)

set_tests_properties("${losskit_test_prefix}package/install" PROPERTIES FIXTURES_SETUP "${LOSSKIT_NAME}_installed")
set_tests_properties("${losskit_test_prefix}package/find_package" "${losskit_test_prefix}package/pkg_config"
                     "${losskit_test_prefix}package/eigen_3.4.0_find_package" "${losskit_test_prefix}package/eigen_5.0.1_find_package"
                     PROPERTIES FIXTURES_REQUIRED "${LOSSKIT_NAME}_installed")
