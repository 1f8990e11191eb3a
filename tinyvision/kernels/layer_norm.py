"""Layer normalisation: every row of a matrix to mean 0 and variance 1; and RMS normalisation.

    mean[m] = mean of input[m, :]                              (0 in RMS normalisation)
    rstd[m] = 1 / sqrt(mean of (input[m, :] - mean[m])^2 + eps)
    output[m, d] = (input[m, d] - mean[m]) * rstd[m] * weight[d] + bias[d]

Shapes: input and output (M, D), weight and bias (D,), mean and rstd (M,).

Gradients, with xhat = (input - mean) * rstd and g = d_output * weight:
    d_bias = sum of d_output over the rows, d_weight = sum of d_output * xhat over the rows
    d_input = rstd * (g - mean of g - xhat * mean of (g * xhat)), the means being over a row;
        without the mean of g in RMS normalisation

Source: Ba, Kiros and Hinton 2016, arXiv 1607.06450; Zhang and Sennrich 2019, arXiv 1910.07467.
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    fma,
    lanes_of,
    load,
    load_first,
    mul,
    splat,
    store,
    store_first,
    sub,
    sum_run,
    sums_about,
    total,
)
from tinyvision.kernels.threads import count_chunks, launch

Arrays3 = tuple[np.ndarray, np.ndarray, np.ndarray]


def layer_norm_forward_reference(
    input: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centre: bool,
) -> Arrays3:  # fmt: skip
    """Returns (output, mean, rstd); centre=False is RMS normalisation."""
    mean = input.mean(axis=1, dtype=np.float64) * centre
    centred = input - mean[:, None]
    rstd = 1 / np.sqrt(np.square(centred).mean(axis=1) + eps)
    output = centred * rstd[:, None]
    if weight is not None:
        output = output * weight
    if bias is not None:
        output = output + bias
    output, mean, rstd = (a.astype(input.dtype) for a in (output, mean, rstd))
    return output, mean, rstd


def layer_norm_backward_reference(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray | None, mean: np.ndarray,
    rstd: np.ndarray, centre: bool,
) -> Arrays3:  # fmt: skip
    """Returns (grad_input, grad_weight, grad_bias)."""
    normalized = (input - mean[:, None]) * rstd[:, None]
    grad_bias = grad_output.sum(axis=0)
    grad_weight = (grad_output * normalized).sum(axis=0)
    g = grad_output if weight is None else grad_output * weight
    projection = (g * normalized).mean(axis=1, keepdims=True)
    grad_input = g - normalized * projection
    if centre:
        grad_input = grad_input - g.mean(axis=1, keepdims=True)
    return grad_input * rstd[:, None], grad_weight, grad_bias


# Fast: a row is read from memory once and stays in the cache for its mean, the variance about
# that mean (the mean of squares minus the squared mean would lose all digits where the mean is
# large) and its output. The sums over the rows, d_weight and d_bias, are made for BLOCKS fixed
# parts of the rows and then added up, so that they are the same for any number of threads.

BLOCKS = 16


@twin_of(layer_norm_forward_reference)
def layer_norm_forward(
    input: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centre: bool,
) -> Arrays3:  # fmt: skip
    """Returns (output, mean, rstd); centre=False is RMS normalisation."""
    M, D = input.shape
    output = memory.empty(input.shape, input.dtype)
    mean, rstd = np.empty(M, input.dtype), np.empty(M, input.dtype)
    weight = np.ones(D, input.dtype) if weight is None else weight
    bias = np.zeros(D, input.dtype) if bias is None else bias
    launch(
        _normalize, count_chunks(M, input.size // 3), flat(input),
        flat(weight), flat(bias), output.reshape(-1), mean, rstd, D, input.dtype.type(eps), centre,
    )  # fmt: skip
    return output, mean, rstd


@jit
def _normalize(chunk, input, weight, bias, output, mean, rstd, D, eps, centre):
    first, last = begin(chunk, mean.size)
    lanes, number = lanes_of(input), input.dtype.type
    whole, left, one_over_D = D // lanes * lanes, D % lanes, number(1 / D)
    for m in range(first, last):
        start = m * D
        mean[m] = sum_run(input, start, D) * one_over_D if centre else number(0)
        rest, squares = sums_about(input, start, D, mean[m])
        # What rounding the mean left over; it matters when the mean is large.
        rest = rest * one_over_D if centre else number(0)
        var = max(squares * one_over_D - rest * rest, number(0))
        rstd[m] = number(1) / np.sqrt(var + eps)
        centres, scale, shift = splat(mean[m]), splat(rstd[m]), splat(-rest * rstd[m])
        for d in range(0, whole, lanes):
            normalized = fma(sub(load(input, start + d), centres), scale, shift)
            store(output, start + d, fma(normalized, load(weight, d), load(bias, d)))
        if left > 0:
            x = sub(load_first(input, start + whole, left), centres)
            w, b = load_first(weight, whole, left), load_first(bias, whole, left)
            store_first(output, start + whole, fma(fma(x, scale, shift), w, b), left)


@twin_of(layer_norm_backward_reference)
def layer_norm_backward(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray | None, mean: np.ndarray,
    rstd: np.ndarray, centre: bool,
) -> Arrays3:  # fmt: skip
    """Returns (grad_input, grad_weight, grad_bias)."""
    D = input.shape[1]
    grad_input = memory.empty(input.shape, input.dtype)
    weight = np.ones(D, input.dtype) if weight is None else weight
    sums = np.zeros((2, BLOCKS, D), input.dtype)  # of d_weight and d_bias, by block
    launch(
        _normalize_backward, count_chunks(BLOCKS, input.size // 2),
        flat(grad_output), flat(input), flat(weight), flat(mean), flat(rstd),
        grad_input.reshape(-1), sums.reshape(-1), D, centre,
    )  # fmt: skip
    grad_weight, grad_bias = sums.sum(axis=1)
    return grad_input, grad_weight, grad_bias


@jit
def _normalize_backward(chunk, grad_output, input, weight, mean, rstd, grad_input, sums, D, centre):
    M = mean.size
    first, last = begin(chunk, BLOCKS)
    for block in range(first, last):
        for m in range(M * block // BLOCKS, M * (block + 1) // BLOCKS):
            _row_backward(
                grad_output, input, m * D, weight, mean[m], rstd[m], grad_input,
                sums, block * D, (BLOCKS + block) * D, D, centre,
            )  # fmt: skip


@jit_part
def _row_backward(
    grad_output, input, start, weight, mean, rstd, grad_input, sums, to_weight, to_bias, D, centre
):
    """d_input of one row; adds what the row contributes to d_weight and d_bias."""
    lanes, number = lanes_of(input), input.dtype.type
    centres, scale, zero = splat(mean), splat(rstd), splat(number(0))
    whole, left, one_over_D = D // lanes * lanes, D % lanes, number(1 / D)
    g_sum, projection = zero, zero
    for d in range(0, whole, lanes):
        grad = load(grad_output, start + d)
        normalized = mul(sub(load(input, start + d), centres), scale)
        g = mul(grad, load(weight, d))
        g_sum, projection = add(g_sum, g), fma(g, normalized, projection)
        store(sums, to_weight + d, fma(grad, normalized, load(sums, to_weight + d)))
        store(sums, to_bias + d, add(grad, load(sums, to_bias + d)))
    if left > 0:
        grad = load_first(grad_output, start + whole, left)
        normalized = mul(sub(load_first(input, start + whole, left), centres), scale)
        g = mul(grad, load_first(weight, whole, left))
        g_sum, projection = add(g_sum, g), fma(g, normalized, projection)
        w, b = to_weight + whole, to_bias + whole
        store_first(sums, w, fma(grad, normalized, load_first(sums, w, left)), left)
        store_first(sums, b, add(grad, load_first(sums, b, left)), left)
    g_mean = splat(total(g_sum) * one_over_D if centre else number(0))
    slope = splat(-total(projection) * one_over_D)
    for d in range(0, whole, lanes):
        normalized = mul(sub(load(input, start + d), centres), scale)
        g = sub(mul(load(grad_output, start + d), load(weight, d)), g_mean)
        store(grad_input, start + d, mul(fma(normalized, slope, g), scale))
    if left > 0:
        normalized = mul(sub(load_first(input, start + whole, left), centres), scale)
        g = mul(load_first(grad_output, start + whole, left), load_first(weight, whole, left))
        grad = mul(fma(normalized, slope, sub(g, g_mean)), scale)
        store_first(grad_input, start + whole, grad, left)
