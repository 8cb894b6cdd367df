# cmake -DCOMPILER=... -DINCLUDE=folder -DEIGEN=folder -DSOURCE=... -P check.cmake
# Compiles SOURCE, which must fail with the sentence of its first line ("// expects: ...") in the first
# line that holds an error; "nothing" means that it must compile.
file(READ ${SOURCE} source)
if(NOT source MATCHES "^// expects: ([^\n]+)\n")
  message(FATAL_ERROR "${SOURCE} must begin with \"// expects: ...\"")
endif()
set(expected "${CMAKE_MATCH_1}")

execute_process(COMMAND ${COMPILER} -std=c++17 -I${INCLUDE} -isystem ${EIGEN} -fsyntax-only ${SOURCE}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(expected STREQUAL "nothing")
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "must compile:\n${output}")
  endif()
  return()
endif()
if(result EQUAL 0)
  message(FATAL_ERROR "must not compile")
endif()
# No lists: compilers print brackets and semicolons.
string(FIND "${output}" "error: " begin)
string(SUBSTRING "${output}" ${begin} -1 first_error)
string(FIND "${first_error}" "\n" end)
string(SUBSTRING "${first_error}" 0 ${end} first_error)
string(FIND "${first_error}" "${expected}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "expected \"${expected}\"\nfirst error is\n${first_error}\nof\n${output}")
endif()
