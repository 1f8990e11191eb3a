"""Pooling: every output pixel summarises one window of its channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op
from tinyvision.kernels.windows import Bounds, Windows


class MaxPool2d(Op):
    """y = largest value in each window, and where it was if `return_indices`.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out), indices like y: row * W + column.
    Gradient: g goes to the pixel that was largest (the first one of equals).
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, windows: Windows, return_indices: bool = False) -> Any:
        ctx.windows, ctx.shape = windows, x.shape
        y, taps = kernels.max_pool2d_forward(x, windows)
        ctx.save_for_backward(taps)
        return (y, kernels.max_pool2d_indices(taps, windows, x.shape)) if return_indices else y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray, *_indices: np.ndarray) -> np.ndarray:
        (taps,) = ctx.saved
        return kernels.max_pool2d_backward(grad_output, taps, ctx.windows, ctx.shape)


class AvgPool2d(Op):
    """y = sum of each window / its size, both as the bounds have it.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out). Gradient: each pixel of a window gets g / size.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, bounds: Bounds) -> np.ndarray:
        ctx.bounds, ctx.shape = bounds, x.shape
        return kernels.avg_pool2d_forward(x, bounds)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return kernels.avg_pool2d_backward(grad_output, ctx.bounds, ctx.shape)


class AdaptiveAvgPool2d(AvgPool2d):
    """The same of cells in a grid; the graph shows it under its own name, as in PyTorch."""


class AdaptiveMaxPool2d(Op):
    """y = largest value in each cell of a grid, and where it was if `return_indices`.

    Shapes: x (N, C, H, W), y (N, C, H_out, W_out), indices like y: row * W + column.
    Gradient: g goes to the pixel that was largest (the first one of equals).
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, bounds: Bounds, return_indices: bool = False) -> Any:
        ctx.shape = x.shape
        y, indices = kernels.adaptive_max_pool2d_forward(x, bounds)
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
