"""Functions of several tensors at once: joining, choosing between them, contracting them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.checks import broadcast_shape, normalize_dim, without_out
from tinyvision.creation import tensor
from tinyvision.dtypes import result_type
from tinyvision.ops.einsum import Einsum
from tinyvision.ops.shape import Cat, Stack
from tinyvision.tensor import Tensor
from tinyvision.tensor.base import check_tensor, with_numpy_names


@without_out
@with_numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dim; their other sizes must agree.

    Raises: RuntimeError naming the tensor that does not fit.
    """
    given = _as_tensors(tensors, "cat")
    # As in PyTorch, empty one-dimensional tensors are left out, whatever the others' shape.
    listed = [t for t in given if t.shape != (0,)] or given[:1]
    first = listed[0].shape
    if len(first) == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    dim = normalize_dim(dim, len(first), "cat")
    for i, t in enumerate(listed):
        if len(t.shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {t.ndim}"
            )
        if t.shape[:dim] + t.shape[dim + 1 :] != first[:dim] + first[dim + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {dim}: tensor {i} in the list "
                f"has shape {t.shape}, the first one {first}"
            )
    dtype = result_type(*[t._data for t in given])
    return Cat.apply(*[t._to_dtype(dtype) for t in listed], dim=dim)


concat = cat
concatenate = cat


@without_out
@with_numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dim.

    Raises: RuntimeError if their shapes differ.
    """
    listed = _as_tensors(tensors, "stack")
    first = listed[0].shape
    for i, t in enumerate(listed):
        if t.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {first} at entry 0 and "
                f"{t.shape} at entry {i}"
            )
    dim = normalize_dim(dim, len(first) + 1, "stack")
    dtype = result_type(*[t._data for t in listed])
    return Stack.apply(*[t._to_dtype(dtype) for t in listed], dim=dim)


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive views of one size (the last may be smaller), or of the given sizes."""
    return check_tensor("split", "tensor", tensor).split(split_size_or_sections, dim)


@without_out
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: vectors along dim 0, all others along dim 1."""
    listed = [t.reshape(1) if t.ndim == 0 else t for t in _as_tensors(tensors, "hstack")]
    return cat(listed, dim=0 if listed[0].ndim == 1 else 1)


@without_out
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors below each other: vectors as rows, all others along dim 0."""
    listed = _as_tensors(tensors, "vstack")
    return cat([t.reshape(1, -1) if t.ndim < 2 else t for t in listed], dim=0)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Which elements are among test_elements, or with invert are not; one may be a number.

    assume_unique makes no difference here; it tells PyTorch that it may go a faster way.
    """
    arrays: list[Any] = []
    for value, other in ((elements, test_elements), (test_elements, elements)):
        is_number = isinstance(value, bool | int | float) and isinstance(other, Tensor)
        arrays.append(value if is_number else check_tensor("isin", "elements", value)._data)
    return Tensor._from_op(np.asarray(np.isin(arrays[0], arrays[1], invert=invert)))


@without_out
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Input where condition holds, elsewhere other; alone, the indices where it holds."""
    check_tensor("where", "condition", condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(input, Tensor):
        if isinstance(other, Tensor):
            return other.where(condition.logical_not(), input)
        input, other = tensor(input), tensor(other)
    return input.where(condition, other)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sum of products over named dims: `einsum("bij,bjk->bik", a, b)` multiplies matrices.

    Dims whose letter is missing after `->` are summed; `...` stands for any dims that broadcast.

    Raises: RuntimeError if the equation is malformed or does not fit the shapes.
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    return Einsum.apply(*_as_tensors(operands, "einsum"), equation=equation)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each one-dimensional tensor expanded along the others' dims."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but got {indexing!r}')
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    listed = _as_tensors(given, "meshgrid")
    swap = indexing == "xy" and len(listed) > 1
    if swap:
        listed[:2] = listed[1::-1]
    if len({t.dtype for t in listed}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if any(t.ndim > 1 for t in listed):
        raise RuntimeError("meshgrid: Expected 0D or 1D tensors in the tensor list")
    shape = tuple([t.numel() for t in listed])
    # Vector i as (n, 1, ..., 1), with one 1 for each vector after it.
    grids = [t.reshape(-1, *[1] * (len(listed) - 1 - i)) for i, t in enumerate(listed)]
    grids = [t.expand(shape) for t in grids]
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to the shape they broadcast to."""
    shape = broadcast_shapes(*[t.shape for t in tensors])
    return tuple([t.expand(shape) for t in tensors])


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The shape that shapes broadcast to; an int is the shape of a vector."""
    listed = [(shape,) if isinstance(shape, int) else shape for shape in shapes]
    return functools.reduce(broadcast_shape, listed, ())


def _as_tensors(tensors: Any, name: str) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}(): argument 'tensors' must be tuple of Tensors, not Tensor")
    listed = list(tensors)
    if not listed:
        error = ValueError if name in ("cat", "einsum") else RuntimeError  # as in PyTorch
        raise error(f"{name} expects a non-empty list of Tensors")
    for i, t in enumerate(listed):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}: expected Tensor as element {i} in argument 0, but got {type(t).__name__}"
            )
    return listed


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    *, correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Variance and mean, see Tensor.var."""
    return _with_mean("var_mean", input, Tensor.var, dim, unbiased, keepdim, correction)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    *, correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Standard deviation and mean, see Tensor.std."""
    return _with_mean("std_mean", input, Tensor.std, dim, unbiased, keepdim, correction)


def _with_mean(
    name: str, input: Tensor, method: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> tuple[Tensor, Tensor]:
    check_tensor(name, "input", input)
    spread = method(input, dim, unbiased, keepdim, correction=correction)
    return spread, input.mean(None if isinstance(dim, bool) else dim, keepdim)


def is_tensor(obj: Any) -> bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)
