"""Pad: a frame around images, which RandomCrop, CenterCrop and warps need too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyvision.data.transforms.base import Transform, as_pixel, check_ints

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


class Pad(Transform):
    """Put a frame around the image.

    padding: int, (left_right, top_bottom) or (left, top, right, bottom).
    padding_mode: constant (with `fill`: a number, or one per channel), edge (repeat the border),
    reflect (mirror the image at its border pixels), symmetric (mirror it behind them).

    Raises: TypeError or ValueError for bad arguments.
    """

    _shown = ("padding", "fill", "padding_mode")

    def __init__(
        self,
        padding: int | Sequence[int],
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self._sides = check_padding(padding, padding_mode, "Pad")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, top + H + bottom, left + W + right, C)."""
        return pad_with(images, self._sides, self.fill, self.padding_mode)


def pad_with(
    images: np.ndarray,
    sides: tuple[int, int, int, int],
    fill: float | Sequence[float],
    padding_mode: str = "constant",
) -> np.ndarray:
    """Images (N, H, W, C) in a frame; sides are (left, top, right, bottom).

    Raises: ValueError if `fill` is no pixel of such images.
    """
    left, top, right, bottom = sides
    if padding_mode != "constant":
        widths = ((0, 0), (top, bottom), (left, right), (0, 0))
        return np.pad(images, widths, mode=padding_mode)  # type: ignore[call-overload]
    N, H, W, C = images.shape
    padded = np.empty((N, H + top + bottom, W + left + right, C), images.dtype)
    padded[...] = as_pixel(fill, images, "fill")
    padded[:, top : top + H, left : left + W] = images
    return padded


def check_padding(
    padding: int | Sequence[int] | None, padding_mode: str, name: str
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a padding argument."""
    if padding_mode not in PADDING_MODES:
        raise ValueError(
            f"{name}: padding_mode should be one of {PADDING_MODES}, got {padding_mode!r}"
        )
    sides = check_ints(0 if padding is None else padding, f"{name}: padding", at_least=0)
    if len(sides) not in (1, 2, 4):
        raise ValueError(
            f"{name}: padding should be an int or a sequence of 1, 2 or 4, got {padding!r}"
        )
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom
