"""Operations that rearrange values without changing them.

Reshape, Permute, Expand, Unfold and Split return views where NumPy can. The gradient of a
rearrangement is the opposite rearrangement; where forward copies a value to many places, backward
adds up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.ops.elementwise import unbroadcast
from tinyvision.ops.reductions import quietly


class Reshape(Op):
    """The same values, in row-major order, in another shape: a view where strides allow."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        ctx.op_name, ctx.shape = "View", x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.reshape(ctx.shape)


class Permute(Op):
    """Dims in another order."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dims: tuple[int, ...]) -> np.ndarray:
        ctx.dims = dims
        return x.transpose(dims)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.transpose(np.argsort(ctx.dims))


class Expand(Op):
    """Broadcast to a shape without copying: repeated places share one memory location."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        ctx.shape = x.shape
        return np.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return unbroadcast(grad_output, ctx.shape)


class Unfold(Op):
    """All windows of `size` along `dim`, `step` apart, as views that may overlap.

    Gradient: dx = at each place the sum of g over the windows that show it.
    """

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dim: int, size: int, step: int) -> np.ndarray:
        ctx.shape, ctx.params = x.shape, (dim, size, step)
        return _windows(x, dim, size, step)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_x = np.zeros(ctx.shape, grad_output.dtype)
        windows = _windows(grad_x, *ctx.params)
        for i in range(windows.shape[-1]):  # the same place of all windows: they do not overlap
            windows[..., i] += grad_output[..., i]
        return grad_x


def _windows(x: np.ndarray, dim: int, size: int, step: int) -> np.ndarray:
    # (..., n, ...) -> (..., number of windows, ..., size)
    shape, strides = list(x.shape), list(x.strides)
    shape[dim], strides[dim] = (shape[dim] - size) // step + 1, strides[dim] * step
    return np.lib.stride_tricks.as_strided(x, (*shape, size), (*strides, x.strides[dim]))


class Split(Op):
    """Consecutive pieces of the given sizes along `dim`."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, sizes: tuple[int, ...], dim: int) -> tuple:
        ctx.dim = dim
        return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=dim))

    @staticmethod
    def backward(ctx: Node, *grad_outputs: np.ndarray) -> np.ndarray:
        return np.concatenate(grad_outputs, axis=ctx.dim)


class Unbind(Op):
    """All slices along `dim`, without that dim."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dim: int) -> tuple:
        ctx.dim, ctx.shape, ctx.dtype = dim, x.shape, x.dtype
        return tuple([piece[...] for piece in np.moveaxis(x, dim, 0)])

    @staticmethod
    def backward(ctx: Node, *grad_outputs: np.ndarray) -> np.ndarray:
        if not grad_outputs:
            return np.zeros(ctx.shape, ctx.dtype)
        return np.stack(grad_outputs, axis=ctx.dim)


class Cat(Op):
    """Inputs joined along an existing dim."""

    @staticmethod
    def forward(ctx: Node, *arrays: np.ndarray, dim: int) -> np.ndarray:
        ctx.dim, ctx.ends = dim, np.cumsum([a.shape[dim] for a in arrays])[:-1]
        return np.concatenate(arrays, axis=dim)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple:
        return tuple(np.split(grad_output, ctx.ends, axis=ctx.dim))


class Stack(Op):
    """Inputs of one shape joined along a new dim."""

    @staticmethod
    def forward(ctx: Node, *arrays: np.ndarray, dim: int) -> np.ndarray:
        ctx.dim = dim
        return np.stack(arrays, axis=dim)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple:
        return tuple(np.moveaxis(grad_output, ctx.dim, 0))


class Repeat(Op):
    """The whole tensor tiled: `repeats[i]` copies along dim i, with dims added in front."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, repeats: tuple[int, ...]) -> np.ndarray:
        ctx.repeats, ctx.shape = repeats, x.shape
        return np.tile(x, repeats)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        lead = len(ctx.repeats) - len(ctx.shape)
        shape = (1,) * lead + ctx.shape
        # (r0*n0, r1*n1, ...) -> (r0, n0, r1, n1, ...): the copies are the even dims
        pairs = [n for both in zip(ctx.repeats, shape, strict=True) for n in both]
        copies = tuple(range(0, len(pairs), 2))
        return grad_output.reshape(pairs).sum(axis=copies).reshape(ctx.shape)


class RepeatInterleave(Op):
    """Each slice along `dim` repeated in place: repeats[i] copies of slice i."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, repeats: np.ndarray, dim: int) -> np.ndarray:
        ctx.repeats, ctx.dim, ctx.shape = repeats, dim, x.shape
        return np.repeat(x, repeats, axis=dim)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_input = np.zeros(ctx.shape, grad_output.dtype)
        source = np.repeat(np.arange(ctx.shape[ctx.dim]), ctx.repeats)
        np.add.at(np.moveaxis(grad_input, ctx.dim, 0), source, np.moveaxis(grad_output, ctx.dim, 0))
        return grad_input


class Roll(Op):
    """Values moved along dims, those pushed out coming back at the other end."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, shifts: tuple[int, ...], dims: Any) -> np.ndarray:
        ctx.shifts, ctx.dims = shifts, dims
        return np.asarray(np.roll(x, shifts, dims), order="C")

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return np.roll(grad_output, tuple([-s for s in ctx.shifts]), ctx.dims)


class Flip(Op):
    """Values in reverse order along dims; a copy, as in PyTorch."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dims: tuple[int, ...]) -> np.ndarray:
        ctx.dims = dims
        return np.flip(x, dims).copy()

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return np.flip(grad_output, ctx.dims)


class Pad(Op):
    """A border of one value; widths is one (before, after) pair per dim, negative ones crop."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, widths: Any, value: float) -> np.ndarray:
        ctx.op_name, ctx.widths, ctx.shape = "ConstantPadNd", widths, x.shape
        shape = [n + before + after for n, (before, after) in zip(x.shape, widths, strict=True)]
        y = np.full(shape, value, x.dtype)
        source, target = _overlap(x.shape, widths)
        y[target] = x[source]
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_input = np.zeros(ctx.shape, grad_output.dtype)
        source, target = _overlap(ctx.shape, ctx.widths)
        grad_input[source] = grad_output[target]
        return grad_input


def _overlap(shape: tuple[int, ...], widths: Any) -> tuple[tuple, tuple]:
    """The slices of the input that survive padding, and where they lie in the output."""
    source, target = [], []
    for n, (before, after) in zip(shape, widths, strict=True):
        first, end = max(-before, 0), n - max(-after, 0)
        source.append(slice(first, end))
        target.append(slice(max(before, 0), max(before, 0) + end - first))
    return tuple(source), tuple(target)


class Copy(Op):
    """y = values, in the shape and dtype of x, whatever x was.

    Gradients: dx = 0, dvalues = g, summed where values was broadcast.
    """

    @staticmethod
    @quietly  # NaN to an integer is undefined, as in PyTorch
    def forward(ctx: Node, x: np.ndarray, values: np.ndarray) -> np.ndarray:
        ctx.shape, ctx.dtype = values.shape, values.dtype
        y = np.empty_like(x)
        y[...] = values
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grad_values = unbroadcast(grad_output, ctx.shape).astype(ctx.dtype, copy=False)
        return np.zeros_like(grad_output), grad_values


class Unique(Op):
    """y = values, the different ones of x; as in PyTorch, they have no gradient."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, values: np.ndarray) -> np.ndarray:
        return values

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        raise NotImplementedError("derivative for unique is not implemented")
