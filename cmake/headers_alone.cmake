# Compiles every public header alone, with one compiler, keeping nothing:
#
#   cmake -D SOURCE=<repository> -D "COMPILER=<c++>" -D "FLAGS=<flags>" -P cmake/headers_alone.cmake
#
# Every header is included twice: once alone, once more to see that it may be.
cmake_minimum_required(VERSION 3.23)
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
file(GLOB_RECURSE headers RELATIVE "${SOURCE}/include" "${SOURCE}/include/losskit/*.hpp")
list(SORT headers)
set(broken "")
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER "${header}" unit)
  set(unit "${CMAKE_CURRENT_BINARY_DIR}/alone/${unit}.cpp")
  file(CONFIGURE OUTPUT "${unit}" CONTENT "#include \"@header@\"\n#include \"@header@\"\n" @ONLY)
  execute_process(COMMAND ${COMPILER} ${FLAGS} -fsyntax-only "-I${SOURCE}/include" "${unit}"
                  RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    list(APPEND broken "${header}")
    message(NOTICE "--- ${header}\n${errors}")
  endif()
endforeach()
list(LENGTH headers count)
if(broken)
  list(JOIN broken "\n  " broken)
  message(FATAL_ERROR "headers that do not compile alone:\n  ${broken}")
elseif(count EQUAL 0)
  message(FATAL_ERROR "no headers under ${SOURCE}/include/losskit")
endif()
message(STATUS "${count} headers compile alone")
