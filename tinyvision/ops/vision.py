"""Images of another size, and their windows as columns of a matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.kernels.windows import Pair, Windows

# ------------------------------------------------------------------ interpolate


class Neighbours(NamedTuple):
    """What the values along one dim of a resized image are made of.

    Value i is (1 - weight[i]) * x[low[i]] + weight[i] * x[high[i]], or x[low[i]] without a weight.
    """

    low: np.ndarray
    high: np.ndarray | None = None
    weight: np.ndarray | None = None


def nearest_neighbours(size: int, size_out: int, step: np.floating, exact: bool) -> Neighbours:
    """The value at i is that of the pixel in which i * step lies, i + 1/2 if exact."""
    position = (np.arange(size_out, dtype=step.dtype) + step.dtype.type(exact / 2)) * step
    return Neighbours(np.minimum(position.astype(np.intp), size - 1))


def linear_neighbours(
    size: int, size_out: int, step: np.floating, align_corners: bool
) -> Neighbours:
    """The value at i mixes the two pixels between whose centres it lies.

    Pixel i's centre is i + 1/2, or i if corners are aligned; outside of all the last one counts.
    """
    i = np.arange(size_out, dtype=step.dtype)
    half = step.dtype.type(0.5)
    position = i * step if align_corners else np.maximum((i + half) * step - half, 0)
    low = np.minimum(position.astype(np.intp), size - 1)
    weight = np.minimum(position - low.astype(step.dtype), step.dtype.type(1))
    return Neighbours(low, np.minimum(low + 1, size - 1), weight)


class Interpolate(Op):
    """y = x with other sizes from the third dim on, for each of which there are Neighbours.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out), or any other number of dims after C.
    Gradient: dx = A^T g B for y = A x B^T, where row i of A and B has the weights of Neighbours.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, neighbours: tuple[Neighbours, ...]) -> np.ndarray:
        ctx.shape, ctx.neighbours = x.shape, neighbours
        for dim, (low, high, weight) in enumerate(neighbours, start=2):
            y = x.take(low, dim)
            if high is not None and weight is not None:
                weight = weight.reshape(-1, *[1] * (x.ndim - dim - 1)).astype(x.dtype)
                y *= 1 - weight
                y += x.take(high, dim) * weight
            x = y
        return x

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad = grad_output
        for dim, (low, high, weight) in enumerate(ctx.neighbours, start=2):
            i = np.arange(len(low))
            matrix = np.zeros((len(low), ctx.shape[dim]), grad.dtype)
            matrix[i, low] = 1 if weight is None else 1 - weight
            if weight is not None:
                matrix[i, high] += weight
            # (N, C, H_out, W) -> (N, C, W, H_out) -> (N, C, W, H) -> (N, C, H, W)
            grad = (grad.swapaxes(dim, -1) @ matrix).swapaxes(dim, -1)
        return grad


# ------------------------------------------------------------------ unfold and fold


class Unfold(Op):
    """y[n, :, l] = all values in window l of image n, those of one channel following each other.

    Shapes: x (N, C, H, W), y (N, C * kH * kW, L) with L = H_out * W_out windows, row by row.
    Gradient: each pixel gets the sum of g over its copies.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, windows: Windows) -> np.ndarray:
        ctx.shape, ctx.windows = x.shape, windows
        return _im2col(x, windows)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _col2im(grad_output, ctx.shape, ctx.windows)


class Fold(Op):
    """y = the image of `shape` whose pixels are the sums of their copies in the columns of x.

    Shapes: as Unfold's, exchanged. Gradient: the columns of g.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, shape: tuple[int, ...], windows: Windows
    ) -> np.ndarray:
        ctx.windows = windows
        return np.ascontiguousarray(_col2im(x, shape, windows))

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _im2col(grad_output, ctx.windows)


def _im2col(x: np.ndarray, windows: Windows) -> np.ndarray:
    N, C = x.shape[:2]
    pH, pW = windows.padding
    padded = np.pad(x, ((0, 0), (0, 0), (pH, pH), (pW, pW)))
    y = np.empty((N, C, *windows.kernel_size, *windows.output_size), x.dtype)
    for (kh, kw), pixels in _taps(padded, windows):
        y[:, :, kh, kw] = pixels
    # (N, C, kH, kW, H_out, W_out) -> (N, C*kH*kW, L)
    return y.reshape(N, C * math.prod(windows.kernel_size), math.prod(windows.output_size))


def _col2im(columns: np.ndarray, shape: tuple[int, ...], windows: Windows) -> np.ndarray:
    N, C, H, W = shape
    # (N, C*kH*kW, L) -> (N, C, kH, kW, H_out, W_out)
    columns = columns.reshape(N, C, *windows.kernel_size, *windows.output_size)
    pH, pW = windows.padding
    padded = np.zeros((N, C, H + 2 * pH, W + 2 * pW), columns.dtype)
    for (kh, kw), pixels in _taps(padded, windows):
        pixels += columns[:, :, kh, kw]
    return padded[:, :, pH : pH + H, pW : pW + W]


def _taps(padded: np.ndarray, windows: Windows) -> Iterator[tuple[Pair, np.ndarray]]:
    """For each place in the window, the pixels that lie there, one per window: a view."""
    kernel_size, (sH, sW), _, (dH, dW), (H_out, W_out) = windows
    for kh, kw in np.ndindex(kernel_size):
        top, left = kh * dH, kw * dW
        rows = slice(top, top + sH * (H_out - 1) + 1, sH)
        yield (kh, kw), padded[:, :, rows, left : left + sW * (W_out - 1) + 1 : sW]
