# One header of several, for projects that would rather copy a file than take a library:
#
#     cmake -DOUTPUT=qaf.hpp -P docs/packaging/single_header.cmake
#     cmake -DOUTPUT=qaf.hpp "-DHEADERS=qaf/qaf.hpp;qaf/io/npy.hpp" -P docs/packaging/single_header.cmake
#
# OUTPUT: the file to write. HEADERS: the headers that must be in it, by default all that qaf/qaf.hpp includes. Each
# header of the library goes in once, where it is first needed; all other includes stay.
cmake_minimum_required(VERSION 3.18)

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
if(NOT OUTPUT)
  message(FATAL_ERROR "single_header.cmake: expected -DOUTPUT=file to write before -P, got none")
endif()
if(NOT HEADERS)
  set(HEADERS qaf/qaf.hpp)
endif()

# Text that is built piece by piece; semicolons and brackets keep it from being a list.
function(add_text text)
  set_property(GLOBAL APPEND_STRING PROPERTY single_header "${text}")
endfunction()

# Adds a header, all it includes before it, if it is not there yet. Before it, since what it includes under a condition
# may be needed by others without.
function(add_header header)
  get_property(added GLOBAL PROPERTY added_headers)
  if(header IN_LIST added)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY added_headers ${header})
  if(NOT EXISTS ${root}/include/${header})
    message(FATAL_ERROR "single_header.cmake: expected the name of a header in ${root}/include, such as qaf/qaf.hpp, got "
                        "${header}")
  endif()
  file(STRINGS ${root}/include/${header} lines REGEX "^#include <qaf/")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include <([^>]*)>.*" "\\1" included "${line}")
    add_header(${included})
  endforeach()
  file(READ ${root}/include/${header} text)
  string(REGEX REPLACE "(^|\n)#pragma once" "" text "${text}")
  string(REGEX REPLACE "\n#include <qaf/[^\n]*" "" text "${text}")
  add_text("\n// ${header}${text}")
endfunction()

file(READ ${root}/LICENSE license)
string(REGEX REPLACE "\n$" "" license "${license}")
string(REPLACE "\n" "\n// " license "// ${license}")
string(REPLACE "// \n" "//\n" license "${license}")
string(REPLACE ";" ", " names "${HEADERS}")
add_text("#pragma once\n\n// qaf in one header, made from ${names} and what they include.\n//\n${license}\n")
foreach(header IN LISTS HEADERS)
  add_header(${header})
endforeach()
get_property(text GLOBAL PROPERTY single_header)
string(REGEX REPLACE "\n\n\n+" "\n\n" text "${text}")
file(WRITE ${OUTPUT} "${text}")
get_property(added GLOBAL PROPERTY added_headers)
list(LENGTH added count)
message(STATUS "${OUTPUT}: ${count} headers")
