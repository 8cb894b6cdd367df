# cmake -DQAF_SOURCE=... -DWORK=... -DCOMPILER=... -DEIGEN=folder -P check.cmake
# Makes one header, as docs/adopting.md tells, and a program of two files that includes nothing else of the library.
cmake_minimum_required(VERSION 3.18)
include(${CMAKE_CURRENT_LIST_DIR}/../consumer/run_support.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(header ${WORK}/qaf_in_one.hpp)
set(script ${QAF_SOURCE}/docs/packaging/single_header.cmake)
run(${CMAKE_COMMAND} -DOUTPUT=${header} "-DHEADERS=qaf/qaf.hpp\;qaf/io/npy.hpp" -P ${script})
file(READ ${header} text)
if(text MATCHES "#include *[<\"]qaf/")
  message(FATAL_ERROR "the header must include no other of the library, got ${CMAKE_MATCH_0}")
endif()
foreach(words IN ITEMS "MIT License" "AS IS" "#include <unsupported/Eigen/CXX11/Tensor>" "#include <vector>" "cp_admm("
                       "read_npy(")
  string(FIND "${text}" "${words}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "the header must have ${words}")
  endif()
endforeach()
run(${COMPILER} -std=c++17 -I${WORK} -isystem ${EIGEN} -o ${WORK}/program ${CMAKE_CURRENT_LIST_DIR}/main.cpp
    ${CMAKE_CURRENT_LIST_DIR}/other.cpp)
run(${WORK}/program)

# What cannot be made is told.
execute_process(COMMAND ${CMAKE_COMMAND} -DOUTPUT=${WORK}/none.hpp -DHEADERS=qaf/none.hpp -P ${script}
                RESULT_VARIABLE result ERROR_VARIABLE error)
if(result EQUAL 0 OR EXISTS ${WORK}/none.hpp OR NOT error MATCHES "got[ \n]+qaf/none\\.hpp")
  message(FATAL_ERROR "a header that is not there must be refused, got ${result} ${error}")
endif()
