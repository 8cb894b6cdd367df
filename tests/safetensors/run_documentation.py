"""Runs the Python of docs/file-formats.md on the files of write_for_python: run_documentation.py PAGE FOLDER.

Ends with 77, which ctest takes for skipped, where there is no numpy.
"""

import importlib.util
import os
import re
import sys

if importlib.util.find_spec("numpy") is None:
    print("skipped: this Python has no numpy")
    sys.exit(77)
import numpy as np

page, folder = sys.argv[1:]
with open(page, encoding="utf-8") as file:
    blocks = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
of_numpy, of_package, of_any, of_npy = blocks
os.chdir(folder)
kernel = np.load("kernel.npy")


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

reading = "".join(of_numpy.splitlines(keepends=True)[:4])  # to where `load` is defined
cases = sorted(os.listdir("any"))
assert len(cases) == 64, len(cases)
for case in cases:
    os.chdir(os.path.join(folder, "any", case))
    names = {}
    exec(reading + of_any, names)
    for n in range(3):
        check(f"{case}, factor {n}", names["decode"]("layer.", n), np.load(f"factor{n}.npy"))
