#!/bin/sh
# Builds the examples and compresses a layer: sh examples/run.sh [INPUT.npy] [options of compress_layer].
# Without arguments it takes a convolution of the bundled network.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/examples/support/ensure_packages.sh"
ensure_packages g++:c++ cmake:cmake make:make libeigen3-dev:/usr/include/eigen3/Eigen/Core

build=$root/build/examples
log=$root/build/examples.log
mkdir -p "$build"
echo "building the examples (a minute or two; log in build/examples.log)"
if ! { cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DQAF_NATIVE=ON -DQAF_BUILD_TESTS=OFF &&
       cmake --build "$build" --parallel; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
if [ $# -eq 0 ]; then set -- --output "$root/build/compressed"; fi
exec "$build/examples/compress_layer" "$@"
