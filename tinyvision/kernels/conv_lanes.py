"""Convolution with the output's channels in the lanes of vectors.

conv_direct.py has neighbouring pixels in the lanes. Where an image has few outputs, 7 x 7 say, many
lanes stay empty, and where windows step over the image by several pixels, a run of neighbours must
first be copied together. With many output channels the lanes can be theirs:

    sums[p, o] = sum over k of pixel[p, k] * weight[k, o]        k = (c, kh, kw)

Then the pixel is a single number, read where it is in the image, at p's offset plus k's: `rows` of
multiply_rows are the windows of an image row, the stride apart. Only padding needs a copy of the
image. The sums are transposed in registers on their way to the output. Likewise

    d_weight[k, o] = sum over p of pixel[p, k] * d_output[p, o]

where the rows are input channels, or the columns of the filter if there are few channels. d_input
has the input's channels in the lanes. Its pixels of one phase (conv_plan.py) are reached by the
same taps, and those of a row by pixels of d_output one apart: these are the rows then.
"""

from functools import lru_cache

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.conv_direct import copy_planes
from tinyvision.kernels.conv_plan import Shape, axes_of
from tinyvision.kernels.jit import flat, jit, jit_part
from tinyvision.kernels.microkernel import MAX_ROWS, multiply_rows
from tinyvision.kernels.register_blocks import (
    add_to_rows,
    load_rows,
    store_rows,
    store_transposed,
    transposed,
)
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import add, lanes_of, load, load_part, splat, store
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.vectors import VECTOR_BYTES

# Vectors of channels at a time: with RUN of their weights, they stay in the L1 cache.
PANEL_VECTORS, RUN = 4, 128
# Sums at a time, and outputs for d_weight: with them, sums and gradients stay in the L2 cache.
BAND_SUMS, BLOCK_PIXELS = 10240, 256
# d_weight is made in so many parts of the images, whatever the number of threads.
PARTS = 8


def suits(shape: Shape) -> bool:
    """Whether the output is made faster here than in conv_direct.py, as was measured."""
    # Otherwise conv_direct.py has little to copy, and the sums are too short to transpose.
    is_long = shape.stride[1] > 1 or shape.C_in * shape.kH * shape.kW >= 128
    return is_long and _fill_lanes(shape, shape.C_out)


def suits_grad_weight(shape: Shape) -> bool:
    """The same of d_weight."""
    is_long = shape.stride[1] > 1 or shape.C_in * shape.kH * shape.kW >= 256
    return is_long and _fill_lanes(shape, shape.C_out)


def suits_grad_input(shape: Shape) -> bool:
    """The same of d_input."""
    products, phases = shape.C_out * shape.kH * shape.kW, shape.stride[0] * shape.stride[1]
    return shape.stride[1] > 1 and products >= 64 * phases and _fill_lanes(shape, shape.C_in)


