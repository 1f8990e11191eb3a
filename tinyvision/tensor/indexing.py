"""Methods that read parts of a Tensor, or return a copy with parts of it changed.

Assignment, `t[index] = value`, is in inplace.py with everything else that changes memory.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinyvision.checks import as_int, broadcast_shape, fitting, normalize_dim
from tinyvision.dtypes import TORCH_NAMES, int64
from tinyvision.ops.elementwise import Mul
from tinyvision.ops.indexing import (
    WHOLE,
    AddItem,
    AdvancedIndex,
    BasicIndex,
    Index,
    MaskedFill,
    SetItem,
    along_dim,
    check_range,
    convert_index,
)
from tinyvision.ops.shape import Expand, Reshape
from tinyvision.tensor.base import TensorBase, check_tensor


class Indexing(TensorBase):
    """Methods that name elements of a Tensor."""

    def __getitem__(self, index: Any) -> Self:
        """The part that index names: a view, or a copy if there is an index array in it.

        Raises: IndexError if index does not fit; ValueError for a slice that goes backwards.
        """
        found = convert_index(index, self._data.shape)
        if found.is_basic:
            return BasicIndex.apply(self, index=found.basic)
        view = self if found.takes_all else BasicIndex.apply(self, index=found.basic)
        return AdvancedIndex.apply(view, index=found.advanced)

    def select(self, dim: int, index: int) -> Self:
        """The slice number `index` along dim, without that dim; a view."""
        shape = self._data.shape
        if not shape:
            raise IndexError("select() cannot be applied to a 0-dim tensor.")
        dim = normalize_dim(dim, len(shape), "select")
        index = as_int(index, "select", "index")
        if not -shape[dim] <= index < shape[dim]:
            raise IndexError(
                f"select(): index {index} out of range for tensor of size {list(shape)} at "
                f"dimension {dim}"
            )
        return BasicIndex.apply(self, index=(*[WHOLE] * dim, index, ...))

    def narrow(self, dim: int, start: Any, length: int) -> Self:
        """The `length` slices along dim from number `start` (an int or a tensor) on; a view."""
        shape = self._data.shape
        if not shape:
            raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
        dim = normalize_dim(dim, len(shape), "narrow")
        if isinstance(start, TensorBase):
            if start._data.ndim or start._data.dtype.kind not in "iu":
                raise RuntimeError("narrow(): start must be an 0-dim integral Tensor.")
            start = start._data.item()
        start, length = as_int(start, "narrow", "start"), as_int(length, "narrow", "length")
        size = shape[dim]
        if not -size <= start <= size:
            raise IndexError(
                f"narrow(): start out of range (expected to be in range of [{-size}, {size}], but "
                f"got {start})"
            )
        if length < 0:
            raise RuntimeError(f"narrow(): length must be non-negative, got {length}")
        start += size if start < 0 else 0
        if start + length > size:
            raise RuntimeError(
                f"narrow(): start ({start}) + length ({length}) exceeds dimension size ({size})."
            )
        return BasicIndex.apply(self, index=(*[WHOLE] * dim, slice(start, start + length), ...))

    # ---------------------------------------------------------------- by position

    def index_select(self, dim: int, index: Self) -> Self:
        """The slices along dim that a vector of indices names, in its order."""
        dim = normalize_dim(dim, self._data.ndim, "index_select")
        _check_index_tensor("index_select", index)
        if index._data.ndim > 1:
            raise IndexError("index_select(): Index is supposed to be a vector")
        if self._data.ndim == 0 and index._data.size != 1:
            raise RuntimeError(
                "index_select(): Index to scalar can have only 1 value, got "
                f"{index._data.size} value(s)"
            )
        source = _at_least_1d(self)
        check_range(index._data, source._data.shape[dim], dim, IndexError)
        result = AdvancedIndex.apply(source, index=_slices_at(index, dim))
        return result if self._data.ndim else _in_shape(result, ())

    def gather(self, dim: int, index: Self, *, sparse_grad: bool = False) -> Self:
        """Values picked along dim: for dim 1 of three, y[i, j, k] = x[i, index[i, j, k], k].

        Shapes: index has as many dims as self and, apart from dim, no larger sizes; the result
        has the shape of index.
        """
        if sparse_grad:
            raise NotImplementedError("gather(): sparse_grad=True is not supported")
        dim = normalize_dim(dim, self._data.ndim, "gather")
        source, shape = _at_least_1d(self), check_tensor("gather", "index", index)._data.shape
        if index._data.size == 0:
            return _in_shape(AdvancedIndex.apply(source, index=(np.zeros(0, np.int64),)), shape)
        positions = _check_along_dim("gather", source._data.shape, dim, index)
        return _in_shape(AdvancedIndex.apply(source, index=along_dim(positions, dim)), shape)

    def take_along_dim(self, indices: Self, dim: int | None = None) -> Self:
        """Like gather, for indices that broadcast with self in all other dims.

        Without dim, indices count in the flattened tensor. Negative ones count from the end.
        """
        check_tensor("take_along_dim", "indices", indices)
        if dim is None:
            flat = _in_shape(self, (self._data.size,))
            return flat.take_along_dim(_in_shape(indices, (indices._data.size,)), 0)
        shape, wanted = self._data.shape, indices._data.shape
        if len(shape) != len(wanted):
            raise RuntimeError(
                "take_along_dim(): input and indices should have the same number of dimensions, "
                f"but got {len(shape)} dimensions for input, and {len(wanted)} dimensions for "
                "indices"
            )
        if indices._data.dtype != int64:
            raise RuntimeError(
                "take_along_dim(): dtype of indices should be Long but got "
                f"{TORCH_NAMES[indices._data.dtype]}"
            )
        dim = normalize_dim(dim, len(shape), "take_along_dim")
        return _take_along_dim(self, indices._data, dim)

    def scatter(
        self, dim: int, index: Self, src: Any = None, *, value: Any = None, reduce: Any = None
    ) -> Self:
        """A copy with src written where gather would read: y[i, index[i, j, k], k] = src[i, j, k].

        src is a tensor no smaller than index, or a number, which may also be given as `value`. If
        index names a place twice, which value stays is not defined; the gradient goes to both.
        """
        if reduce is not None:
            raise NotImplementedError("scatter(): reduce is not supported; see scatter_add")
        if value is not None:
            if src is not None:
                raise TypeError("scatter(): expected src or value, not both")
            src = value._data.item() if isinstance(value, TensorBase) else value
        if isinstance(src, (bool, int, float)):
            check_tensor("scatter", "index", index)
            src = self._plain(np.full(index._data.shape, fitting(src, self._data.dtype)))
        target, places, values = self._scatter_operands("scatter", dim, index, src)
        result = SetItem.apply(target, values, index=Index((...,), places))
        return _in_shape(result, self._data.shape)

    def scatter_add(self, dim: int, index: Self, src: Self) -> Self:
        """Like scatter, but src is added, and places named several times receive all of it."""
        target, places, values = self._scatter_operands("scatter_add", dim, index, src)
        return _in_shape(AddItem.apply(target, values, index=places), self._data.shape)

    def _scatter_operands(self, name: str, dim: int, index: Any, src: Any) -> tuple[Any, Any, Any]:
        """Self, index arrays for it, and the part of src to write there."""
        check_tensor(name, "src", src)
        dim = normalize_dim(dim, self._data.ndim, name)
        if src._data.dtype != self._data.dtype:
            raise RuntimeError(
                f"{name}(): Expected self.dtype to be equal to src.dtype, got {self._data.dtype} "
                f"and {src._data.dtype}"
            )
        target, values = _at_least_1d(self), _at_least_1d(src)
        positions = _check_along_dim(name, target._data.shape, dim, index)
        sizes = values._data.shape
        if len(sizes) != positions.ndim or any(
            n > m for n, m in zip(positions.shape, sizes, strict=True)
        ):
            raise RuntimeError(
                f"{name}(): Expected index {list(positions.shape)} to be no larger than src "
                f"{list(sizes)}"
            )
        if sizes != positions.shape:
            values = BasicIndex.apply(values, index=tuple([slice(n) for n in positions.shape]))
        return target, along_dim(positions, dim), values

    def index_add(self, dim: int, index: Self, source: Self, *, alpha: float = 1) -> Self:
        """A copy with alpha * source[i] added to the slice number index[i] along dim."""
        dim = normalize_dim(dim, self._data.ndim, "index_add")
        _check_index_tensor("index_add", index)
        check_tensor("index_add", "source", source)
        target, values = _at_least_1d(self), _at_least_1d(source)
        _check_index_add(self._data, target._data.shape, dim, index._data, source._data)
        if alpha != 1:
            if isinstance(alpha, float) and self._data.dtype.kind != "f":
                raise RuntimeError("index_add(): alpha must be an integer for integral tensors")
            values = values._binary(alpha, Mul)
        result = AddItem.apply(target, values, index=_slices_at(index, dim))
        return _in_shape(result, self._data.shape)

    def index_fill(self, dim: int, index: Self, value: Any) -> Self:
        """A copy with value, as in masked_fill, in the slices along dim that index names."""
        dim = normalize_dim(dim, self._data.ndim, "index_fill")
        if check_tensor("index_fill", "index", index)._data.dtype != int64:
            raise IndexError("index_fill(): Expected dtype int64 for index.")
        if index._data.ndim > 1:
            raise RuntimeError("index_fill(): Index has to be a vector/scalar")
        marked = np.zeros(_at_least_1d(self)._data.shape[dim], bool)
        marked[index._data] = True  # or an IndexError
        shape = (-1, *[1] * (self._data.ndim - dim - 1)) if self._data.ndim else ()
        return self.masked_fill(self._plain(marked.reshape(shape)), value)

    # ---------------------------------------------------------------- by mask

    def masked_fill(self, mask: Self, value: Any) -> Self:
        """A copy with value, a number or zero-dimensional tensor, wherever mask holds.

        Raises: RuntimeError if mask is not a bool tensor or does not broadcast with self.
        """
        _check_mask("masked_fill", mask)
        broadcast_shape(self._data.shape, mask._data.shape)
        value = self._own_number(value)
        check_tensor("masked_fill", "value", value)
        if value._data.ndim:
            raise RuntimeError(
                "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._data.ndim} dimension(s)."
            )
        return MaskedFill.apply(self, value._to_dtype(self._data.dtype), mask)

    def masked_select(self, mask: Self) -> Self:
        """The values where mask holds, as a vector; self and mask broadcast."""
        _check_mask("masked_select", mask)
        shape = broadcast_shape(self._data.shape, mask._data.shape) or (1,)
        source = self if self._data.shape == shape else Expand.apply(self, shape=shape)
        places = np.nonzero(np.broadcast_to(mask._data, shape))
        return AdvancedIndex.apply(source, index=places)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The places of all values that are not zero: a row of indices for each.

        With as_tuple, a vector of indices for each dim, such that x[x.nonzero(as_tuple=True)]
        are the values.
        """
        if as_tuple:
            return tuple([self._plain(a) for a in np.nonzero(np.atleast_1d(self._data))])
        return self._plain(np.argwhere(self._data))


