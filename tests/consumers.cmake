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

set(includes "")
foreach(header IN LISTS losskit_headers)
  file(RELATIVE_PATH header "${PROJECT_SOURCE_DIR}/include" "${header}")
  string(APPEND includes "#include \"${header}\"\n")
endforeach()
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/generated/all_headers.hpp"
     CONTENT "// Every header of losskit.\n#pragma once\n${includes}")

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

# --- two instruction sets in one program: whichever unit the linker sees first, each keeps its own functions ---------------
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(march IN ITEMS x86-64 x86-64-v3 native)
    string(MAKE_C_IDENTIFIER "${march}" unit)
    add_library(isa_${unit} OBJECT "${folder}/two_units/isa.cpp")
    target_link_libraries(isa_${unit} PRIVATE losskit::losskit)
    target_compile_options(isa_${unit} PRIVATE ${losskit_warnings} -O0 -march=${march})
    target_compile_definitions(isa_${unit} PRIVATE UNIT=${unit})
  endforeach()
  add_executable(two_isas_forward "${folder}/two_units/isa_main.cpp"
    $<TARGET_OBJECTS:isa_x86_64> $<TARGET_OBJECTS:isa_x86_64_v3> $<TARGET_OBJECTS:isa_native>)
  add_executable(two_isas_backward "${folder}/two_units/isa_main.cpp"
    $<TARGET_OBJECTS:isa_native> $<TARGET_OBJECTS:isa_x86_64_v3> $<TARGET_OBJECTS:isa_x86_64>)
  foreach(order IN ITEMS forward backward)
    target_compile_features(two_isas_${order} PRIVATE cxx_std_20)
    losskit_test(two_isas_${order} two_isas_${order})
  endforeach()
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
  losskit_test(readme_table ${CMAKE_COMMAND} -D MODE=check -P "${PROJECT_SOURCE_DIR}/cmake/policy_table.cmake")
endif()
losskit_test(layers_broken ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}"
             -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/layers_broken" -P "${PROJECT_SOURCE_DIR}/cmake/layers_test.cmake")

# --- packages: installed and found, embedded, and by pkg-config ------------------------------------------------------------
set(prefix "${CMAKE_CURRENT_BINARY_DIR}/prefix")
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
