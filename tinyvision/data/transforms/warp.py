"""Resampling a batch of images along affine maps, one map per image."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

from tinyvision.data.transforms.pad import pad_with

# Images are warped in groups whose intermediate arrays fit the cache. Whole batches at once can be
# four times slower: depending on the allocator, every operation gets fresh pages to fault in.
_GROUP_PIXELS = 1 << 14


class InterpolationMode(Enum):
    """How a value between pixels is read."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"

    @classmethod
    def _missing_(cls, value: object) -> None:
        if value in ("nearest-exact", "bicubic", "box", "hamming", "lanczos"):
            raise NotImplementedError(f"interpolation {value!r} is not supported")


def warp(
    images: np.ndarray,
    matrices: np.ndarray,
    offsets: np.ndarray,
    interpolation: InterpolationMode,
    fill: float | Sequence[float] = 0,
) -> np.ndarray:
    """out[n, p] = images[n, matrices[n] @ p + offsets[n]], fill outside the image.

    Places p = (x, y) are measured in pixels from the image's centre, so the maps do not depend on
    the size of the image.

    Shapes: images (N, H, W, C), matrices (N, 2, 2), offsets (N, 2) -> (N, H, W, C)
    """
    N, H, W, _ = images.shape
    out = np.empty_like(images)
    group = max(1, _GROUP_PIXELS // (H * W))
    for start in range(0, N, group):
        part = slice(start, start + group)
        _warp_group(images[part], matrices[part], offsets[part], interpolation, fill, out[part])
    return out


def _warp_group(
    images: np.ndarray,
    matrices: np.ndarray,
    offsets: np.ndarray,
    interpolation: InterpolationMode,
    fill: float | Sequence[float],
    out: np.ndarray,
) -> None:
    _, H, W, _ = images.shape
    x, y = _source_places(matrices, offsets, H, W)
    # A frame of fill, one pixel before and two behind: whatever lies outside is read from it.
    padded = pad_with(images, (1, 1, 2, 2), fill)
    x, y = np.clip(x, -1, W) + 1, np.clip(y, -1, H) + 1
    nearest = interpolation is InterpolationMode.NEAREST
    columns, rows = (np.rint(x), np.rint(y)) if nearest else (np.floor(x), np.floor(y))
    index = _flat_index(padded, columns, rows)
    # (N, H, W, C) -> (C, N*H*W): one channel at a time, so that the inner loops are long.
    planes = np.ascontiguousarray(np.moveaxis(padded, -1, 0)).reshape(padded.shape[-1], -1)
    for c, plane in enumerate(planes):
        if nearest:
            out[..., c] = plane.take(index)
            continue
        values = _bilinear(plane, index, padded.shape[2], x - columns, y - rows)
        # They lie between stored values, so rounding cannot leave an integer's range.
        out[..., c] = values if out.dtype.kind == "f" else np.rint(values)


def _source_places(
    matrices: np.ndarray, offsets: np.ndarray, H: int, W: int
) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel of the output the column and row to read, each (N, H, W), as floats."""
    matrices, offsets = matrices.astype(np.float32), offsets.astype(np.float32)
    x_centre, y_centre = np.float32((W - 1) / 2), np.float32((H - 1) / 2)
    x = (np.arange(W, dtype=np.float32) - x_centre)[None, None, :]  # (1, 1, W)
    y = (np.arange(H, dtype=np.float32) - y_centre)[None, :, None]  # (1, H, 1)
    (xx, xy), (yx, yy) = np.moveaxis(matrices, 0, -1)[..., None, None]  # each (N, 1, 1)
    dx, dy = offsets.T[..., None, None] + np.array([x_centre, y_centre]).reshape(2, 1, 1, 1)
    return (xx * x + dx) + xy * y, (yx * x + dy) + yy * y


def _bilinear(
    plane: np.ndarray, index: np.ndarray, row: int, right_share: np.ndarray, lower_share: np.ndarray
) -> np.ndarray:
    """One channel between four pixels: the one at `index`, the next, and those a row below."""
    plane = plane if plane.dtype.kind == "f" else plane.astype(np.float32)
    # Reading the array from k on spares adding k to the index.
    a, b, c, d = (plane[k:].take(index) for k in (0, 1, row, row + 1))
    above, below = a + (b - a) * right_share, c + (d - c) * right_share
    return above + (below - above) * lower_share


def _flat_index(images: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where pixel (rows[n, i, j], columns[n, i, j]) of image n is among all images' pixels."""
    N, H, W, _ = images.shape
    first = (np.arange(N) * (H * W)).reshape(N, 1, 1)
    return rows.astype(np.intp) * W + columns.astype(np.intp) + first
