"""Softmax, its logarithm, and the cross-entropy of class scores, row by row.

    softmax(x)[i] = e^(x[i] - m) / t        m = max x, t = sum over i of e^(x[i] - m)
    log_softmax(x)[i] = x[i] - m - log t

    cross_entropy(x, c) = -(1 - s) w[c] l[c] - s / D sum over i of w[i] l[i], l = log_softmax(x)

for class c, weights w of the classes, and label smoothing s. Subtracting m changes nothing, and
keeps e^x from overflowing.

Shapes: x (M, D), c (M,) integers, w (D,).

Gradients, for g = dL/dy:
    softmax: dx = y (g - sum of g y)
    log_softmax: dx = g - e^y sum of g
    cross_entropy: dx[i] = g (h + s / D sum of w) softmax(x)[i] - g s / D w[i], and less h g where
    i = c, with h = (1 - s) w[c]
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_inline, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    fma,
    lanes_of,
    largest,
    load,
    load_between,
    load_or,
    load_part,
    maximum,
    mul,
    splat,
    store_part,
    sub,
    total,
)
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.vector_math import exp

# Plain ------------------------------------------------------------------------------------------


def softmax_forward_reference(x: np.ndarray, log: bool) -> np.ndarray:
    """The softmax of each row, or its logarithm."""
    with np.errstate(all="ignore"):  # rows of -inf are NaN
        shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
        t = np.exp(shifted).sum(axis=1, keepdims=True)
        return shifted - np.log(t) if log else np.exp(shifted) / t


def softmax_backward_reference(grad_output: np.ndarray, y: np.ndarray, log: bool) -> np.ndarray:
    """y is what the forward returned."""
    with np.errstate(all="ignore"):
        if log:
            return grad_output - np.exp(y) * grad_output.sum(axis=1, keepdims=True)
        return y * (grad_output - (grad_output * y).sum(axis=1, keepdims=True))


def cross_entropy_forward_reference(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray, ignore_index: int, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the losses and the weights of their targets, (2, M), 0 if ignored; log_softmax(x)."""
    D, s = x.shape[1], smoothing
    log_p = softmax_forward_reference(x, log=True)
    ignored = target == ignore_index
    c = np.where(ignored, 0, target)
    with np.errstate(all="ignore"):
        losses = -(1 - s) * weight[c] * log_p[np.arange(len(x)), c]
        if s:
            losses -= s / D * (weight * log_p).sum(axis=1)
    return np.where(ignored, 0, (losses, weight[c])).astype(x.dtype), log_p


