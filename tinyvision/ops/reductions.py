"""Reductions, running sums and order statistics, with their derivatives.

A reduction maps many values to one, so its gradient is one number per group, brought back to the
input's shape (`restore_dims`) and weighted by how much each value contributed. `dims` are NumPy
axes counted from the front; for a zero-dimensional input there are none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyvision.engine.op import Node, Op

Dims = tuple[int, ...]

# Infinite values and NaN are results like any others, as in PyTorch; NumPy would warn of them and
# of what gives them, such as log(0).
quietly = np.errstate(all="ignore")

# From this many rows on, `sum_over` folds them; below, the second pass costs more than it saves.
_FOLD_ROWS = 512


@quietly
def sum_over(x: np.ndarray, dims: Dims, keepdim: bool = False) -> np.ndarray:
    """The sum over `dims`, in the dtype of x.

    NumPy adds pairwise along a contiguous last dim, but over leading dims row by row, so that
    rounding errors grow with the number of rows n (float32 ones stop at 2^24). Folding n rows
    into sqrt(n) slabs first makes them grow with 2 sqrt(n), and is faster for narrow rows.
    """
    lead = len(dims)
    rows = math.prod(x.shape[:lead])
    is_lead = 0 < lead < x.ndim and sorted(dims) == list(range(lead))
    if not is_lead or rows < _FOLD_ROWS or x.dtype.kind != "f" or not x.flags.c_contiguous:
        return np.asarray(x.sum(axis=dims, dtype=x.dtype, keepdims=keepdim))
    flat, slabs = x.reshape(rows, -1), math.isqrt(rows)
    even = rows // slabs * slabs
    folded = flat[:even].reshape(slabs, even // slabs, -1)  # (n, C) -> (slabs, n/slabs, C)
    total = np.add.reduce(np.add.reduce(folded, axis=0), axis=0)
    total += np.add.reduce(flat[even:], axis=0)
    return total.reshape((1,) * lead * keepdim + x.shape[lead:])


def restore_dims(reduced: np.ndarray, shape: tuple[int, ...], dims: Dims) -> np.ndarray:
    """A reduction's result with size 1 at every reduced dim, ready to broadcast to `shape`."""
    return reduced.reshape([1 if i in dims else n for i, n in enumerate(shape)])


def _spread(reduced: np.ndarray, shape: tuple[int, ...], dims: Dims) -> np.ndarray:
    """Each result at all places that were reduced to it, as a view that repeats it."""
    kept = restore_dims(reduced, shape, dims)
    return kept if kept.shape == shape else np.broadcast_to(kept, shape)


def _count(shape: tuple[int, ...], dims: Dims) -> int:
    """How many values are reduced to one."""
    return math.prod([shape[d] for d in dims])


# ------------------------------------------------------------------ sums, products, moments


