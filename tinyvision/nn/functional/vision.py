"""Images of another size, and their windows as columns of a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.checks import as_int
from tinyvision.kernels.windows import Windows
from tinyvision.nn.functional.arguments import (
    Size,
    as_number,
    check_bool,
    check_float,
    check_image,
    check_tensors,
    on_batch,
    size_pair,
)
from tinyvision.nn.functional.pooling import windows_over
from tinyvision.ops.vision import (
    Fold,
    Interpolate,
    Neighbours,
    Unfold,
    linear_neighbours,
    nearest_neighbours,
)
from tinyvision.tensor import Tensor

_LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5}  # how many dims the input of each has
_NEAREST = ("nearest", "nearest-exact")
_WHOLE = {"nearest": (1, 2), "nearest-exact": ()}  # (1,) for the others


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images of another size: a given one, or the old one times scale_factor, rounded down.

    mode: "nearest" takes the pixel in which a new one's upper left corner lies, "nearest-exact"
    that in which its centre lies; "linear", "bilinear" and "trilinear" mix the 2, 4 or 8 pixels
    between whose centres its centre lies, with align_corners so that the images' corner pixels
    coincide. recompute_scale_factor: step through the image by old / new size, without the
    rounding, instead of 1 / scale_factor.

    Shapes: input (N, C, L), (N, C, H, W) or (N, C, D, H, W), output likewise.
    Raises: ValueError for arguments that contradict each other, NotImplementedError for other
    modes, antialias, or a mode that does not fit the dims, RuntimeError for sizes below 1.
    """
    check_tensors("interpolate", input=input)
    _check_mode(input, mode, align_corners, antialias)
    sizes, factors = _sizes(input, size, scale_factor)
    if recompute_scale_factor:
        if size is not None:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        factors = [None] * len(sizes)
    if min(*input.shape[1:], *sizes) < 1:
        raise RuntimeError(
            "interpolate: Input and output sizes should be greater than 0, but got input "
            f"{input.shape} and output sizes {tuple(sizes)}"
        )
    dtype = np.dtype(np.float64 if input.dtype == np.float64 else np.float32)
    neighbours = [
        _neighbours(n, n_out, factor, mode, bool(align_corners), dtype)
        for n, n_out, factor in zip(input.shape[2:], sizes, factors, strict=True)
    ]
    return Interpolate.apply(input, neighbours=tuple(neighbours))


def _check_mode(input: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not supported")
    if mode not in _NEAREST and mode not in _LINEAR:
        raise NotImplementedError(
            f"interpolate: mode={mode!r} is not supported; choose one of {(*_NEAREST, *_LINEAR)}"
        )
    if align_corners is not None:
        if mode in _NEAREST:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: "
                f"{' | '.join(_LINEAR)}"
            )
        check_bool("interpolate", "align_corners", align_corners)
    if input.ndim not in ((3, 4, 5) if mode in _NEAREST else (_LINEAR[mode],)):
        needed = "3D, 4D or 5D" if mode in _NEAREST else f"{_LINEAR[mode]}D"
        raise NotImplementedError(
            f"Got {input.ndim}D input, but {mode} mode needs {needed} input: input is {input.shape}"
        )
    if mode in _LINEAR or input.dtype != np.uint8:
        check_float("interpolate", input)


