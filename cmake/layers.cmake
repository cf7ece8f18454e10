# Checks what every header of include/losskit may include and say. Run as a test and by every build:
#
#   cmake -D SOURCE=<repository> -P cmake/layers.cmake
#
# Each finding is one line, `file:line: rule`. The layers, from below; a header includes lower layers, and its own folder:
#
#   0 core/config   1 core/expects   2 the rest of core   3 concepts
#   4 policies: margin rest scale objective point schedule    | team
#   5 compose (policies made into one loss)                   | row
#   6 loss, head   7 backend, executor   8 catalogue, named, umbrella, adapt, testing         (recognition: on core alone)
#
# c/losskit.h is C, for programs that see none of this: it includes nothing of ours.
cmake_minimum_required(VERSION 3.23)
set(root "${SOURCE}/include")
set(policies margin rest scale objective point schedule)
# Heavy standard headers that everything below the row does without, for the sake of whoever includes a policy.
set(heavy string memory iostream sstream vector map unordered_map functional algorithm)
set(standard
  algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
  clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint
  cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem format forward_list fstream
  functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
  memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore
  set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view syncstream
  system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector
  version)
# The headers that hold plain data, in `namespace losskit` itself: one type in every unit of a program. A policy's state is such data
# too. All else is tagged.
set(plain
  core/config.hpp core/expects.hpp core/number.hpp core/view.hpp concepts.hpp loss/batch.hpp
  loss/point_loss.hpp adapt/eigen.hpp adapt/thrust.hpp backend/half.cuh backend/pending.cuh)
list(TRANSFORM plain PREPEND losskit/)
set(findings 0)

function(finding where text)
  message(NOTICE "${where}: ${text}")
  math(EXPR findings "${findings} + 1")
  set(findings ${findings} PARENT_SCOPE)
endfunction()

# The folder of a header (margin, core ...; the file's name for those at the top) and the number of its layer.
function(layer_of header folder_out layer_out)
  if(header MATCHES "^losskit/([a-z_]+)/")
    set(folder ${CMAKE_MATCH_1})
  else()
    string(REGEX REPLACE "^losskit/([a-z_]+)\\.hpp$" "\\1" folder "${header}")
  endif()
  set(layer unknown)
  if(header STREQUAL "losskit/core/config.hpp")
    set(layer 0)
  elseif(header STREQUAL "losskit/core/expects.hpp")
    set(layer 1)
  elseif(folder STREQUAL "core")
    set(layer 2)
  elseif(folder STREQUAL "concepts" OR folder STREQUAL "recognition")
    set(layer 3)
  elseif(folder IN_LIST policies OR folder STREQUAL "team")
    set(layer 4)
  elseif(folder MATCHES "^(compose|row)$")
    set(layer 5)
  elseif(folder MATCHES "^(loss|head)$")
    set(layer 6)
  elseif(folder MATCHES "^(backend|executor)$")
    set(layer 7)
  elseif(folder MATCHES "^(catalogue|named|losskit|adapt|testing)$")
    set(layer 8)
  endif()
  set(${folder_out} ${folder} PARENT_SCOPE)
  set(${layer_out} ${layer} PARENT_SCOPE)
endfunction()

