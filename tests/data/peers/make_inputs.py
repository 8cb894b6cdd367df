#!/usr/bin/env python3
"""Writes the tensors and starts that tests/unit/peers_test.cpp reads: run in this folder, with numpy 1.24.

A start is the factors one under the other (`sum I_n` x R).
"""
import numpy as np


def save(name, tensor, start):
    np.save(f"{name}_tensor.npy", tensor)
    np.save(f"{name}_start.npy", np.concatenate(start))


def normal(generator, shape, rank):
    return [generator.standard_normal((length, rank)) for length in shape]


def matrix_multiplication(m, p, n):
    tensor = np.zeros((m * p, p * n, m * n))
    for i in range(m):
        for j in range(p):
            for k in range(n):
                tensor[i * p + j, j * n + k, i * n + k] = 1
    return tensor


# Those of pyttb's tutorial, by its own calls of numpy.
np.random.seed(0)
uniform = np.random.rand(6, 8, 10)
for seed in (0, 1):
    np.random.seed(seed)
    save(f"uniform_seed{seed}", uniform, [np.random.uniform(0, 1, (length, 3)) for length in uniform.shape])

generator = np.random.RandomState(7)
for name, shape, rank in [("matrix", (7, 5), 3), ("order4", (4, 3, 5, 2), 3), ("order5", (3, 2, 4, 2, 3), 2),
                          ("many_components", (4, 5, 3), 8)]:
    save(name, generator.standard_normal(shape), normal(generator, shape, rank))

save("multiplication", matrix_multiplication(2, 2, 2), normal(generator, (4, 4, 4), 7))

a, b = np.eye(2)
border = sum(np.einsum("i,j,k->ijk", *vectors) for vectors in [(a, a, b), (a, b, a), (b, a, a)])
save("border_rank", border, normal(generator, (2, 2, 2), 2))
