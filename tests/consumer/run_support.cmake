# For the scripts of this folder. run(COMMAND...): runs it, and stops with what it said where it fails.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}\nended with ${result}\n${output}")
  endif()
  message(STATUS "${output}")
endfunction()
