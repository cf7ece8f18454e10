# Checks that a program dies of abort() and says why:
#
#   cmake -D PROGRAM=<path> -D TEXT=<regex> -P cmake/must_abort.cmake
cmake_minimum_required(VERSION 3.23)
execute_process(COMMAND "${PROGRAM}" abort RESULT_VARIABLE result ERROR_VARIABLE errors)
if(result MATCHES "^[0-9]+$" AND NOT result EQUAL 134)
  message(FATAL_ERROR "did not abort, but exited with ${result}\n${errors}")
endif()
if(NOT errors MATCHES "${TEXT}")
  message(FATAL_ERROR "aborted (${result}) without saying `${TEXT}`\n${errors}")
endif()
message(STATUS "aborted, saying: ${errors}")
