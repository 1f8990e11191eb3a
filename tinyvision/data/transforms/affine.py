"""RandomRotation and RandomAffine.

An affine map moves the point p of the image to c + t + A (p - c): centre c, translation t and
A = scale * rotation(angle) * shear_y * shear_x. A transform asks the opposite question, where
each pixel of the output comes from: c + A^-1 (p - c - t).
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinyvision.data.transforms.base import Transform
from tinyvision.data.transforms.warp import InterpolationMode, warp


class RandomRotation(Transform):
    """Rotate by an angle drawn from `degrees`, counter-clockwise as one looks at the image.

    degrees: (min, max), or a number for (-degrees, +degrees). center: (x, y) in pixels from the
    upper left corner; the middle if None. fill: the value outside, or one per channel.

    Raises: ValueError or TypeError for bad arguments, NotImplementedError for expand=True.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ) -> None:
        if expand:
            raise NotImplementedError("RandomRotation: expand=True is not supported")
        self.degrees = _angle_range(degrees, "degrees")
        self.interpolation = InterpolationMode(interpolation)
        self.expand = expand
        self.center = None if center is None else _numbers(center, "center", 2)
        self.fill = _check_fill(fill)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        N, H, W, _ = images.shape
        matrices = rotation_matrices(-_uniform(draw, self.degrees, N))
        c = _centre_offset(self.center, H, W)
        return _warp_by(matrices, c, np.zeros((N, 2)), images, self.interpolation, self.fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine(Transform):
    """Rotate (clockwise), shift, scale and shear, all drawn at random.

    degrees: (min, max), or a number for (-degrees, +degrees). translate: largest shifts as
    fractions (of width, of height); whole pixels are drawn. scale: (min, max) factor. shear:
    degrees along x: a number or (min, max); (min_x, max_x, min_y, max_y) for both axes.
    center, fill: as in RandomRotation.

    Raises: ValueError or TypeError for bad arguments.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        self.degrees = _angle_range(degrees, "degrees")
        self.translate = None if translate is None else _translation(translate)
        self.scale = None if scale is None else _scale(scale)
        self.shear = None if shear is None else _angle_range(shear, "shear", (2, 4))
        self.interpolation = InterpolationMode(interpolation)
        self.fill = _check_fill(fill)
        self.center = None if center is None else _numbers(center, "center", 2)

    def apply(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(N, H, W, C) -> same shape."""
        N, H, W, _ = images.shape
        matrices = rotation_matrices(_uniform(draw, self.degrees, N))
        shift = np.zeros((N, 2))
        if self.translate is not None:
            largest = np.array([self.translate[0] * W, self.translate[1] * H])
            shift = np.rint(draw.uniform(-largest, largest, (N, 2)))
        if self.scale is not None:
            matrices *= _uniform(draw, self.scale, N).reshape(N, 1, 1)
        if self.shear is not None:
            x_range, y_range = self.shear[:2], self.shear[2:] or [0.0, 0.0]
            matrices @= shear_matrices(_uniform(draw, x_range, N), _uniform(draw, y_range, N))
        c = _centre_offset(self.center, H, W)
        return _warp_by(matrices, c, shift, images, self.interpolation, self.fill)

    def __repr__(self) -> str:
        shown = f"degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                shown += f", {name}={getattr(self, name)}"
        if self.interpolation is not InterpolationMode.NEAREST:
            shown += f", interpolation={self.interpolation.value}"
        if self.fill != 0:
            shown += f", fill={self.fill}"
        if self.center is not None:
            shown += f", center={self.center}"
        return f"RandomAffine({shown})"


def rotation_matrices(degrees: np.ndarray) -> np.ndarray:
    """[[cos, -sin], [sin, cos]] for each angle: clockwise, as y points down. (N,) -> (N, 2, 2)"""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)


def shear_matrices(degrees_x: np.ndarray, degrees_y: np.ndarray) -> np.ndarray:
    """shear_y @ shear_x, with [[1, -tan x], [0, 1]] and [[1, 0], [-tan y, 1]]. -> (N, 2, 2)"""
    x, y = np.tan(np.deg2rad(degrees_x)), np.tan(np.deg2rad(degrees_y))
    return np.stack([np.ones_like(x), -x, -y, 1 + x * y], axis=-1).reshape(-1, 2, 2)


def _uniform(draw: np.random.Generator, bounds: Sequence[float], N: int) -> np.ndarray:
    return draw.uniform(bounds[0], bounds[1], N)


def _warp_by(
    matrices: np.ndarray,
    c: np.ndarray,
    shift: np.ndarray,
    images: np.ndarray,
    interpolation: InterpolationMode,
    fill: float | Sequence[float],
) -> np.ndarray:
    """Move the images by c + shift + matrix (p - c), that is, read at c + matrix^-1 (p - c - t)."""
    inverse = np.linalg.inv(matrices)
    offsets = c - (inverse @ (c + shift)[..., None])[..., 0]  # (N, 2)
    return warp(images, inverse, offsets, interpolation, fill)


def _centre_offset(center: Sequence[float] | None, H: int, W: int) -> np.ndarray:
    """The centre of the map, in pixels from the middle of the image."""
    return np.zeros(2) if center is None else np.array([center[0] - W / 2, center[1] - H / 2])


def _numbers(values: Any, name: str, *lengths: int) -> list[float]:
    if not isinstance(values, Sequence):
        raise TypeError(f"{name} should be a sequence of length {lengths}, got {values!r}")
    if len(values) not in lengths:
        raise ValueError(f"{name} should be a sequence of length {lengths}, got {values!r}")
    return [float(value) for value in values]


def _angle_range(
    degrees: float | Sequence[float], name: str, lengths: tuple[int, ...] = (2,)
) -> list[float]:
    if isinstance(degrees, Number):
        if degrees < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive, got {degrees}")
        return [-float(degrees), float(degrees)]  # type: ignore[arg-type]
    return _numbers(degrees, name, *lengths)


def _translation(translate: Sequence[float]) -> Sequence[float]:
    if any(not 0 <= fraction <= 1 for fraction in _numbers(translate, "translate", 2)):
        raise ValueError(f"translation values should be between 0 and 1, got {translate}")
    return translate


def _scale(scale: Sequence[float]) -> Sequence[float]:
    if any(factor <= 0 for factor in _numbers(scale, "scale", 2)):
        raise ValueError(f"scale values should be positive, got {scale}")
    return scale


def _check_fill(fill: float | Sequence[float]) -> float | Sequence[float]:
    if isinstance(fill, str) or not isinstance(fill, Number | Sequence):
        raise TypeError(f"fill should be either a sequence or a number, got {fill!r}")
    return fill
