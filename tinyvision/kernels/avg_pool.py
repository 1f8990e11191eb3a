"""Average pooling: the mean of each window of an image, and its gradient.

    output[n, c, i, j] = sum of input[n, c, top[i]:bottom[i], left[j]:right[j]] / sizes[i, j]

The bounds tell where the windows are, of ordinary as of adaptive pooling: windows.py.

Shapes: input (N, C, H, W), output (N, C, H_out, W_out).
Gradients: d_input[each pixel of the window] += d_output / size.
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    div,
    evens,
    lanes_of,
    load,
    load_part,
    splat,
    store,
    store_part,
    sum_run,
)
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.windows import Bounds


def avg_pool2d_forward_reference(input: np.ndarray, bounds: Bounds) -> np.ndarray:
    """The mean of each window."""
    top, bottom, left, right, sizes = bounds
    output = np.empty((*input.shape[:2], *sizes.shape), input.dtype)
    for i, j in np.ndindex(*sizes.shape):
        window = input[:, :, top[i] : bottom[i], left[j] : right[j]]
        output[:, :, i, j] = window.sum(axis=(2, 3)) / sizes[i, j]
    return output


def avg_pool2d_backward_reference(
    grad_output: np.ndarray, bounds: Bounds, input_shape: tuple[int, int, int, int]
) -> np.ndarray:
    """Gives each pixel of a window its part of the window's gradient."""
    top, bottom, left, right, sizes = bounds
    grad_input = np.zeros(input_shape, grad_output.dtype)
    for i, j in np.ndindex(*sizes.shape):
        each = grad_output[:, :, i, j] / sizes[i, j]
        grad_input[:, :, top[i] : bottom[i], left[j] : right[j]] += each[:, :, None, None]
    return grad_input


# Memory is the limit here. Vectors add up the rows of a window first, and then there are few
# numbers left. Threads share out planes.
@twin_of(avg_pool2d_forward_reference)
def avg_pool2d_forward(input: np.ndarray, bounds: Bounds) -> np.ndarray:
    """The mean of each window."""
    N, C, H, W = input.shape
    *edges, sizes = bounds
    output = memory.empty((N, C, *sizes.shape), input.dtype)
    chunks = count_chunks(N * C, max(input.size, output.size) // 4)
    launch(
        _means, chunks, flat(input), output.reshape(-1), *edges,
        sizes.reshape(-1).astype(input.dtype), N * C, H, W,
    )  # fmt: skip
    return output


@jit
def _means(chunk, input, output, top, bottom, left, right, sizes, planes, H, W):
    lanes = lanes_of(input)
    first, last = begin(chunk, planes)
    sums = np.zeros(W + 3 * lanes, input.dtype)  # of a window's rows, and what vectors overrun
    whole_rows = left.size == 1 and left[0] == 0 and right[0] == W
    by_twos = _are_pairs(left, right)
    for plane in range(first, last):
        for i in range(top.size):
            start, rows = (plane * H + top[i]) * W, bottom[i] - top[i]
            window = i * left.size
            to = plane * sizes.size + window
            if whole_rows:  # one run, as in global pooling
                output[to] = sum_run(input, start, rows * W) / sizes[window]
                continue
            for w in range(0, W, lanes):
                part = splat(input.dtype.type(0))
                for row in range(rows):
                    part = add(part, load_part(input, start + row * W + w, W - w))
                store(sums, w, part)
            if by_twos:
                for j in range(0, left.size, lanes):
                    firsts = evens(load(sums, 2 * j), load(sums, 2 * j + lanes))
                    seconds = evens(load(sums, 2 * j + 1), load(sums, 2 * j + 1 + lanes))
                    counts = load_part(sizes, window + j, left.size - j)
                    store_part(output, to + j, div(add(firsts, seconds), counts), left.size - j)
                continue
            for j in range(left.size):
                value = input.dtype.type(0)
                for w in range(left[j], right[j]):
                    value += sums[w]
                output[to + j] = value / sizes[window + j]


@jit_part
def _are_pairs(left, right):
    """Whether the windows are of columns 0 and 1, 2 and 3, and so on."""
    for j in range(left.size):
        if left[j] != 2 * j or right[j] != 2 * j + 2:
            return False
    return True


@twin_of(avg_pool2d_backward_reference)
def avg_pool2d_backward(
    grad_output: np.ndarray, bounds: Bounds, input_shape: tuple[int, int, int, int]
) -> np.ndarray:
    """Gives each pixel of a window its part of the window's gradient."""
    N, C, H, W = input_shape
    *edges, sizes = bounds
    grad_input = memory.empty(input_shape, grad_output.dtype)
    chunks = count_chunks(N * C, max(grad_input.size, grad_output.size) // 4)
    launch(
        _distribute, chunks, flat(grad_output), grad_input.reshape(-1), *edges,
        sizes.reshape(-1).astype(grad_output.dtype), N * C, H, W,
    )  # fmt: skip
    return grad_input


@jit
def _distribute(chunk, grad_output, grad_input, top, bottom, left, right, sizes, planes, H, W):
    lanes = lanes_of(grad_input)
    first, last = begin(chunk, planes)
    row = np.zeros(W + lanes, grad_input.dtype)
    whole_rows = left.size == 1 and left[0] == 0 and right[0] == W
    for plane in range(first, last):
        grad_input[plane * H * W : (plane + 1) * H * W] = 0
        for i in range(top.size):
            window = i * left.size
            at, start = plane * sizes.size + window, (plane * H + top[i]) * W
            rows = bottom[i] - top[i]
            if whole_rows:
                _add_run(grad_input, start, rows * W, grad_output[at] / sizes[window])
                continue
            row[:] = 0
            for j in range(left.size):
                each = grad_output[at + j] / sizes[window + j]
                for w in range(left[j], right[j]):
                    row[w] += each
            for w in range(0, W, lanes):
                part = load(row, w)
                for to in range(start + w, start + w + rows * W, W):
                    store_part(grad_input, to, add(load_part(grad_input, to, W - w), part), W - w)


@jit_part
def _add_run(target, to, count, value):
    """target[to : to + count] += value"""
    lanes, values = lanes_of(target), splat(value)
    for i in range(0, count, lanes):
        left = count - i
        store_part(target, to + i, add(load_part(target, to + i, left), values), left)
