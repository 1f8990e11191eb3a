"""Reading and writing parts of a tensor.

An index is worked off in two steps, as PyTorch does it. First its ints, slices and None pick a
view (BasicIndex). Then its index arrays, which name places one by one, pick values from that
view (AdvancedIndex). Gather, scatter and their relatives are index arrays in another notation:
`along_dim` writes them as such. Reading copies values out, so the gradient of reading writes
them back, adding up where one value was read several times.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.ops.elementwise import unbroadcast

WHOLE = slice(None)


class Index(NamedTuple):
    """A checked index: what it names in x is `x[basic]`, or `x[basic][advanced]`.

    basic: ints, slices with positive steps, None and an Ellipsis at the end, so that NumPy
    always answers with a view, never with a scalar.
    advanced: a slice over everything or an integer array per dim of that view; () if the index
    has no arrays. The arrays are private copies without negative numbers.
    """

    basic: tuple[Any, ...]
    advanced: tuple[Any, ...]

    @property
    def is_basic(self) -> bool:
        """Whether it names a view."""
        return not self.advanced

    @property
    def takes_all(self) -> bool:
        """Whether the basic part changes nothing, so that `x[basic]` is x."""
        return all(entry == WHOLE for entry in self.basic[:-1])


# ------------------------------------------------------------------ from a user's index


def convert_index(index: Any, shape: tuple[int, ...]) -> Index:
    """Check an index of a tensor of the given shape and split it into its two steps.

    Ints, slices, None, Ellipsis and bools are understood, and index arrays: Tensors, ndarrays
    and sequences of integers, or of bools as a mask; also tuples of all these.

    Raises: IndexError for what is out of range, too much or no index; ValueError for a slice
    that goes backwards.
    """
    entries = _fill_up(_entries(index), len(shape))
    basic: list[Any] = []
    advanced: list[Any] = []
    dim = 0
    for entry in entries:
        if entry is None:
            basic.append(None)
            advanced.append(WHOLE)
        elif isinstance(entry, bool):  # a new dim that is taken once or not at all
            basic.append(None)
            advanced.append(np.zeros(int(entry), np.intp))
        elif isinstance(entry, int):
            basic.append(_check_int(entry, dim, shape))
        elif isinstance(entry, slice):
            basic.append(_check_slice(entry, shape[dim]))
            advanced.append(WHOLE)
        else:
            arrays = _positions(entry, dim, shape)
            basic += [WHOLE] * len(arrays)
            advanced += arrays
        dim += _dims_taken(entry)
    arrays = [entry for entry in advanced if entry is not WHOLE]
    if len(arrays) > 1:
        _check_broadcast(arrays)
    return Index((*basic, ...), tuple(advanced) if arrays else ())


def check_range(
    index: np.ndarray, size: int, dim: int, error: type[Exception], lowest: int = 0
) -> None:
    """Raise `error` unless lowest <= index < size everywhere."""
    for extreme in (int(index.min()), int(index.max())) if index.size else ():
        if not lowest <= extreme < size:
            raise error(f"index {extreme} is out of bounds for dimension {dim} with size {size}")


def _entries(index: Any) -> list[Any]:
    """The parts of an index, each one of None, Ellipsis, bool, int, slice or ndarray."""
    if isinstance(index, list) and any(_is_no_number(entry) for entry in index):
        raise NotImplementedError(
            "indexing with a list of anything but numbers is ambiguous: write x[tuple(index)] for "
            "an index per dim, or x[tinyvision.tensor(index)] for an array of indices"
        )
    return list(map(_entry, index if isinstance(index, tuple) else (index,)))


def _is_no_number(entry: Any) -> bool:
    return entry is None or not isinstance(entry, (bool, int, float, np.generic))


def _entry(part: Any) -> Any:
    """One part of an index in NumPy's terms."""
    if part is None or part is ... or isinstance(part, (bool, slice)):
        return part
    if isinstance(part, (int, np.integer)):
        return operator.index(part)
    part = getattr(part, "_data", part)  # of a Tensor
    if isinstance(part, (list, tuple, range)):
        # NumPy would make an empty list an array of floats.
        part = np.asarray(part) if len(part) else np.zeros(0, np.int64)
    if not isinstance(part, np.ndarray):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(part).__name__})"
        )
    if part.ndim == 0 and part.dtype.kind in "biu":
        return bool(part) if part.dtype in (np.bool_, np.uint8) else int(part)
    return _check_array(part)