def _in_shape(tensor: Any, shape: tuple[int, ...]) -> Any:
    return tensor if tensor._data.shape == shape else Reshape.apply(tensor, shape=shape)


def _at_least_1d(tensor: Any) -> Any:
    return _in_shape(tensor, tensor._data.shape or (1,))


def _slices_at(index: Any, dim: int) -> tuple[Any, ...]:
    """The `advanced` of an Index for whole slices along dim."""
    return (*[WHOLE] * dim, index._data.astype(np.intp).ravel())  # astype copies


def _check_index_tensor(name: str, index: Any) -> None:
    check_tensor(name, "index", index)
    if index._data.dtype not in (np.int64, np.int32) and index._data.size > 0:
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {index._data.dtype}"
        )


def _check_index_add(
    target: np.ndarray, sizes: tuple[int, ...], dim: int, index: np.ndarray, source: np.ndarray
) -> None:
    """Check the operands of index_add; `sizes` is target's shape with at least one dim."""
    if index.ndim > 1:
        raise IndexError(
            f"index_add(): Index is supposed to be a vector, but got shape {list(index.shape)}"
        )
    if source.dtype != target.dtype:
        raise RuntimeError(
            f"index_add(): self ({TORCH_NAMES[target.dtype]}) and source "
            f"({TORCH_NAMES[source.dtype]}) must have the same scalar type"
        )
    wanted = (*sizes[:dim], index.size, *sizes[dim + 1 :])
    if source.ndim != target.ndim or (source.shape or (1,)) != wanted:
        raise RuntimeError(
            "index_add(): source tensor shape must match self tensor shape, with the number of "
            f"indices in dimension {dim}. Got self.shape = {list(target.shape)}, source.shape = "
            f"{list(source.shape)} and {index.size} indices"
        )
    # As in PyTorch, whose loops over vectors and over slices raise different types.
    check_range(index, sizes[dim], dim, IndexError if len(sizes) == 1 else RuntimeError)


