# The single headers (single_header.cmake): a program that includes nothing else of ours compiles, and prints what the folder's does.
#
#   cmake -D SOURCE=<repository> -D "COMPILER=<c++>" -D "FLAGS=<flags>" -D WORK=<folder> -P cmake/single_header_test.cmake
cmake_minimum_required(VERSION 3.23)
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")

function(output_of program folder out)
  execute_process(COMMAND ${COMPILER} ${FLAGS} "-I${folder}" "${program}" -o "${WORK}/compiled" RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} with ${folder}:\n${errors}")
  endif()
  execute_process(COMMAND "${WORK}/compiled" RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} with ${folder} returns ${result}:\n${said}")
  endif()
  set(${out} "${said}" PARENT_SCOPE)
endfunction()

# compare(PROGRAM ROOTS): a program of the repository, and the headers that its single header stands for.
function(compare program roots)
  get_filename_component(name "${program}" NAME_WE)
  set(folder "${WORK}/${name}")
  execute_process(COMMAND ${CMAKE_COMMAND} -D "OUTPUT=${folder}/losskit.hpp" -D "ROOTS=${roots}" -P "${CMAKE_CURRENT_LIST_DIR}/single_header.cmake"
                  COMMAND_ERROR_IS_FATAL ANY)
  file(READ "${program}" text)
  string(REGEX REPLACE "#include \"losskit/[^\"]+\"" "#include \"losskit.hpp\"" text "${text}")
  file(WRITE "${folder}/${name}.cpp" "${text}")
  output_of("${program}" "${SOURCE}/include" expected)
  output_of("${folder}/${name}.cpp" "${folder}" said)
  if(NOT said STREQUAL expected OR said STREQUAL "")
    message(FATAL_ERROR "${name}: the single header's program prints\n${said}\nand not\n${expected}")
  endif()
  message(STATUS "${name}, by one header: ${said}")
endfunction()

compare("${SOURCE}/tests/consumer/program.cpp" losskit/losskit.hpp)
compare("${SOURCE}/tests/consumer/eigen_program.cpp" "losskit/losskit.hpp;losskit/backend/eigen.hpp;losskit/executor/openmp.hpp;losskit/adapt/eigen.hpp")
