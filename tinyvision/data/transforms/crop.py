"""RandomCrop and CenterCrop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyvision.data.transforms.base import Transform, height_width
from tinyvision.data.transforms.pad import check_padding, pad_with


class RandomCrop(Transform):
    """Cut out a window of `size` at a random place, after padding.

    size: int or (height, width). padding, fill, padding_mode: as in Pad.
    pad_if_needed: pad images smaller than the window.

    Raises: TypeError or ValueError for bad arguments, ValueError if the padded image is smaller
    than the window.
    """

    _shown = ("size", "padding")

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = height_width(size, "RandomCrop")
        self._sides = check_padding(padding, padding_mode, "RandomCrop")
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, *size, C), each image with its own offsets."""
        padded = self._pad(images)
        N, H, W, C = padded.shape
        height, width = self.size
        if H < height or W < width:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than input image {(H, W)}"
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
            top, bottom = top + missing_h, bottom + missing_h
            left, right = left + missing_w, right + missing_w
        if left == top == right == bottom == 0:
            return images
        return pad_with(images, (left, top, right, bottom), self.fill, self.padding_mode)


class CenterCrop(Transform):
    """Cut the window `size` out of the middle; around a smaller image it has a frame of zeros.

    size: int or (height, width).

    Raises: TypeError or ValueError for a bad size.
    """

    _shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = height_width(size, "CenterCrop")

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, *size, C)."""
        height, width = self.size
        _, H, W, _ = images.shape
        rows, columns = max(0, height - H), max(0, width - W)  # missing
        sides = (columns // 2, rows // 2, (columns + 1) // 2, (rows + 1) // 2)
        padded = pad_with(images, sides, fill=0)
        top, left = round((H + rows - height) / 2), round((W + columns - width) / 2)
        return padded[:, top : top + height, left : left + width]
