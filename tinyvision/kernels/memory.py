"""Reusing the memory of large arrays.

The operating system hands out fresh memory page by page, clearing each 4 KB page when it is first
touched. For arrays of megabytes that costs as much as computing them, and a training step asks
for the same sizes over and over. So results of kernels are placed in buffers that are kept here,
and a buffer is used again when nothing refers to it any more.

Whether that is so, Python itself knows: every array that looks at a buffer, however indirectly,
holds a reference to it.
"""

import sys
import threading

import numpy as np

# Below this, the C library keeps freed memory by itself.
LARGE_BYTES = 256 * 1024
# Unused buffers are given back when together they hold more than this.
MAX_UNUSED_BYTES = 512 * 1024 * 1024

_lock = threading.Lock()
_buffers: dict[int, list[np.ndarray]] = {}  # by size in bytes


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Like numpy.empty; large arrays may lie in memory that was used before."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < LARGE_BYTES:
        return np.empty(shape, dtype)
    with _lock:
        return _unused_buffer(size).view(dtype).reshape(shape)


def _unused_buffer(size: int) -> np.ndarray:
    alike = _buffers.setdefault(size, [])
    for i in range(len(alike)):
        if _is_unused(alike, i):
            return alike[i]
    _give_back()
    buffer = np.empty(size, np.uint8)
    alike.append(buffer)
    return buffer


def _is_unused(buffers: list[np.ndarray], i: int) -> bool:
    # Two references are left: that of the list, and the argument of getrefcount.
    return sys.getrefcount(buffers[i]) == 2


def _give_back() -> None:
    """Forget all unused buffers if they hold too much."""
    unused = {
        size: [i for i in range(len(alike)) if _is_unused(alike, i)]
        for size, alike in _buffers.items()
    }
    if sum(size * len(indices) for size, indices in unused.items()) > MAX_UNUSED_BYTES:
        for size, indices in unused.items():
            for i in reversed(indices):
                del _buffers[size][i]
