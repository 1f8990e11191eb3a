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
    load_part,
    mul,
    splat,
    store_part,
    sub,
    sum_run,
    sums_about,
    total,
)
from tinyvision.kernels.threads import count_shares, launch

Arrays3 = tuple[np.ndarray, np.ndarray, np.ndarray]


def layer_norm_forward_reference(
    input: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    centre: bool,
) -> Arrays3:
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
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    centre: bool,
) -> Arrays3:
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
    input: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    centre: bool,
) -> Arrays3:
    """Returns (output, mean, rstd); centre=False is RMS normalisation."""
    M, D = input.shape
    output = memory.empty(input.shape, input.dtype)
    mean, rstd = np.empty(M, input.dtype), np.empty(M, input.dtype)
    weight = np.ones(D, input.dtype) if weight is None else weight
    bias = np.zeros(D, input.dtype) if bias is None else bias
    launch(
        _normalize, count_shares(M, input.size // 3), flat(input),
        flat(weight), flat(bias), output.reshape(-1), mean, rstd, D, float(eps), centre,
    )  # fmt: skip
    return output, mean, rstd


@jit
def _normalize(share, input, weight, bias, output, mean, rstd, D, eps, centre):
    lanes = lanes_of(input)
    number = input.dtype.type
    M = mean.size
    first, last = begin(share, M)
    for m in range(first, last):
        start = m * D
        mean[m] = sum_run(input, start, D) / D if centre else 0
        rest, squares = sums_about(input, start, D, mean[m])
        # What rounding the mean left over; it matters when the mean is large.
        rest = rest / D if centre else number(0)
        rstd[m] = 1.0 / np.sqrt(max(squares / D - rest * rest, 0.0) + eps)
        scale, centres = splat(rstd[m]), splat(mean[m])
        shift = splat(number(-rest * rstd[m]))
        for d in range(0, D, lanes):
            normalized = fma(sub(load_part(input, start + d, D - d), centres), scale, shift)
            w, b = load_part(weight, d, D - d), load_part(bias, d, D - d)
            store_part(output, start + d, fma(normalized, w, b), D - d)


@twin_of(layer_norm_backward_reference)
def layer_norm_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    centre: bool,
) -> Arrays3:
    """Returns (grad_input, grad_weight, grad_bias)."""
    D = input.shape[1]
    grad_input = memory.empty(input.shape, input.dtype)
    weight = np.ones(D, input.dtype) if weight is None else weight
    sums = np.zeros((2, BLOCKS, D), input.dtype)  # of d_weight and d_bias, by block
    launch(
        _normalize_backward, count_shares(BLOCKS, input.size // 2),
        flat(grad_output), flat(input), flat(weight), flat(mean), flat(rstd),
        grad_input.reshape(-1), sums.reshape(-1), D, centre,
    )  # fmt: skip
    grad_weight, grad_bias = sums.sum(axis=1)
    return grad_input, grad_weight, grad_bias


@jit
def _normalize_backward(share, grad_output, input, weight, mean, rstd, grad_input, sums, D, centre):
    M = mean.size
    first, last = begin(share, BLOCKS)
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
    lanes = lanes_of(input)
    number = input.dtype.type
    centres, scale, zero = splat(mean), splat(rstd), splat(number(0))
    g_sum, projection = zero, zero
    for d in range(0, D, lanes):
        left = D - d
        grad = load_part(grad_output, start + d, left)
        normalized = mul(sub(load_part(input, start + d, left), centres), scale)
        g = mul(grad, load_part(weight, d, left))
        g_sum = add(g_sum, g)
        projection = fma(g, normalized, projection)
        grad_weight = fma(grad, normalized, load_part(sums, to_weight + d, left))
        store_part(sums, to_weight + d, grad_weight, left)
        store_part(sums, to_bias + d, add(grad, load_part(sums, to_bias + d, left)), left)
    g_mean = splat(number(total(g_sum) / D if centre else 0))
    projection = splat(number(total(projection) / D))
    for d in range(0, D, lanes):
        left = D - d
        normalized = mul(sub(load_part(input, start + d, left), centres), scale)
        g = mul(load_part(grad_output, start + d, left), load_part(weight, d, left))
        rest = sub(sub(g, g_mean), mul(normalized, projection))
        store_part(grad_input, start + d, mul(rest, scale), left)
