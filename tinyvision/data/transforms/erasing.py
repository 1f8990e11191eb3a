"""RandomErasing: hide a random rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinyvision.data.transforms.base import Transform, as_pixel, check_probability
from tinyvision.data.transforms.box import check_box_arguments, random_boxes


class RandomErasing(Transform):
    """With probability `p` overwrite a random rectangle of each image.

    The rectangle's share of the area is uniform in `scale`, the logarithm of its height / width
    uniform in log(`ratio`); up to ten draws are made for one that fits, else nothing is erased.
    value: a number, one per channel, or "random" for normal noise (float images).

    Raises: TypeError or ValueError for bad arguments, NotImplementedError for inplace=True.
    Source: Zhong et al. 2017, Random Erasing Data Augmentation, arXiv 1708.04896.
    """

    _shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
    ) -> None:
        if inplace:
            raise NotImplementedError("RandomErasing: inplace=True is not supported")
        _check_value(value)
        check_box_arguments(scale, ratio, "RandomErasing")
        if min(scale) < 0 or max(scale) > 1:
            raise ValueError(f"RandomErasing: scale should be between 0 and 1, got {scale}")
        self.p = check_probability(p, "RandomErasing")
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        pixel: Any = None  # for noise
        if not isinstance(self.value, str):
            pixel = as_pixel(self.value, images, "RandomErasing: value")
        elif images.dtype.kind != "f":
            raise TypeError(f"RandomErasing: 'random' needs float images, got {images.dtype}")
        out = images.copy(order="K")
        chosen = np.flatnonzero(draw.random(len(images)) < self.p)
        _, H, W, _ = images.shape
        boxes = random_boxes(
            draw, (len(chosen), H, W), self.scale, self.ratio, lambda h, w: (h < H) & (w < W)
        )
        for i, (top, left, h, w) in zip(chosen, boxes, strict=True):
            patch = out[i, top : top + h, left : left + w]
            patch[...] = draw.standard_normal(patch.shape) if pixel is None else pixel
        return out


def _check_value(value: float | Sequence[float] | str) -> None:
    if not isinstance(value, Number | str | Sequence):
        raise TypeError(
            f"RandomErasing: value should be a number, a sequence or 'random', got {value!r}"
        )
    if isinstance(value, str) and value != "random":
        raise ValueError(f"RandomErasing: if value is str, it should be 'random', got {value!r}")
