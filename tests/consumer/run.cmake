# cmake -DHOW=... -DQAF_SOURCE=... -DWORK=... -DCOMPILER=... -DGENERATOR=... -P run.cmake
# Configures, builds and runs the consumer in the empty folder WORK.
include(${CMAKE_CURRENT_LIST_DIR}/run_support.cmake)

file(REMOVE_RECURSE ${WORK})
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DEigen3_DIR=${EIGEN_DIR})
set(package)
set(program -DQAF_PROGRAM=small.cpp)
if(HOW STREQUAL "package")
  run(${configure} -DQAF_BUILD_TESTS=OFF -DQAF_BUILD_EXAMPLES=OFF -DQAF_INSTALL=ON -S ${QAF_SOURCE} -B ${WORK}/qaf)
  run(${CMAKE_COMMAND} --install ${WORK}/qaf --prefix ${WORK}/first)
  # A prefix may move after the installation.
  file(RENAME ${WORK}/first ${WORK}/moved)
  set(program)  # those that solve
  set(package -DCMAKE_PREFIX_PATH=${WORK}/moved -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
endif()
run(${configure} ${package} ${program} -DQAF_HOW=${HOW} -DQAF_SOURCE=${QAF_SOURCE} -S ${CMAKE_CURRENT_LIST_DIR}
    -B ${WORK}/build)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)

if(HOW STREQUAL "package")
  file(READ ${WORK}/build/CMakeCache.txt cache)
  if(NOT cache MATCHES "qaf_DIR:PATH=[^\n]*/moved/")
    message(FATAL_ERROR "another qaf was found than the one installed here")
  endif()
else()
  # A subproject brings nothing to install.
  run(${CMAKE_COMMAND} --install ${WORK}/build --prefix ${WORK}/prefix)
  file(GLOB_RECURSE installed ${WORK}/prefix/*)
  if(installed)
    message(FATAL_ERROR "as a subproject qaf must install nothing, got ${installed}")
  endif()
endif()