class Sum(Op):
    """y = sum of x over dims: dL/dx = g for each of them."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dims: Dims, keepdim: bool = False) -> np.ndarray:
        ctx.shape, ctx.dims = x.shape, dims
        return sum_over(x, dims, keepdim)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _spread(grad_output, ctx.shape, ctx.dims)


class Mean(Op):
    """y = sum of x over dims / n: dL/dx = g / n."""

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, dims: Dims, keepdim: bool = False) -> np.ndarray:
        ctx.shape, ctx.dims = x.shape, dims
        return np.asarray(sum_over(x, dims, keepdim) / _count(x.shape, dims))

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        share = grad_output / max(_count(ctx.shape, ctx.dims), 1)
        return _spread(share, ctx.shape, ctx.dims)


class Prod(Op):
    """y = product of x over `dim`, or over everything if it is None.

    dL/dx_i = g * (product of all others), not g * y / x_i, so that zeros are no special case.
    """

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, dim: int | None, keepdim: bool = False) -> np.ndarray:
        ctx.dim = dim
        ctx.save_for_backward(x)
        return np.asarray(x.prod(axis=dim, dtype=x.dtype, keepdims=keepdim))

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        (x,) = ctx.saved
        if ctx.dim is None:
            return (grad_output.reshape(-1) * _product_of_others(x.reshape(-1), 0)).reshape(x.shape)
        return restore_dims(grad_output, x.shape, (ctx.dim,)) * _product_of_others(x, ctx.dim)


def _product_of_others(x: np.ndarray, dim: int) -> np.ndarray:
    """For every value along `dim`: the product of those before it times those after it."""
    x = np.moveaxis(x, dim, 0)
    before, after = np.ones_like(x), np.ones_like(x)
    before[1:] = np.cumprod(x[:-1], axis=0)
    after[:-1] = np.cumprod(x[:0:-1], axis=0)[::-1]
    return np.moveaxis(before * after, 0, dim)


class Var(Op):
    """y = sum over dims of (x - mean)^2 / (n - correction), or its square root with `root`.

    dL/dx = 2 g (x - mean) / (n - correction), for the root divided by 2 y, and 0 where y is 0.
    """

    @staticmethod
    @quietly
    def forward(
        ctx: Node, x: np.ndarray, *, dims: Dims, correction: float, keepdim: bool, root: bool
    ) -> np.ndarray:
        ctx.op_name, ctx.dims, ctx.root = ("Std" if root else "Var"), dims, root
        ctx.divisor = max(_count(x.shape, dims) - correction, 0)
        centered = _centered(x, dims)
        variance = sum_over(np.square(centered), dims, keepdim) / ctx.divisor
        y = np.asarray(np.sqrt(variance) if root else variance)
        ctx.save_for_backward(x, y if root else None)
        return y

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        x, y = ctx.saved
        if ctx.root:
            slope = np.where(y == 0, 0, grad_output / (y * ctx.divisor))
        else:
            slope = np.divide(2 * grad_output, ctx.divisor)
        return restore_dims(slope, x.shape, ctx.dims) * _centered(x, ctx.dims)


def _centered(x: np.ndarray, dims: Dims) -> np.ndarray:
    return x - sum_over(x, dims, keepdim=True) / _count(x.shape, dims)


class Cumsum(Op):
    """y_i = x_0 + ... + x_i along `dim`: dL/dx_i = g_i + g_(i+1) + ..., a sum from the end."""

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, dim: int) -> np.ndarray:
        ctx.dim = dim
        y = np.cumsum(np.atleast_1d(x), axis=dim, dtype=x.dtype).reshape(x.shape)
        return np.asarray(y, order="C")

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        backwards = np.flip(np.atleast_1d(grad_output), ctx.dim)
        return np.flip(np.cumsum(backwards, axis=ctx.dim), ctx.dim).reshape(grad_output.shape)


class Cumprod(Op):
    """y_i = x_0 * ... * x_i along `dim`.

    dL/dx_k = y_{k-1} r_k with r_k = g_k + x_{k+1} r_{k+1}: the sum of g_i times the product of all
    but x_k, made from the end, so that nothing is divided by an x that may be 0.
    """

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, dim: int) -> np.ndarray:
        ctx.dim = dim
        y = np.cumprod(np.atleast_1d(x), axis=dim, dtype=x.dtype).reshape(x.shape)
        y = np.asarray(y, order="C")
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        x, y, g = (np.moveaxis(np.atleast_1d(a), ctx.dim, 0) for a in (*ctx.saved, grad_output))
        rest = np.array(g)  # r_k
        for k in range(len(x) - 2, -1, -1):
            rest[k] += x[k + 1] * rest[k + 1]
        rest[1:] *= y[:-1]
        return np.moveaxis(rest, 0, ctx.dim).reshape(grad_output.shape)


class Norm(Op):
    """y = (sum over dims of |x|^p)^(1/p); p = 0 counts nonzeros, +-inf are max |x| and min |x|.

    dL/dx = g sign(x) (|x| / y)^(p-1), which is 0 at x = 0, where only a subgradient exists. For
    infinite p the values whose |x| is y share g evenly.
    """

    @staticmethod
    @quietly
    def forward(
        ctx: Node, x: np.ndarray, *, p: float, dims: Dims, keepdim: bool = False
    ) -> np.ndarray:
        y = np.asarray(_norm(x, p, dims, keepdim))
        ctx.p, ctx.dims = p, dims
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        (x, y), p, dims = ctx.saved, ctx.p, ctx.dims
        if p == 0:
            return np.zeros_like(x)
        if math.isinf(p):
            return _share_among_ties(grad_output, np.abs(x), y, dims) * np.sign(x)
        y, grad = restore_dims(y, x.shape, dims), restore_dims(grad_output, x.shape, dims)
        slope = x / y if p == 2 else np.sign(x) * (np.abs(x) / y) ** (p - 1)
        return np.where(x == 0, 0, grad * slope)


def _norm(x: np.ndarray, p: float, dims: Dims, keepdim: bool) -> Any:
    if p == 2:
        return np.sqrt(sum_over(np.square(x), dims, keepdim))
    size = np.abs(x)
    if p == 0:
        return sum_over((size != 0).astype(x.dtype), dims, keepdim)
    if math.isinf(p):
        return _extremum(size, p > 0, dims, keepdim)
    return sum_over(size**p, dims, keepdim) ** (1 / p)


# ------------------------------------------------------------------ extremes and order


class ReduceExtremum(Op):
    """y = largest (or smallest) value over dims; those equal to it share the gradient evenly."""

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, largest: bool, dims: Dims, keepdim: bool = False
    ) -> np.ndarray:
        ctx.op_name, ctx.dims = ("Amax" if largest else "Amin"), dims
        y = np.asarray(_extremum(x, largest, dims, keepdim))
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        x, y = ctx.saved
        return _share_among_ties(grad_output, x, y, ctx.dims)


def _extremum(x: np.ndarray, largest: bool, dims: Dims, keepdim: bool) -> Any:
    reduce = x.max if largest else x.min
    return reduce(axis=dims, keepdims=keepdim)


class Median(Op):
    """y = the lower of the middle values of all of x, NaN if one is; ties share the gradient."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        y = np.array(_median(x.reshape(-1)), x.dtype)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        x, y = ctx.saved
        return _share_among_ties(grad_output, x, y, tuple(range(x.ndim)))


