#!/usr/bin/env python3
"""Writes the .npy files that tests/unit/npy_test.cpp reads: run in this folder, with numpy 1.24.

Entry k, counted in C order, is made from the top bits of (k + 1) * 0x9E3779B97F4A7C15 mod 2^64:
all bits of an integer; of a float as many as its significand has, minus half their range, over 1024.
"""
import numpy as np

TYPES = "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()


def entries(name, shape):
    dtype = np.dtype(name)
    bits = {"float32": 24, "float64": 53}.get(name, 8 * dtype.itemsize)
    top = [(k + 1) * 0x9E3779B97F4A7C15 % 2**64 >> (64 - bits) for k in range(int(np.prod(shape)))]
    if dtype.kind == "f":
        values = [(t - 2 ** (bits - 1)) / 1024 for t in top]
    elif dtype.kind == "i":
        values = [t - 2**bits if t >= 2 ** (bits - 1) else t for t in top]
    else:
        values = top
    return np.array(values, dtype=dtype).reshape(shape)


for name in TYPES:
    array = entries(name, (2, 3, 4))
    np.save(f"{name}_c.npy", array)
    np.save(f"{name}_fortran.npy", np.array(array, order="F"))
    np.save(f"{name}_big_endian.npy", array.astype(array.dtype.newbyteorder(">")))

for major in (2, 3):
    with open(f"version_{major}.npy", "wb") as file:
        np.lib.format.write_array(file, entries("float32", (2, 3, 4)), version=(major, 0))

SHAPES = {"scalar": (), "empty": (3, 0, 2), "vector": (5,), "row": (1, 5), "column": (5, 1), "four_modes": (2, 3, 1, 2),
          "many_by_none": (1200, 0), "matrix": (3, 4), "one_long_mode": (1, 7, 1)}
for name, shape in SHAPES.items():
    np.save(f"{name}_c.npy", entries("float64", shape))
    np.save(f"{name}_fortran.npy", np.array(entries("float64", shape), order="F"))

REFUSED = {"float16": np.zeros(2, "f2"), "longdouble": np.zeros(2, "g"), "bool": np.zeros(2, bool),
           "complex64": np.zeros(2, "c8"), "object": np.array([1, "a"], object), "bytes": np.zeros(2, "S3"),
           "unicode": np.zeros(2, "U3"), "date": np.zeros(2, "M8[s]"), "duration": np.zeros(2, "m8[s]"),
           "void": np.zeros(2, "V3"), "structured": np.zeros(2, [("a", "f4"), ("b", "i2")])}
for name, array in REFUSED.items():
    np.save(f"refused_{name}.npy", array)
