"""Convolution whose windows do not overlap, as of a vision transformer's patches.

With stride = kernel size and no padding, each pixel belongs to one window. Then the windows of a
few images, written as the columns of a matrix, take no more room than the images ("im2col", which
for overlapping windows would be many times as large), and the convolution is a product of matrices:

    output[o, p] = bias[o] + sum over k of weight[o, k] * patches[k, p]
    d_weight[o, k] = sum over p of d_output[o, p] * patches[k, p]

with k = (c, kh, kw) and p = (image, i, j). Patches as small as 4 x 4 pixels make runs of a few
outputs per image row, too short for the vectors of conv_direct.py; here they run on over images.
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.conv_plan import Shape
from tinyvision.kernels.jit import flat, jit, jit_part
from tinyvision.kernels.microkernel import MAX_ROWS, add_dot_products, multiply_rows
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import evens, lanes_of, load_part, store_part, sum_run
from tinyvision.kernels.threads import count_shares, launch

# Outputs per channel at a time: with them, patches and products stay in the L2 cache.
BLOCK_PIXELS = 512
# d_weight is made in so many parts of the images, whatever the number of threads.
PARTS = 8


def are_patches(shape: Shape) -> bool:
    """Whether the windows are patches, which this file is for."""
    kernel = shape.kH, shape.kW
    return (
        shape.stride == kernel != (1, 1)
        and shape.padding == (0, 0)
        and shape.dilation == (1, 1)
        and shape.groups == 1
        and shape.C_in * shape.kH * shape.kW <= 512
    )


def patches_forward(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray, shape: Shape
) -> np.ndarray:
    """The convolution of non-empty arrays."""
    output = memory.empty((shape.N, shape.C_out, shape.H_out, shape.W_out), input.dtype)
    images = _images_per_block(shape)
    blocks = -(-shape.N // images)
    shares = count_shares(blocks, 2 * output.size * weight[0].size // 60)
    launch(
        _forward, shares, flat(input), flat(weight), flat(bias), output.reshape(-1), shape.N,
        images, _numbers(shape),
    )  # fmt: skip
    return output


def patches_grad_weight(
    grad_output: np.ndarray, input: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of weight and bias."""
    weight = (shape.C_out, shape.C_in, shape.kH, shape.kW)
    parts = min(PARTS, shape.N)
    grad_weight = np.zeros((parts, *weight), input.dtype)
    grad_bias = np.zeros((parts, shape.C_out), input.dtype)
    shares = count_shares(parts, 2 * grad_output.size * grad_weight[0, 0].size // 60)
    launch(
        _grad_weight, shares, flat(grad_output), flat(input), grad_weight.reshape(-1),
        grad_bias.reshape(-1), parts, shape.N, _images_per_block(shape), _numbers(shape),
    )  # fmt: skip
    return grad_weight.sum(axis=0), grad_bias.sum(axis=0)


def _images_per_block(shape: Shape) -> int:
    return max(1, min(shape.N, BLOCK_PIXELS // (shape.H_out * shape.W_out)))


def _numbers(shape: Shape) -> tuple[int, ...]:
    return (
        shape.C_in, shape.H, shape.W, shape.kH, shape.kW, shape.C_out, shape.H_out, shape.W_out
    )  # fmt: skip


@jit_part
def _padded_row(count, lanes):
    """Room for so many numbers, an odd number of vectors.

    Rows a power of two apart would compete for the same few places in the L1 cache.
    """
    return (-(-count // lanes) | 1) * lanes


@jit_part
def _copy_run(target, to, source, at, count):
    """target[to : to + count] = source[at : at + count]"""
    lanes = lanes_of(source)
    for i in range(0, count, lanes):
        store_part(target, to + i, load_part(source, at + i, count - i), count - i)


@jit_part
def _copy_patches(patches, row, input, image, images, numbers):
    """patches[k * row + p] of so many images, the number of the first being given."""
    C, H, W, kH, kW, _, H_out, W_out = numbers
    for n in range(images):
        for c in range(C):
            for i in range(H_out):
                for kh in range(kH):
                    at = (((image + n) * C + c) * H + i * kH + kh) * W
                    to = (c * kH + kh) * kW * row + (n * H_out + i) * W_out
                    if kW == 4:
                        for kw in range(kW):
                            _copy_every_fourth(patches, to + kw * row, input, at + kw, W_out)
                    else:
                        for j in range(W_out):
                            for kw in range(kW):
                                patches[to + kw * row + j] = input[at + j * kW + kw]


@jit_part
def _copy_every_fourth(target, to, source, at, count):
    """target[to + j] = source[at + 4 * j] for j < count"""
    lanes = lanes_of(source)
    for j in range(0, count, lanes):
        start, left = at + 4 * j, 4 * (count - j) - 3
        a, b = load_part(source, start, left), load_part(source, start + lanes, left - lanes)
        c = load_part(source, start + 2 * lanes, left - 2 * lanes)
        d = load_part(source, start + 3 * lanes, left - 3 * lanes)
        store_part(target, to + j, evens(evens(a, b), evens(c, d)), count - j)


@jit
def _forward(share, input, weight, bias, output, N, images, numbers):
    lanes = lanes_of(input)
    C, _, _, kH, kW, C_out, H_out, W_out = numbers
    K, pixels = C * kH * kW, H_out * W_out
    first, last = begin(share, -(-N // images))
    row = _padded_row(images * pixels, lanes)
    # The bias is one more weight, of a pixel that is always 1.
    patches, sums = np.ones((K + 1) * row, input.dtype), np.empty(MAX_ROWS * row, input.dtype)
    weights = np.empty((C_out, K + 1), input.dtype)
    weights[:, :K], weights[:, K] = weight.reshape(C_out, K), bias
    weights = weights.reshape(-1)
    steps, patch_steps = np.arange(K + 1), np.arange(K + 1) * row
    # Whole vectors of outputs, and enough for a wide tile, need no detour.
    in_place = pixels % lanes == 0 and pixels >= 2 * lanes
    for block in range(first, last):
        image = block * images
        count = min(images, N - image)
        _copy_patches(patches, row, input, image, count, numbers)
        for o in range(0, C_out, MAX_ROWS):
            rows = min(MAX_ROWS, C_out - o)
            if in_place:
                for n in range(count):
                    to = ((image + n) * C_out + o) * pixels
                    multiply_rows(output, to, pixels, weights, o * (K + 1), K + 1, steps,
                                  patches, n * pixels, patch_steps, 0, K + 1, rows,
                                  pixels // lanes, False)  # fmt: skip
                continue
            multiply_rows(sums, 0, row, weights, o * (K + 1), K + 1, steps, patches, 0, patch_steps,
                          0, K + 1, rows, -(-count * pixels // lanes), False)  # fmt: skip
            for r in range(rows):
                for n in range(count):
                    to = ((image + n) * C_out + o + r) * pixels
                    _copy_run(output, to, sums, r * row + n * pixels, pixels)


@jit
def _grad_weight(share, grad_output, input, grad_weight, grad_bias, parts, N, images, numbers):
    lanes = lanes_of(input)
    C, _, _, kH, kW, C_out, H_out, W_out = numbers
    K, pixels = C * kH * kW, H_out * W_out
    first, last = begin(share, parts)
    row = _padded_row(images * pixels, lanes)
    patches, grads = np.zeros(K * row, input.dtype), np.zeros(C_out * row, input.dtype)
    steps, patch_rows = np.empty(row // lanes, np.int64), np.empty(K, np.int64)
    for i in range(steps.size):
        steps[i] = i * lanes
    for k in range(K):
        patch_rows[k] = k * row
    for part in range(first, last):
        end = N * (part + 1) // parts
        for image in range(N * part // parts, end, images):
            count = min(images, end - image)
            if count < images:  # what was there before must not count
                patches[:], grads[:] = 0, 0
            _copy_patches(patches, row, input, image, count, numbers)
            for o in range(C_out):
                for n in range(count):
                    at = ((image + n) * C_out + o) * pixels
                    _copy_run(grads, o * row + n * pixels, grad_output, at, pixels)
                grad_bias[part * C_out + o] += sum_run(grads, o * row, count * pixels)
            for o in range(0, C_out, MAX_ROWS):
                add_dot_products(grad_weight, (part * C_out + o) * K, K, grads, o * row, row, steps,
                                 patches, 0, patch_rows, steps, -(-count * pixels // lanes),
                                 min(MAX_ROWS, C_out - o))  # fmt: skip