def _check_mask(name: str, mask: Any) -> None:
    check_tensor(name, "mask", mask)
    if mask._data.dtype != np.bool_:
        raise RuntimeError(f"{name} only supports boolean masks, but got {mask._data.dtype}")


def _check_along_dim(name: str, shape: tuple[int, ...], dim: int, index: Any) -> np.ndarray:
    """The index array of gather or scatter on a tensor of `shape`, checked."""
    _check_index_tensor(name, index)
    array = np.atleast_1d(index._data)
    if array.ndim != len(shape):
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as input tensor, got "
            f"{array.ndim} and {len(shape)}"
        )
    if any(n > m for d, (n, m) in enumerate(zip(array.shape, shape, strict=True)) if d != dim):
        raise RuntimeError(
            f"{name}(): Size does not match: expected index {list(array.shape)} to be no larger "
            f"than self {list(shape)} apart from dimension {dim}"
        )
    check_range(array, shape[dim], dim, RuntimeError)
    return array


def _take_along_dim(tensor: Any, indices: np.ndarray, dim: int) -> Any:
    """Broadcast tensor and indices in all dims but dim, then gather."""
    shape, size = list(tensor._data.shape), tensor._data.shape[dim]
    shape[dim] = indices.shape[dim]
    common = broadcast_shape(shape, indices.shape)
    # Negative indices in [-size, -1] count from the end; what is out of range stays so.
    indices = np.where((indices < 0) & (indices >= -size), indices + size, indices)
    check_range(indices, size, dim, RuntimeError)
    source = Expand.apply(tensor, shape=(*common[:dim], size, *common[dim + 1 :]))
    return AdvancedIndex.apply(source, index=along_dim(np.broadcast_to(indices, common), dim))