def cross_entropy_backward_reference(
    grad_losses: np.ndarray, target: np.ndarray, weight: np.ndarray, ignore_index: int,
    smoothing: float, log_p: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The gradient of x; log_p is what the forward returned."""
    M, D = log_p.shape
    ignored = target == ignore_index
    c = np.where(ignored, 0, target)
    g = np.where(ignored, 0, grad_losses)
    on_target = (1 - smoothing) * weight[c]
    on_each = smoothing / D * weight
    with np.errstate(all="ignore"):
        grad_x = (g * (on_target + on_each.sum()))[:, None] * np.exp(log_p) - g[:, None] * on_each
    grad_x[np.arange(M), c] -= g * on_target
    return grad_x.astype(log_p.dtype)


# Fast -------------------------------------------------------------------------------------------
# A row stays in the L1 cache from its maximum to its last number. In vectors beyond a row's end,
# lanes are -inf, of which e^x is 0.


@twin_of(softmax_forward_reference)
def softmax_forward(x: np.ndarray, log: bool) -> np.ndarray:
    """The softmax of each row, or its logarithm."""
    y = memory.empty(x.shape, x.dtype)
    if x.size > 0:
        chunks = count_chunks(len(x), 20 * len(x) + x.size)
        launch(_softmax, chunks, flat(x), y.reshape(-1), x.shape[1], log)
    return y


@twin_of(softmax_backward_reference)
def softmax_backward(grad_output: np.ndarray, y: np.ndarray, log: bool) -> np.ndarray:
    """y is what the forward returned."""
    grad_x = memory.empty(y.shape, y.dtype)
    if y.size > 0:
        chunks = count_chunks(len(y), 10 * len(y) + y.size // 2)
        arrays = flat(grad_output), flat(y), grad_x.reshape(-1)
        launch(_softmax_backward, chunks, *arrays, y.shape[1], log)
    return grad_x


@twin_of(cross_entropy_forward_reference)
def cross_entropy_forward(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray, ignore_index: int, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the losses and the weights of their targets, (2, M), 0 if ignored; log_softmax(x)."""
    losses_and_weights = np.zeros((2, len(x)), x.dtype)
    log_p = memory.empty(x.shape, x.dtype)
    if x.size > 0:
        arrays = flat(x), flat(target), flat(weight), losses_and_weights, log_p.reshape(-1)
        chunks = count_chunks(len(x), 20 * len(x) + x.size)
        launch(_cross_entropy, chunks, *arrays, ignore_index, float(smoothing))
    return losses_and_weights, log_p


@twin_of(cross_entropy_backward_reference)
def cross_entropy_backward(
    grad_losses: np.ndarray, target: np.ndarray, weight: np.ndarray, ignore_index: int,
    smoothing: float, log_p: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The gradient of x; log_p is what the forward returned."""
    grad_x = memory.empty(log_p.shape, log_p.dtype)
    if log_p.size > 0:
        arrays = flat(grad_losses), flat(target), flat(weight), flat(log_p), grad_x.reshape(-1)
        chunks = count_chunks(len(log_p), 10 * len(log_p) + log_p.size // 2)
        launch(_cross_entropy_backward, chunks, *arrays, ignore_index, float(smoothing))
    return grad_x


@jit_inline
def _row_max(x, at, D):
    """The largest of x[at : at + D]."""
    row_max = lowest = splat(x.dtype.type(-np.inf))
    for d in range(0, D, lanes_of(x)):
        row_max = maximum(row_max, load_or(x, at + d, D - d, lowest))
    return largest(row_max)


@jit_part
def _softmax_row(x, y, at, D, log):
    """y[at : at + D] = softmax(x[at : at + D]), or its logarithm."""
    lanes, number = lanes_of(x), x.dtype.type
    lowest, whole = splat(number(-np.inf)), D // lanes * lanes
    row_max, sums = splat(_row_max(x, at, D)), splat(number(0))
    for d in range(0, whole, lanes):
        power = exp(sub(load(x, at + d), row_max))
        sums = add(sums, power)
        if not log:
            store_part(y, at + d, power, lanes)
    if whole < D:
        power = exp(sub(load_between(x, at + whole, 0, D - whole, lowest), row_max))
        sums = add(sums, power)
        if not log:
            store_part(y, at + whole, power, D - whole)
    if log:
        rest = splat(number(np.log(total(sums))))
        for d in range(0, D, lanes):
            value = sub(sub(load_part(x, at + d, D - d), row_max), rest)
            store_part(y, at + d, value, D - d)
    else:
        scale = splat(number(1) / total(sums))
        for d in range(0, D, lanes):
            store_part(y, at + d, mul(load_part(y, at + d, D - d), scale), D - d)


@jit
def _softmax(chunk, x, y, D, log):
    first, last = begin(chunk, x.size // D)
    for m in range(first, last):
        _softmax_row(x, y, m * D, D, log)


@jit
def _softmax_backward(chunk, grad_output, y, grad_x, D, log):
    lanes, number = lanes_of(y), y.dtype.type
    first, last = begin(chunk, y.size // D)
    for m in range(first, last):
        at = m * D
        sums = splat(number(0))
        for d in range(0, D, lanes):
            g = load_part(grad_output, at + d, D - d)
            sums = add(sums, g) if log else fma(g, load_part(y, at + d, D - d), sums)
        row_sum = splat(total(sums))
        for d in range(0, D, lanes):
            g, value = load_part(grad_output, at + d, D - d), load_part(y, at + d, D - d)
            grad = sub(g, mul(exp(value), row_sum)) if log else mul(value, sub(g, row_sum))
            store_part(grad_x, at + d, grad, D - d)


@jit
def _cross_entropy(chunk, x, target, weight, results, log_p, ignore_index, smoothing):
    lanes, number, D = lanes_of(x), x.dtype.type, weight.size
    first, last = begin(chunk, target.size)
    for m in range(first, last):
        _softmax_row(x, log_p, m * D, D, True)
        c = target[m]
        if c == ignore_index:
            continue
        results[1, m] = weight[c]
        results[0, m] = -number(1 - smoothing) * weight[c] * log_p[m * D + c]
        if smoothing != 0:
            sums = splat(number(0))
            for d in range(0, D, lanes):
                left = D - d
                sums = fma(load_part(weight, d, left), load_part(log_p, m * D + d, left), sums)
            results[0, m] -= number(smoothing / D) * total(sums)


@jit
def _cross_entropy_backward(
    chunk, grad_losses, target, weight, log_p, grad_x, ignore_index, smoothing
):
    lanes, number, D = lanes_of(log_p), log_p.dtype.type, weight.size
    first, last = begin(chunk, target.size)
    on_each, sum_of_each = splat(number(smoothing / D)), number(smoothing / D) * weight.sum()
    for m in range(first, last):
        at, c, g = m * D, target[m], grad_losses[m]
        if c == ignore_index:
            c, g = 0, number(0)
        on_target = number(1 - smoothing) * weight[c]
        of_all, of_each = splat(g * (on_target + sum_of_each)), mul(splat(-g), on_each)
        for d in range(0, D, lanes):
            left = D - d
            grad = mul(of_all, exp(load_part(log_p, at + d, left)))
            if smoothing != 0:
                grad = fma(of_each, load_part(weight, d, left), grad)
            store_part(grad_x, at + d, grad, left)
        grad_x[at + c] -= g * on_target
