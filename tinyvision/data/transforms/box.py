"""Random rectangles inside an image, for RandomErasing and RandomResizedCrop."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

_ATTEMPTS = 10


def random_boxes(
    draw: np.random.Generator,
    shape: tuple[int, int, int],
    scale: Sequence[float],
    ratio: Sequence[float],
    fits: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """(top, left, height, width) of a box in each image (N, H, W).

    The boxes' share of the area is uniform in `scale`, the logarithm of height / width uniform in
    log(`ratio`). The first of ten draws with fits(height, width) is taken; zeros if there is none.
    """
    N, H, W = shape
    area = H * W * draw.uniform(scale[0], scale[1], (N, _ATTEMPTS))
    ratios = np.exp(draw.uniform(math.log(ratio[0]), math.log(ratio[1]), (N, _ATTEMPTS)))
    heights = np.rint(np.sqrt(area * ratios)).astype(int)
    widths = np.rint(np.sqrt(area / ratios)).astype(int)
    good = fits(heights, widths)
    first = np.arange(N), good.argmax(axis=1)
    h = np.where(good[first], heights[first], 0)
    w = np.where(good[first], widths[first], 0)
    top, left = draw.integers(H - h + 1), draw.integers(W - w + 1)
    return np.stack([top, left, h, w], axis=1)  # (N, 4)


def check_box_arguments(scale: Sequence[float], ratio: Sequence[float], name: str) -> None:
    """Warns if a pair is not (min, max).

    Raises: TypeError for what is no pair, ValueError for a ratio that is not positive.
    """
    for what, pair in (("scale", scale), ("ratio", ratio)):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"{name}: {what} should be a sequence (min, max): {pair!r}")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn(f"{name}: scale and ratio should be (min, max)", stacklevel=3)
    if min(ratio) <= 0:
        raise ValueError(f"{name}: ratio should be positive, got {ratio}")
