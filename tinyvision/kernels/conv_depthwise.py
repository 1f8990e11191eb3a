"""Depthwise convolution that keeps the size of its images: each channel has a filter of its own.

There is little to compute, k * k products per pixel, so that any copying of the image, as
conv_direct.py does it, takes longer than the arithmetic. But if output and input have the same
size, then in the row of numbers that a plane is in memory each filter tap reads the pixels of all
outputs at one distance:

    output[p] = bias + sum over taps k of weight[k] * input[p + shift[k]]

only that p + shift[k] may lie outside the image, where padding is, and in memory is the end of
another row. Those lanes of a vector are masked off when it is loaded. Which ones does not depend on
the plane, so the masks are made once, a bit per lane.

d_input is the same with the filter rotated by half a turn; d_weight[k] is the sum over all p of
d_output[p] * input[p + shift[k]].

Source: Sifre 2014, "Rigid-motion scattering for image classification", section 6.2; Howard et al.
2017 ("MobileNets"), arXiv:1704.04861.
"""

from functools import lru_cache

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.conv_plan import Pair, Shape
from tinyvision.kernels.jit import flat, jit, jit_part
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    fma,
    lanes_of,
    load,
    load_masked,
    load_part,
    splat,
    store,
    store_part,
    sum_run,
    total,
)
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.vectors import VECTOR_BYTES


def suits(shape: Shape) -> bool:
    """Whether each channel has one filter, and the output the size of the input."""
    return (
        shape.groups == shape.C_in == shape.C_out
        and shape.stride == (1, 1)
        and (shape.H_out, shape.W_out) == (shape.H, shape.W)
    )


