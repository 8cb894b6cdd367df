#!/bin/sh
# The example programs on small input under valgrind: sh tests/memory.sh FOLDER, which holds them. Fails at the first
# byte that is read before it is written, out of bounds or lost.
set -eu
programs=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# python3 may be one without numpy; Debian's is /usr/bin/python3.
PATH=/usr/bin:$PATH python3 - "$work" <<'END'
import sys
import numpy as np
draw = np.random.default_rng(1)
np.save(f"{sys.argv[1]}/layer.npy", draw.standard_normal((8, 6, 3, 3), dtype=np.float32))
np.save(f"{sys.argv[1]}/images.npy", draw.integers(0, 256, (3, 1, 12, 12), dtype=np.uint8))
np.save(f"{sys.argv[1]}/labels.npy", np.zeros(3, dtype=np.uint8))
END

check() {
  echo "valgrind $*"
  program=$1
  shift
  valgrind --quiet --error-exitcode=1 --leak-check=full "$programs/$program" "$@" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
}
check compress_layer "$work/layer.npy" --rank 5 --effort quick --output "$work/layer"
check compress_layer "$work/layer.npy" --rank 3 --effort quick --quantizer affine --granularity row --json
check calibrate_network --images "$work/images.npy" --output "$work/moments"
check compress_network --layers conv2 --effort quick --reduction 100 --calibration "$work/images.npy" \
  --images "$work/images.npy" --labels "$work/labels.npy" --output "$work/network"
check compress_network --layers conv1 --effort quick --budget 2 --calibration none --jobs 2 \
  --images "$work/images.npy" --labels "$work/labels.npy" --output "$work/budget"
check quickstart
check custom_quantizer
echo "valgrind found nothing"
