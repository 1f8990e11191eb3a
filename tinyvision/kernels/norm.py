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
    load_part,
    splat,
    store_part,
    sub,
    sum_run,
    sums_about,
    total,
)
from tinyvision.kernels.threads import count_chunks, launch

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
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray | None, mean: np.ndarray,
    rstd: np.ndarray,
) -> Arrays3:  # fmt: skip
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
    chunks = count_chunks(C, input.size // 3)
    launch(
        _normalize, chunks, flat(input), flat(weight), flat(bias),
        output.reshape(-1), mean, var, rstd, N, C, L, float(eps),
    )  # fmt: skip
    return output, mean, var, rstd


@jit
def _normalize(chunk, input, weight, bias, output, mean, var, rstd, N, C, L, eps):
    lanes = lanes_of(input)
    one = input.dtype.type(1)
    first, last = begin(chunk, C)
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
            for i in range(0, L, lanes):
                x = sub(load_part(input, start + i, L - i), centre)
                store_part(output, start + i, fma(x, scale, shift), L - i)


@twin_of(batch_norm_backward_reference)
def batch_norm_backward(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray | None, mean: np.ndarray,
    rstd: np.ndarray,
) -> Arrays3:  # fmt: skip
    """Returns (grad_input, grad_weight, grad_bias)."""
    N, C, L = input.shape
    grad_input = memory.empty(input.shape, input.dtype)
    grad_weight, grad_bias = np.empty(C, input.dtype), np.empty(C, input.dtype)
    weight = np.ones(C, input.dtype) if weight is None else weight
    chunks = count_chunks(C, input.size // 3)
    launch(
        _normalize_backward, chunks, flat(grad_output), flat(input),
        flat(weight), flat(mean), flat(rstd), grad_input.reshape(-1), grad_weight, grad_bias,
        N, C, L,
    )  # fmt: skip
    return grad_input, grad_weight, grad_bias


@jit
def _normalize_backward(
    chunk, grad_output, input, weight, mean, rstd, grad_input, grad_weight, grad_bias,
    N, C, L,
):  # fmt: skip
    lanes = lanes_of(input)
    one = input.dtype.type(1)
    first, last = begin(chunk, C)
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
            for i in range(0, L, lanes):
                x = sub(load_part(input, start + i, L - i), centre)
                grad = load_part(grad_output, start + i, L - i)
                store_part(grad_input, start + i, fma(grad, scales, fma(x, slopes, shifts)), L - i)


@jit_part
def _sums_of_products(grad_output, input, start, count, mean):
    """The sums of grad_output and of grad_output * (input - mean) over a run."""
    means, zero = splat(mean), splat(input.dtype.type(0))
    sums, products = zero, zero
    for i in range(0, count, lanes_of(input)):
        grad = load_part(grad_output, start + i, count - i)
        x = sub(load_part(input, start + i, count - i), means)
        sums, products = add(sums, grad), fma(grad, x, products)
    return total(sums), total(products)


def scale_channels_reference(input: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """input * scale + shift, with one scale and one shift for each channel."""
    return input * scale[:, None] + shift[:, None]


@twin_of(scale_channels_reference)
def scale_channels(input: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """input * scale + shift, with one scale and one shift for each channel."""
    N, C, L = input.shape
    output = memory.empty(input.shape, input.dtype)
    chunks = count_chunks(N * C, input.size // 5)
    launch(_scale, chunks, flat(input), flat(scale), flat(shift), output.reshape(-1), N * C, L)
    return output


@jit
def _scale(chunk, input, scale, shift, output, rows, L):
    lanes = lanes_of(input)
    first, last = begin(chunk, rows)
    for row in range(first, last):
        start, c = row * L, row % scale.size
        scales, shifts = splat(scale[c]), splat(shift[c])
        for i in range(0, L, lanes):
            x = load_part(input, start + i, L - i)
            store_part(output, start + i, fma(x, scales, shifts), L - i)
