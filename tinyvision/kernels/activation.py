"""ReLU, which every layer of a CNN runs over all its pixels.

NumPy's maximum does it in one pass, but on one thread, and choosing between two values by a mask
that nobody can predict costs its `where` several times as much. Compiled, the choice is one
vector instruction, and memory is the only limit.
"""

import numpy as np
from numba import prange

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_parallel
from tinyvision.kernels.threads import count_chunks, launch


def relu_forward_reference(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def relu_backward_reference(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    """grad_output where output is positive or NaN, else 0."""
    return np.where(output <= 0, 0, grad_output)


# Fast: the comparisons below are false for NaN, which therefore takes the other branch.


def relu_forward(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    output = memory.empty(x.shape, x.dtype)
    launch(_relu, _relu_parallel, count_chunks(x.size, 4 * x.size), flat(x), output.reshape(-1))
    return output


def relu_backward(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    """grad_output where output is positive or NaN, else 0."""
    grad = memory.empty(output.shape, output.dtype)
    launch(
        _relu_backward, _relu_backward_parallel, count_chunks(output.size, 4 * output.size),
        flat(grad_output), flat(output), grad.reshape(-1),
    )  # fmt: skip
    return grad


@jit
def _relu(chunk, chunks, x, output):
    zero = x.dtype.type(0)
    # Slices, so that indices start at 0: of others Numba asks each time whether they are negative.
    part = slice(x.size * chunk // chunks, x.size * (chunk + 1) // chunks)
    x, output = x[part], output[part]
    for i in range(x.size):
        output[i] = zero if x[i] <= zero else x[i]


@jit_parallel
def _relu_parallel(chunks, x, output):
    for chunk in prange(chunks):
        _relu(np.int64(chunk), chunks, x, output)


@jit
def _relu_backward(chunk, chunks, grad_output, output, grad):
    zero = grad.dtype.type(0)
    part = slice(grad.size * chunk // chunks, grad.size * (chunk + 1) // chunks)
    grad_output, output, grad = grad_output[part], output[part], grad[part]
    for i in range(grad.size):
        grad[i] = zero if output[i] <= zero else grad_output[i]


@jit_parallel
def _relu_backward_parallel(chunks, grad_output, output, grad):
    for chunk in prange(chunks):
        _relu_backward(np.int64(chunk), chunks, grad_output, output, grad)
