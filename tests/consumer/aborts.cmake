# cmake -DPROGRAM=... -P aborts.cmake: the program, given an argument, must abort with the sentence of its mistake.
execute_process(COMMAND ${PROGRAM} mistake RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(result EQUAL 0 OR result EQUAL 1)
  message(FATAL_ERROR "must abort, got ${result}")
endif()
if(NOT error MATCHES "qaf::cp_admm: rank must be at least 1, got 0")
  message(FATAL_ERROR "must name the mistake, got ${output}${error}")
endif()
