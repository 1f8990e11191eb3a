"""In which order the elements of an array lie in memory: PyTorch's memory formats.

A batch of images (N, C, H, W) usually lies there plane by plane: its strides are (C H W, H W, W,
1). In the format channels_last all channels of a pixel are neighbours: (H W C, 1, W C, C). What is
at x[n, c, h, w] is the same, so every operation takes both. Here the layers compute plane by
plane, whatever they are given; PyTorch has kernels for both, and keeps the format it finds.
"""

from __future__ import annotations

from enum import Enum

import numpy as np


class memory_format(Enum):  # noqa: N801 - PyTorch's name
    """An order in memory, or that which a tensor already has."""

    contiguous_format = 0
    preserve_format = 1
    channels_last = 2


contiguous_format, preserve_format, channels_last = memory_format


def check_memory_format(name: str, order: object) -> memory_format:
    """`order`, if it is a memory format.

    Raises: TypeError otherwise.
    """
    if not isinstance(order, memory_format):
        kind = type(order).__name__
        raise TypeError(f"{name}(): argument 'memory_format' must be memory_format, not {kind}")
    return order


def may_overlap(x: np.ndarray) -> bool:
    """Whether elements of x may share memory, as those of overlapping windows do."""
    reach = 0  # of the dims with shorter steps
    for step, n in sorted((abs(s), n) for s, n in zip(x.strides, x.shape, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def is_laid_out(array: np.ndarray, order: memory_format) -> bool:
    """Whether the elements lie in this order, without gaps."""
    if order is channels_last:
        return array.ndim == 4 and array.transpose(0, 2, 3, 1).flags.c_contiguous
    return array.flags.c_contiguous


def copy_laid_out(array: np.ndarray, order: memory_format) -> np.ndarray:
    """A copy whose elements lie in this order.

    Raises: RuntimeError for channels_last unless there are four dims.
    """
    if order is not channels_last:
        return array.copy("C" if order is contiguous_format else "K")
    if array.ndim != 4:
        raise RuntimeError("required rank 4 tensor to use channels_last format")
    # (N, C, H, W) -> (N, H, W, C) in memory -> (N, C, H, W) again
    return array.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)


def suggested_format(array: np.ndarray) -> memory_format:
    """The order that the strides look like; some, as those of an image of one pixel, fit both."""
    if array.ndim != 4 or array.strides[1] == 0:
        return contiguous_format
    smallest = 0
    for dim in (1, 3, 2, 0):
        size, stride = array.shape[dim], array.strides[dim]
        if size == 0 or stride < smallest or (dim == 0 and smallest == array.strides[1]):
            return contiguous_format
        smallest = stride * size
    return channels_last
