"""RandomCrop and RandomHorizontalFlip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyvision.data.transforms.base import Transform, as_pixel, check_probability

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


class RandomCrop(Transform):
    """Cut out a window of `size` at a random place, after padding.

    size: int or (height, width). padding: int, (left_right, top_bottom) or
    (left, top, right, bottom). pad_if_needed: pad images smaller than the window.
    padding_mode: constant (with `fill`: a number, or one per channel), edge, reflect, symmetric.

    Raises: TypeError or ValueError for bad arguments, ValueError if the padded image is smaller
    than the window.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = _height_width(size)
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"RandomCrop: padding_mode should be one of {PADDING_MODES}, got {padding_mode!r}"
            )
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        self._sides = _four_sides(padding)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, *size, C), each image with its own offsets."""
        padded = self._pad(images)
        N, H, W, C = padded.shape
        height, width = self.size
        if H < height or W < width:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than input image size "
                f"{(H, W)}"
            )
        tops = draw.integers(H - height + 1, size=N).tolist()
        lefts = draw.integers(W - width + 1, size=N).tolist()
        cropped = np.empty((N, height, width, C), images.dtype)
        # A loop: a slice per image copies whole rows, several times faster than fancy indexing.
        for out, image, top, left in zip(cropped, padded, tops, lefts, strict=True):
            out[...] = image[top : top + height, left : left + width]
        return cropped

    def _pad(self, images: np.ndarray) -> np.ndarray:
        left, top, right, bottom = self._sides
        _, H, W, _ = images.shape
        if self.pad_if_needed:
            missing_h = max(0, self.size[0] - (H + top + bottom))
            missing_w = max(0, self.size[1] - (W + left + right))
            top, bottom, left, right = (
                top + missing_h,
                bottom + missing_h,
                left + missing_w,
                right + missing_w,
            )
        if left == top == right == bottom == 0:
            return images
        if self.padding_mode != "constant":
            sides = ((0, 0), (top, bottom), (left, right), (0, 0))
            return np.pad(images, sides, mode=self.padding_mode)  # type: ignore[call-overload]
        return pad_with(images, (left, top, right, bottom), self.fill)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip(Transform):
    """Mirror left and right with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability(p, "RandomHorizontalFlip")

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        flipped = images.copy(order="K")
        for i in np.flatnonzero(draw.random(len(images)) < self.p):
            flipped[i] = images[i, :, ::-1]
        return flipped

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


def pad_with(
    images: np.ndarray, sides: tuple[int, int, int, int], fill: float | Sequence[float]
) -> np.ndarray:
    """Images (N, H, W, C) in a frame of `fill`; sides are (left, top, right, bottom).

    Raises: ValueError if `fill` is no pixel of such images.
    """
    left, top, right, bottom = sides
    N, H, W, C = images.shape
    padded = np.empty((N, H + top + bottom, W + left + right, C), images.dtype)
    padded[...] = as_pixel(fill, images, "fill")
    padded[:, top : top + H, left : left + W] = images
    return padded


def _height_width(size: int | Sequence[int]) -> tuple[int, int]:
    pair = _ints(size, "size", at_least=1)
    if len(pair) not in (1, 2):
        raise ValueError(f"RandomCrop: size should be an int or (height, width), got {size!r}")
    return pair[0], pair[-1]


def _four_sides(padding: int | Sequence[int] | None) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a padding argument."""
    sides = _ints(0 if padding is None else padding, "padding", at_least=0)
    if len(sides) not in (1, 2, 4):
        raise ValueError(
            f"RandomCrop: padding should be an int or a sequence of 1, 2 or 4, got {padding!r}"
        )
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def _ints(value: int | Sequence[int], name: str, at_least: int) -> list[int]:
    numbers = list(value) if isinstance(value, Sequence) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"RandomCrop: {name} should be an int or a sequence of them, got {value!r}")
    if any(number < at_least for number in numbers):
        raise ValueError(f"RandomCrop: {name} should be {at_least} or larger, got {value!r}")
    return numbers
