"""Checks shared by the public edge: dims, shapes and sizes, with PyTorch's exception types.

Numba kernels and NumPy views have no bounds checks of their own that speak to a user, so
everything a user passes goes through a check like these once, before it reaches an operation.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

R = TypeVar("R")


def refuse_out(name: str, out: object) -> None:
    """PyTorch's functions write to `out` if it is given; ours return new tensors only."""
    if out is not None:
        raise NotImplementedError(f"{name}: argument 'out' is not supported")


def without_out(function: Callable[..., R]) -> Callable[..., R]:
    """The function with PyTorch's argument `out`, which may only be None.

    Raises: NotImplementedError otherwise.
    """

    @functools.wraps(function)
    def checked(*args: Any, out: object = None, **kwargs: Any) -> R:
        refuse_out(function.__name__, out)
        return function(*args, **kwargs)

    return checked


def as_int(value: Any, name: str, what: str) -> int:
    """`what` as a Python int.

    Raises: TypeError for a bool, a float, a string or anything else that is not an integer.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: {what} must be an int, got bool")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {what} must be an int, got {type(value).__name__}") from None


def fitting(numbers: Any, dtype: np.dtype) -> np.ndarray:
    """Python numbers as an array of a dtype. Unsigned integers take negative ones modulo 2^bits.

    Raises: RuntimeError if a number does not fit an integer dtype, as inf and NaN never do.
    """
    if dtype.kind not in "iu":
        return np.array(numbers, dtype)
    array = np.asarray(numbers)
    if array.dtype.kind != "b":
        limits = np.iinfo(dtype)
        wraps = dtype.kind == "u" and array.dtype.kind != "f"
        fits = (array >= (-limits.max if wraps else limits.min)) & (array <= limits.max)
        if not np.all(fits):
            raise RuntimeError(
                f"value {array[~fits].flat[0]} cannot be converted to type {dtype} without overflow"
            )
    return array.astype(dtype)


def normalize_dim(dim: int, ndim: int, name: str) -> int:
    """A dim counted from the front; zero-dimensional tensors have one dim, as in PyTorch.

    Raises: IndexError if out of range.
    """
    dim = as_int(dim, name, "dim")
    room = max(ndim, 1)
    if not -room <= dim < room:
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-room}, {room - 1}], "
            f"but got {dim})"
        )
    return dim % room


def normalize_dims(dim: int | Sequence[int] | None, ndim: int, name: str) -> tuple[int, ...]:
    """The dims to reduce over, as NumPy axes: None and () mean all of them.

    Raises: IndexError if out of range; RuntimeError if one appears twice.
    """
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return tuple(range(ndim))
    listed = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple([normalize_dim(d, ndim, name) for d in listed])
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"{name}: dim appears multiple times in the list of dims {dims}")
    return dims if ndim else ()


def broadcast_shape(shape_a: Sequence[int], shape_b: Sequence[int]) -> tuple[int, ...]:
    """The shape that two shapes broadcast to.

    Raises: RuntimeError, naming the first dim (from the right) that does not match.
    """
    ndim = max(len(shape_a), len(shape_b))
    a = (1,) * (ndim - len(shape_a)) + tuple(shape_a)
    b = (1,) * (ndim - len(shape_b)) + tuple(shape_b)
    for i in reversed(range(ndim)):
        if a[i] != b[i] and a[i] != 1 and b[i] != 1:
            raise RuntimeError(
                f"The size of tensor a ({a[i]}) must match the size of tensor b ({b[i]}) at "
                f"non-singleton dimension {i}: shapes are {tuple(shape_a)} and {tuple(shape_b)}"
            )
    return tuple([y if x == 1 else x for x, y in zip(a, b, strict=True)])


def expand_shape(shape: Sequence[int], target: Sequence[int], name: str) -> tuple[int, ...]:
    """`target` with each -1 replaced by the size it has in `shape`, checked for expand.

    Raises: RuntimeError if `shape` cannot be expanded to it.
    """
    lead = len(target) - len(shape)
    have = (1,) * lead + tuple(shape)
    pairs = enumerate(zip(target, have, strict=False))
    sizes = tuple([n if want == -1 and i >= lead else want for i, (want, n) in pairs])
    if lead < 0 or any(n not in (1, size) or size < 0 for n, size in zip(have, sizes, strict=True)):
        raise RuntimeError(
            f"{name}: the expanded size {tuple(target)} must match the existing size "
            f"{tuple(shape)} at every non-singleton dimension"
        )
    return sizes


def infer_shape(size: int, target: tuple[int, ...], name: str) -> tuple[int, ...]:
    """`target` with its one -1 replaced so that it holds `size` elements.

    Raises: RuntimeError if that is not possible.
    """
    if target.count(-1) > 1:
        raise RuntimeError(f"{name}: only one dimension can be inferred, got shape {target}")
    if min(target, default=0) < -1:
        raise RuntimeError(f"{name}: invalid negative size in shape {target}")
    known = math.prod([n for n in target if n != -1])
    if (known == 0 or size % known) if -1 in target else known != size:
        raise RuntimeError(f"{name}: shape {target} is invalid for input of size {size}")
    return tuple([size // known if n == -1 else n for n in target])


def sizes_from(args: Sequence[Any], name: str) -> tuple[int, ...]:
    """The sizes in `f(2, 3)` or `f((2, 3))`.

    Raises: TypeError if one is not an int.
    """
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return tuple([as_int(a, name, "size") for a in args])


def either(listed: tuple[Any, ...], named: Any) -> tuple[Any, ...]:
    """The sizes of `f(2, 3)` or `f(size=(2, 3))` for `sizes_from`, which refuses both and none."""
    return listed if listed and named is None else (*listed, named)


def pair(value: int | Sequence[int], name: str, what: str, minimum: int = 1) -> tuple[int, int]:
    """A parameter for height and width: an int for both, or two ints.

    Raises: TypeError if not ints, RuntimeError if below `minimum` or not one or two.
    """
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(listed) == 1:
        listed *= 2
    if len(listed) != 2:
        raise RuntimeError(f"{name}: {what} must be an int or two ints, got {value!r}")
    height, width = [as_int(v, name, what) for v in listed]
    if height < minimum or width < minimum:
        raise RuntimeError(f"{name}: {what} must be at least {minimum}, got {value!r}")
    return height, width
