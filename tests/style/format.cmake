# All sources are as clang-format would write them. SOURCE: the project; FORMAT: the program.

cmake_minimum_required(VERSION 3.18)
include(${CMAKE_CURRENT_LIST_DIR}/version.cmake)
require_version_14("${FORMAT}" clang-format)

set(patterns)
foreach(folder IN ITEMS include examples tests)
  list(APPEND patterns ${SOURCE}/${folder}/*.hpp ${SOURCE}/${folder}/*.cpp)
endforeach()
file(GLOB_RECURSE sources ${patterns})
list(FILTER sources EXCLUDE REGEX "/tests/compile_fail/")  # one program a mistake, also of form
list(LENGTH sources count)
if(count LESS 200)
  message(FATAL_ERROR "only ${count} sources in ${SOURCE}")
endif()
execute_process(COMMAND ${FORMAT} --dry-run -Werror ${sources} RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "these sources are not formatted; clang-format -i does it")
endif()
