"""Looking up rows of a table."""

from __future__ import annotations

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.ops.indexing import AdvancedIndex


class Embedding(Op):
    """y[...] = weight[rows[...]].

    Shapes: weight (V, E), rows (...) of integers in [0, V), y (..., E).
    Gradient: dweight[rows] += g, except that row padding_idx stays 0; with scale_grad_by_freq each
    row's is divided by the number of times it was looked up.
    """

    @staticmethod
    def forward(
        ctx: Node, weight: np.ndarray,
        *, rows: np.ndarray, padding_idx: int | None, scale_grad_by_freq: bool,
    ) -> np.ndarray:  # fmt: skip
        ctx.padding_idx, ctx.scale_grad_by_freq = padding_idx, scale_grad_by_freq
        y = AdvancedIndex.forward(ctx, weight, index=(rows,))
        ctx.op_name = "Embedding"
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        grad_weight = AdvancedIndex.backward(ctx, grad_output)
        if ctx.padding_idx is not None:
            grad_weight[ctx.padding_idx] = 0
        if ctx.scale_grad_by_freq:
            counts = np.bincount(ctx.index[0].ravel(), minlength=len(grad_weight))
            grad_weight /= np.maximum(counts, 1)[:, None]
        return grad_weight
