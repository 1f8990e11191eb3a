"""Classification losses in one operation each.

Chained from softmax, log and indexing they would pass over the scores, one row of C per example,
half a dozen times in each direction; here it is one loop over the rows in each.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op
from tinyvision.ops.softmax import from_rows, rows_along


class CrossEntropy(Op):
    """loss_n = -sum over c of q[n, c] w[c] log p[n, c], with p = softmax(logits).

    q is (1 - s) at the target class plus s / C everywhere, s being the label smoothing; w is 1
    without class weights. Where the target is ignore_index the loss is 0. "mean" divides the sum
    by the sum of w[target] over the targets not ignored.

    Shapes: logits (N, C, ...), target (N, ...) of integers, weight (C,), loss () or (N, ...).
    Gradient: dlogits = g (p sum(q w) - q w), for s = 0 and w = 1 simply g (p - onehot).
    """

    @staticmethod
    def forward(
        ctx: Node,
        logits: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
        *,
        ignore_index: int,
        reduction: str,
        label_smoothing: float = 0.0,
    ) -> np.ndarray:
        rows = rows_along(logits, 1)
        ctx.shape, ctx.options = logits.shape, (ignore_index, label_smoothing)
        losses_and_weights, log_p = kernels.cross_entropy_forward(
            rows, *_classes_and_weights(target, weight, rows), *ctx.options
        )
        ctx.save_for_backward(target, weight, log_p)
        return _reduce(ctx, losses_and_weights, target.shape, reduction)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[np.ndarray, None, None]:
        target, weight, log_p = ctx.saved
        grad = _unreduce(ctx, grad_output).reshape(-1)
        classes, weights = _classes_and_weights(target, weight, log_p)
        ignore_index, smoothing = ctx.options
        grad_rows = kernels.cross_entropy_backward(
            grad, classes, weights, ignore_index, smoothing, log_p
        )
        return from_rows(grad_rows, ctx.shape, 1), None, None


class NllLoss(Op):
    """loss_n = -w[target_n] log_p[n, target_n], 0 where the target is ignore_index.

    Shapes: log_p (N, C, ...), target (N, ...) of integers, weight (C,), loss () or (N, ...).
    Gradient: dlog_p = -g w[target] at the target class, else 0.
    """

    @staticmethod
    def forward(
        ctx: Node,
        log_p: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
        *,
        ignore_index: int,
        reduction: str,
    ) -> np.ndarray:
        ctx.shape, ctx.ignore_index = log_p.shape, ignore_index
        share = _class_weights(target, weight, ignore_index, log_p)
        picked = _at_target(log_p, target, ignore_index)
        loss = np.where(target == ignore_index, 0, -share * picked)
        ctx.save_for_backward(share, target)
        return _reduce(ctx, np.stack([loss, share]).reshape(2, -1), target.shape, reduction)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[np.ndarray, None, None]:
        share, target = ctx.saved
        # An ignored target has share 0, but its gradient may be NaN where nothing is left.
        grad = np.where(target == ctx.ignore_index, 0, -_unreduce(ctx, grad_output) * share)
        grad_log_p = np.zeros(ctx.shape, grad_output.dtype)
        index = _class_index(target, ctx.ignore_index)
        np.put_along_axis(grad_log_p, index, grad[:, None], axis=1)
        return grad_log_p, None, None


class BinaryCrossEntropy(Op):
    """y = -(t log x + (1 - t) log(1 - x)), both logarithms cut off at -100 to stay finite.

    Gradients: dx = g (x - t) / (x (1 - x)), the divisor at least 1e-12; dt = g log((1 - x) / x).
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        ctx.save_for_backward(x, target)
        log_x, log_rest = _clamped_logs(x)
        return (target - 1) * log_rest - target * log_x

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any]:
        need_x, need_target = ctx.needs_input_grad
        x, target = ctx.saved
        grad_x = grad_target = None
        if need_x:
            grad_x = grad_output * (x - target) / np.maximum(x * (1 - x), 1e-12)
        if need_target:
            log_x, log_rest = _clamped_logs(x)
            grad_target = grad_output * (log_rest - log_x)
        return grad_x, grad_target


def _clamped_logs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)


# ------------------------------------------------------------------ targets and class weights


def _class_index(target: np.ndarray, ignore_index: int) -> np.ndarray:
    """The target classes as indices along dim 1; ignored ones point, harmlessly, at class 0."""
    return np.where(target == ignore_index, 0, target)[:, None]  # (N, ...) -> (N, 1, ...)


def _at_target(x: np.ndarray, target: np.ndarray, ignore_index: int) -> np.ndarray:
    """x[n, target[n]]."""
    return np.take_along_axis(x, _class_index(target, ignore_index), axis=1).squeeze(1)


def _class_weights(
    target: np.ndarray, weight: np.ndarray | None, ignore_index: int, scores: np.ndarray
) -> np.ndarray:
    """w[target], 0 where the target is ignored."""
    ignored = target == ignore_index
    if weight is None:
        return (~ignored).astype(scores.dtype)
    return np.where(ignored, 0, weight[np.where(ignored, 0, target)])


def _classes_and_weights(
    target: np.ndarray, weight: np.ndarray | None, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The target class of each row, and the weight of each class."""
    weights = _ones(rows.shape[1], rows.dtype) if weight is None else weight
    return target.reshape(-1).astype(np.int64, copy=False), weights


# To make it again takes longer than to look it up, in a loss of a few microseconds.
@lru_cache(maxsize=64)
def _ones(C: int, dtype: np.dtype) -> np.ndarray:
    return np.ones(C, dtype)


def _reduce(
    ctx: Node, losses_and_weights: np.ndarray, shape: tuple[int, ...], reduction: str
) -> np.ndarray:
    """The losses as they are, their sum, or their sum over that of the targets' weights."""
    ctx.shape_of_losses, ctx.divisor = shape, None
    if reduction == "none":
        return losses_and_weights[0].reshape(shape)
    total, weight = np.add.reduce(losses_and_weights, axis=1).tolist()
    # The mean of nothing is NaN.
    ctx.divisor = 1.0 if reduction == "sum" else weight or math.nan
    return np.array(total / ctx.divisor, losses_and_weights.dtype)


def _unreduce(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
    """The gradient of each loss before `_reduce`."""
    if ctx.divisor is None:
        return grad_output
    return np.full(ctx.shape_of_losses, grad_output.item() / ctx.divisor, grad_output.dtype)
