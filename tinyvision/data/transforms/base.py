"""What all transforms share: one layout inside, whatever comes in; and Compose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.random import current_generator
from tinyvision.tensor import Tensor

Image = np.ndarray | Tensor


class Transform:
    """Base of transforms that take one image or a batch of them.

    A subclass defines `apply` on a batch of arrays (N, H, W, C); calling the transform accepts
    every layout of the package and gives the same one back.
    """

    def __call__(self, image: Image) -> Any:
        changed = self.apply(_as_batch(image, type(self).__name__), current_generator().numpy)
        return _like(changed, image)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Transform a batch (N, H, W, C), which must not be written to; draws come from `draw`."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")


class Compose:
    """Apply several transforms in order; any callables will do."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


def works_on_batches(transform: Any) -> bool:
    """Whether `transform` may be given a whole batch: it is ours, or composed of ours.

    Any other callable is taken to expect one image.
    """
    if isinstance(transform, Compose):
        return all(works_on_batches(t) for t in transform.transforms)
    return transform is None or isinstance(transform, Transform)


def check_probability(p: float, name: str) -> float:
    """`p` itself; ValueError if it is not a probability."""
    if not isinstance(p, Number) or not 0 <= p <= 1:
        raise ValueError(f"{name}: p should be a number between 0 and 1, got {p!r}")
    return p


def as_pixel(value: float | Sequence[float], images: np.ndarray, name: str) -> np.ndarray:
    """`value` in the images' dtype: one number, or one per channel of (N, H, W, C).

    Raises: ValueError if there are other numbers of them, or the dtype cannot hold them.
    """
    values = np.atleast_1d(value)
    C, dtype = images.shape[-1], images.dtype
    if values.shape not in ((1,), (C,)):
        raise ValueError(f"{name} {value} should be one number, or one per channel of {C}")
    if dtype.kind != "f" and (values.astype(dtype) != values).any():
        raise ValueError(f"{name} {value} does not fit images of dtype {dtype}")
    return values.astype(dtype)


def _as_batch(image: Image, name: str) -> np.ndarray:
    """A view (N, H, W, C) of an image or batch."""
    if isinstance(image, Tensor):
        array = image.numpy()
        if array.ndim not in (3, 4):
            raise ValueError(
                f"{name}: expected a tensor (C, H, W) or (N, C, H, W), got shape {array.shape}"
            )
        return np.moveaxis(array if array.ndim == 4 else array[None], 1, -1)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name}: expected an ndarray or a Tensor, got {type(image).__name__}")
    if image.ndim == 2:
        return image[None, :, :, None]
    if image.ndim not in (3, 4):
        raise ValueError(
            f"{name}: expected an array (H, W), (H, W, C) or (N, H, W, C), got shape {image.shape}"
        )
    return image if image.ndim == 4 else image[None]


def _like(images: np.ndarray, original: Image) -> Image:
    """The batch (N, H, W, C) in the layout and type of `original`."""
    if isinstance(original, Tensor):
        channels_first = np.ascontiguousarray(np.moveaxis(images, -1, 1))
        return from_numpy(channels_first if original.ndim == 4 else channels_first[0])
    if original.ndim == 2:
        return images[0, :, :, 0]
    return images if original.ndim == 4 else images[0]
