# The GPU's code, compiled without a GPU: every .cuh alone, the catalogue, policies two by two, every kernel's registers.
# Where nvcc is missing one test says so and is skipped.
option(LOSSKIT_GPU_GATE "Compile the GPU's code with nvcc as tests" OFF)
if(NOT LOSSKIT_GPU_GATE)
  return()
endif()
find_program(LOSSKIT_NVCC nvcc HINTS "$ENV{CUDA_HOME}/bin" /usr/local/cuda/bin)
if(NOT LOSSKIT_NVCC)
  losskit_test(gpu/nvcc ${CMAKE_COMMAND} -E echo "skipped: no nvcc here, so nothing of the GPU's code was compiled")
  set_tests_properties("${losskit_test_prefix}gpu/nvcc" PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: no nvcc")
  return()
endif()

# `./dev test all` puts here what a toolkit may lack: the headers of cuBLAS, cuobjdump.
set(LOSSKIT_CUDA_WHEELS "${PROJECT_SOURCE_DIR}/build/wheels" CACHE PATH "Where the wheels of CUDA's parts were unpacked")
set(gpu_folder "${CMAKE_CURRENT_SOURCE_DIR}/gpu")
find_path(losskit_cublas_include cublas_v2.h
          HINTS "$ENV{CUDA_HOME}/include" /usr/local/cuda/include "${LOSSKIT_CUDA_WHEELS}/nvidia/cu13/include" REQUIRED)
find_path(losskit_doctest_include doctest/doctest.h REQUIRED)
find_program(losskit_cuobjdump cuobjdump
             HINTS "$ENV{CUDA_HOME}/bin" /usr/local/cuda/bin "${LOSSKIT_CUDA_WHEELS}/nvidia/cu13/bin" REQUIRED)
# Folders of headers beside the toolkit's own. /usr/include must not come before those of the compiler.
set(gpu_includes "${PROJECT_SOURCE_DIR}/include ${gpu_folder} ${PROJECT_SOURCE_DIR}/examples")
foreach(folder IN ITEMS "${losskit_cublas_include}" "${losskit_doctest_include}")
  if(NOT folder STREQUAL "/usr/include")
    string(APPEND gpu_includes " ${folder}")
  endif()
endforeach()

function(losskit_nvcc_test name file archs)
  losskit_test(gpu/${name} ${CMAKE_COMMAND} -D "NVCC=${LOSSKIT_NVCC}" -D "FILE=${file}" -D "ARCHS=${archs}" -D "INCLUDE=${gpu_includes}" ${ARGN}
               -P "${PROJECT_SOURCE_DIR}/cmake/nvcc.cmake")
  set_tests_properties("${losskit_test_prefix}gpu/${name}" PROPERTIES COST 100)
endfunction()

foreach(header IN LISTS losskit_device_headers)
  get_filename_component(name "${header}" NAME)
  losskit_nvcc_test(alone/${name} "${header}" 90)
endforeach()
losskit_nvcc_test(catalogue "${gpu_folder}/catalogue.cu" "75 80 90 100")
losskit_nvcc_test(pairs "${gpu_folder}/pairs.cu" 90)
losskit_nvcc_test(kernels "${gpu_folder}/team_kernels.cu" 90 -D "TABLE=${gpu_folder}/kernels.txt" -D "CUOBJDUMP=${losskit_cuobjdump}")
file(GLOB gpu_tests CONFIGURE_DEPENDS "${gpu_folder}/*_test.cu")
foreach(test IN LISTS gpu_tests)
  get_filename_component(name "${test}" NAME_WE)
  losskit_nvcc_test(${name} "${test}" 90 -D "FLAGS=-DLOSSKIT_TEST_CUBLAS")
endforeach()

# The LibTorch adapter over CUDA tensors, against the headers of LibTorch 2: those that `./dev bench --peer torch` installs, say.
# nvcc refuses Debian's 1.13 as C++20. A wheel for CPUs lacks one generated header, and the definition says so.
file(GLOB torch_include "${PROJECT_SOURCE_DIR}/build/bench/torch/lib/python3*/site-packages/torch/include")
set(LOSSKIT_TORCH_INCLUDE "${torch_include}" CACHE PATH "The include folder of a LibTorch 2, for nvcc")
if(EXISTS "${LOSSKIT_TORCH_INCLUDE}/c10/cuda/CUDAStream.h")
  losskit_nvcc_test(torch "${gpu_folder}/torch.cu" 90
    -D "FLAGS=-DC10_CUDA_NO_CMAKE_CONFIGURE_FILE -isystem '${LOSSKIT_TORCH_INCLUDE}' -isystem '${LOSSKIT_TORCH_INCLUDE}/torch/csrc/api/include'")
else()
  losskit_test(gpu/torch ${CMAKE_COMMAND} -E echo "skipped: no LibTorch 2 in LOSSKIT_TORCH_INCLUDE, so its adapter was not compiled by nvcc")
  set_tests_properties("${losskit_test_prefix}gpu/torch" PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: no LibTorch 2")
endif()
losskit_nvcc_test(train_step "${PROJECT_SOURCE_DIR}/examples/train_step.cu" 90)
losskit_test(gpu/readme ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${LOSSKIT_NVCC}" -D LANGUAGE=cuda
             -D "FLAGS=-std=c++20 -arch=sm_90 -Xptxas=-O0" -D PAGE=README.md -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/readme_gpu"
             -P "${PROJECT_SOURCE_DIR}/cmake/snippets.cmake")
