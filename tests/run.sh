#!/bin/sh
# Builds and runs all tests: sh tests/run.sh [--all].
# With --all not only with the compiler at hand, but with g++, with clang++, with libc++, with the address and
# undefined-behaviour sanitizers, and all sources by clang-tidy.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/examples/support/ensure_packages.sh"
ensure_packages g++:c++ cmake:cmake make:make libeigen3-dev:/usr/include/eigen3/Eigen/Core catch2:/usr/include/catch2 \
  nlohmann-json3-dev:/usr/include/nlohmann/json.hpp libopenblas-dev:/usr/share/doc/libopenblas-dev \
  python3-numpy:/usr/lib/python3/dist-packages/numpy libonnx-dev:/usr/include/onnx/onnx_pb.h \
  libprotobuf-dev:/usr/include/google/protobuf/message.h doxygen:doxygen pkg-config:pkg-config

# configure NAME CMAKE-ARGUMENT...: a configuration in a build folder of its own.
configure() {
  build=$root/build/tests-$1
  shift
  echo "== $(basename "$build")"
  # At a higher level the compiler takes longer than the tests gain.
  cmake -S "$root" -B "$build" -DQAF_WARNINGS_AS_ERRORS=ON "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG" "$@"
}

# build_and_test CTEST-ARGUMENTS [CMAKE-BUILD-ARGUMENT...]
build_and_test() {
  ctest_arguments=$1
  shift
  cmake --build "$build" --parallel 2 "$@"
  # shellcheck disable=SC2086  # words of their own
  (cd "$build" && ctest --output-on-failure --parallel 2 $ctest_arguments)
}

case ${1-} in
  '')
    configure default -DCMAKE_BUILD_TYPE=Release  # benchmarks and exhaustive tests: with --all
    build_and_test ''
    ;;
  --all)
    ensure_packages g++:g++ clang:clang++ libclang-rt-dev:/usr/share/doc/libclang-rt-dev clang-tidy:clang-tidy \
      clang-format:clang-format
    # Sanitizers: the unit tests and the sweep over random cases, with the compiler and the level at which that takes least time.
    configure sanitizers -DCMAKE_BUILD_TYPE=Sanitizers -DCMAKE_CXX_COMPILER=clang++ -DQAF_BUILD_EXAMPLES=OFF \
      -DQAF_BUILD_PROPERTY_SWEEP=ON \
      "-DCMAKE_CXX_FLAGS=-O0 -D_GLIBCXX_ASSERTIONS -fsanitize=address,undefined -fno-sanitize-recover=all"
    build_and_test '-R ^(unit|safetensors$|property)' --target qaf_tests qaf_safetensors_tests qaf_property_sweep
    # The unit tests were clang's above already.
    configure clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++
    build_and_test '-R ^(example|documentation|consumer\.(cpp20|instantiations|no_exceptions))' --target qaf_headers qaf_every_header qaf_cpp20 qaf_instantiations \
      qaf_no_exceptions quickstart custom_quantizer compress_layer calibrate_network compress_network qaf_example_tests \
      qaf_network_tests qaf_compress_network_tests qaf_documentation
    # Another standard library: all headers, and some programs and tests that use much of it.
    ensure_packages libc++-dev:/usr/share/doc/libc++-dev libc++abi-dev:/usr/share/doc/libc++abi-dev
    configure libcxx -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-stdlib=libc++ \
      -DQAF_BUILD_EXAMPLES=OFF "-DQAF_UNIT_TESTS=npy;packing;plan_text;tensor"
    build_and_test '-R ^(unit|fuzz|consumer\.(cpp20|no_exceptions))' --target qaf_tests qaf_every_header qaf_cpp20 \
      qaf_no_exceptions qaf_replay_npy qaf_replay_plan_text qaf_replay_safetensors qaf_replay_model_file
    configure gcc -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DQAF_BUILD_BENCHMARKS=ON \
      -DQAF_BUILD_EXHAUSTIVE_TESTS=ON
    build_and_test ''
    # Sources of examples and tests, each with the headers that it includes; nothing is built.
    configure tidy -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DQAF_BUILD_BENCHMARKS=ON \
      -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
    run-clang-tidy -p "$build" -j 2 -quiet "^$root/(examples|tests)/"
    ;;
  *)
    echo "tests/run.sh: expected no argument or --all, got '$1'" >&2
    exit 2
    ;;
esac
