"""RandomErasing: hide a random rectangle."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Number

import numpy as np

from tinyvision.data.transforms.base import Transform, as_pixel, check_probability

_ATTEMPTS = 10


class RandomErasing(Transform):
    """With probability `p` overwrite a random rectangle of each image.

    The rectangle's share of the area is uniform in `scale`, the logarithm of its height / width
    uniform in log(`ratio`); up to ten draws are made for one that fits, else nothing is erased.
    value: a number, one per channel, or "random" for normal noise (float images).

    Raises: TypeError or ValueError for bad arguments, NotImplementedError for inplace=True.
    Source: Zhong et al. 2017, Random Erasing Data Augmentation, arXiv 1708.04896.
    """

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
        for name, pair in (("scale", scale), ("ratio", ratio)):
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise TypeError(f"RandomErasing: {name} should be a sequence (min, max): {pair!r}")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("RandomErasing: scale and ratio should be (min, max)", stacklevel=2)
        if min(scale) < 0 or max(scale) > 1:
            raise ValueError(f"RandomErasing: scale should be between 0 and 1, got {scale}")
        if min(ratio) <= 0:
            raise ValueError(f"RandomErasing: ratio should be positive, got {ratio}")
        self.p = check_probability(p, "RandomErasing")
        self.scale = scale
        self.ratio = ratio
        self.value = value

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        if isinstance(self.value, str) and images.dtype.kind != "f":
            raise TypeError(f"RandomErasing: 'random' needs float images, got {images.dtype}")
        pixel = _pixel(self.value, images)
        out = images.copy(order="K")
        chosen = np.flatnonzero(draw.random(len(images)) < self.p)
        for i, (top, left, h, w) in zip(chosen, self._boxes(images, chosen, draw), strict=True):
            patch = out[i, top : top + h, left : left + w]
            patch[...] = draw.standard_normal(patch.shape) if pixel is None else pixel
        return out

    def _boxes(
        self, images: np.ndarray, chosen: np.ndarray, draw: np.random.Generator
    ) -> np.ndarray:
        """(top, left, height, width) per chosen image; zeros where no attempt fits."""
        _, H, W, _ = images.shape
        shape = (len(chosen), _ATTEMPTS)
        area = H * W * draw.uniform(self.scale[0], self.scale[1], shape)
        ratio = np.exp(draw.uniform(math.log(self.ratio[0]), math.log(self.ratio[1]), shape))
        heights = np.rint(np.sqrt(area * ratio)).astype(int)
        widths = np.rint(np.sqrt(area / ratio)).astype(int)
        fits = (heights < H) & (widths < W)
        first = np.arange(len(chosen)), fits.argmax(axis=1)
        h = np.where(fits[first], heights[first], 0)
        w = np.where(fits[first], widths[first], 0)
        top, left = draw.integers(H - h + 1), draw.integers(W - w + 1)
        return np.stack([top, left, h, w], axis=1)  # (len(chosen), 4)

    def __repr__(self) -> str:
        return (
            f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace=False)"
        )


def _pixel(value: float | Sequence[float] | str, images: np.ndarray) -> np.ndarray | None:
    return None if isinstance(value, str) else as_pixel(value, images, "RandomErasing: value")


def _check_value(value: float | Sequence[float] | str) -> None:
    if not isinstance(value, Number | str | Sequence):
        raise TypeError(
            f"RandomErasing: value should be a number, a sequence or 'random', got {value!r}"
        )
    if isinstance(value, str) and value != "random":
        raise ValueError(f"RandomErasing: if value is str, it should be 'random', got {value!r}")
