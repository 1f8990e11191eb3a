"""ReLU, which every layer of a CNN runs over all its pixels.

NumPy's maximum does it in one pass, but on one thread, and choosing between two values by a mask
that nobody can predict costs its `where` several times as much. Compiled, the choice is one
vector instruction, and memory is the only limit.
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.threads import count_chunks, launch


def relu_forward_reference(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def relu_backward_reference(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    """grad_output where output is positive or NaN, else 0."""
    return np.where(output <= 0, 0, grad_output)


# Fast: the comparisons below are false for NaN, which therefore takes the other branch.


@twin_of(relu_forward_reference)
def relu_forward(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    output = memory.empty(x.shape, x.dtype)
    launch(_relu, count_chunks(x.size, x.size // 6), flat(x), output.reshape(-1))
    return output


@twin_of(relu_backward_reference)
def relu_backward(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    """grad_output where output is positive or NaN, else 0."""
    grad = memory.empty(output.shape, output.dtype)
    launch(
        _relu_backward, count_chunks(output.size, output.size // 6),
        flat(grad_output), flat(output), grad.reshape(-1),
    )  # fmt: skip
    return grad


@jit
def _relu(chunk, x, output):
    zero = x.dtype.type(0)
    # Slices, so that indices start at 0: of others Numba asks each time whether they are negative.
    start, end = begin(chunk, x.size)
    part = slice(start, end)
    x, output = x[part], output[part]
    for i in range(x.size):
        output[i] = zero if x[i] <= zero else x[i]


@jit
def _relu_backward(chunk, grad_output, output, grad):
    zero = grad.dtype.type(0)
    start, end = begin(chunk, grad.size)
    part = slice(start, end)
    grad_output, output, grad = grad_output[part], output[part], grad[part]
    for i in range(grad.size):
        grad[i] = zero if output[i] <= zero else grad_output[i]
