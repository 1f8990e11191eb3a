"""Products of matrices.

The product of two matrices has matrix products as gradients. With y = a b and g = dL/dy,
dL/da = g b^T and dL/db = a^T g: the shapes leave no other choice. The kernel takes transposed
matrices as they lie in memory, so `.T` here costs nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.checks import broadcast_shape
from tinyvision.dtypes import C_NAMES, require_kind
from tinyvision.engine.op import Node, Op
from tinyvision.ops.elementwise import unbroadcast


def check_matmul(a: np.ndarray, b: np.ndarray) -> None:
    """Check that a @ b can be computed.

    Raises: RuntimeError if inner sizes, batch sizes or dtypes do not match, or if one has no
    dims; NotImplementedError for bools.
    """
    if 0 in (a.ndim, b.ndim):
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    a, b = _row(a), _column(b)
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(_mismatch(a.shape, b.shape))
    broadcast_shape(a.shape[:-2], b.shape[:-2])
    if a.dtype != b.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{C_NAMES[a.dtype]} != {C_NAMES[b.dtype]}"
        )
    require_kind("matmul", a.dtype, "iuf")


def _mismatch(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> str:
    if len(shape_b) == 2:
        rows = math.prod(shape_a[:-1])
        return (
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{shape_a[-1]} and "
            f"{shape_b[0]}x{shape_b[1]})"
        )
    return (
        f"batches of matrices of shapes {shape_a} and {shape_b} cannot be multiplied: expected "
        f"size {shape_a[-1]} at the second to last dimension of the second, but got {shape_b[-2]}"
    )


def _row(x: np.ndarray) -> np.ndarray:
    """A vector as a matrix of one row; anything else as it is."""
    return x.reshape(1, x.size) if x.ndim == 1 else x


def _column(x: np.ndarray) -> np.ndarray:
    """A vector as a matrix of one column; anything else as it is."""
    return x.reshape(x.size, 1) if x.ndim == 1 else x


def _rows(x: np.ndarray) -> np.ndarray:
    """All leading dims joined: (..., K) -> (M, K)."""
    # Not reshape(-1, K): NumPy cannot infer M where K is 0.
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _transposed(x: np.ndarray) -> np.ndarray:
    return x.swapaxes(-1, -2)


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b; as one product if b is a single matrix, instead of one for each matrix in a."""
    if b.ndim > 2 or a.ndim == 2:
        return kernels.matmul(a, b)
    y = kernels.matmul(_rows(a), b)
    return y.reshape(*a.shape[:-1], b.shape[-1])  # (M, N) -> (..., n, N)


class MatMul(Op):
    """y = a @ b over the last two dims; the dims before them are batches and broadcast.

    Shapes: a (..., n, k), b (..., k, m), y (..., n, m). A vector a is one row, a vector b one
    column, and y lacks that dim.
    Gradients: da = g b^T, db = a^T g, summed over the batches along which each was broadcast.
    """

    @staticmethod
    def forward(ctx: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        need_a, need_b = ctx.needs_input_grad
        ctx.save_for_backward(a if need_b else None, b if need_a else None)
        row, column = _row(a), _column(b)
        y = _multiply(row, column)
        ctx.shapes, ctx.matrices = (a.shape, b.shape), (row.shape, column.shape, y.shape)
        kept = y.shape[-2:][a.ndim == 1 : 2 - (b.ndim == 1)]
        return y.reshape(y.shape[:-2] + kept)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any]:
        need_a, need_b = ctx.needs_input_grad
        (a, b), (shape_a, shape_b) = ctx.saved, ctx.shapes
        row, column, product = ctx.matrices
        grad = grad_output.reshape(product)
        grad_a = grad_b = None
        if need_a:
            grad_a = _multiply(grad, _transposed(_column(b)))
            grad_a = unbroadcast(grad_a, row).reshape(shape_a)
        if need_b and len(column) == 2:
            # One product sums over the batches on its way: (k, M) @ (M, m)
            grad_b = kernels.matmul(_rows(_row(a)).T, _rows(grad)).reshape(shape_b)
        elif need_b:
            grad_b = unbroadcast(kernels.matmul(_transposed(_row(a)), grad), column)
        return grad_a, grad_b


class Linear(Op):
    """y = input W^T + bias; bias may be None.

    Shapes: input (..., in), weight (out, in), bias (out,), y (..., out).
    Gradients: dinput = g W, dW = g^T input, dbias = sum of g over all leading dims.
    """

    @staticmethod
    def forward(
        ctx: Node, input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None
    ) -> np.ndarray:
        need_input, need_weight, _ = ctx.needs_input_grad
        ctx.shape = input.shape
        ctx.save_for_backward(input if need_weight else None, weight if need_input else None)
        y = kernels.linear_forward(_rows(input), weight, bias)  # (M, in), (out, in) -> (M, out)
        return y.reshape(*input.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        need_input, need_weight, need_bias = ctx.needs_input_grad
        input, weight = ctx.saved
        rows = None if input is None else _rows(input)  # (..., in) -> (M, in)
        grad_input, grad_weight, grad_bias = kernels.linear_backward(
            _rows(grad_output), rows, weight, need_input, need_weight, need_bias
        )
        if grad_input is not None:
            grad_input = grad_input.reshape(ctx.shape)
        return grad_input, grad_weight, grad_bias
