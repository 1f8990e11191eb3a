"""Batch normalisation over everything but the channels, as in training.

    mean[c] = mean of input[:, c, :]
    var[c] = mean of (input[:, c, :] - mean[c])^2              (the "biased" variance)
    rstd[c] = 1 / sqrt(var[c] + eps)
    output = (input - mean) * rstd * weight + bias

Shapes: input and output (N, C, L), L being all pixels of an image; the others (C,).

Gradients, with xhat = (input - mean) * rstd and M = N * L:
    d_bias = sum of d_output, d_weight = sum of d_output * xhat
    d_input = weight * rstd * (d_output - d_bias / M - xhat * d_weight / M)

Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
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
    splat,
    store,
    store_first,
    sub,
    sum_run,
    sums_about,
    total,
)
from tinyvision.kernels.threads import count_shares, launch

Arrays4 = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Arrays3 = tuple[np.ndarray, np.ndarray, np.ndarray]


def batch_norm_forward_reference(
    input: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> Arrays4:
    """Returns (output, mean, var, rstd)."""
    mean = input.mean(axis=(0, 2), dtype=np.float64)
    centred = input - mean[:, None]
    var = np.square(centred).mean(axis=(0, 2))
    rstd = 1 / np.sqrt(var + eps)
    output = centred * rstd[:, None]
    if weight is not None:
        output = output * weight[:, None]
    if bias is not None:
        output = output + bias[:, None]
    output, mean, var, rstd = (a.astype(input.dtype) for a in (output, mean, var, rstd))
    return output, mean, var, rstd


def batch_norm_backward_reference(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> Arrays3:
    """Returns (grad_input, grad_weight, grad_bias)."""
    M = input.shape[0] * input.shape[2]
    normalized = (input - mean[:, None]) * rstd[:, None]
    grad_bias = grad_output.sum(axis=(0, 2))
    grad_weight = (grad_output * normalized).sum(axis=(0, 2))
    scale = rstd if weight is None else rstd * weight
    grad_input = scale[:, None] * (
        grad_output - grad_bias[:, None] / M - normalized * (grad_weight[:, None] / M)
    )
    return grad_input, grad_weight, grad_bias


# A channel is worked on at a time, by one thread: its pixels of all images come from memory once
# and then, while they are in the cache, are read again: for the mean, the variance about that
# mean (the mean of squares minus the squared mean would lose all digits where the mean is large),
# and the output. Sums are kept in vectors over one image, in float64 over the images.


@twin_of(batch_norm_forward_reference)
def batch_norm_forward(
    input: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> Arrays4:
    """Returns (output, mean, var, rstd)."""
    N, C, L = input.shape
    output = memory.empty(input.shape, input.dtype)
    mean, var, rstd = (np.empty(C, input.dtype) for _ in range(3))
    weight = np.ones(C, input.dtype) if weight is None else weight
    bias = np.zeros(C, input.dtype) if bias is None else bias
    shares = count_shares(C, input.size // 3)
    launch(
        _normalize, shares, flat(input), flat(weight), flat(bias),
        output.reshape(-1), mean, var, rstd, N, C, L, float(eps),
    )  # fmt: skip
    return output, mean, var, rstd


@jit
def _normalize(share, input, weight, bias, output, mean, var, rstd, N, C, L, eps):
    lanes = lanes_of(input)
    one = input.dtype.type(1)
    first, last = begin(share, C)
    for c in range(first, last):
        sum_c = 0.0
        for n in range(N):
            sum_c += sum_run(input, (n * C + c) * L, L)
        mean[c] = sum_c / (N * L)
        rest, squares = 0.0, 0.0
        for n in range(N):
            rest_n, squares_n = sums_about(input, (n * C + c) * L, L, mean[c])
            rest += rest_n
            squares += squares_n
        # What rounding the mean to float32 left over; it matters when the mean is large.
        rest /= N * L
        var[c] = max(squares / (N * L) - rest * rest, 0.0)
        rstd[c] = 1.0 / np.sqrt(squares / (N * L) - rest * rest + eps)
        centre, scale = splat(mean[c]), splat(one * (rstd[c] * weight[c]))
        shift = splat(one * input.dtype.type(bias[c] - rest * (rstd[c] * weight[c])))
        for n in range(N):
            start = (n * C + c) * L
            for i in range(start, start + L - lanes + 1, lanes):
                store(output, i, fma(sub(load(input, i), centre), scale, shift))
            i, left = start + L // lanes * lanes, L % lanes
            rest_of_row = fma(sub(load_first(input, i, left), centre), scale, shift)
            store_first(output, i, rest_of_row, left)


@twin_of(batch_norm_backward_reference)
def batch_norm_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> Arrays3:
    """Returns (grad_input, grad_weight, grad_bias)."""
    N, C, L = input.shape
    grad_input = memory.empty(input.shape, input.dtype)
    grad_weight, grad_bias = np.empty(C, input.dtype), np.empty(C, input.dtype)
    weight = np.ones(C, input.dtype) if weight is None else weight
    shares = count_shares(C, input.size // 3)
    launch(
        _normalize_backward, shares, flat(grad_output), flat(input),
        flat(weight), flat(mean), flat(rstd), grad_input.reshape(-1), grad_weight, grad_bias,
        N, C, L,
    )  # fmt: skip
    return grad_input, grad_weight, grad_bias


@jit
def _normalize_backward(
    share, grad_output, input, weight, mean, rstd, grad_input, grad_weight, grad_bias,
    N, C, L,
):  # fmt: skip
    lanes = lanes_of(input)
    one = input.dtype.type(1)
    first, last = begin(share, C)
    for c in range(first, last):
        sum_c, product_c = 0.0, 0.0
        for n in range(N):
            sum_n, product_n = _sums_of_products(grad_output, input, (n * C + c) * L, L, mean[c])
            sum_c += sum_n
            product_c += product_n
        grad_bias[c], grad_weight[c] = sum_c, product_c * rstd[c]
        # d_input = scale * d_output + slope * (input - mean) + shift
        scale = one * (weight[c] * rstd[c])
        slope = -scale * one * input.dtype.type(product_c / (N * L) * rstd[c] * rstd[c])
        shift = -scale * input.dtype.type(sum_c / (N * L))
        scales, slopes, shifts, centre = splat(scale), splat(slope), splat(shift), splat(mean[c])
        for n in range(N):
            start = (n * C + c) * L
            for i in range(start, start + L - lanes + 1, lanes):
                rest = fma(sub(load(input, i), centre), slopes, shifts)
                store(grad_input, i, fma(load(grad_output, i), scales, rest))
            i, left = start + L // lanes * lanes, L % lanes
            rest = fma(sub(load_first(input, i, left), centre), slopes, shifts)
            rest_of_row = fma(load_first(grad_output, i, left), scales, rest)
            store_first(grad_input, i, rest_of_row, left)


def scale_channels_reference(input: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """input * scale + shift, with one scale and one shift for each channel."""
    return input * scale[:, None] + shift[:, None]


@twin_of(scale_channels_reference)
def scale_channels(input: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """input * scale + shift, with one scale and one shift for each channel."""
    N, C, L = input.shape
    output = memory.empty(input.shape, input.dtype)
    shares = count_shares(N * C, input.size // 5)
    launch(_scale, shares, flat(input), flat(scale), flat(shift), output.reshape(-1), N * C, L)
    return output


@jit
def _scale(share, input, scale, shift, output, rows, L):
    lanes = lanes_of(input)
    first, last = begin(share, rows)
    for row in range(first, last):
        start, c = row * L, row % scale.size
        scales, shifts = splat(scale[c]), splat(shift[c])
        for i in range(start, start + L - lanes + 1, lanes):
            store(output, i, fma(load(input, i), scales, shifts))
        i, left = start + L // lanes * lanes, L % lanes
        store_first(output, i, fma(load_first(input, i, left), scales, shifts), left)


@jit_part
def _sums_of_products(grad_output, input, start, count, centre):
    """The sums of grad_output and of grad_output * (input - centre) over a run."""
    lanes = lanes_of(input)
    centres, zero = splat(centre), input.dtype.type(0)
    sums, products = splat(zero), splat(zero)
    for i in range(start, start + count - lanes + 1, lanes):
        grad = load(grad_output, i)
        sums = add(sums, grad)
        products = fma(grad, sub(load(input, i), centres), products)
    sum_, product = total(sums), total(products)
    for i in range(start + count // lanes * lanes, start + count):
        sum_ += grad_output[i]
        product += grad_output[i] * (input[i] - centre)
    return sum_, product
