#!/bin/sh
# Builds an example and runs it.
#   sh examples/run.sh [INPUT.npy] [options of compress_layer]   a layer; without arguments one of the bundled network
#   sh examples/run.sh network [options of compress_network]     a network; without options the bundled one
#   sh examples/run.sh calibrate [options of calibrate_network]  what the inputs of a network's convolutions are like
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/examples/support/ensure_packages.sh"
program=compress_layer
case ${1-} in
  network) program=compress_network && shift ;;
  calibrate) program=calibrate_network && shift ;;
esac
ensure_packages g++:c++ cmake:cmake make:make libeigen3-dev:/usr/include/eigen3/Eigen/Core
if [ $program != compress_layer ]; then ensure_packages nlohmann-json3-dev:/usr/include/nlohmann/json.hpp; fi

build=$root/build/examples
log=$root/build/examples.log
mkdir -p "$build"
echo "building $program (a minute or two; log in build/examples.log)"
if ! { cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DQAF_NATIVE=ON -DQAF_BUILD_TESTS=OFF &&
       cmake --build "$build" --parallel --target $program; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
if [ $# -eq 0 ]; then set -- --output "$root/build/$program"; fi
exec "$build/examples/$program" "$@"
