"""Grayscale."""

from __future__ import annotations

import numpy as np

from tinyvision.data.transforms.base import Transform


class Grayscale(Transform):
    """Brightness = 0.2989 red + 0.587 green + 0.114 blue, in one channel or three equal ones.

    Integers are rounded down, as torchvision does for tensors. Grey images stay as they are.

    Raises: ValueError for numbers of channels, in or out, other than 1 and 3.
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(
                f"Grayscale: num_output_channels should be 1 or 3, got {num_output_channels!r}"
            )
        self.num_output_channels = num_output_channels

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> (N, H, W, num_output_channels)."""
        C, dtype = images.shape[-1], images.dtype
        if C not in (1, 3):
            raise ValueError(f"Grayscale: images should have 1 or 3 channels, got {C}")
        if C == 3:
            floats = images.astype(dtype if dtype.kind == "f" else np.float32, copy=False)
            red, green, blue = np.moveaxis(floats, -1, 0)
            images = (0.2989 * red + 0.587 * green + 0.114 * blue).astype(dtype)[..., None]
        return np.repeat(images, self.num_output_channels, axis=-1)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"