def _check_array(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        warnings.warn(
            "indexing with dtype uint8 is a mask, as in PyTorch, and deprecated there: convert it "
            "with .bool() for a mask, with .long() for positions",
            stacklevel=6,  # the line that indexes
        )
        return array.astype(np.bool_)
    if array.dtype not in (np.bool_, np.int64, np.int32):
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {array.dtype}"
        )
    return array


def _dims_taken(entry: Any) -> int:
    """How many dims of the tensor an entry stands for."""
    if entry is None or entry is ... or isinstance(entry, bool):
        return 0
    is_mask = isinstance(entry, np.ndarray) and entry.dtype == np.bool_
    return entry.ndim if is_mask else 1


def _fill_up(entries: list[Any], ndim: int) -> list[Any]:
    """With slices over everything in place of the Ellipsis, or of missing entries at the end."""
    missing = ndim - sum([_dims_taken(entry) for entry in entries])
    if missing < 0:
        if ndim == 0 and len(entries) == 1 and isinstance(entries[0], int):
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a "
                "0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    places = [i for i, entry in enumerate(entries) if entry is ...]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    first = places[0] if places else len(entries)
    return entries[:first] + [WHOLE] * missing + entries[first + 1 :]


def _check_int(index: int, dim: int, shape: tuple[int, ...]) -> int:
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(
            f"index {index} is out of bounds for dimension {dim} with size {shape[dim]}"
        )
    return index


def _check_slice(entry: slice, size: int) -> slice:
    start, stop, step = entry.indices(size)
    if step < 0:
        raise ValueError(f"step must be greater than zero, got {step}")
    return WHOLE if (start, stop, step) == (0, size, 1) else slice(start, stop, step)


def _positions(array: np.ndarray, dim: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    """An index array or mask as arrays of numbers >= 0, one for each dim it stands for.

    They are copies: backward needs them, and the user may go on to change the original.
    """
    if array.dtype == np.bool_:
        if array.shape != shape[dim : dim + array.ndim]:
            raise IndexError(
                f"The shape of the mask {list(array.shape)} does not match the shape of the "
                f"indexed tensor {list(shape)} at index {dim}"
            )
        return list(np.nonzero(array))
    positions = array.astype(np.intp)
    check_range(positions, shape[dim], dim, IndexError, lowest=-shape[dim])
    positions[positions < 0] += shape[dim]
    return [positions]


def _check_broadcast(arrays: Sequence[np.ndarray]) -> None:
    try:
        np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        shapes = ", ".join(str(list(a.shape)) for a in arrays)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None


def along_dim(index: np.ndarray, dim: int) -> tuple[np.ndarray, ...]:
    """The `advanced` of an Index for gather and scatter.

    Place (i, j, k) of the result is x[i, index[i, j, k], k] for dim 1: along dim the given
    numbers count, along all others the place itself.
    """
    places: list[Any] = list(np.ogrid[tuple([slice(n) for n in index.shape])])
    places[dim] = index.astype(np.intp)  # a copy
    return tuple(places)


# ------------------------------------------------------------------ reading


class BasicIndex(Op):
    """y = x[index] for ints, slices and None: a view."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, index: tuple[Any, ...]) -> np.ndarray:
        ctx.op_name, ctx.index, ctx.shape = "Slice", index, x.shape
        return x[index]

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_input = np.zeros(ctx.shape, grad_output.dtype)
        grad_input[ctx.index] = grad_output
        return grad_input


class AdvancedIndex(Op):
    """y = x[index] for index arrays (see Index.advanced): a copy.

    Gradient: dx[index] += g, where a place named twice receives both.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, index: tuple[Any, ...]) -> np.ndarray:
        ctx.op_name, ctx.index, ctx.shape = "Index", index, x.shape
        return np.asarray(x[index], order="C")  # of NumPy's, an indexed dim is the slowest

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_input = np.zeros(ctx.shape, grad_output.dtype)
        _add_at(grad_input, ctx.index, grad_output)
        return grad_input


