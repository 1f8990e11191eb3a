"""Where the windows lie over which pooling takes the maximum or the mean."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

Pair = tuple[int, int]


class Windows(NamedTuple):
    """How a window slides over an image, and how often it fits."""

    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    output_size: Pair


class Bounds(NamedTuple):
    """Windows as parts of an image: window (i, j) is image[top[i]:bottom[i], left[j]:right[j]].

    sizes: what the sum of a window is divided by for its mean, (H_out, W_out).
    """

    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray
    sizes: np.ndarray


# A network asks for the same few again at each step.
@lru_cache
def window_bounds(
    image_size: tuple[int, ...], windows: Windows, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Bounds:  # fmt: skip
    """The part of each window that is inside the image; windows must not be dilated.

    The size counts the window's pixels inside the image or, with count_include_pad, inside the
    image with its padding; in both cases what hangs over the padding (ceil_mode) does not count. A
    divisor_override replaces it.
    """
    kernel_size, stride, padding, _, output_size = windows
    (top, bottom, heights), (left, right, widths) = (
        _spans(*numbers, count_include_pad)
        for numbers in zip(image_size, kernel_size, stride, padding, output_size, strict=True)
    )
    sizes = np.multiply.outer(heights, widths)
    if divisor_override is not None:
        sizes = np.full_like(sizes, divisor_override)
    return Bounds(top, bottom, left, right, sizes)


def _spans(
    size: int, kernel: int, stride: int, padding: int, output_size: int, count_padding: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last (exclusive) input row of each output row, and how many rows count."""
    first = np.arange(output_size) * stride - padding
    last = np.minimum(first + kernel, size + padding)
    inside_first, inside_last = np.maximum(first, 0), np.minimum(last, size)
    counted = last - first if count_padding else inside_last - inside_first
    # An empty window has the sum 0: divide it by 1.
    return inside_first, np.maximum(inside_first, inside_last), np.maximum(counted, 1)


@lru_cache
def grid_bounds(image_size: tuple[int, ...], output_size: Pair) -> Bounds:
    """The cells of a grid laid over the image, as adaptive pooling has them.

    Along a dim of size n cut into m cells, cell i is floor(i n / m) ... ceil((i + 1) n / m) - 1.
    """
    (top, bottom), (left, right) = map(_cells, image_size, output_size)
    return Bounds(top, bottom, left, right, np.multiply.outer(bottom - top, right - left))


def _cells(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last (exclusive) row of each cell."""
    i = np.arange(count)
    return i * size // count, -(-(i + 1) * size // count)