def forward(input: np.ndarray, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> np.ndarray:
    """The convolution of non-empty arrays."""
    output = memory.empty(input.shape, input.dtype)
    shifts, masks = _taps(shape)
    planes = shape.N * shape.groups
    launch(
        _correlate, count_chunks(planes, _nanoseconds(shape)), flat(input), flat(weight),
        flat(bias), output.reshape(-1), planes, shape.H * shape.W, shifts, masks,
    )  # fmt: skip
    return output


def grad_input(grad_output: np.ndarray, weight: np.ndarray, shape: Shape) -> np.ndarray:
    """What each output's gradient adds to the pixels it was made of."""
    no_bias = np.zeros(shape.groups, weight.dtype)
    return forward(grad_output, weight[:, :, ::-1, ::-1], no_bias, shape)


def grad_weight(
    grad_output: np.ndarray, input: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of weight and bias."""
    grad_weight = np.empty((shape.groups, 1, shape.kH, shape.kW), input.dtype)
    grad_bias = np.empty(shape.groups, input.dtype)
    shifts, masks = _taps(shape)
    launch(
        _grad_weight, count_chunks(shape.groups, _nanoseconds(shape)), flat(grad_output),
        flat(input), grad_weight.reshape(-1), grad_bias, shape.N, shape.H * shape.W, shifts, masks,
    )  # fmt: skip
    return grad_weight, grad_bias


def _nanoseconds(shape: Shape) -> int:
    return shape.N * shape.groups * shape.H * shape.W * shape.kH * shape.kW // 40


def _taps(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    lanes = VECTOR_BYTES // shape.itemsize
    return _shifts_and_masks(*shape[2:4], *shape[5:7], shape.padding, shape.dilation, lanes)


@lru_cache(maxsize=256)
def _shifts_and_masks(
    H: int, W: int, kH: int, kW: int, padding: Pair, dilation: Pair, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """shifts[k], and masks[v * K + k], whose bit l says whether lane l of vector v has a pixel."""
    # (kH, kW, H, W): the row and column that a tap reads for an output
    kh, kw, h, w = np.ogrid[:kH, :kW, :H, :W]
    row, column = h + kh * dilation[0] - padding[0], w + kw * dilation[1] - padding[1]
    is_inside = (0 <= row) & (row < H) & (0 <= column) & (column < W)
    vectors = -(-H * W // lanes)
    lane_is_inside = np.zeros((kH * kW, vectors * lanes), np.uint16)
    lane_is_inside[:, : H * W] = is_inside.reshape(kH * kW, H * W)
    bits = lane_is_inside.reshape(kH * kW, vectors, lanes) << np.arange(lanes, dtype=np.uint16)
    masks = bits.sum(axis=2, dtype=np.uint16).T  # (vectors, taps)
    return (row * W + column - h * W - w)[:, :, 0, 0].reshape(-1), masks.reshape(-1)


@jit
def _correlate(chunk, source, weight, bias, target, planes, pixels, shifts, masks):
    """target[p] = bias[c] + sum over k of weight[c, k] * source[p + shifts[k]] in each plane."""
    lanes, taps = lanes_of(source), shifts.size
    first, last = begin(chunk, planes)
    for plane in range(first, last):
        c = plane % bias.size
        at, end, mask = plane * pixels, (plane + 1) * pixels, 0
        while at + 4 * lanes <= end:  # four vectors at a time, for each weight that is loaded
            s0 = s1 = s2 = s3 = splat(bias[c])
            for k in range(taps):
                w, tap, m = splat(weight[c * taps + k]), at + shifts[k], mask + k
                s0 = fma(w, load_masked(source, tap, masks[m]), s0)
                s1 = fma(w, load_masked(source, tap + lanes, masks[m + taps]), s1)
                s2 = fma(w, load_masked(source, tap + 2 * lanes, masks[m + 2 * taps]), s2)
                s3 = fma(w, load_masked(source, tap + 3 * lanes, masks[m + 3 * taps]), s3)
            store(target, at, s0)
            store(target, at + lanes, s1)
            store(target, at + 2 * lanes, s2)
            store(target, at + 3 * lanes, s3)
            at += 4 * lanes
            mask += 4 * taps
        while at < end:
            sums = splat(bias[c])
            for k in range(taps):
                values = load_masked(source, at + shifts[k], masks[mask + k])
                sums = fma(splat(weight[c * taps + k]), values, sums)
            store_part(target, at, sums, end - at)
            at += lanes
            mask += taps


@jit_part
def _add_to(sums, at, values):
    store(sums, at, add(load(sums, at), values))


@jit
def _grad_weight(chunk, gradient, source, grad_weight, grad_bias, N, pixels, shifts, masks):
    """grad_weight[c, k] = sum over images and p of gradient[p] * source[p + shifts[k]]."""
    lanes, taps, C = lanes_of(source), shifts.size, grad_bias.size
    zero = splat(source.dtype.type(0))
    first, last = begin(chunk, C)
    totals = np.empty(taps * lanes, source.dtype)
    for c in range(first, last):
        totals[:] = 0
        grad_bias[c] = 0
        for n in range(N):
            plane = (n * C + c) * pixels
            grad_bias[c] += sum_run(gradient, plane, pixels)
            for k in range(0, taps - 2, 3):  # three taps at a time, for each gradient loaded
                x, y, z, mask = zero, zero, zero, k
                for at in range(plane, plane + pixels, lanes):
                    g = load_part(gradient, at, plane + pixels - at)
                    x = fma(g, load_masked(source, at + shifts[k], masks[mask]), x)
                    y = fma(g, load_masked(source, at + shifts[k + 1], masks[mask + 1]), y)
                    z = fma(g, load_masked(source, at + shifts[k + 2], masks[mask + 2]), z)
                    mask += taps
                _add_to(totals, k * lanes, x)
                _add_to(totals, (k + 1) * lanes, y)
                _add_to(totals, (k + 2) * lanes, z)
            for k in range(taps // 3 * 3, taps):
                x, mask = zero, k
                for at in range(plane, plane + pixels, lanes):
                    g = load_part(gradient, at, plane + pixels - at)
                    x = fma(g, load_masked(source, at + shifts[k], masks[mask]), x)
                    mask += taps
                _add_to(totals, k * lanes, x)
        for k in range(taps):
            grad_weight[c * taps + k] = total(load(totals, k * lanes))
