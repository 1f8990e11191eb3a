"""Softmax, its logarithm and the logarithm of a sum of exponentials.

Each subtracts the largest value first, so that no exponential overflows; it cancels out.
"""

from __future__ import annotations

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op
from tinyvision.ops.reductions import Dims, quietly, restore_dims, sum_over


class LogSumExp(Op):
    """y = log(sum over dims of e^x) = m + log(t), m = max x, t = sum of e^(x - m): none overflows.

    dL/dx = g e^(x - m) / t, the softmax; as in PyTorch, NaN where y is infinite. e^(x - y) would be
    less exact: where m is large, y has not the digits of log(t).
    """

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, dims: Dims, keepdim: bool = False) -> np.ndarray:
        ctx.dims = dims
        m = np.maximum.reduce(x, axis=dims, keepdims=True, initial=-np.inf)
        limits = np.finfo(x.dtype)
        m = np.asarray(np.clip(m, limits.min, limits.max))  # -inf - -inf would be NaN
        t = sum_over(np.exp(x - m), dims, keepdim=True)
        ctx.save_for_backward(x, m, t)
        y = np.asarray(np.log(t) + m)
        return y if keepdim else y.squeeze(dims)

    @staticmethod
    @quietly
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        x, m, t = ctx.saved
        return restore_dims(grad_output, x.shape, ctx.dims) * (np.exp(x - m) / t)


class Softmax(Op):
    """y = e^(x - m) / sum of e^(x - m) along `dim`, m = max x: dL/dx = y (g - sum of g y).

    With `log`, y = x - m - log(sum of e^(x - m)): dL/dx = g - e^y (sum of g).
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, dim: int, log: bool = False) -> np.ndarray:
        ctx.op_name, ctx.dim, ctx.log = "LogSoftmax" if log else "Softmax", dim, log
        rows = kernels.softmax_forward(rows_along(x, dim), log)
        y = from_rows(rows, x.shape, dim)
        ctx.save_for_backward(y)  # not the rows: a change to y would go unnoticed
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        (y,) = ctx.saved
        dim = ctx.dim
        grad = kernels.softmax_backward(rows_along(grad_output, dim), rows_along(y, dim), ctx.log)
        return from_rows(grad, grad_output.shape, ctx.dim)


def rows_along(x: np.ndarray, dim: int) -> np.ndarray:
    """All stretches along one dim as rows: (..., n, ...) -> (M, n)."""
    if x.ndim == 0:
        return x.reshape(1, 1)
    n = x.shape[dim]
    # Not reshape(-1, n): NumPy cannot infer M where n is 0.
    if dim % x.ndim != x.ndim - 1:
        x = np.moveaxis(x, dim, -1)
    return x.reshape(x.size // n if n else 0, n)


def from_rows(rows: np.ndarray, shape: tuple[int, ...], dim: int) -> np.ndarray:
    """The array of that shape of which rows_along made the rows."""
    if len(shape) == 0 or dim % len(shape) == len(shape) - 1:
        return rows.reshape(shape)
    n, others = shape[dim], np.delete(shape, dim)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(*others, n), -1, dim))
