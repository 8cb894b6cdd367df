"""Runs the Python of docs/file-formats.md and, for .npy files, of docs/getting-started.md on the files of
write_for_python: run_documentation.py FILE-FORMATS GETTING-STARTED FOLDER.

Ends with 77, which ctest takes for skipped, where there is no numpy.
"""

import importlib.util
import json
import os
import re
import sys

if importlib.util.find_spec("numpy") is None:
    print("skipped: this Python has no numpy")
    sys.exit(77)
import numpy as np

formats, start, folder = sys.argv[1:]


def blocks_of(page):
    with open(page, encoding="utf-8") as file:
        return re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)


of_direct, of_numpy, of_package, of_any = blocks_of(formats)
(of_npy,) = [block for block in blocks_of(start) if "einsum" in block]
os.chdir(folder)
kernel = np.load("kernel.npy")
np.save("layer.npy", kernel)  # which that block compares with


def check(what, found, expected):
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: {error:.1e}")
    if found.shape != expected.shape or not error < 1e-6:
        sys.exit(f"{what}: the largest difference is {error} of the largest entry")


for what, block in (("numpy alone", of_numpy), ("the .npy files", of_npy)):
    names = {}
    exec(block, names)
    check(what, names["kernel"], kernel)

if importlib.util.find_spec("safetensors") is None:
    print("the package safetensors is not installed: its lines were not run")
else:
    names = {}
    exec(of_package, names)
    check("the package safetensors", names["kernel"], kernel)

reading = "".join(of_numpy.splitlines(keepends=True)[:5])  # to where `load` is defined
cases = sorted(os.listdir("any"))
assert len(cases) == 64, len(cases)
for case in cases:
    os.chdir(os.path.join(folder, "any", case))
    names = {}
    exec(reading + of_any, names)
    for n in range(3):
        check(f"{case}, factor {n}", names["decode"]("layer.", n), np.load(f"factor{n}.npy"))

# A direct layer: one factor, and the shape of the layer's weights in the description.
os.chdir(os.path.join(folder, "any", "uniform_component"))
names = {"prefix": "layer."}
exec(reading + of_any, names)
factor, weights = np.load("factor0.npy"), names["load"](**names["header"]["layer.weights"])
description = json.loads(names["header"]["__metadata__"]["qaf:layer."])
description["shape"] = [factor.shape[1], 1, factor.shape[0]]
names["header"]["__metadata__"]["qaf:layer."] = json.dumps(description)
exec(of_direct, names)
check("a direct layer", names["weights"], (factor * weights).T.reshape(description["shape"]))
