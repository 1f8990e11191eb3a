"""What all transforms share: one layout inside, whatever comes in; and transforms of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from numbers import Number
from typing import Any, ClassVar

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

    _shown: ClassVar[tuple[str, ...]] = ()  # the attributes that repr shows

    def __call__(self, image: Image) -> Any:
        changed = self.apply(_as_batch(image, type(self).__name__), current_generator().numpy)
        return _like(changed, image)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Transform a batch (N, H, W, C), which must not be written to; draws come from `draw`."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")

    def __repr__(self) -> str:
        options = ((name, getattr(self, name)) for name in self._shown)
        shown = [f"{name}={v.value if isinstance(v, Enum) else v}" for name, v in options]
        return f"{type(self).__name__}({', '.join(shown)})"


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


class RandomApply(Compose):
    """Apply several transforms in order, or none of them: with probability `p`, for each image.

    Raises: ValueError if they change the shape or dtype of only a part of a batch.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = check_probability(p, "RandomApply")

    def __call__(self, image: Any) -> Any:
        draw = current_generator().numpy
        if not isinstance(image, Image) or image.ndim != 4:
            return super().__call__(image) if draw.random() < self.p else image
        batch = _as_batch(image, "RandomApply")
        chosen = np.flatnonzero(draw.random(len(batch)) < self.p)
        if len(chosen) == 0:
            return image
        changed = _as_batch(super().__call__(_like(batch[chosen], image)), "RandomApply")
        if changed.shape[1:] != batch.shape[1:] or changed.dtype != batch.dtype:
            raise ValueError(
                f"RandomApply: a part of a batch {batch.dtype} {batch.shape} became "
                f"{changed.dtype} {changed.shape}, which does not fit the rest"
            )
        out = batch.copy()
        out[chosen] = changed
        return _like(out, image)

    def __repr__(self) -> str:
        return super().__repr__().replace("(", f"(\n    p={self.p}", 1)


class Lambda:
    """A function of your own as a transform; it is given one image at a time."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"


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


def height_width(size: int | Sequence[int], name: str) -> tuple[int, int]:
    """(height, width) of a size argument: an int stands for both."""
    pair = check_ints(size, f"{name}: size", at_least=1)
    if len(pair) not in (1, 2):
        raise ValueError(f"{name}: size should be an int or (height, width), got {size!r}")
    return pair[0], pair[-1]


def check_ints(value: int | Sequence[int], name: str, at_least: int) -> list[int]:
    """`value` as a list; TypeError or ValueError if it is not made of large enough ints."""
    numbers = list(value) if isinstance(value, Sequence) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"{name} should be an int or a sequence of them, got {value!r}")
    if any(number < at_least for number in numbers):
        raise ValueError(f"{name} should be {at_least} or larger, got {value!r}")
    return numbers


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
    """The batch (N, H, W, C) in the layout and type of `original`; colours keep (H, W, C)."""
    if isinstance(original, Tensor):
        channels_first = np.ascontiguousarray(np.moveaxis(images, -1, 1))
        return from_numpy(channels_first if original.ndim == 4 else channels_first[0])
    if original.ndim == 2 and images.shape[-1] == 1:
        return images[0, :, :, 0]
    return images if original.ndim == 4 else images[0]
