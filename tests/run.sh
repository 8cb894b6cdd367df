#!/bin/sh
# Builds and runs all tests: sh tests/run.sh [--all | PART...].
# Without an argument with the compiler at hand. With parts only these, with --all all of them:
#   --coverage  clang's address and undefined-behaviour sanitizers, and how many lines of include/ were run
#   --examples  tests of the example programs with the same sanitizers
#   --threads   clang's thread sanitizer: what shares work between threads
#   --memory    the example programs on small input under valgrind
#   --random    solvers and quantizers on random cases, with the sanitizers
#   --clang     headers, examples and pages with clang++
#   --libc++    headers, and tests that use much of the standard library, with clang++ and libc++
#   --gcc       all tests with g++, with the benchmarks and the comparisons with every other choice
#   --tidy      clang-tidy on all sources
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

# Checked by the address and the undefined-behaviour sanitizer and counted at once, since that takes one build; with the
# compiler and the level at which it takes least time. Fails below 95 percent of the lines.
coverage() {
  ensure_packages clang:clang++ llvm:/usr/share/doc/llvm libclang-rt-dev:/usr/share/doc/libclang-rt-dev
  configure coverage -DCMAKE_BUILD_TYPE=Sanitizers -DCMAKE_CXX_COMPILER=clang++ \
    "-DCMAKE_CXX_FLAGS=-O0 $sanitizers -fprofile-instr-generate -fcoverage-mapping"
  rm -rf "$build/profiles"
  # One file a program: what its runs count is added up in it.
  LLVM_PROFILE_FILE=$build/profiles/%m.profraw
  export LLVM_PROFILE_FILE
  # shellcheck disable=SC2086  # words of their own
  build_and_test '-R ^(unit|threads|safetensors$|onnx$|fuzz)' --target qaf_tests qaf_threads_tests \
    qaf_safetensors_tests qaf_onnx_tests $replays
  unset LLVM_PROFILE_FILE
  CXX=clang++ sh "$root/tests/coverage.sh" "$build" 95
}

# At a higher level, since the programs take longer than the compiler.
example_programs() {
  ensure_packages clang:clang++ libclang-rt-dev:/usr/share/doc/libclang-rt-dev
  configure examples -DCMAKE_BUILD_TYPE=Sanitizers -DCMAKE_CXX_COMPILER=clang++ "-DCMAKE_CXX_FLAGS=-O1 $sanitizers"
  # shellcheck disable=SC2086  # words of their own
  build_and_test '-R ^example' --target $examples
}

# With clang's OpenMP, whose `archer` tells the sanitizer what a team of threads has put in order; g++'s tells it nothing.
threads() {
  ensure_packages clang:clang++ libclang-rt-dev:/usr/share/doc/libclang-rt-dev libomp-dev:/usr/share/doc/libomp-dev
  configure threads -DCMAKE_BUILD_TYPE=Sanitizers -DCMAKE_CXX_COMPILER=clang++ \
    "-DCMAKE_CXX_FLAGS=-O1 -g1 -fsanitize=thread"
  OMP_TOOL_LIBRARIES=$(clang++ -print-file-name=libarcher.so)
  TSAN_OPTIONS=ignore_noninstrumented_modules=1
  export OMP_TOOL_LIBRARIES TSAN_OPTIONS
  build_and_test '-R ^(threads|example.(compress_network|stopped_programs))' --target qaf_threads_tests \
    qaf_compress_network_tests qaf_stopped_programs_tests
  unset OMP_TOOL_LIBRARIES TSAN_OPTIONS
}

# The example programs as they are, and on the least of input.
memory() {
  ensure_packages valgrind:valgrind
  configure memory -DCMAKE_BUILD_TYPE=Memory "-DCMAKE_CXX_FLAGS=-O1 -g1 -DNDEBUG"
  cmake --build "$build" --parallel 2 --target quickstart custom_quantizer compress_layer calibrate_network compress_network
  sh "$root/tests/memory.sh" "$build/examples"
}

# Sanitizers as above, without counting.
random_cases() {
  ensure_packages clang:clang++ libclang-rt-dev:/usr/share/doc/libclang-rt-dev
  configure random -DCMAKE_BUILD_TYPE=Sanitizers -DCMAKE_CXX_COMPILER=clang++ -DQAF_BUILD_EXAMPLES=OFF \
    -DQAF_BUILD_PROPERTY_SWEEP=ON "-DCMAKE_CXX_FLAGS=-O1 $sanitizers"
  build_and_test '-R ^property' --target qaf_property_sweep
}

# The unit tests are clang's in `coverage`.
clang() {
  ensure_packages clang:clang++
  configure clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON
  # shellcheck disable=SC2086  # words of their own
  build_and_test '-R ^(example|documentation|consumer\.(cpp20|instantiations|no_exceptions))' --target qaf_headers \
    qaf_every_header qaf_cpp20 qaf_instantiations qaf_no_exceptions $examples qaf_documentation
}

libcxx() {
  ensure_packages clang:clang++ libc++-dev:/usr/share/doc/libc++-dev libc++abi-dev:/usr/share/doc/libc++abi-dev
  configure libcxx -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-stdlib=libc++ \
    -DQAF_BUILD_EXAMPLES=OFF "-DQAF_UNIT_TESTS=npy;packing;plan_text;tensor"
  # shellcheck disable=SC2086
  build_and_test '-R ^(unit|fuzz|consumer\.(cpp20|no_exceptions))' --target qaf_tests qaf_every_header qaf_cpp20 \
    qaf_no_exceptions $replays
}

gcc() {
  ensure_packages g++:g++
  configure gcc -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DQAF_BUILD_BENCHMARKS=ON \
    -DQAF_BUILD_EXHAUSTIVE_TESTS=ON
  build_and_test ''
}

# Each source with the headers that it includes; nothing is built.
tidy() {
  ensure_packages clang:clang++ clang-tidy:clang-tidy
  configure tidy -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DQAF_BUILD_BENCHMARKS=ON \
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON
  run-clang-tidy -p "$build" -j 2 -quiet "^$root/(examples|tests)/"
}

sanitizers="-g1 -D_GLIBCXX_ASSERTIONS -fsanitize=address,undefined -fno-sanitize-recover=all"
examples="quickstart custom_quantizer compress_layer calibrate_network compress_network qaf_example_tests \
  qaf_network_tests qaf_compress_network_tests qaf_stopped_programs_tests qaf_two_sided_ternary_tests"
replays="qaf_replay_npy qaf_replay_plan_text qaf_replay_safetensors qaf_replay_model_file qaf_replay_network_description"
if [ $# -eq 0 ]; then
  configure default -DCMAKE_BUILD_TYPE=Release
  build_and_test ''
fi
if [ "${1-}" = --all ]; then
  set -- --coverage --examples --threads --memory --random --clang --libc++ --gcc --tidy
fi
for part in "$@"; do
  case $part in
    --coverage) coverage ;;
    --examples) example_programs ;;
    --threads) threads ;;
    --memory) memory ;;
    --random) random_cases ;;
    --clang) clang ;;
    --libc++) libcxx ;;
    --gcc) gcc ;;
    --tidy) tidy ;;
    *)
      echo "tests/run.sh: expected no argument, --all, --coverage, --examples, --threads, --memory, --random, --clang," \
        "--libc++, --gcc or --tidy, got '$part'" >&2
      exit 2
      ;;
  esac
done
