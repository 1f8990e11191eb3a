"""Normalization over a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op


class BatchNorm(Op):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, with the batch's own mean and variance.

    Mean and biased variance are those of each channel, over all other dims; they are returned
    too, without gradient. weight and bias may be None.

    Shapes: x and y (N, C, ...), weight, bias, mean, var (C,).
    Gradients, with z = (x - mean) * rstd: dx = weight * rstd * (g - mean(g) - z mean(g z)),
    dweight = sum(g z), dbias = sum(g).

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
    """

    @staticmethod
    def forward(
        ctx: Node,
        x: np.ndarray,
        weight: np.ndarray | None,
        bias: np.ndarray | None,
        *,
        eps: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y, mean, var, rstd = kernels.batch_norm_forward(_with_one_length(x), weight, bias, eps)
        ctx.mark_non_differentiable(mean, var)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y.reshape(x.shape), mean, var

    @staticmethod
    def backward(
        ctx: Node, grad_output: np.ndarray, *_statistics: np.ndarray
    ) -> tuple[Any, Any, Any]:
        x, weight, mean, rstd = ctx.saved
        grad_x, grad_weight, grad_bias = kernels.batch_norm_backward(
            _with_one_length(grad_output), _with_one_length(x), weight, mean, rstd
        )
        return grad_x.reshape(x.shape), grad_weight, grad_bias


def _with_one_length(x: np.ndarray) -> np.ndarray:
    # (N, C, H, W) -> (N, C, H*W)
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
