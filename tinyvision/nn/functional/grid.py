"""Images seen through a grid of points: the two halves of a spatial transformer.

affine_grid says where in the image each pixel of the result lies, grid_sample fetches it. Both are
differentiable, so that a network can learn where to look.

Points are (x, y), from (-1, -1) at the upper left to (1, 1) at the lower right: at the centres of
the corner pixels with align_corners, else at their outer corners, which does not depend on the
number of pixels.

Source: Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv:1506.02025, sections 3.2, 3.3.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.nn.functional.arguments import check_float, check_same_dtype, check_tensors
from tinyvision.tensor import Tensor

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where an affine map takes each pixel's centre: theta @ (x, y, 1).

    Shapes: theta (N, 2, 3), size (N, C, H, W), output (N, H, W, 2).
    Raises: ValueError for other shapes or no floats, RuntimeError for another N,
    NotImplementedError for volumes.
    """
    check_tensors("affine_grid", theta=theta)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) != 4:
        raise NotImplementedError(
            f"affine_grid: only a size (N, C, H, W) is supported, but got {tuple(size)}"
        )
    if theta.ndim != 3 or theta.shape[1:] != (2, 3):
        raise ValueError(
            f"affine_grid: expected theta of shape (N, 2, 3) for size {tuple(size)}, but got "
            f"{theta.shape}"
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    if align_corners is None:
        _warn_of_align_corners()
    N, _, H, W = size
    if len(theta) != N:
        raise RuntimeError(f"affine_grid: theta {theta.shape} is not for {N} images")
    x, y = (_centres(n, bool(align_corners)) for n in (W, H))
    points = np.stack([*np.broadcast_arrays(x, y[:, None]), np.ones((H, W))], axis=-1)
    grid = from_numpy(points.reshape(H * W, 3).astype(theta.dtype)) @ theta.transpose(1, 2)
    return grid.reshape(N, H, W, 2)  # (H*W, 3) @ (N, 3, 2) -> (N, H*W, 2)


def _centres(n: int, align_corners: bool) -> np.ndarray:
    """Where the centres of n pixels in a row are."""
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The image at each point of the grid.

    mode: "bilinear" mixes the four pixels between whose centres a point lies, each the more the
    nearer it is; "nearest" takes the nearest. padding_mode: outside of the image are "zeros"; or
    a point there moves to the "border", or is mirrored there ("reflection").

    Shapes: input (N, C, H, W), grid (N, H_out, W_out, 2), output (N, C, H_out, W_out).
    Raises: ValueError for an unknown mode, RuntimeError for shapes or dtypes that do not fit
    together, NotImplementedError for "bicubic" and for volumes.
    """
    _check(input, grid, mode, padding_mode)
    if align_corners is None:
        _warn_of_align_corners()
    x, y = (
        _places(grid[..., i], input.shape[3 - i], padding_mode, bool(align_corners)) for i in (0, 1)
    )
    if mode == "nearest":
        # 0 * y, because PyTorch gives the grid a gradient of 0.
        return _pixels(input, y.detach().round(), x.detach().round(), 1 + 0 * y * x)
    top, left = y.detach().floor(), x.detach().floor()
    return (
        _pixels(input, top, left, (top + 1 - y) * (left + 1 - x))
        + _pixels(input, top, left + 1, (top + 1 - y) * (x - left))
        + _pixels(input, top + 1, left, (y - top) * (left + 1 - x))
        + _pixels(input, top + 1, left + 1, (y - top) * (x - left))
    )


def _places(points: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Points as row or column numbers, moved into the image if `padding_mode` says so."""
    if align_corners:
        low, high = 0.0, size - 1.0
        places = (points + 1) * (high / 2)
    else:
        low, high = -0.5, size - 0.5
        places = ((points + 1) * size - 1) / 2
    if padding_mode == "zeros":
        return places.clamp(-2, size + 1)  # beyond there is nothing either, but not inf - inf
    if padding_mode == "reflection":
        span = max(high - low, 1e-6)  # of one pixel
        distance = (places - low).abs()
        remainder = distance.remainder(span)
        is_mirrored = (distance.detach() / span).floor() % 2 == 1
        places = (span - remainder).where(is_mirrored, remainder) + low
    # As in PyTorch, a place on the border has no gradient; clamp would give it one.
    return places.masked_fill(places <= 0, 0).masked_fill(places >= size - 1, size - 1)


def _pixels(input: Tensor, row: Tensor, column: Tensor, weight: Tensor) -> Tensor:
    """The pixels at (row, column) times their weights, 0 outside of the image."""
    N, C, H, W = input.shape
    outside = (row < 0) | (row >= H) | (column < 0) | (column >= W) | row.isnan() | column.isnan()
    row, column = (t.masked_fill(outside, 0).long() for t in (row, column))
    # (N, H_out, W_out) -> (N, C, H_out*W_out)
    place = (row * W + column).reshape(N, 1, -1).expand(N, C, -1)
    values = input.flatten(2).gather(2, place).reshape(N, C, *row.shape[1:])
    return values * weight.masked_fill(outside, 0).unsqueeze(1)


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"grid_sample: expected mode to be one of {_MODES}, but got {mode!r}")
    if padding_mode not in _PADDINGS:
        raise ValueError(
            f"grid_sample: expected padding_mode to be one of {_PADDINGS}, but got {padding_mode!r}"
        )
    check_tensors("grid_sample", input=input, grid=grid)
    if mode == "bicubic" or input.ndim == 5:
        what = "mode='bicubic'" if mode == "bicubic" else "a 5D input"
        raise NotImplementedError(f"grid_sample: {what} is not supported")
    check_float("grid_sample", input)
    check_same_dtype("grid_sample", input, grid=grid)
    fits = grid.ndim == 4 and grid.shape[0] == input.shape[0] and grid.shape[-1] == 2
    if input.ndim != 4 or not fits or 0 in input.shape[2:]:
        raise RuntimeError(
            "grid_sample: expected input (N, C, H, W) that is not empty and grid (N, H_out, W_out, "
            f"2), but got {input.shape} and {grid.shape}"
        )


def _warn_of_align_corners() -> None:
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
        "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
        "documentation of grid_sample for details.",
        stacklevel=3,
    )
