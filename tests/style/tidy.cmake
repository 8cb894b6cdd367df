# All headers pass clang-tidy, which measures the length of functions too. SOURCE: the project; HEADERS: those to check,
# with commas between them; WORK: a folder for files of this test; EIGEN: where Eigen is; TIDY: the program.

cmake_minimum_required(VERSION 3.18)
include(${CMAKE_CURRENT_LIST_DIR}/version.cmake)
require_version_14("${TIDY}" clang-tidy)

function(run_tidy source result output)
  execute_process(COMMAND ${TIDY} --quiet --config-file=${SOURCE}/.clang-tidy ${source} -- -std=c++17
                          -I${SOURCE}/include -isystem ${EIGEN}
                  RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE errors)
  set(${result} ${code} PARENT_SCOPE)
  set(${output} "${text}${errors}" PARENT_SCOPE)
endfunction()

# What is not found would be no check: a function template of 61 lines between its braces, and one of 59.
foreach(lines IN ITEMS 59 61)
  string(REPEAT "  value += Value{1};\n" ${lines} body)
  file(WRITE ${WORK}/of_${lines}_lines.cpp "template <typename Value>\nvoid add(Value& value) {\n${body}}\n")
  run_tidy(${WORK}/of_${lines}_lines.cpp code text)
  string(FIND "${text}" "readability-function-size" found)
  if((lines GREATER 60 AND found LESS 0) OR (lines LESS 60 AND NOT code EQUAL 0))
    message(FATAL_ERROR "a function of ${lines} lines: ${text}")
  endif()
endforeach()

string(REPLACE "," ";" headers "${HEADERS}")
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n")
string(CONCAT includes ${headers})
file(WRITE ${WORK}/all_headers.cpp "${includes}")
run_tidy(${WORK}/all_headers.cpp code text)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${text}")
endif()
