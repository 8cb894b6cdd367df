# cmake -DQAF_SOURCE=... -DWORK=... -DCOMPILER=... -DGENERATOR=... -DEIGEN_DIR=... -P pkg_config.cmake
# Installs the library, moves it, and compiles a program as one does who has pkg-config and no CMake. The paths have
# spaces.
cmake_minimum_required(VERSION 3.18)
include(${CMAKE_CURRENT_LIST_DIR}/run_support.cmake)
find_program(pkg_config NAMES pkg-config pkgconf)
if(NOT pkg_config)
  message(STATUS "skipped: there is no pkg-config")
  return()
endif()
execute_process(COMMAND ${pkg_config} --exists eigen3 RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(STATUS "skipped: pkg-config does not know eigen3")
  return()
endif()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY "${WORK}/the sources")
foreach(name IN ITEMS CMakeLists.txt LICENSE include)
  file(COPY ${QAF_SOURCE}/${name} DESTINATION "${WORK}/the sources")
endforeach()
# BUILD_TESTING is all that need be known to have no tests.
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DEigen3_DIR=${EIGEN_DIR}
              -DBUILD_TESTING=OFF -DQAF_BUILD_EXAMPLES=OFF -S "${WORK}/the sources")

# pkg_config(FOLDER ARGUMENT... RESULT): what pkg-config says of the qaf.pc there.
function(pkg_config folder argument result)
  set(ENV{PKG_CONFIG_PATH} ${folder})
  execute_process(COMMAND ${pkg_config} ${argument} qaf RESULT_VARIABLE status OUTPUT_VARIABLE output
                  ERROR_VARIABLE error OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${pkg_config} ${argument} qaf ended with ${status}\n${output}${error}")
  endif()
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

# compile(FOLDER NAME): the program, with the qaf.pc there; runs it. A shell's `eval` keeps the spaces in paths; where
# there are none `$(pkg-config --cflags qaf)` in a command does.
function(compile folder name)
  set(ENV{PKG_CONFIG_PATH} ${folder})
  set(ENV{CXX} ${COMPILER})
  set(ENV{PKG_CONFIG} ${pkg_config})
  set(command "$CXX -std=c++17 -fno-rtti $($PKG_CONFIG --cflags qaf) '${CMAKE_CURRENT_LIST_DIR}/small.cpp'")
  run(sh -c "eval \"${command} -o '${WORK}/run_${name}'\"")
  run(${WORK}/run_${name})
endfunction()

# The usual folders; the prefix may move afterwards.
run(${configure} -B "${WORK}/build")
run(${CMAKE_COMMAND} --install "${WORK}/build" --prefix "${WORK}/first")
file(RENAME "${WORK}/first" "${WORK}/moved here")
set(folder "${WORK}/moved here/share/pkgconfig")
compile(${folder} moved)
pkg_config(${folder} --modversion version)
file(STRINGS ${QAF_SOURCE}/include/qaf/version.hpp line REGEX "define QAF_VERSION \"${version}\"")
if(NOT line)
  message(FATAL_ERROR "qaf.pc has the version ${version}, not that of the header")
endif()
pkg_config(${folder} --libs libraries)
if(libraries)
  message(FATAL_ERROR "there is nothing to link, got ${libraries}")
endif()

# Folders of one's own, one of them by its absolute path.
run(${configure} "-DCMAKE_INSTALL_INCLUDEDIR=${WORK}/headers there" -DCMAKE_INSTALL_DATADIR=lib/any -B "${WORK}/build")
run(${CMAKE_COMMAND} --install "${WORK}/build" --prefix "${WORK}/own")
if(NOT EXISTS "${WORK}/headers there/qaf/qaf.hpp" OR EXISTS "${WORK}/own/include")
  message(FATAL_ERROR "the headers are not where CMAKE_INSTALL_INCLUDEDIR tells")
endif()
compile("${WORK}/own/lib/any/pkgconfig" own)