# May a header of `folder` (in `layer`) include `header`? Sets `why` to the broken rule, or to nothing.
function(why_not folder layer header why_out)
  layer_of("${header}" other_folder other)
  set(why "")
  if(NOT EXISTS "${root}/${header}")
    set(why "there is no ${header}")
  elseif(other STREQUAL "unknown")
    set(why "${other_folder}/ is in no layer: give it one in cmake/layers.cmake")
  elseif(other GREATER layer)
    set(why "includes ${header}, which is in a higher layer (${other} from ${layer})")
  elseif(folder STREQUAL "recognition" AND other GREATER 2 AND NOT other_folder STREQUAL "recognition")
    set(why "includes ${header}: recognition stands on core alone")
  elseif(other_folder STREQUAL "recognition" AND NOT folder STREQUAL "recognition" AND layer LESS 8)
    set(why "includes ${header}: recognition stands beside the layers, nothing below the umbrella uses it")
  elseif(folder MATCHES "^(backend|executor)$" AND (other_folder IN_LIST policies OR other_folder STREQUAL "compose"))
    set(why "includes ${header}: a backend knows no policy")
  elseif(folder MATCHES "^(row|loss|head)$" AND (other_folder IN_LIST policies OR other_folder STREQUAL "compose"))
    set(why "includes ${header}: the row, the losses and the heads name no policy")
  elseif(folder STREQUAL "executor" AND other_folder STREQUAL "backend")
    set(why "includes ${header}: an executor knows no backend")
  elseif(folder STREQUAL "compose" AND other_folder MATCHES "^(team|row)$")
    set(why "includes ${header}: a composition of policies knows neither teams nor rows")
  elseif(other EQUAL layer AND layer EQUAL 4 AND NOT other_folder STREQUAL folder)
    set(why "includes ${header}: ${folder}/ and ${other_folder}/ stand side by side and never see each other")
  elseif(other EQUAL layer AND layer EQUAL 6 AND folder STREQUAL "loss" AND other_folder STREQUAL "head")
    set(why "includes ${header}: a head is built from losses, not the other way round")
  endif()
  set(${why_out} "${why}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers RELATIVE "${root}" "${root}/losskit/*")
list(REMOVE_ITEM headers losskit/c/losskit.h)
list(SORT headers)
set(catalogue "")
if(EXISTS "${root}/losskit/catalogue.hpp")
  file(READ "${root}/losskit/catalogue.hpp" catalogue)
endif()

foreach(header IN LISTS headers)
  layer_of("${header}" folder layer)
  if(layer STREQUAL "unknown")
    finding("include/${header}:1" "${folder} is in no layer: give it one in cmake/layers.cmake")
    continue()
  endif()
  if(NOT header MATCHES "\\.(hpp|cuh)$")
    finding("include/${header}:1" "a header's name ends in .hpp, or in .cuh where it needs nvcc")
  endif()
  if(header MATCHES "/detail/")
    finding("include/${header}:1" "detail is a namespace, never a folder")
  endif()

  # One list element a line: what would split or join elements is taken out first; no rule below looks at it.
  file(READ "${root}/${header}" text)
  string(REGEX REPLACE "[][;\\]" " " text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  set(number 0)
  set(once FALSE)
  foreach(line IN LISTS lines)
    math(EXPR number "${number} + 1")
    set(where "include/${header}:${number}")
    string(REGEX REPLACE "//.*$" "" code "${line}")

    if(code MATCHES "^[ \t]*#[ \t]*include[ \t]*[<\"](losskit/[^>\"]+)[>\"]")
      why_not("${folder}" ${layer} "${CMAKE_MATCH_1}" why)
      if(why)
        finding("${where}" "${why}")
      endif()
    elseif(code MATCHES "^[ \t]*#[ \t]*include[ \t]*\"([^\"]+)\"")
      finding("${where}" "includes \"${CMAKE_MATCH_1}\": our own headers are spelled \"losskit/...\"")
    elseif(code MATCHES "^[ \t]*#[ \t]*include[ \t]*<([^>]+)>")
      set(name "${CMAKE_MATCH_1}")
      if(NOT name IN_LIST standard)
        if(NOT folder MATCHES "^(backend|executor|adapt)$")
          finding("${where}" "includes <${name}>: only backends, executors and adapters include third parties")
        endif()
      elseif(name IN_LIST heavy AND layer LESS_EQUAL 4 AND NOT folder STREQUAL "recognition")
        finding("${where}" "includes <${name}>: too heavy for core, concepts, policies and teams")
      endif()
    elseif(code MATCHES "^#pragma once")
      set(once TRUE)
    elseif(code MATCHES "^[ \t]*#[ \t]*define[ \t]+([A-Za-z0-9_]+)")
      set(name "${CMAKE_MATCH_1}")
      # A backend may say which part of its third party it means.
      if(NOT name MATCHES "^LOSSKIT_" AND NOT (folder STREQUAL "backend" AND name MATCHES "^THRUST_"))
        finding("${where}" "defines ${name}: every macro of ours begins with LOSSKIT_")
      endif()
    elseif(code MATCHES "^namespace losskit" AND NOT code MATCHES "^namespace losskit::inline LOSSKIT_ISA"
           AND NOT ((header IN_LIST plain OR (folder IN_LIST policies AND text MATCHES "using State = "))
                    AND code MATCHES "^namespace losskit {"))
      finding("${where}" "opens losskit without `inline LOSSKIT_ISA`: units of different -march would be mixed (plain data: cmake/layers.cmake)")
    endif()
    if(code MATCHES "(^|[^A-Za-z0-9_])throw([^A-Za-z0-9_\"]|$)" AND NOT code MATCHES "\"[^\"]*throw[^\"]*\""
       AND NOT header STREQUAL "losskit/core/expects.hpp")
      finding("${where}" "throws: the one throwing place is fail() in core/expects.hpp")
    endif()
    if(code MATCHES "no_unique_address")
      finding("${where}" "[[no_unique_address]]: nvcc 13 loses what lies behind such an empty member; derive from it instead")
    endif()
    # A policy's name is a member on a line of its own; rules and modes are one-line structs.
    if(folder IN_LIST policies AND catalogue AND code MATCHES "^  static constexpr [^=]*[ *]name = \"([A-Za-z0-9_]+)\"")
      set(name "${CMAKE_MATCH_1}")
      if(NOT catalogue MATCHES "[ <]${name}[,<>]")
        finding("${where}" "the policy ${name} is in no list of catalogue.hpp: no test and no benchmark sees it")
      endif()
    endif()
  endforeach()

  if(NOT once)
    finding("include/${header}:1" "lacks `#pragma once`")
  endif()
endforeach()

list(LENGTH headers count)
if(findings GREATER 0)
  message(FATAL_ERROR "${findings} broken layer rules in ${count} headers")
endif()
message(STATUS "layers: ${count} headers keep every rule")
