"""Methods that rearrange a Tensor; those PyTorch calls views share memory with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tinyvision.checks import (
    as_int,
    either,
    expand_shape,
    infer_shape,
    normalize_dim,
    normalize_dims,
    sizes_from,
)
from tinyvision.ops import shape as ops
from tinyvision.ops.elementwise import Clone
from tinyvision.strides import (
    check_memory_format,
    contiguous_format,
    is_laid_out,
    memory_format,
    preserve_format,
)
from tinyvision.tensor.base import TensorBase


class Shaping(TensorBase):
    """Methods that change shape or order."""

    def reshape(self, *sizes: Any, shape: Any = None) -> Self:
        """The same values in another shape, one size of which may be -1; a view if possible."""
        wanted = sizes_from(sizes if shape is None else (shape,), "reshape")
        sizes = infer_shape(self._data.size, wanted, "reshape")
        return ops.Reshape.apply(self, shape=sizes)

    def view(self, *shape: Any, size: Any = None) -> Self:
        """Like reshape, but never a copy.

        Raises: RuntimeError if the memory layout does not allow a view.
        """
        if len(shape) == 1 and isinstance(shape[0], np.dtype):
            raise NotImplementedError("view(dtype) is not supported; use to(dtype) to convert")
        sizes = infer_shape(self._data.size, sizes_from(either(shape, size), "view"), "view")
        result = ops.Reshape.apply(self, shape=sizes)
        if self._data.size and not np.may_share_memory(result._data, self._data):
            raise RuntimeError(
                f"view: size {sizes} is not compatible with input tensor's size "
                f"{self._data.shape} and stride (at least one dimension spans across two "
                "contiguous subspaces). Use .reshape(...) instead."
            )
        return result

    def view_as(self, other: Self) -> Self:
        """A view in the shape of other."""
        return self.view(other._data.shape)

    def reshape_as(self, other: Self) -> Self:
        """The same values in the shape of other."""
        return self.reshape(other._data.shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Dims from start_dim to end_dim joined into one."""
        shape = self._data.shape
        start = normalize_dim(start_dim, len(shape), "flatten")
        end = normalize_dim(end_dim, len(shape), "flatten")
        if start > end:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        joined = math.prod(shape[start : end + 1])
        return ops.Reshape.apply(self, shape=shape[:start] + (joined,) + shape[end + 1 :])

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Self:
        """One dim split into `sizes`, one of which may be -1."""
        shape = self._data.shape
        if not shape:
            raise RuntimeError("unflatten: Dimension specified as 0 but tensor has no dimensions")
        dim = normalize_dim(dim, len(shape), "unflatten")
        if not shape or not sizes:
            raise RuntimeError("unflatten: expected a tensor that has dims, and sizes")
        inner = infer_shape(shape[dim], sizes_from((sizes,), "unflatten"), "unflatten")
        return ops.Reshape.apply(self, shape=shape[:dim] + inner + shape[dim + 1 :])

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Self:
        """Without dims of size 1: all of them, or those of `dim` that have size 1."""
        shape = self._data.shape
        dims: Sequence[int] = range(len(shape))
        if dim is not None:
            dims = normalize_dims(dim, len(shape), "squeeze") if dim != () else ()
        kept = tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims])
        return ops.Reshape.apply(self, shape=kept)

    def unsqueeze(self, dim: int) -> Self:
        """With a new dim of size 1 at `dim`."""
        dim = normalize_dim(dim, self._data.ndim + 1, "unsqueeze")
        shape = self._data.shape
        return ops.Reshape.apply(self, shape=shape[:dim] + (1,) + shape[dim:])

    def permute(self, *axes: Any, dims: Any = None) -> Self:
        """Dims in the given order: permute(1, 0), permute((1, 0)) or permute(dims=(1, 0))."""
        given = sizes_from(axes if dims is None else (dims,), "permute")
        ndim = self._data.ndim
        order = tuple([normalize_dim(d, ndim, "permute") for d in given if len(given) == ndim])
        if len(given) != ndim or sorted(order) != list(range(ndim)):
            raise RuntimeError(
                f"permute: {given} is not an order of the {ndim} dims of a tensor of "
                f"shape {self._data.shape}"
            )
        return ops.Permute.apply(self, dims=order)

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Two dims exchanged."""
        ndim = self._data.ndim
        first = normalize_dim(dim0, ndim, "transpose")
        second = normalize_dim(dim1, ndim, "transpose")
        order = list(range(ndim))
        if ndim:
            order[first], order[second] = order[second], order[first]
        return ops.Permute.apply(self, dims=tuple(order))

    def swapaxes(self, axis0: int, axis1: int) -> Self:
        """Two dims exchanged: `transpose` by NumPy's name."""
        return self.transpose(axis0, axis1)

    def swapdims(self, dim0: int, dim1: int) -> Self:
        """Two dims exchanged: another name of `transpose`."""
        return self.transpose(dim0, dim1)

    def t(self) -> Self:
        """The transpose of a tensor of at most two dims."""
        if self._data.ndim > 2:
            raise RuntimeError(
                f"t() expects a tensor with <= 2 dimensions, but self is {self._data.ndim}D"
            )
        return ops.Permute.apply(self, dims=tuple(reversed(range(self._data.ndim))))

    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Self:
        """Dims `source` moved to `destination`, the others keeping their order."""
        ndim = self._data.ndim
        listed = [s if isinstance(s, (tuple, list)) else (s,) for s in (source, destination)]
        if len(listed[0]) != len(listed[1]):
            raise RuntimeError(f"movedim: {source} and {destination} must have the same length")
        start = normalize_dims(tuple(listed[0]), ndim, "movedim")
        end = normalize_dims(tuple(listed[1]), ndim, "movedim")
        order = [d for d in range(ndim) if d not in start]
        for target, dim in sorted(zip(end, start, strict=True)):
            order.insert(target, dim)
        return ops.Permute.apply(self, dims=tuple(order))

    def expand(self, *sizes: Any, size: Any = None) -> Self:
        """Dims of size 1 repeated without copying; -1 keeps a size, new dims go in front."""
        shape = expand_shape(self._data.shape, sizes_from(either(sizes, size), "expand"), "expand")
        return ops.Expand.apply(self, shape=shape)

    def expand_as(self, other: Self) -> Self:
        """Expanded to the shape of other."""
        return self.expand(other._data.shape)

    def broadcast_to(self, size: Sequence[int]) -> Self:
        """Expanded to the given shape."""
        return self.expand(tuple(size))

    def repeat(self, *counts: Any, repeats: Any = None) -> Self:
        """The whole tensor tiled; one count per dim, new dims in front."""
        counts = sizes_from(either(counts, repeats), "repeat")
        if len(counts) < self._data.ndim:
            raise RuntimeError(
                "Number of dimensions of repeat dims can not be smaller than number of dimensions "
                f"of tensor: got {counts} for shape {self._data.shape}"
            )
        if any(c < 0 for c in counts):
            raise RuntimeError(f"repeat: counts must not be negative, got {counts}")
        return ops.Repeat.apply(self, repeats=counts)

    def tile(self, *axes: Any, dims: Any = None) -> Self:
        """Like repeat, counts missing in front being 1."""
        counts = sizes_from(either(axes, dims), "tile")
        return self.repeat((1,) * (self._data.ndim - len(counts)) + counts)

    def repeat_interleave(
        self, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
    ) -> Self:
        """Each slice along dim (by default each value) repeated in place.

        Without repeats, self has them: 0, 1, 2, ... are repeated.
        output_size: how many there are then, if it is known.
        """
        if repeats is None:
            places = self._plain(np.arange(self._data.size))
            return places.repeat_interleave(self, 0, output_size=output_size)
        source = self.flatten() if dim is None else self
        axis = normalize_dim(0 if dim is None else dim, source._data.ndim, "repeat_interleave")
        counts = np.asarray(repeats)
        if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
            raise RuntimeError("repeat_interleave: repeats must be integers and not negative")
        size = source._data.shape[axis]
        if counts.ndim > 1 or counts.size not in (1, size):
            raise RuntimeError(
                f"repeat_interleave: repeats must have the same size as input along dim, but got "
                f"{counts.shape} and {size}"
            )
        each = np.broadcast_to(counts.ravel(), (size,))
        if output_size is not None and output_size != each.sum():
            raise RuntimeError(
                f"repeat_interleave: repeats have the sum {each.sum()}, not {output_size}"
            )
        return ops.RepeatInterleave.apply(source, repeats=each, dim=axis)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Consecutive views of split_size (the last may be smaller), or of the given sizes."""
        dim = normalize_dim(dim, self._data.ndim, "split")
        if self._data.ndim == 0:
            raise RuntimeError("split expects at least a 1-dimensional tensor")
        total = self._data.shape[dim]
        if isinstance(split_size, (tuple, list)):
            sizes = sizes_from(split_size, "split")
            if sum(sizes) != total or any(s < 0 for s in sizes):
                raise RuntimeError(
                    f"split: split sizes {sizes} must be non-negative and sum to {total}, the size "
                    f"of dim {dim}"
                )
            return ops.Split.apply(self, sizes=sizes, dim=dim) if sizes else ()
        size = as_int(split_size, "split", "split_size")
        if size < 0 or (size == 0 and total):
            raise RuntimeError(f"split: split_size must be positive, got {size}")
        count = max(-(-total // size), 1) if size else 1
        sizes = (size,) * (count - 1) + (total - size * (count - 1),)
        return ops.Split.apply(self, sizes=sizes, dim=dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Self, ...]:
        """At most `chunks` views of equal size, the last perhaps smaller."""
        if as_int(chunks, "chunk", "chunks") < 1:
            raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
        dim = normalize_dim(dim, self._data.ndim, "chunk")
        if self._data.ndim == 0:
            raise RuntimeError("chunk expects at least a 1-dimensional tensor")
        total = self._data.shape[dim]
        if total == 0:
            return ops.Split.apply(self, sizes=(0,) * chunks, dim=dim)
        return self.split(-(-total // chunks), dim)

    def unbind(self, dim: int = 0) -> tuple[Self, ...]:
        """All slices along dim, as views."""
        if self._data.ndim == 0:
            raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
        return ops.Unbind.apply(self, dim=normalize_dim(dim, self._data.ndim, "unbind"))

    def flip(self, *axes: Any, dims: Any = None) -> Self:
        """Reversed along dims: flip(0, 1), flip((0, 1)) or flip(dims=(0, 1))."""
        given = sizes_from(either(axes, dims), "flip")
        axes = normalize_dims(given, self._data.ndim, "flip") if given else ()
        return ops.Flip.apply(self, dims=axes)

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Self:
        """Values moved by shifts along dims, or along the flattened tensor."""
        moves = sizes_from((shifts,), "roll")
        if dims is None or dims == ():
            if len(moves) != 1:
                raise RuntimeError(f"roll: shifts {moves} need as many dims")
            return self.flatten().roll(moves, 0).reshape(self._data.shape)
        axes = sizes_from((dims,), "roll")
        if len(axes) != len(moves):
            raise RuntimeError(f"roll: shifts {moves} and dims {axes} must have the same length")
        axes = tuple([normalize_dim(d, self._data.ndim, "roll") for d in axes])
        return ops.Roll.apply(self, shifts=moves, dims=axes)

    def contiguous(self, *, memory_format: memory_format = contiguous_format) -> Self:
        """Self if its memory is in row-major or the given order, else such a copy.

        Raises: RuntimeError for channels_last unless self has four dims.
        """
        if self.is_contiguous(memory_format=memory_format):
            return self
        if memory_format is preserve_format:
            raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
        return Clone.apply(self, order=memory_format)

    def is_contiguous(self, *, memory_format: memory_format = contiguous_format) -> bool:
        """Whether the memory is in row-major or the given order."""
        return is_laid_out(self._data, check_memory_format("is_contiguous", memory_format))
