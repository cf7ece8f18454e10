# What packages say of the version is what the headers say.
#
#   cmake -P cmake/versions_test.cmake
cmake_minimum_required(VERSION 3.23)
include("${CMAKE_CURRENT_LIST_DIR}/version.cmake")
set(packaging "${CMAKE_CURRENT_LIST_DIR}/../packaging")
if(NOT losskit_version MATCHES "^[0-9]+\\.[0-9]+\\.[0-9]+$")
  message(FATAL_ERROR "core/version.hpp: '${losskit_version}' is no version")
endif()
file(READ "${packaging}/debian/changelog" debian)
if(NOT debian MATCHES "^losskit \\(([^)]*)\\)" OR NOT CMAKE_MATCH_1 STREQUAL losskit_version)
  message(FATAL_ERROR "packaging/debian/changelog begins with ${CMAKE_MATCH_1}, and the headers are ${losskit_version}")
endif()
file(READ "${packaging}/vcpkg/losskit/vcpkg.json" vcpkg)
string(JSON vcpkg_version GET "${vcpkg}" version)
if(NOT vcpkg_version STREQUAL losskit_version)
  message(FATAL_ERROR "packaging/vcpkg says ${vcpkg_version}, and the headers are ${losskit_version}")
endif()
message(STATUS "losskit ${losskit_version} everywhere")
