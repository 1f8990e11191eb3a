"""Pooling: every output pixel summarises one window of its channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op

Pair = tuple[int, int]


class MaxPool2d(Op):
    """y = largest value in each window, and where it was if `return_indices`.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out), indices like y: row * W + column.
    Gradient: g goes to the pixel that was largest (the first one of equals).
    """

    @staticmethod
    def forward(
        ctx: Node,
        x: np.ndarray,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        output_size: Pair,
        return_indices: bool = False,
    ) -> Any:
        ctx.geometry = x.shape, kernel_size, stride, padding, dilation
        y, taps = kernels.max_pool2d_forward(x, kernel_size, stride, padding, dilation, output_size)
        ctx.save_for_backward(taps)
        return (y, kernels.max_pool2d_indices(taps, *ctx.geometry)) if return_indices else y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray, *_indices: np.ndarray) -> np.ndarray:
        (taps,) = ctx.saved
        return kernels.max_pool2d_backward(grad_output, taps, *ctx.geometry)


class AvgPool2d(Op):
    """y = sum of each window / its size; padding counts as part of the window or not.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out). Gradient: each pixel of a window gets g / size.
    """

    @staticmethod
    def forward(
        ctx: Node,
        x: np.ndarray,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        output_size: Pair,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> np.ndarray:
        ctx.shape = x.shape
        ctx.geometry = kernel_size, stride, padding
        ctx.divisor = count_include_pad, divisor_override
        return kernels.avg_pool2d_forward(
            x, kernel_size, stride, padding, output_size, count_include_pad, divisor_override
        )

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return kernels.avg_pool2d_backward(grad_output, ctx.shape, *ctx.geometry, *ctx.divisor)


class AdaptiveAvgPool2d(Op):
    """y = mean of each cell of a grid of `output_size` cells laid over the image.

    Along a dim of size n cut into m cells, cell i is floor(i n / m) ... ceil((i + 1) n / m) - 1.

    Shapes: x (N, C, H, W), y (N, C, *output_size). Gradient: each pixel of a cell gets g / size.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, output_size: Pair) -> np.ndarray:
        ctx.shape = x.shape
        return kernels.adaptive_avg_pool2d_forward(x, output_size)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return kernels.adaptive_avg_pool2d_backward(grad_output, ctx.shape)


class AdaptiveMaxPool2d(Op):
    """y = largest value in each cell of the grid that AdaptiveAvgPool2d describes.

    Shapes: x (N, C, H, W), y (N, C, *output_size), indices like y: row * W + column.
    Gradient: g goes to the pixel that was largest (the first one of equals).
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, output_size: Pair, return_indices: bool = False
    ) -> Any:
        ctx.shape = x.shape
        y, indices = kernels.adaptive_max_pool2d_forward(x, output_size)
        if not return_indices:
            ctx.save_for_backward(indices)
            return y
        # backward writes where its indices say, so it keeps a copy that no user can overwrite.
        ctx.save_for_backward(indices.copy())
        return y, indices

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray, *_indices: np.ndarray) -> np.ndarray:
        (indices,) = ctx.saved
        return kernels.adaptive_max_pool2d_backward(grad_output, indices, ctx.shape)