def _sizes(input: Tensor, size: Any, scale_factor: Any) -> tuple[list[int], list[float | None]]:
    """Per dim of the image the new size, and the factor by which it was given or None."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        sizes = [as_int(n, "interpolate", "size") for n in _per_dim(input, "size", size)]
        return sizes, [None] * len(sizes)
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = _per_dim(input, "scale_factor", scale_factor)
    factors = [float(as_number("interpolate", "scale_factor", factor)) for factor in given]
    if not all(map(math.isfinite, factors)):
        raise RuntimeError(f"interpolate: scale_factor must be finite, got {scale_factor}")
    return [int(n * f) for n, f in zip(input.shape[2:], factors, strict=True)], [*factors]


def _per_dim(input: Tensor, argument: str, value: Any) -> Sequence[Any]:
    dims = input.ndim - 2
    if not isinstance(value, (tuple, list)):
        return [value] * dims
    if len(value) != dims:
        raise ValueError(
            f"Input and {argument} must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {list(input.shape[2:])} and {argument} of {value}"
        )
    return value


def _neighbours(
    n: int, n_out: int, factor: float | None, mode: str, align_corners: bool, dtype: np.dtype
) -> Neighbours:
    """What the n_out values along a dim of n values are made of, computed in dtype as PyTorch."""
    # PyTorch takes some factors for whole where they led to a whole multiple of n: 2.01 for 2.
    if n_out in [n * whole for whole in _WHOLE.get(mode, (1,))]:
        factor = None
    step = n / n_out if factor is None else 1 / factor
    if mode in _NEAREST:
        return nearest_neighbours(n, n_out, dtype.type(step), exact=mode == "nearest-exact")
    if align_corners:
        step = (n - 1) / (n_out - 1) if n_out > 1 else 0.0
    return linear_neighbours(n, n_out, dtype.type(step), align_corners)


def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """The windows a filter slides over, as columns: convolution is then a matrix product.

    Shapes: input (N, C, H, W) or (C, H, W), output (N, C * kH * kW, L) or (C * kH * kW, L), where
    L = H_out * W_out with H_out = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1.
    Raises: RuntimeError for sizes that do not fit together, TypeError for wrong types.
    """
    check_image("unfold", input)
    windows = _windows("unfold", input.shape[-2:], kernel_size, dilation, padding, stride)
    return on_batch(Unfold, input, windows=windows)


def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """The image of that size whose pixels are the sums of their copies in columns of `unfold`.

    Shapes: input (N, C * kH * kW, L) or (C * kH * kW, L), output (N, C, *output_size) or without N.
    Raises: RuntimeError for sizes that do not fit together, TypeError for wrong types.
    """
    check_float("fold", input)
    size = size_pair("fold", "output_size", output_size)
    windows = _windows("fold", size, kernel_size, dilation, padding, stride)
    rows, L = math.prod(windows.kernel_size), math.prod(windows.output_size)
    if input.ndim not in (2, 3) or input.shape[-2] % rows or input.shape[-1] != L:
        raise RuntimeError(
            f"fold: expected input (N, C * {rows}, {L}) for output_size={size}, but got "
            f"{list(input.shape)}"
        )
    N = 1 if input.ndim == 2 else input.shape[0]
    shape = (N, input.shape[-2] // rows, *size)
    return on_batch(Fold, input, ndim=3, shape=shape, windows=windows)


def _windows(
    name: str, size: tuple[int, ...], kernel: Size, dilation: Size, padding: Size, stride: Size
) -> Windows:
    return windows_over(
        name,
        size,
        kernel=size_pair(name, "kernel_size", kernel),
        stride=size_pair(name, "stride", stride),
        padding=size_pair(name, "padding", padding, minimum=0),
        dilation=size_pair(name, "dilation", dilation),
    )


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """r^2 channels become one that is r times as high and wide, each giving one pixel of r x r.

    Shapes: input (..., C r^2, H, W), output (..., C, H r, W r).
    Raises: RuntimeError if r^2 does not divide the channels.

    Source: Shi et al. 2016, arXiv:1609.05158.
    """
    r = _shuffle_factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *lead, channels, H, W = input.shape
    if channels % r**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r**2}"
        )
    x = input.reshape(*lead, channels // r**2, r, r, H, W)
    n = len(lead)
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)  # (..., C, H, r, W, r)
    return x.reshape(*lead, channels // r**2, H * r, W * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The reverse of pixel_shuffle. Shapes: input (..., C, H r, W r), output (..., C r^2, H, W)."""
    r = _shuffle_factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *lead, C, H, W = input.shape
    if H % r or W % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but "
            f"{(H, W)} is not divisible by {r}"
        )
    x = input.reshape(*lead, C, H // r, r, W // r, r)
    n = len(lead)
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)  # (..., C, r, r, H, W)
    return x.reshape(*lead, C * r**2, H // r, W // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels dealt out anew: the first of each group, then the second of each, and so on.

    Shapes: input and output (N, C, H, W), or other dims after C.
    Raises: RuntimeError if groups does not divide the channels.

    Source: Zhang et al. 2017, "ShuffleNet", arXiv:1707.01083.
    """
    check_tensors("channel_shuffle", input=input)
    if input.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {input.shape}"
        )
    if as_int(groups, "channel_shuffle", "groups") < 1:
        raise RuntimeError(f"Number of groups to divide channels in must be positive, not {groups}")
    if input.shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {input.shape[1]} channels and "
            f"{groups} groups."
        )
    # (N, C, ...) -> (N, groups, C / groups, ...) -> (N, C / groups, groups, ...) -> (N, C, ...)
    grouped = input.unflatten(1, (groups, input.shape[1] // groups))
    return grouped.transpose(1, 2).flatten(1, 2)


def _shuffle_factor(name: str, argument: str, input: Tensor, factor: int) -> int:
    check_tensors(name, input=input)
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if as_int(factor, name, argument) < 1:
        raise RuntimeError(f"{name} expects a positive {argument}, but got {factor}")
    return factor
