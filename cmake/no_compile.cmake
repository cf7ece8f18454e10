# Checks that a mistake does not compile, and that the first error is about the mistake:
#
#   cmake -D SOURCE=<repository> -D CASE=<file.cpp> -D "COMPILER=<c++>" -D "FLAGS=<flags>" -P cmake/no_compile.cmake
#
# A case holds the right call and, under `#ifdef MISTAKE`, the wrong one. The right one must compile, so that the wrong
# one cannot fail for a reason of its own. A line `// first error: REGEX` says what the user must read: the first error
# line of the compiler must contain "losskit:" and match REGEX.
cmake_minimum_required(VERSION 3.23)
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
get_filename_component(name "${CASE}" NAME)
file(STRINGS "${CASE}" expected REGEX "^// first error: ")
string(REGEX REPLACE "^// first error: " "" expected "${expected}")
if(expected STREQUAL "")
  message(FATAL_ERROR "${name}: has no line `// first error: REGEX`")
endif()
set(compile ${COMPILER} ${FLAGS} -fsyntax-only "-I${SOURCE}/include")

execute_process(COMMAND ${compile} "${CASE}" RESULT_VARIABLE right ERROR_VARIABLE errors)
if(NOT right EQUAL 0)
  message(NOTICE "${errors}")
  message(FATAL_ERROR "${name}: the right call does not compile")
endif()
# A folder beside the case, of its name: headers that the mistake finds first.
string(REGEX REPLACE "\\.cpp$" "" shadows "${CASE}")
execute_process(COMMAND ${compile} -DMISTAKE "-I${shadows}" "${CASE}" RESULT_VARIABLE wrong ERROR_VARIABLE errors)
if(wrong EQUAL 0)
  message(FATAL_ERROR "${name}: the mistake compiles")
endif()
if(NOT errors MATCHES "([^\n]*error: [^\n]*)")
  message(NOTICE "${errors}")
  message(FATAL_ERROR "${name}: no error line")
endif()
set(first "${CMAKE_MATCH_1}")
if(NOT first MATCHES "losskit: " OR NOT first MATCHES "${expected}")
  message(NOTICE "${errors}\nThe first error is:\n${first}")
  message(FATAL_ERROR "${name}: the first error does not say `losskit: ... ${expected}`")
endif()
message(STATUS "${first}")
