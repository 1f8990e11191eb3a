"""Two-dimensional convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op

Pair = tuple[int, int]


class Conv2d(Op):
    """y[n, o, i, j] = bias[o] + sum over c, a, b of weight[o, c, a, b] * padded input at
    [n, c, i * stride + a * dilation, j * stride + b * dilation]; bias may be None.

    Strictly a cross-correlation: as in every framework, the filter is not flipped. With groups,
    output channel o sees only the input channels of its own group.

    Shapes: input (N, C_in, H, W), weight (C_out, C_in / groups, kH, kW), bias (C_out,),
    y (N, C_out, H_out, W_out).
    Gradients: dinput adds weight * g back to every pixel it was multiplied with; dweight is the
    correlation of input and g; dbias = sum of g over all but the channels.
    """

    @staticmethod
    def forward(
        ctx: Node,
        input: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        *,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> np.ndarray:
        ctx.geometry = stride, padding, dilation, groups
        ctx.save_for_backward(input, weight)
        return kernels.conv2d_forward(input, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        input, weight = ctx.saved
        return kernels.conv2d_backward(
            grad_output, input, weight, *ctx.geometry, *ctx.needs_input_grad
        )
