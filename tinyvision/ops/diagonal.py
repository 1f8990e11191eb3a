"""Triangles and diagonals of matrices."""

from __future__ import annotations

import numpy as np

from tinyvision.engine.op import Node, Op


class Triangle(Op):
    """y = x with zeros above (or, if `upper`, below) the given diagonal of its last two dims."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, diagonal: int, upper: bool) -> np.ndarray:
        ctx.op_name = "Triu" if upper else "Tril"
        ctx.keep, ctx.diagonal = (np.triu if upper else np.tril), diagonal
        return ctx.keep(x, diagonal)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return ctx.keep(grad_output, ctx.diagonal)


def _diagonal(x: np.ndarray, offset: int, dim1: int, dim2: int) -> np.ndarray:
    """A view of one diagonal, as last dim; np.diagonal's view could not be written to."""
    x = np.moveaxis(x, (dim1, dim2), (-2, -1))
    x = x[..., max(-offset, 0) :, max(offset, 0) :]
    n = min(x.shape[-2:])
    return np.einsum("...ii->...i", x[..., :n, :n])


class Diagonal(Op):
    """y[..., i] = x[..., i, i + offset], read along dim1 and dim2: a view."""

    is_view = True

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, offset: int, dim1: int, dim2: int) -> np.ndarray:
        ctx.place, ctx.shape = (offset, dim1, dim2), x.shape
        return _diagonal(x, offset, dim1, dim2)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_input = np.zeros(ctx.shape, grad_output.dtype)
        _diagonal(grad_input, *ctx.place)[...] = grad_output
        return grad_input


class DiagonalMatrix(Op):
    """y = the square matrix with vector x on one diagonal and zeros elsewhere."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, offset: int) -> np.ndarray:
        ctx.op_name, ctx.offset = "DiagEmbed", offset
        n = len(x) + abs(offset)
        y = np.zeros((n, n), x.dtype)
        _diagonal(y, offset, 0, 1)[...] = x
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return _diagonal(grad_output, ctx.offset, 0, 1)
