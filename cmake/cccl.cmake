# Where CCCL is, whose Thrust the tests and benchmarks of backend/thrust.hpp need: CCCL_ROOT (the folder that holds thrust/), a
# CUDA toolkit, or the wheel that `./dev` puts into build/wheels. Nothing else of CUDA is used.
#
#   include(cmake/cccl.cmake)         losskit_cccl_folder, and losskit_cccl, an interface target; or an error
#   cmake -P cmake/cccl.cmake         fails where there is none
#
# A Thrust before CCCL 3 is never taken, such as Debian's in /usr/include.
cmake_minimum_required(VERSION 3.23)
get_filename_component(wheels "${CMAKE_CURRENT_LIST_DIR}/../build/wheels" ABSOLUTE)

# The toolkit around nvcc: asked, for what stands in the PATH may be a link or a script.
find_program(nvcc nvcc NO_CACHE)
set(toolkits "$ENV{CUDA_HOME}" "$ENV{CUDA_PATH}")
if(nvcc)
  execute_process(COMMAND "${nvcc}" --dryrun -x cu /dev/null OUTPUT_QUIET ERROR_VARIABLE dryrun)
  if(dryrun MATCHES "#\\$ TOP=([^\n]+)")
    list(PREPEND toolkits "${CMAKE_MATCH_1}")
  endif()
endif()
file(GLOB others "/usr/local/cuda*")
list(APPEND toolkits ${others})
list(TRANSFORM toolkits APPEND "/include/cccl")

set(losskit_cccl_folder "")
foreach(folder IN ITEMS "${CCCL_ROOT}" "$ENV{CCCL_ROOT}" ${toolkits} "${wheels}/nvidia/cu13/include/cccl")
  if(EXISTS "${folder}/thrust/version.h")
    file(STRINGS "${folder}/thrust/version.h" version REGEX "^#define THRUST_VERSION [0-9]+")
    string(REGEX MATCH "[0-9]+" version "${version}")
    if(version GREATER_EQUAL 300000)
      get_filename_component(losskit_cccl_folder "${folder}" REALPATH)
      break()
    endif()
  endif()
endforeach()
if(losskit_cccl_folder STREQUAL "")
  message(FATAL_ERROR "No CCCL 3 or later: ./dev test fetches it, or set CCCL_ROOT to the folder that holds its thrust/")
endif()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  add_library(losskit_cccl INTERFACE)
  target_include_directories(losskit_cccl SYSTEM INTERFACE "${losskit_cccl_folder}")
endif()