def _median(x: np.ndarray) -> Any:
    if x.size == 0:
        return np.nan
    middle, last = (x.size - 1) // 2, x.size - 1
    ordered = np.partition(x, (middle, last))  # right at these two places; NaN comes last
    return ordered[last if np.isnan(ordered[last]) else middle]


def _share_among_ties(grad: np.ndarray, x: np.ndarray, y: np.ndarray, dims: Dims) -> np.ndarray:
    """`grad` divided evenly among the values of x that equal y, the result of its group."""
    y, grad = restore_dims(y, x.shape, dims), restore_dims(grad, x.shape, dims)
    tied = (x == y) | (np.isnan(x) & np.isnan(y))
    count = np.add.reduce(tied, axis=dims, dtype=x.dtype, keepdims=True)
    return np.where(tied, grad / np.maximum(count, 1), 0)


class TakeAlongDim(Op):
    """y = x at `indices` along `dim`, none twice in a group; the others get no gradient.

    What max, min, sort, topk and median along a dim have in common once the indices are known,
    which have as many dims as x, or lack `dim` if one value per group is taken.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, indices: Any, *, dim: int, name: str) -> np.ndarray:
        ctx.op_name, ctx.dim, ctx.shape = name, dim, x.shape
        ctx.save_for_backward(indices)
        x = np.atleast_1d(x)
        return np.take_along_axis(x, _with_dim(indices, x.ndim, dim), dim).reshape(indices.shape)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[np.ndarray, None]:
        (indices,) = ctx.saved
        grad_x = np.zeros(ctx.shape or (1,), grad_output.dtype)
        indices = _with_dim(indices, grad_x.ndim, ctx.dim)
        np.put_along_axis(grad_x, indices, grad_output.reshape(indices.shape), ctx.dim)
        return grad_x.reshape(ctx.shape), None


def _with_dim(indices: np.ndarray, ndim: int, dim: int) -> np.ndarray:
    return indices if indices.ndim == ndim else np.expand_dims(indices, dim)


def argsort(x: np.ndarray, dim: int, descending: bool = False) -> np.ndarray:
    """The indices along `dim` in order of their values, NaN largest; equal ones keep theirs."""
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    # Ascending order of the mirrored values, mirrored back: equal values still keep their order.
    mirrored = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(mirrored, dim)


def argtopk(x: np.ndarray, k: int, dim: int, largest: bool) -> np.ndarray:
    """The indices of the k largest (or smallest) values along `dim`, in their order."""
    first = x.shape[dim] - k if largest else 0
    # Separating those k from the others takes linear time; only they are then sorted.
    separated = np.argpartition(x, (first or k) - 1, axis=dim)
    indices = np.sort(separated.take(np.arange(first, first + k), axis=dim), axis=dim)
    order = argsort(np.take_along_axis(x, indices, dim), dim, descending=largest)
    return np.take_along_axis(indices, order, dim)


def argmedian(x: np.ndarray, dim: int) -> np.ndarray:
    """The index of the lower middle value along `dim` (kept), or of the first NaN there."""
    middle = (x.shape[dim] - 1) // 2
    index = np.take(np.argpartition(x, middle, axis=dim), [middle], axis=dim)
    is_nan = np.isnan(x)
    first_nan = is_nan.argmax(axis=dim, keepdims=True)
    return np.where(is_nan.any(axis=dim, keepdims=True), first_nan, index)
