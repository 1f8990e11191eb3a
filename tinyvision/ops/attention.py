"""Scaled dot-product attention."""

from __future__ import annotations

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op
from tinyvision.kernels.attention import Gradients, Settings


class ScaledDotProductAttention(Op):
    """y = dropout(softmax(scale * query key^T + mask)) value, head by head.

    mask may be None, of bools (False: not to be seen) or of floats; causal hides keys j > i from
    query i.

    Shapes: query (N, H, L, E), key (N, H_kv, S, E), value (N, H_kv, S, E_v), mask broadcasts to
    (N, H, L, S) and is 4D itself, y (N, H, L, E_v). H_kv divides H.
    Gradients, with weights p before dropout, dp = dropout(g value^T) and
    ds = p * (dp - sum of p * dp over the row): dvalue = dropout(p)^T g, dquery = scale * ds key,
    dkey = scale * ds^T query, dmask = ds, each summed over what was shared.
    """

    @staticmethod
    def forward(
        ctx: Node, query: np.ndarray, key: np.ndarray, value: np.ndarray,
        mask: np.ndarray | None,
        *, settings: Settings,
    ) -> np.ndarray:  # fmt: skip
        ctx.settings = settings
        output, peaks, totals = kernels.attention_forward(query, key, value, mask, settings)
        ctx.save_for_backward(query, key, value, mask, output, peaks, totals)
        return output

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> Gradients:
        query, key, value, mask, output, peaks, totals = ctx.saved
        return kernels.attention_backward(
            grad_output, query, key, value, mask, output, peaks, totals, ctx.settings,
            ctx.needs_input_grad,
        )  # fmt: skip
