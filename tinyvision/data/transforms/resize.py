"""Resize and RandomResizedCrop.

Resampling is separable: a pixel's row in the result depends only on its row in the image, and so
for columns. Two small matrices of weights say how: result = rows @ image @ columns.T.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyvision.data.transforms.base import Transform, check_ints, height_width
from tinyvision.data.transforms.box import check_box_arguments, random_boxes
from tinyvision.data.transforms.warp import InterpolationMode


class Resize(Transform):
    """Scale the image to `size`.

    size: (height, width), or an int for the shorter side, which keeps the proportions; max_size
    then limits the longer side.
    interpolation: BILINEAR, or NEAREST, which is never antialiased. antialias: when shrinking,
    average over all pixels that one of the result covers, instead of the nearest four.

    Raises: TypeError or ValueError for bad arguments, NotImplementedError for other
    interpolations.
    """

    _shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        self._size = check_ints(size, "Resize: size", at_least=1)
        if len(self._size) not in (1, 2):
            raise ValueError(f"Resize: size should be an int or (height, width), got {size!r}")
        if max_size is not None and (len(self._size) == 2 or max_size <= self._size[0]):
            raise ValueError(
                f"Resize: max_size {max_size} should come with one size, and be larger: {size!r}"
            )
        self.size, self.max_size = size, max_size
        self.interpolation, self.antialias = InterpolationMode(interpolation), antialias

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, height, width, C)."""
        size = self._output_size(*images.shape[1:3])
        return resample(images, size, self.interpolation, self.antialias)

    def _output_size(self, H: int, W: int) -> tuple[int, int]:
        if len(self._size) == 2:
            return self._size[0], self._size[1]
        short, long = self._size[0], int(self._size[0] * max(H, W) / min(H, W))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (short, long) if H <= W else (long, short)


class RandomResizedCrop(Transform):
    """Cut out a random window and scale it to `size`.

    size: int or (height, width). The window's share of the area is uniform in `scale`, the
    logarithm of its width / height uniform in log(`ratio`); up to ten draws are made for one that
    fits, else it is the largest one in the middle that `ratio` allows.
    interpolation, antialias: as in Resize.

    Raises: TypeError or ValueError for bad arguments, NotImplementedError for other
    interpolations.
    Source: Szegedy et al. 2015, Going Deeper with Convolutions, arXiv 1409.4842.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool = True,
    ) -> None:
        check_box_arguments(scale, ratio, "RandomResizedCrop")
        self.size = height_width(size, "RandomResizedCrop")
        self.scale, self.ratio = scale, ratio
        self.interpolation, self.antialias = InterpolationMode(interpolation), antialias

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, *size, C), each image with its own window."""
        N, _, _, C = images.shape
        out = np.empty((N, *self.size, C), images.dtype)
        for i, (top, left, h, w) in enumerate(self._boxes(images, draw)):
            window = images[i : i + 1, top : top + h, left : left + w]
            out[i] = resample(window, self.size, self.interpolation, self.antialias)[0]
        return out

    def _boxes(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(top, left, height, width) per image: (N, 4)."""
        N, H, W, _ = images.shape

        def fits(w: np.ndarray, h: np.ndarray) -> np.ndarray:
            return (0 < w) & (w <= W) & (0 < h) & (h <= H)

        # width / height in, so the image lies on its side: its boxes are (left, top, w, h)
        lying = random_boxes(draw, (N, W, H), self.scale, self.ratio, fits)
        boxes = lying[:, [1, 0, 3, 2]]
        h = min(H, round(W / min(self.ratio)))
        w = min(W, round(H * max(self.ratio)))
        boxes[boxes[:, 2] == 0] = (H - h) // 2, (W - w) // 2, h, w
        return boxes

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(x, 4) for x in pair) for pair in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def resample(
    images: np.ndarray, size: tuple[int, int], interpolation: InterpolationMode, antialias: bool
) -> np.ndarray:
    """Images (N, H, W, C) scaled to `size`: (N, height, width, C), integers rounded."""
    N, H, W, C = images.shape
    height, width = size
    if interpolation is InterpolationMode.NEAREST:
        return images[:, nearest_places(H, height)[:, None], nearest_places(W, width)]
    dtype = images.dtype if images.dtype.kind == "f" else np.dtype(np.float32)
    rows = bilinear_weights(H, height, antialias).astype(dtype)
    columns = bilinear_weights(W, width, antialias).astype(dtype)
    scaled = columns @ images.astype(dtype, copy=False)  # (N, H, width, C)
    scaled = (rows @ scaled.reshape(N, H, width * C)).reshape(N, height, width, C)
    return scaled if images.dtype.kind == "f" else np.rint(scaled).astype(images.dtype)


def nearest_places(n: int, n_out: int) -> np.ndarray:
    """floor(i * n / n_out): which of n pixels each of n_out is. -> (n_out,)"""
    # In float32, as PyTorch does: where the product is nearly whole, other precisions differ.
    places = np.arange(n_out, dtype=np.float32) * np.float32(n / n_out)
    return np.minimum(places.astype(int), n - 1)


def bilinear_weights(n: int, n_out: int, antialias: bool) -> np.ndarray:
    """How much of each of n pixels goes into each of n_out. -> (n_out, n), rows summing to 1

    A pixel's weight falls linearly with its distance from the place where the new pixel's centre
    is in the image, to 0 one pixel away: that is interpolation between two neighbours. A triangle
    as wide as a new pixel (n / n_out) makes it an average, which loses no detail by skipping it.
    """
    reach = max(n / n_out, 1) if antialias else 1
    # Between the outermost pixels' centres: behind them there is nothing to interpolate with.
    centres = np.clip((np.arange(n_out) + 0.5) * n / n_out, 0.5, n - 0.5)
    distances = np.abs(np.arange(n) + 0.5 - centres[:, None])
    weights = np.maximum(0, 1 - distances / reach)
    return weights / weights.sum(axis=1, keepdims=True)