def _add_at(target: np.ndarray, index: tuple[Any, ...], values: np.ndarray) -> None:
    """target[index] += values, adding up where index names a place more than once.

    target: C-contiguous. np.add.at(target, index, values) is the same; it is six times slower
    than on a flat array and far slower than an assignment, which does where nothing repeats.
    """
    dims = [d for d, entry in enumerate(index) if isinstance(entry, np.ndarray)]
    arrays = [index[d] for d in dims]
    rows = np.ravel_multi_index(arrays, [target.shape[d] for d in dims])
    if rows.size == 0 or np.bincount(rows.ravel()).max() == 1:
        target[index] += values
        return
    # NumPy puts the dims of the index arrays where the first of them stood, or in front if
    # other dims lie between them. In front is where they are needed here.
    start = dims[0] if dims[-1] - dims[0] + 1 == len(dims) else 0
    values = np.moveaxis(values, range(start, start + rows.ndim), range(rows.ndim))
    strides = [s // target.itemsize for s in target.strides]
    flat = sum([a * strides[d] for a, d in zip(arrays, dims, strict=True)])
    for d, size in enumerate(target.shape):
        if d not in dims:
            flat = np.add.outer(flat, np.arange(size) * strides[d])
    np.add.at(target.reshape(-1), flat.ravel(), values.ravel())


# ------------------------------------------------------------------ writing


def assign_item(array: np.ndarray, index: Index, value: np.ndarray) -> None:
    """array[index] = value, which broadcasts; changes `array` itself.

    Raises: RuntimeError if value does not broadcast to the places that index names.
    """
    place = array[index.basic]
    try:
        place[index.advanced or ...] = value
    except ValueError as error:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"the indexed part of a tensor of shape {list(array.shape)} ({error})"
        ) from None


class SetItem(Op):
    """y = a copy of x in which y[index] = value: `SetItem.apply(x, value, index=index)`.

    index: from convert_index(..., x.shape). value: in x's dtype, broadcasts to x[index]; dims of
    size 1 that it has too many in front are dropped.
    Gradients: dx = g with the assigned places zeroed, dvalue = g[index], summed where value was
    broadcast. If index names a place twice, which value stays is not defined, and both values
    receive its gradient, as in PyTorch.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, value: np.ndarray, *, index: Index) -> np.ndarray:
        ctx.op_name, ctx.index, ctx.value_shape = "IndexPut", index, value.shape
        y = x.copy()
        assign_item(y, index, value)
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any]:
        need_x, need_value = ctx.needs_input_grad
        grad_x = grad_value = None
        if need_x:
            grad_x = grad_output.copy()
            grad_x[ctx.index.basic][ctx.index.advanced] = 0
        if need_value:
            grad = np.asarray(grad_output[ctx.index.basic][ctx.index.advanced])
            surplus = max(len(ctx.value_shape) - grad.ndim, 0)
            grad_value = unbroadcast(grad, ctx.value_shape[surplus:]).reshape(ctx.value_shape)
        return grad_x, grad_value


class AddItem(Op):
    """y = a copy of x in which y[index] += value, adding up repeated places.

    index: an Index.advanced. value: of exactly the shape of x[index].
    Gradients: dx = g, dvalue = g[index].
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, value: np.ndarray, *, index: tuple[Any, ...]
    ) -> np.ndarray:
        ctx.op_name, ctx.index = "ScatterAdd", index
        y = x.copy(order="C")
        _add_at(y, index, value)
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any]:
        _, need_value = ctx.needs_input_grad
        return grad_output, grad_output[ctx.index] if need_value else None


class MaskedFill(Op):
    """y = value where mask holds, else x; x and mask broadcast, value is zero-dimensional."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, value: np.ndarray, mask: np.ndarray) -> np.ndarray:
        ctx.shape = x.shape
        ctx.save_for_backward(mask)
        return np.where(mask, value, x)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, None]:
        (mask,) = ctx.saved
        need_x, need_value, _ = ctx.needs_input_grad
        zero = grad_output.dtype.type(0)
        return (
            unbroadcast(np.where(mask, zero, grad_output), ctx.shape) if need_x else None,
            np.where(mask, grad_output, zero).sum() if need_value else None,
            None,
        )
