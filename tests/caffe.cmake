# The Caffe layers, over a stand-in for the Caffe types that they need: Caffe is in no distribution that losskit is tested on.
set(stand_in "${CMAKE_CURRENT_SOURCE_DIR}/adapt/caffe/stand_in")
set(layers "${PROJECT_SOURCE_DIR}/examples/caffe/losskit_layers.cpp")
add_library(losskit_caffe_layers OBJECT EXCLUDE_FROM_ALL "${layers}")
target_link_libraries(losskit_caffe_layers PRIVATE losskit_develop)
target_include_directories(losskit_caffe_layers PRIVATE "${stand_in}")

losskit_test_program(caffe_test adapt/caffe/caffe_test.cpp losskit_caffe_layers)
if(TARGET caffe_test)
  target_compile_options(caffe_test PRIVATE -O1)  # nothing in it takes time
  target_include_directories(caffe_test PRIVATE "${stand_in}")
  target_compile_definitions(caffe_test PRIVATE "LOSSKIT_SOURCE=\"${PROJECT_SOURCE_DIR}\"")
endif()

# The layers by the other compiler, warnings included: syntax alone.
find_program(losskit_clang NAMES clang++ clang++-14)
if(losskit_clang AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  get_target_property(eigen_folder Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  losskit_test(caffe_clang ${losskit_clang} -fsyntax-only -std=c++20 ${losskit_warnings} -I "${PROJECT_SOURCE_DIR}/include" -I "${stand_in}"
               -isystem "${eigen_folder}" "${layers}")
else()
  losskit_test(caffe_clang ${CMAKE_COMMAND} -E echo "left out: no second compiler here (clang)")
  set_tests_properties("${losskit_test_prefix}caffe_clang" PROPERTIES SKIP_REGULAR_EXPRESSION "left out: no second")
endif()

# `./dev frameworks caffe` builds it and `./dev bench --frameworks` runs it, nothing else does.
add_executable(losskit_caffe_gates EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/caffe_gates.cpp")
target_link_libraries(losskit_caffe_gates PRIVATE losskit_develop losskit_caffe_layers)
target_include_directories(losskit_caffe_gates PRIVATE "${stand_in}")
