"""Two-dimensional convolution, and its transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op


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
        ctx: Node, input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None,
        *, geometry: kernels.Geometry,
    ) -> np.ndarray:  # fmt: skip
        ctx.geometry = geometry
        ctx.save_for_backward(input, weight)
        return kernels.conv2d_forward(input, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        input, weight = ctx.saved
        return kernels.conv2d_backward(
            grad_output, input, weight, ctx.geometry, ctx.needs_input_grad
        )


class ConvTranspose2d(Op):
    """What Conv2d does to gradients, done to values: each input spreads over a window of outputs.

    y = bias[o] + the dinput of a Conv2d whose g is the input here; it makes images larger.

    Shapes: input (N, C_in, H, W), weight (C_in, C_out / groups, kH, kW), bias (C_out,),
    y (N, C_out, *output_size), of which that Conv2d would make (H, W).
    Gradients: dinput is the Conv2d of g; dweight is that Conv2d's, with the input as its g.

    Source: Zeiler et al. 2010, "Deconvolutional networks", CVPR.
    """

    @staticmethod
    def forward(
        ctx: Node, input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None,
        *, geometry: kernels.Geometry, output_size: tuple[int, int],
    ) -> np.ndarray:  # fmt: skip
        ctx.geometry = geometry
        ctx.save_for_backward(input, weight)
        shape = len(input), weight.shape[1] * geometry.groups, *output_size
        image = np.broadcast_to(np.zeros((), input.dtype), shape)  # only its shape is looked at
        y, _, _ = kernels.conv2d_backward(input, image, weight, geometry, (True, False, False))
        assert y is not None
        return y if bias is None else y + bias[:, None, None]

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        (input, weight), (need_input, need_weight, need_bias) = ctx.saved, ctx.needs_input_grad
        grad_input = grad_weight = None
        if need_input:
            grad_input = kernels.conv2d_forward(grad_output, weight, None, ctx.geometry)
        if need_weight:
            _, grad_weight, _ = kernels.conv2d_backward(
                input, grad_output, weight, ctx.geometry, (False, True, False)
            )
        return grad_input, grad_weight, grad_output.sum(axis=(0, 2, 3)) if need_bias else None
