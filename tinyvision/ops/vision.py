"""Images of another size, and their windows as columns of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.kernels.windows import Pair, Windows

# ------------------------------------------------------------------ interpolate


class Places(NamedTuple):
    """What the values along one dim of a resized image are made of.

    Value i is (1 - share[i]) * x[low[i]] + share[i] * x[high[i]], or x[low[i]] without a share.
    """

    low: np.ndarray
    high: np.ndarray | None = None
    share: np.ndarray | None = None


def nearest_places(size: int, size_out: int, step: np.floating, exact: bool) -> Places:
    """The value at i is that of the pixel in which i * step lies, i + 1/2 if exact."""
    i = np.arange(size_out, dtype=step.dtype)
    return Places(np.minimum(((i + step.dtype.type(exact / 2)) * step).astype(np.intp), size - 1))


def linear_places(size: int, size_out: int, step: np.floating, align_corners: bool) -> Places:
    """The value at i mixes the two pixels between whose centres it lies.

    Pixel i's centre is i + 1/2, or i if corners are aligned; outside of all the last one counts.
    """
    i = np.arange(size_out, dtype=step.dtype)
    half = step.dtype.type(0.5)
    place = i * step if align_corners else np.maximum((i + half) * step - half, 0)
    low = np.minimum(place.astype(np.intp), size - 1)
    share = np.minimum(place - low.astype(step.dtype), step.dtype.type(1))
    return Places(low, np.minimum(low + 1, size - 1), share)


class Interpolate(Op):
    """y = x with other sizes from the third dim on; places says for each what y is made of.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out), or any other number of dims after C.
    Gradient: dx = A^T g B for y = A x B^T, where row i of A and B has the shares of Places.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, places: tuple[Places, ...]) -> np.ndarray:
        ctx.shape, ctx.places = x.shape, places
        for dim, (low, high, share) in enumerate(places, start=2):
            y = x.take(low, dim)
            if high is not None and share is not None:
                share = share.reshape(-1, *[1] * (x.ndim - dim - 1)).astype(x.dtype)
                y *= 1 - share
                y += x.take(high, dim) * share
            x = y
        return x

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad = grad_output
        for dim, (low, high, share) in enumerate(ctx.places, start=2):
            i = np.arange(len(low))
            matrix = np.zeros((len(low), ctx.shape[dim]), grad.dtype)
            matrix[i, low] = 1 if share is None else 1 - share
            if share is not None:
                matrix[i, high] += share
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
        return _to_columns(x, windows)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _to_images(grad_output, ctx.shape, ctx.windows)


class Fold(Op):
    """y = the image of `shape` whose pixels are the sums of their copies in the columns of x.

    Shapes: as Unfold's, exchanged. Gradient: the columns of g.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, shape: tuple[int, ...], windows: Windows
    ) -> np.ndarray:
        ctx.windows = windows
        return np.ascontiguousarray(_to_images(x, shape, windows))

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _to_columns(grad_output, ctx.windows)


def _to_columns(x: np.ndarray, windows: Windows) -> np.ndarray:
    N, C = x.shape[:2]
    y = np.empty((N, C, *windows.kernel_size, *windows.output_size), x.dtype)
    for (kh, kw), pixels in _taps(_pad(x, windows.padding), windows):
        y[:, :, kh, kw] = pixels
    return y.reshape(_columns(x.shape, windows))


def _to_images(columns: np.ndarray, shape: tuple[int, ...], windows: Windows) -> np.ndarray:
    N, C, H, W = shape
    # (N, C*kH*kW, L) -> (N, C, kH, kW, H_out, W_out)
    columns = columns.reshape(N, C, *windows.kernel_size, *windows.output_size)
    pH, pW = windows.padding
    padded = np.zeros((N, C, H + 2 * pH, W + 2 * pW), columns.dtype)
    for (kh, kw), pixels in _taps(padded, windows):
        pixels += columns[:, :, kh, kw]
    return padded[:, :, pH : pH + H, pW : pW + W]


def _pad(x: np.ndarray, padding: Pair) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *[(n, n) for n in padding])) if any(padding) else x


def _taps(padded: np.ndarray, windows: Windows) -> Iterator[tuple[Pair, np.ndarray]]:
    """For each place in the window, the pixels that lie there, one per window: a view."""
    kernel_size, (sH, sW), _, (dH, dW), (H_out, W_out) = windows
    for kh, kw in np.ndindex(kernel_size):
        top, left = kh * dH, kw * dW
        rows = slice(top, top + sH * (H_out - 1) + 1, sH)
        yield (kh, kw), padded[:, :, rows, left : left + sW * (W_out - 1) + 1 : sW]


def _columns(shape: tuple[int, ...], windows: Windows) -> tuple[int, int, int]:
    kH, kW = windows.kernel_size
    H_out, W_out = windows.output_size
    return shape[0], shape[1] * kH * kW, H_out * W_out
