"""Max pooling: the maximum of each window of an image, and its gradient.

max_pool2d: output[n, c, i, j] = max over kh, kw of
    input[n, c, i * stride_h - padding_h + kh * dilation_h, j * stride_w - padding_w + kw * ...]
adaptive_max_pool2d: output[n, c, i, j] = max of input[n, c, top[i]:bottom[i], left[j]:right[j]]

Shapes: input (N, C, H, W), output (N, C, H_out, W_out). A window may hang over any edge of the
image, and what is outside is never the maximum.

Gradients: d_input[the pixel that was the maximum] += d_output. max_pool2d remembers which pixel
that was as `taps`, its number kh * kW + kw inside the window (-1 for a window that has no pixel):
one byte instead of the eight of an index into the image.
"""

import math

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    evens,
    lanes_of,
    load,
    load_between,
    splat,
    store_first,
    where_greater,
)
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.windows import Bounds, Pair, Windows

Shape4 = tuple[int, int, int, int]


def max_pool2d_forward_reference(
    input: np.ndarray, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (output, taps). The first of equal maxima wins; NaN wins over all numbers."""
    N, C, H, W = input.shape
    kernel_size, stride, padding, dilation, output_size = windows
    output = np.full((N, C, *output_size), -np.inf, input.dtype)
    taps = np.full(output.shape, -1, _taps_dtype(kernel_size))
    for tap, (kh, kw) in enumerate(np.ndindex(*kernel_size)):
        rows = np.arange(output_size[0]) * stride[0] - padding[0] + kh * dilation[0]
        columns = np.arange(output_size[1]) * stride[1] - padding[1] + kw * dilation[1]
        inside = np.logical_and.outer((rows >= 0) & (rows < H), (columns >= 0) & (columns < W))
        pixels = input[:, :, rows.clip(0, H - 1)[:, None], columns.clip(0, W - 1)]
        # taps < 0: even -inf is a maximum, if it is the first pixel of the window
        wins = inside & ((pixels > output) | np.isnan(pixels) | (taps < 0))
        output = np.where(wins, pixels, output)
        taps[wins] = tap
    return output, taps


@twin_of(max_pool2d_forward_reference)
def max_pool2d_forward(input: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Returns (output, taps). The first of equal maxima wins; NaN wins over all numbers."""
    N, C, H, W = input.shape
    output = memory.empty((N, C, *windows.output_size), input.dtype)
    taps = memory.empty(output.shape, _taps_dtype(windows.kernel_size))
    if output.size > 0:
        chunks = count_chunks(N * C, 2 * output.size * math.prod(windows.kernel_size))
        launch(
            _max_pool, chunks, flat(input), output.reshape(-1), taps.reshape(-1), N * C, H, W,
            tuple(windows),
        )  # fmt: skip
    return output, taps


@jit_part
def _pixels(row, start, column, step, W, outside, scratch):
    """Lane i is the pixel row[start + i * step] of column + i * step, or `outside` the image."""
    lanes = lanes_of(row)
    if step == 1:
        return load_between(row, start, -column, W - column, outside)
    if step == 2:
        low = load_between(row, start, -column, W - column, outside)
        column += lanes
        return evens(low, load_between(row, start + lanes, -column, W - column, outside))
    for lane in range(lanes):
        if 0 <= column + lane * step < W:
            scratch[lane] = row[start + lane * step]
        else:
            scratch[lane] = -np.inf
    return load(scratch, 0)


# A vector holds neighbouring outputs, and the taps of their windows are compared one after the
# other; pixels outside the image are loaded as -inf. The numbers of the winning taps are kept in a
# second vector, as floats, so that one comparison selects in both. Most windows are inside the
# image: these are read without looking for its border, and without a call.
@jit
def _max_pool(chunk, input, output, taps, planes, H, W, windows):
    (kH, kW), (sh, sw), (ph, pw), (dh, dw), (H_out, W_out) = windows
    first, last = begin(chunk, planes)
    lanes, number = lanes_of(input), input.dtype.type
    lowest, zero = splat(number(-np.inf)), splat(number(0))
    scratch = np.empty(lanes, input.dtype)
    # The first pixel of a window is its maximum if all are -inf; -1: it has no pixel in this row.
    first_columns = np.full(W_out + lanes, -1, input.dtype)
    for j in range(W_out):
        for kw in range(kW - 1, -1, -1):
            if 0 <= j * sw - pw + kw * dw < W:
                first_columns[j] = kw
    for plane in range(first, last):
        for i in range(H_out):
            at, row = (plane * H_out + i) * W_out, i * sh - ph
            rows_inside = row >= 0 and row + (kH - 1) * dh < H
            first_row = -(row // dh) if row < 0 else 0
            for j in range(0, W_out, lanes):
                best, best_tap = lowest, load(first_columns, j)
                column = j * sw - pw
                start = (plane * H + row) * W + column
                right = column + (min(lanes, W_out - j) - 1) * sw + (kW - 1) * dw
                # Lanes that are not stored may read on into what follows in memory.
                end = start + (kH - 1) * dh * W + (kW - 1) * dw + lanes * sw
                inside = rows_inside and column >= 0 and right < W and end <= input.size
                if inside and sw <= 2:
                    for kh in range(kH):
                        for kw in range(kW):
                            index = start + kh * dh * W + kw * dw
                            pixels = load(input, index)
                            if sw == 2:
                                pixels = evens(pixels, load(input, index + lanes))
                            tap = splat(number(kh * kW + kw))
                            best_tap = where_greater(pixels, best, tap, best_tap)
                            best = where_greater(pixels, best, pixels, best)
                else:
                    if first_row * dh + row >= H:
                        best_tap = splat(number(-1))
                    elif first_row > 0:
                        tap = add(best_tap, splat(number(first_row * kW)))
                        best_tap = where_greater(zero, best_tap, best_tap, tap)
                    for kh in range(first_row, kH):
                        if row + kh * dh >= H:
                            break
                        for kw in range(kW):
                            index = start + kh * dh * W + kw * dw
                            pixels = _pixels(input, index, column + kw * dw, sw, W, lowest, scratch)
                            tap = splat(number(kh * kW + kw))
                            best_tap = where_greater(pixels, best, tap, best_tap)
                            best = where_greater(pixels, best, pixels, best)
                store_first(output, at + j, best, W_out - j)
                store_first(taps, at + j, best_tap, W_out - j)


def max_pool2d_indices(taps: np.ndarray, windows: Windows, input_shape: Shape4) -> np.ndarray:
    """The index h * W + w of each maximum in its input plane, int64."""
    kernel_size, stride, padding, dilation, (H_out, W_out) = windows
    kh, kw = np.divmod(taps.astype(np.int64), kernel_size[1])
    h = np.arange(H_out)[:, None] * stride[0] - padding[0] + kh * dilation[0]
    w = np.arange(W_out) * stride[1] - padding[1] + kw * dilation[1]
    return h * input_shape[3] + w


def max_pool2d_backward_reference(
    grad_output: np.ndarray, taps: np.ndarray, windows: Windows, input_shape: Shape4
) -> np.ndarray:
    """Adds each output's gradient to the pixel that was its maximum."""
    indices = max_pool2d_indices(taps, windows, input_shape)
    has_pixel = taps >= 0
    return adaptive_max_pool2d_backward_reference(
        np.where(has_pixel, grad_output, 0), np.where(has_pixel, indices, 0), input_shape
    )


@twin_of(max_pool2d_backward_reference)
def max_pool2d_backward(
    grad_output: np.ndarray, taps: np.ndarray, windows: Windows, input_shape: Shape4
) -> np.ndarray:
    """Adds each output's gradient to the pixel that was its maximum."""
    N, C, H, W = input_shape
    kernel_size, stride, padding, dilation, output_size = windows
    grad_input = memory.empty(input_shape, grad_output.dtype)
    kh, kw = np.divmod(np.arange(math.prod(kernel_size)), kernel_size[1])
    tap_offsets = kh * dilation[0] * W + kw * dilation[1]
    chunks = count_chunks(N * C, (grad_input.size + grad_output.size) // 2)
    launch(
        _max_pool_backward, chunks, flat(grad_output), flat(taps),
        grad_input.reshape(-1), tap_offsets, N * C, H, W, *output_size, *stride, *padding,
    )  # fmt: skip
    return grad_input


@jit
def _max_pool_backward(
    chunk, grad_output, taps, grad_input, tap_offsets, planes, H, W, H_out, W_out,
    sh, sw, ph, pw,
):  # fmt: skip
    first, last = begin(chunk, planes)
    for plane in range(first, last):
        grad_input[plane * H * W : (plane + 1) * H * W] = 0
        for i in range(H_out):
            start = (plane * H + i * sh - ph) * W - pw
            at = (plane * H_out + i) * W_out
            for j in range(W_out):
                if taps[at + j] >= 0:
                    grad_input[start + j * sw + tap_offsets[taps[at + j]]] += grad_output[at + j]


def _taps_dtype(kernel_size: Pair) -> np.dtype:
    return np.dtype(np.int8 if math.prod(kernel_size) <= 127 else np.int32)


def adaptive_max_pool2d_forward_reference(
    input: np.ndarray, bounds: Bounds
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (output, indices h * W + w of the maxima, int64)."""
    N, C, _, W = input.shape
    top, bottom, left, right, sizes = bounds
    output = memory.empty((N, C, *sizes.shape), input.dtype)
    indices = memory.empty(output.shape, np.dtype(np.int64))
    for i, j in np.ndindex(*sizes.shape):
        window = input[:, :, top[i] : bottom[i], left[j] : right[j]]
        kH, kW = window.shape[2:]
        window = window.reshape(N, C, kH * kW)
        best = window.argmax(axis=2)  # NumPy too takes NaN for the maximum, but the first one
        for n, c in np.argwhere(np.isnan(window).any(axis=2)):
            best[n, c] = np.flatnonzero(np.isnan(window[n, c]))[-1]
        output[:, :, i, j] = np.take_along_axis(window, best[:, :, None], axis=2)[:, :, 0]
        indices[:, :, i, j] = (top[i] + best // kW) * W + left[j] + best % kW
    return output, indices


@twin_of(adaptive_max_pool2d_forward_reference)
def adaptive_max_pool2d_forward(input: np.ndarray, bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    """Returns (output, indices h * W + w of the maxima, int64)."""
    N, C, H, W = input.shape
    *edges, sizes = bounds
    output = np.empty((N, C, *sizes.shape), input.dtype)
    indices = np.empty(output.shape, np.int64)
    if output.size > 0:
        chunks = count_chunks(N * C, max(input.size, output.size) // 2)
        launch(
            _max_of_windows, chunks, flat(input), output.reshape(-1), indices.reshape(-1), *edges,
            N * C, H, W,
        )  # fmt: skip
    return output, indices


@jit
def _max_of_windows(chunk, input, output, indices, top, bottom, left, right, planes, H, W):
    first, last = begin(chunk, planes)
    for plane in range(first, last):
        at = plane * top.size * left.size
        for i in range(top.size):
            for j in range(left.size):
                index = top[i] * W + left[j]
                best = input[plane * H * W + index]
                for h in range(top[i], bottom[i]):
                    for w in range(left[j], right[j]):
                        pixel = input[(plane * H + h) * W + w]
                        if pixel > best or np.isnan(pixel):
                            best, index = pixel, h * W + w
                output[at], indices[at] = best, index
                at += 1


def adaptive_max_pool2d_backward_reference(
    grad_output: np.ndarray, indices: np.ndarray, input_shape: Shape4
) -> np.ndarray:
    """Adds each output's gradient to the pixel whose index was recorded."""
    N, C, H, W = input_shape
    grad_input = np.zeros((N * C, H * W), grad_output.dtype)
    # (N, C, H_out, W_out) -> (N*C, H_out*W_out)
    flat_shape = (N * C, grad_output.shape[2] * grad_output.shape[3])
    planes = np.arange(N * C)[:, None]
    np.add.at(grad_input, (planes, indices.reshape(flat_shape)), grad_output.reshape(flat_shape))
    return grad_input.reshape(input_shape)


@twin_of(adaptive_max_pool2d_backward_reference)
def adaptive_max_pool2d_backward(
    grad_output: np.ndarray, indices: np.ndarray, input_shape: Shape4
) -> np.ndarray:
    """Adds each output's gradient to the pixel whose index was recorded."""
    N, C, H, W = input_shape
    grad_input = np.zeros(input_shape, grad_output.dtype)
    if grad_output.size > 0:
        outputs = grad_output.shape[2] * grad_output.shape[3]
        _scatter(flat(grad_output), flat(indices), grad_input.reshape(-1), N * C, H * W, outputs)
    return grad_input


@jit
def _scatter(grad_output, indices, grad_input, planes, pixels, outputs):
    for plane in range(planes):
        for at in range(plane * outputs, (plane + 1) * outputs):
            grad_input[plane * pixels + indices[at]] += grad_output[at]
