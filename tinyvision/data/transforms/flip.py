"""RandomHorizontalFlip and RandomVerticalFlip."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyvision.data.transforms.base import Transform, check_probability


class _RandomFlip(Transform):
    """Mirror along one axis of (H, W, C) with probability `p`."""

    _shown = ("p",)

    _axis: ClassVar[int]

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability(p, type(self).__name__)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        flipped = images.copy(order="K")
        for i in np.flatnonzero(draw.random(len(images)) < self.p):
            flipped[i] = np.flip(images[i], self._axis)
        return flipped


class RandomHorizontalFlip(_RandomFlip):
    """Mirror left and right with probability `p`."""

    _axis = 1


class RandomVerticalFlip(_RandomFlip):
    """Mirror top and bottom with probability `p`."""

    _axis = 0
