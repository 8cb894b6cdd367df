# Runs the blocks of a page, in their order, in the new folder WORK, which holds
#   examples/  data, and a run.sh that runs the example programs as they were built for the tests
#   qaf/       the library, with the same examples/
# and the files of fixtures/NAME. (The real examples/run.sh first builds what it runs, for a minute.)
#   PAGE, NAME            the page, from the project's root, and its name among the tests
#   QAF_SOURCE            the project's root
#   PROGRAMS, NOT_BUILT   the folder of the compiled blocks; the numbers of those whose package is missing
#   EXAMPLES              the folder of the example programs, empty where they are not built
#   PYTHON                empty or ...-NOTFOUND where there is none
#   COMPILER, GENERATOR, EIGEN_DIR, EIGEN (its folder of headers), JSON_DIR   for blocks that build something

cmake_minimum_required(VERSION 3.18)
include(${CMAKE_CURRENT_LIST_DIR}/blocks.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/examples ${WORK}/qaf/examples)
if(EXAMPLES)
  file(WRITE ${WORK}/examples/run.sh "case $1 in
  calibrate) shift && exec '${EXAMPLES}/calibrate_network' \"$@\" ;;
  *) exec '${EXAMPLES}/compress_layer' \"$@\" ;;
esac
")
  file(COPY ${WORK}/examples/run.sh DESTINATION ${WORK}/qaf/examples)
  foreach(name IN ITEMS examples/data qaf/CMakeLists.txt qaf/LICENSE qaf/docs qaf/include qaf/examples/data)
    string(REGEX REPLACE "^qaf/" "" source ${name})
    file(CREATE_LINK ${QAF_SOURCE}/${source} ${WORK}/${name} SYMBOLIC)
  endforeach()
endif()
file(GLOB fixtures ${CMAKE_CURRENT_LIST_DIR}/fixtures/${NAME}/*)
if(fixtures)
  file(COPY ${fixtures} DESTINATION ${WORK})
endif()
# What a page builds as Release takes as little time as the tests do (CMake from 3.21 on).
file(WRITE ${WORK}/toolchain.cmake "set(CMAKE_CXX_FLAGS_RELEASE \"-O1 -DNDEBUG\" CACHE STRING \"\")\n")
foreach(pair IN ITEMS CMAKE_TOOLCHAIN_FILE=${WORK}/toolchain.cmake CXX=${COMPILER} EIGEN=${EIGEN} CMAKE_GENERATOR=${GENERATOR} Eigen3_DIR=${EIGEN_DIR}
                      nlohmann_json_DIR=${JSON_DIR}
                      "CXXFLAGS=-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror")
  string(FIND ${pair} "=" equals)
  string(SUBSTRING ${pair} 0 ${equals} variable)
  math(EXPR equals "${equals} + 1")
  string(SUBSTRING ${pair} ${equals} -1 value)
  set(ENV{${variable}} "${value}")
endforeach()

function(find_numpy result)
  set(missing 1)
  if(PYTHON)
    execute_process(COMMAND ${PYTHON} -c "import numpy" RESULT_VARIABLE missing ERROR_QUIET)
  endif()
  if(missing)
    set(${result} OFF PARENT_SCOPE)
  else()
    set(${result} ON PARENT_SCOPE)
  endif()
endfunction()

# Runs the rest of the arguments as a command.
function(run number)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${PAGE}: block ${number} ended with ${failed}:\n${block_${number}_CODE}")
  endif()
endfunction()

# Runs a block of a language without a mark.
function(run_block number language code)
  set(file ${WORK}/block_${number})
  if(language STREQUAL "cpp")
    if(NOT number IN_LIST NOT_BUILT)
      run(${number} ${PROGRAMS}/qaf_documentation_${NAME}_${number})
    endif()
  elseif(language STREQUAL "python")
    find_numpy(has_numpy)
    if(NOT has_numpy OR NOT EXAMPLES)
      message(STATUS "block ${number}: there is no Python with numpy, or no example programs whose files it could read")
      return()
    endif()
    file(WRITE ${file}.py "${code}")
    run(${number} ${PYTHON} ${file}.py)
  elseif(language STREQUAL "sh" AND NOT EXAMPLES)
    message(STATUS "block ${number}: the example programs are not built")
  elseif(language STREQUAL "sh")
    file(WRITE ${file}.sh "${code}")
    run(${number} sh -e ${file}.sh)
  elseif(language STREQUAL "text")
    if(code MATCHES "^\n *(sh|cmake|ctest|apt-get|npm|git|python3?|import|#include|from|def|int) ")
      message(FATAL_ERROR "${PAGE}: block ${number} of text looks like code:${code}")
    endif()
  else()
    message(FATAL_ERROR "${PAGE}: block ${number} of '${language}' is of no language that is run; see the head of "
                        "tests/documentation/CMakeLists.txt")
  endif()
endfunction()

read_blocks(${QAF_SOURCE}/${PAGE} block)
if(block_TEXT MATCHES "\n\n(    [^\n]*)")
  message(FATAL_ERROR "${PAGE}: code is told by fences with a language, got the indented line\n${CMAKE_MATCH_1}")
endif()
if(block_COUNT EQUAL 0)
  return()
endif()
foreach(number RANGE 1 ${block_COUNT})
  set(note "${block_${number}_NOTE}")
  set(code "${block_${number}_CODE}")
  if(block_${number}_MARK STREQUAL "")
    message(STATUS "block ${number}: ${block_${number}_LANGUAGE}")
    run_block(${number} "${block_${number}_LANGUAGE}" "${code}")
  elseif(block_${number}_MARK STREQUAL "file")
    string(SUBSTRING "${code}" 1 -1 code)
    file(WRITE ${WORK}/${note} "${code}")
  elseif(block_${number}_MARK STREQUAL "not run")
    message(STATUS "block ${number}: not run: ${note}")
  elseif(block_${number}_MARK STREQUAL "run by" AND EXISTS ${QAF_SOURCE}/${note})
    message(STATUS "block ${number}: run by ${note}")
  else()
    message(FATAL_ERROR "${PAGE}: the comment before block ${number} is none that is known: "
                        "${block_${number}_MARK}: ${note}")
  endif()
endforeach()
