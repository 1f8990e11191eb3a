"""Normalization over a batch, and over the features of each example."""

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
        ctx: Node, x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None,
        *, eps: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
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


class BatchNormByRunning(Op):
    """y = weight * z + bias with z = (x - mean) * rstd, rstd = 1 / sqrt(var + eps), all given.

    Shapes: x and y (N, C, ...), all others (C,); weight and bias may be None.
    Gradients: dx = weight * rstd * g, dweight = sum(g z), dbias = sum(g); none for mean and var.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None,
        mean: np.ndarray, var: np.ndarray,
        *, eps: float,
    ) -> np.ndarray:  # fmt: skip
        with np.errstate(all="ignore"):
            rstd = 1 / np.sqrt(var + eps)
            scale = rstd if weight is None else rstd * weight
            shift = -mean * scale if bias is None else bias - mean * scale
        need_x, need_weight = ctx.needs_input_grad[:2]
        ctx.save_for_backward(x if need_weight else None, mean, rstd, scale if need_x else None)
        return kernels.scale_channels(_with_one_length(x), scale, shift).reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any, None, None]:
        need_x, need_weight, need_bias = ctx.needs_input_grad[:3]
        (x, mean, rstd, scale), grad = ctx.saved, _with_one_length(grad_output)
        grad_x = grad_weight = grad_bias = None
        if need_x:
            grad_x = kernels.scale_channels(grad, scale, np.zeros_like(scale))
            grad_x = grad_x.reshape(grad_output.shape)
        if need_weight:
            z = (_with_one_length(x) - mean[:, None]) * rstd[:, None]
            grad_weight = (grad * z).sum(axis=(0, 2))
        if need_bias:
            grad_bias = grad.sum(axis=(0, 2))
        return grad_x, grad_weight, grad_bias, None, None


def _with_one_length(x: np.ndarray) -> np.ndarray:
    # (N, C, H, W) -> (N, C, H*W)
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


class LayerNorm(Op):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, mean and variance being those of a row.

    A row is what the last dims, `size` values together, hold. With centre=False the mean is taken
    to be 0, which is RMS normalization. weight and bias may be None.

    Shapes: x and y (..., *S) for weight and bias of shape S.
    Gradients, with z = (x - mean) * rstd and h = g * weight: dx = rstd * (h - mean(h) -
    z mean(h z)), without mean(h) if not centred; dweight = sum(g z), dbias = sum(g) over the rows.

    Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None,
        *, size: int, eps: float, centre: bool,
    ) -> np.ndarray:  # fmt: skip
        ctx.size, ctx.centre = size, centre
        y, mean, rstd = kernels.layer_norm_forward(
            _rows(x, size), _row(weight), _row(bias), eps, centre
        )
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.bias_shape = None if bias is None else bias.shape
        return y.reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        x, weight, mean, rstd = ctx.saved
        grad_x, grad_weight, grad_bias = kernels.layer_norm_backward(
            _rows(grad_output, ctx.size), _rows(x, ctx.size), _row(weight), mean, rstd, ctx.centre
        )
        return (
            grad_x.reshape(x.shape),
            None if weight is None else grad_weight.reshape(weight.shape),
            None if ctx.bias_shape is None else grad_bias.reshape(ctx.bias_shape),
        )


def _rows(x: np.ndarray, size: int) -> np.ndarray:
    # (..., *S) -> (M, D)
    return x.reshape(x.size // size if size else 0, size)


def _row(parameter: np.ndarray | None) -> np.ndarray | None:
    return None if parameter is None else parameter.reshape(-1)
