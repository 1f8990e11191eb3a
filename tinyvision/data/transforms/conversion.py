"""ToTensor, Normalize and Grayscale: from stored pixels to what a network reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.data.transforms.base import Image, Transform
from tinyvision.tensor import Tensor


class ToTensor(Transform):
    """An ndarray (H, W), (H, W, C) or (N, H, W, C) to a Tensor (C, H, W) or (N, C, H, W).

    uint8 values 0..255 become float32 in [0, 1]; other dtypes keep dtype and values.

    Raises: TypeError for anything but an ndarray, ValueError for other numbers of dimensions.
    """

    def __call__(self, image: Image) -> Tensor:
        if not isinstance(image, np.ndarray):
            raise TypeError(f"ToTensor: pic should be ndarray, got {type(image)}")
        if image.ndim not in (2, 3, 4):
            raise ValueError(
                f"ToTensor: pic should be 2/3 dimensional, or 4 for a batch, got {image.ndim}"
            )
        # (..., H, W, C) -> (..., C, H, W)
        channels_first = image[None] if image.ndim == 2 else np.moveaxis(image, -1, -3)
        if image.dtype != np.uint8:
            return from_numpy(channels_first.copy())
        scaled = np.empty(channels_first.shape, np.float32)
        np.copyto(scaled, channels_first)
        scaled /= np.float32(255)
        return from_numpy(scaled)


class Normalize(Transform):
    """output[c] = (input[c] - mean[c]) / std[c] for Tensors (C, H, W) or (N, C, H, W).

    mean, std: one value per channel, or one for all.

    Raises: TypeError for anything but a float Tensor, ValueError for a zero std or other numbers
    of dimensions, RuntimeError if the number of values does not fit the channels,
    NotImplementedError for inplace=True.
    """

    _shown = ("mean", "std")

    def __init__(
        self, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False
    ) -> None:
        if inplace:
            raise NotImplementedError("Normalize: inplace=True is not supported")
        self.mean, self.std = mean, std
        # (C,) -> (C, 1, 1)
        self._mean = np.array(mean, np.float64).reshape(-1, 1, 1)
        self._std = np.array(std, np.float64).reshape(-1, 1, 1)
        if (self._std == 0).any():
            raise ValueError(f"Normalize: std {std} holds a zero, which leads to division by zero")

    def __call__(self, tensor: Image) -> Tensor:
        array = self._checked_array(tensor)
        out = array - self._mean.astype(array.dtype)
        out /= self._std.astype(array.dtype)
        return from_numpy(out)

    def _checked_array(self, tensor: Any) -> np.ndarray:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"Normalize: img should be a Tensor image, got {type(tensor)}; put ToTensor() first"
            )
        array = tensor.numpy()
        if array.dtype.kind != "f":
            raise TypeError(f"Normalize: input should be a float tensor, got {array.dtype}")
        if array.ndim not in (3, 4):
            raise ValueError(
                f"Normalize: expected a tensor (C, H, W) or (N, C, H, W), got shape {array.shape}"
            )
        channels = array.shape[-3]
        for name, values in (("mean", self._mean), ("std", self._std)):
            if len(values) not in (1, channels):
                raise RuntimeError(
                    f"Normalize: {name} has {len(values)} values, but input {array.shape} has "
                    f"{channels} channels"
                )
        return array


class Grayscale(Transform):
    """Brightness = 0.2989 red + 0.587 green + 0.114 blue, in one channel or three equal ones.

    Integers are rounded down, as torchvision does for tensors. Grey images stay as they are.

    Raises: ValueError for numbers of channels, in or out, other than 1 and 3.
    """

    _shown = ("num_output_channels",)

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
