"""Special functions that NumPy lacks."""

import math

import numpy as np
from numba import prange

from tinyvision.kernels import memory, vector_math
from tinyvision.kernels.jit import flat, jit, jit_parallel
from tinyvision.kernels.simd import lanes_of, load_first, store_first
from tinyvision.kernels.threads import count_chunks, launch


def erf_reference(x: np.ndarray) -> np.ndarray:
    """The error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    result = memory.empty(x.shape, x.dtype)
    chunks = count_chunks(x.size, 60 * x.size)
    launch(_erf, _erf_parallel, chunks, flat(x), result.reshape(-1))
    return result


@jit
def _erf(chunk, chunks, x, result):
    lanes = lanes_of(x)
    end = x.size * (chunk + 1) // chunks
    for i in range(x.size * chunk // chunks, end, lanes):
        store_first(result, i, vector_math.erf(load_first(x, i, end - i)), end - i)


@jit_parallel
def _erf_parallel(chunks, x, result):
    for chunk in prange(chunks):
        _erf(np.int64(chunk), chunks, x, result)