def _fill_lanes(shape: Shape, channels: int) -> bool:
    """Whether channels fill three quarters of their lanes; and weights, once transposed, are used
    often.
    """
    lanes, outputs = VECTOR_BYTES // shape.itemsize, shape.N * shape.H_out * shape.W_out
    fill = 4 * channels >= 3 * lanes * -(-channels // lanes)
    return shape.groups == 1 and fill and outputs >= 64


def forward(input: np.ndarray, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> np.ndarray:
    """The convolution of non-empty arrays, in one group."""
    output = memory.empty((shape.N, shape.C_out, shape.H_out, shape.W_out), input.dtype)
    # Rows of windows that leave over 1, 2 or 3 of them take longer than as many rows of images.
    images = MAX_ROWS if shape.N >= 8 * MAX_ROWS and shape.W_out % 4 > 0 else 1
    items = -(-shape.N // images) * _count_panels(shape, shape.C_out)
    launch(
        _forward, count_chunks(items, 2 * output.size * weight[0].size // 60), flat(input),
        flat(weight), flat(bias), output.reshape(-1), _tap_offsets(shape), _origin(shape), images,
        shape,
    )  # fmt: skip
    return output


def grad_input(grad_output: np.ndarray, weight: np.ndarray, shape: Shape) -> np.ndarray:
    """The gradient of the input."""
    result = memory.empty((shape.N, shape.C_in, shape.H, shape.W), grad_output.dtype)
    items = shape.N * _count_panels(shape, shape.C_in)
    launch(
        _grad_input, count_chunks(items, 2 * grad_output.size * weight[0].size // 60),
        flat(grad_output), flat(weight), np.zeros(shape.C_in, weight.dtype), result.reshape(-1),
        *_phases(shape), shape,
    )  # fmt: skip
    return result


def grad_weight(
    grad_output: np.ndarray, input: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of weight and bias."""
    panels, K = _count_panels(shape, shape.C_out), shape.C_in * shape.kH * shape.kW
    width = PANEL_VECTORS * VECTOR_BYTES // shape.itemsize
    pixels = shape.N * shape.H_out * shape.W_out
    # No more than 1 MB of parts in float32, and enough outputs for each.
    parts = max(1, min(PARTS, 2**18 // (K * shape.C_out), pixels // BLOCK_PIXELS, shape.N))
    sums = np.zeros((parts, panels, K, width), input.dtype)
    grad_bias = np.zeros((parts, panels, width), input.dtype)
    chunks = count_chunks(parts * panels, 2 * grad_output.size * K // 60)
    launch(
        _grad_weight, chunks, flat(grad_output), flat(input), sums.reshape(-1),
        grad_bias.reshape(-1), _pixel_offsets(shape), _origin(shape), parts, shape,
    )  # fmt: skip
    # (panels, K, width) -> (panels * width, K)
    rows = sums.sum(axis=0).swapaxes(1, 2).reshape(panels * width, K)
    grad_weight = np.ascontiguousarray(rows[: shape.C_out])
    weight_shape = shape.C_out, shape.C_in, shape.kH, shape.kW
    return grad_weight.reshape(weight_shape), grad_bias.sum(axis=0).reshape(-1)[: shape.C_out]


def _count_panels(shape: Shape, channels: int) -> int:
    return -(-channels * shape.itemsize // (PANEL_VECTORS * VECTOR_BYTES))


def _padded_size(shape: Shape) -> tuple[int, int]:
    return shape.H + 2 * shape.padding[0], shape.W + 2 * shape.padding[1]


@lru_cache
def _origin(shape: Shape) -> np.ndarray:
    """Where in the image its padded copy begins, for copy_planes."""
    return -np.array([shape.padding])


@lru_cache
def _tap_offsets(shape: Shape) -> np.ndarray:
    """How far from a window's first pixel the pixels of its taps are."""
    (H, W), (dh, dw) = _padded_size(shape), shape.dilation
    c, kh, kw = np.ogrid[: shape.C_in, : shape.kH, : shape.kW]
    return ((c * H + kh * dh) * W + kw * dw).reshape(-1)


@lru_cache
def _pixel_offsets(shape: Shape) -> np.ndarray:
    """Where in a block of images their windows begin."""
    (H, W), (sh, sw) = _padded_size(shape), shape.stride
    images = max(1, min(shape.N, BLOCK_PIXELS // (shape.H_out * shape.W_out)))
    n, i, j = np.ogrid[:images, : shape.H_out, : shape.W_out]
    return ((n * shape.C_in * H + i * sh) * W + j * sw).reshape(-1)


@lru_cache
def _phases(shape: Shape) -> tuple[np.ndarray, ...]:
    """For d_input, where row h of the input has phase a and number q: h + padding = q * stride + a.

    Tap kh = m * stride + a of the filter takes it to row q - m of the output (conv_plan.py).
    Returns, of the taps of all phases, one phase after the other: how far from row q, column q of
    a padded copy of d_output their pixels are, and the numbers of their weights; the first tap of
    each phase; and where in d_output the copy begins, and its size, (2, 2).
    """
    axes, T = axes_of(shape), shape.kH * shape.kW
    sizes, paddings = (shape.H, shape.W), shape.padding
    begin = [
        p // s - int(axis.shifts.max())
        for p, s, axis in zip(paddings, shape.stride, axes, strict=True)
    ]
    end = [(n - 1 + p) // s + 1 for n, p, s in zip(sizes, paddings, shape.stride, strict=True)]
    rows, columns = end[0] - begin[0], end[1] - begin[1]
    o, offsets, numbers, starts = np.arange(shape.C_out)[:, None, None], [], [], [0]
    for a, b in np.ndindex(*shape.stride):
        kh, kw = (np.flatnonzero(axis.phases == i) for axis, i in zip(axes, (a, b), strict=True))
        shift = axes[0].shifts[kh][:, None] * columns + axes[1].shifts[kw]
        offsets.append((o * rows * columns - shift).reshape(-1))
        numbers.append((o * T + kh[:, None] * shape.kW + kw).reshape(-1))
        starts.append(starts[-1] + offsets[-1].size)
    copy = np.array([begin, [rows, columns]])
    return np.concatenate(offsets), np.concatenate(numbers), np.array(starts), copy


@jit_part
def _copy_weights(weights, weight, C_out, K):
    """weights[panel, k, o] = weight[panel * width + o, k]"""
    lanes = lanes_of(weight)
    width, one = PANEL_VECTORS * lanes, splat(weight.dtype.type(1))
    for o in range(0, C_out, lanes):
        to = o // width * K * width + o % width
        for k in range(0, K, lanes):
            store_transposed(weights, to + k * width, width, weight, o * K + k, K, C_out - o,
                             K - k, one)  # fmt: skip


@jit
def _forward(chunk, input, weight, bias, output, taps, origin, images, shape):
    lanes, s, K = lanes_of(input), shape, taps.size
    (sh, sw), width, pixels, image = s.stride, PANEL_VECTORS * lanes, s.H_out * s.W_out, s.H * s.W
    H, W = s.H - 2 * origin[0, 0], s.W - 2 * origin[0, 1]
    in_place, panels, size = H * W == image, -(-s.C_out // width), s.C_in * H * W
    # A transposed block of weights is written in whole squares, beyond the end of the last panel.
    weights = np.empty((panels * K + lanes) * width, input.dtype)
    _copy_weights(weights, weight, s.C_out, K)
    pitch = _pitch(s.C_out, lanes)
    band = max(1, BAND_SUMS // (images * s.W_out * pitch))
    sums = np.empty(images * band * s.W_out * pitch, input.dtype)
    planes = np.zeros(0 if in_place else images * size + lanes, input.dtype)
    source, copied = input if in_place else planes, -1
    first, last = begin(chunk, -(-s.N // images) * panels)
    for item in range(first, last):
        n, panel = item // panels * images, item % panels
        count, channels = min(images, s.N - n), min(width, s.C_out - panel * width)
        if not in_place and n != copied:
            copy_planes(planes, 0, H * W, W, H, input, n * s.C_in * image, count * s.C_in, s.H, s.W,
                        origin, 1, 1, 0)  # fmt: skip
            copied = n
        for top in range(0, s.H_out, band):
            outputs = min(band, s.H_out - top) * s.W_out
            start = (n * size if in_place else 0) + top * sh * W
            # The rows of a product are the same window of several images, or the windows of a row.
            rows, apart, step = s.W_out, sw, s.W_out
            if images > 1:
                rows, apart, step = count, size, 1
            for k in range(0, K, RUN):
                for p in range(0, outputs, step):
                    at = start + p // s.W_out * sh * W + p % s.W_out * sw
                    multiply_rows(sums, p * pitch, pitch if images == 1 else outputs * pitch,
                                  source, at, apart, taps, weights, panel * K * width, width, k,
                                  min(RUN, K - k), rows, -(-channels // lanes), k > 0)  # fmt: skip
            for i in range(count):
                to = ((n + i) * s.C_out + panel * width) * pixels + top * s.W_out
                _store_channels(output, to, pixels, sums, i * outputs * pitch, pitch, bias,
                                panel * width, channels, outputs)  # fmt: skip


@jit_part
def _pitch(channels, lanes):
    """From the sums of a pixel to those of the next: a panel's vectors, and an odd number of them.

    Rows a power of two apart would compete for the same few lines of the L1 cache.
    """
    return (min(PANEL_VECTORS, -(-channels // lanes)) | 1) * lanes


@jit_part
def _store_channels(output, to, pixels, sums, at, pitch, bias, first, channels, count):
    """output[to + o * pixels + p] = sums[at + p * pitch + o] + bias[first + o]"""
    lanes, zero = lanes_of(sums), splat(sums.dtype.type(0))
    for o in range(0, channels, lanes):
        biases = load_part(bias, first + o, channels - o)
        for p in range(0, count, lanes):
            block = load_rows(sums, at + p * pitch + o, pitch, 0, count - p, lanes, zero)
            block = transposed(add_to_rows(block, biases))
            store_rows(output, to + o * pixels + p, pixels, 0, block, channels - o, count - p)


@jit
def _grad_input(chunk, gradient, weight, bias, target, taps, numbers, starts, copy, shape):
    lanes, s, T = lanes_of(gradient), shape, shape.kH * shape.kW
    (sh, sw), (ph, pw), (rows, columns) = s.stride, s.padding, copy[1]
    width, pixels, K = PANEL_VECTORS * lanes, s.H * s.W, s.C_out * T
    panels, pitch = -(-s.C_in // width), _pitch(s.C_in, lanes)
    band = max(sh, BAND_SUMS // (s.W * pitch))
    weights, one = np.empty((panels * K + lanes) * width, gradient.dtype), splat(bias.dtype.type(1))
    for c in range(0, s.C_in, lanes):  # weights[panel, o, tap, c]
        for o in range(s.C_out):
            to, at = (c // width * K + o * T) * width + c % width, (o * s.C_in + c) * T
            for k in range(0, T, lanes):
                store_transposed(weights, to + k * width, width, weight, at + k, T, s.C_in - c,
                                 T - k, one)  # fmt: skip
    steps = numbers * width
    sums = np.empty(band * s.W * pitch, gradient.dtype)
    planes, copied = np.zeros(s.C_out * rows * columns + lanes, gradient.dtype), -1
    first, last = begin(chunk, s.N * panels)
    for item in range(first, last):
        n, panel = item // panels, item % panels
        if n != copied:
            copy_planes(planes, 0, rows * columns, columns, rows, gradient,
                        n * s.C_out * s.H_out * s.W_out, s.C_out, s.H_out, s.W_out, copy[:1], 1, 1,
                        0)  # fmt: skip
            copied = n
        channels = min(width, s.C_in - panel * width)
        for top in range(0, s.H, band):
            bottom = min(top + band, s.H)
            sums[:] = 0  # there may be pixels that no tap reaches
            for phase in range(sh * sw):
                a, w = phase // sw, (phase % sw - pw) % sw
                count, q = (s.W - w + sw - 1) // sw, (w + pw) // sw - copy[0, 1]
                start, end = starts[phase], starts[phase + 1]
                for k in range(start, end, RUN):
                    for h in range(top + (a - ph - top) % sh, bottom, sh):
                        at, to = ((h + ph) // sh - copy[0, 0]) * columns + q, (h - top) * s.W + w
                        multiply_rows(sums, to * pitch, sw * pitch, planes, at, 1, taps,
                                      weights, panel * K * width, steps, k, min(RUN, end - k),
                                      count, -(-channels // lanes), k > start)  # fmt: skip
            to = (n * s.C_in + panel * width) * pixels + top * s.W
            _store_channels(target, to, pixels, sums, 0, pitch, bias, panel * width, channels,
                            (bottom - top) * s.W)  # fmt: skip


@jit
def _grad_weight(chunk, grad_output, input, sums, grad_bias, offsets, origin, parts, shape):
    lanes, s, K = lanes_of(input), shape, shape.C_in * shape.kH * shape.kW
    width, pixels, size = PANEL_VECTORS * lanes, s.H_out * s.W_out, s.C_in * s.H * s.W
    H, W = s.H - 2 * origin[0, 0], s.W - 2 * origin[0, 1]
    in_place, images, panels = H == s.H and W == s.W, offsets.size // pixels, -(-s.C_out // width)
    grads, one = np.empty((offsets.size + lanes) * width, input.dtype), splat(input.dtype.type(1))
    planes = np.zeros(0 if in_place else images * s.C_in * H * W + lanes, input.dtype)
    source = input if in_place else planes
    first, last = begin(chunk, parts * panels)
    for item in range(first, last):
        part, panel = item // panels, item % panels
        channels, end = min(width, s.C_out - panel * width), s.N * (part + 1) // parts
        for image in range(s.N * part // parts, end, images):
            count = min(images, end - image)
            if not in_place:
                copy_planes(planes, 0, H * W, W, H, input, image * size, count * s.C_in, s.H, s.W,
                            origin, 1, 1, 0)  # fmt: skip
            for n in range(count):
                at = ((image + n) * s.C_out + panel * width) * pixels
                for p in range(0, pixels, lanes):
                    for o in range(0, channels, lanes):
                        store_transposed(grads, (n * pixels + p) * width + o, width, grad_output,
                                         at + o * pixels + p, pixels, channels - o, pixels - p,
                                         one)  # fmt: skip
            at, to = image * size if in_place else 0, item * K * width
            _add_products(sums, to, source, at, H, W, offsets, grads, width, count * pixels,
                          -(-channels // lanes), s)  # fmt: skip
            for o in range(0, channels, lanes):
                total = load(grad_bias, item * width + o)
                for p in range(count * pixels):
                    total = add(total, load(grads, p * width + o))
                store(grad_bias, item * width + o, total)


@jit_part
def _add_products(sums, to, source, at, H, W, offsets, grads, width, pixels, vectors, s):
    """sums[to + k * width + o] += the sum over p of source[at + offsets[p] + k's] * grads[p, o]"""
    (dh, dw), taps = s.dilation, s.kH * s.kW
    for p in range(0, pixels, RUN):
        steps = min(RUN, pixels - p)
        for kh in range(s.kH):
            row, k = at + kh * dh * W, to + kh * s.kW * width
            if s.C_in >= s.kW:
                for kw in range(s.kW):
                    multiply_rows(sums, k + kw * width, taps * width, source, row + kw * dw, H * W,
                                  offsets, grads, 0, width, p, steps, s.C_in, vectors,
                                  True)  # fmt: skip
            else:
                for c in range(s.C_in):
                    multiply_rows(sums, k + c * taps * width, width, source, row + c * H * W, dw,
                                  offsets, grads, 0, width, p, steps, s.kW, vectors,
                                  True)  # fmt: skip
