# The headers' include graph, as docs/design.md draws it: each room includes only what it may, and no header itself,
# on whatever way. INCLUDE: the folder of the headers.

cmake_minimum_required(VERSION 3.18)

# What the headers of a room may include, as a regular expression; the first rule that fits a header counts.
set(rules
    "qaf/(qaf|plan|convolution)\\.hpp" ".*"  # umbrellas
    "qaf/quantizers/.*" "qaf/(quantizers/.*|error\\.hpp|quantizer\\.hpp|types\\.hpp|detail/packets\\.hpp)"
    "qaf/convolution/.*" "qaf/(convolution/.*|quantizers/.*|detail/.*|[^/]*)"
    "qaf/plan/.*" "qaf/(plan/.*|quantizers/.*|detail/.*|io/detail/file\\.hpp|[^/]*)"
    "qaf/io/.*" "qaf/(io/.*|quantizers/.*|convolution/layer\\.hpp|(dense_tensor|error|packing|quantized_model|quantizer|types|version)\\.hpp)"
    "qaf/testing/.*" "qaf/(testing/.*|quantizers/.*|detail/.*|[^/]*)"
    "qaf/.*" "qaf/(quantizers/.*|detail/.*|[^/]*)")

file(GLOB_RECURSE headers RELATIVE ${INCLUDE} ${INCLUDE}/qaf/*.hpp)
list(LENGTH headers count)
if(count LESS 50)
  message(FATAL_ERROR "only ${count} headers in ${INCLUDE}")
endif()
foreach(header IN LISTS headers)
  file(STRINGS ${INCLUDE}/${header} lines REGEX "^#include <qaf/")
  string(REGEX REPLACE "#include <([^>]*)>[^;]*" "\\1" included "${lines}")
  set(of_${header} ${included})
  set(remaining_rules ${rules})
  while(remaining_rules)
    list(POP_FRONT remaining_rules who may_include)
    if(NOT header MATCHES "^${who}$")
      continue()
    endif()
    foreach(other IN LISTS included)
      if(NOT other MATCHES "^${may_include}$")
        message(SEND_ERROR "${header} must not include ${other}")
      endif()
      if(NOT other IN_LIST headers)
        message(SEND_ERROR "${header} includes ${other}, which is not there")
      endif()
    endforeach()
    break()
  endwhile()
endforeach()

# Headers all of whose includes are done are done, until nothing is left but circles.
set(done)
set(left ${headers})
while(left)
  set(next)
  foreach(header IN LISTS left)
    set(waiting ${of_${header}})
    if(waiting)
      list(REMOVE_ITEM waiting ${done})
    endif()
    if(waiting)
      list(APPEND next ${header})
    else()
      list(APPEND done ${header})
    endif()
  endforeach()
  if(next STREQUAL left)
    message(FATAL_ERROR "headers that include each other: ${left}")
  endif()
  set(left ${next})
endwhile()
