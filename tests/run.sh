#!/bin/sh
# Builds and runs all tests: sh tests/run.sh [--all].
# With --all not only with the compiler at hand, but with g++, with clang++, and with the address and
# undefined-behaviour sanitizers.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/examples/support/ensure_packages.sh"
ensure_packages g++:c++ cmake:cmake make:make libeigen3-dev:/usr/include/eigen3/Eigen/Core catch2:/usr/include/catch2 \
  nlohmann-json3-dev:/usr/include/nlohmann/json.hpp

# run NAME CTEST-ARGUMENTS CMAKE-ARGUMENT...: one configuration, in a build folder of its own.
run() {
  build=$root/build/tests-$1
  ctest_arguments=$2
  shift 2
  echo "== $(basename "$build")"
  cmake -S "$root" -B "$build" -DQAF_WARNINGS_AS_ERRORS=ON "$@"
  cmake --build "$build" --parallel 2
  # shellcheck disable=SC2086  # words of their own
  (cd "$build" && ctest --output-on-failure --parallel 2 $ctest_arguments)
}

case ${1-} in
  '')
    run default '' -DCMAKE_BUILD_TYPE=Release
    ;;
  --all)
    ensure_packages g++:g++ clang:clang++
    # The tests labelled slow build projects of their own, which says nothing new with sanitizers. With
    # these, g++ 12 takes values in its own <regex> for uninitialized.
    run sanitizers '-LE slow' -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=g++ \
      "-DCMAKE_CXX_FLAGS=-O1 -D_GLIBCXX_ASSERTIONS -fsanitize=address,undefined -fno-sanitize-recover=all -Wno-maybe-uninitialized"
    run clang '-LE slow' -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++
    run gcc '' -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++
    ;;
  *)
    echo "tests/run.sh: expected no argument or --all, got '$1'" >&2
    exit 2
    ;;
esac
