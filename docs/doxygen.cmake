# Makes the API reference, and ends with an error where Doxygen warns.
#   DOXYGEN     the program
#   QAF_SOURCE  the project's root
#   OUTPUT      a folder: the reference is html/index.html there
#   VERSION     of the library

cmake_minimum_required(VERSION 3.18)
if(NOT DOXYGEN)
  message(FATAL_ERROR "the API reference needs Doxygen, which was not found (Debian: apt-get install doxygen)")
endif()
file(READ ${QAF_SOURCE}/docs/Doxyfile settings)
file(WRITE ${OUTPUT}/Doxyfile "${settings}
PROJECT_NUMBER = ${VERSION}
OUTPUT_DIRECTORY = \"${OUTPUT}\"
WARN_LOGFILE = \"${OUTPUT}/warnings\"
")
execute_process(COMMAND ${DOXYGEN} ${OUTPUT}/Doxyfile WORKING_DIRECTORY ${QAF_SOURCE} RESULT_VARIABLE failed)
file(READ ${OUTPUT}/warnings warnings)
if(failed OR NOT warnings STREQUAL "")
  message(FATAL_ERROR "doxygen ended with ${failed} and warned:\n${warnings}")
endif()
message(STATUS "the API reference is in ${OUTPUT}/html/index.html")
