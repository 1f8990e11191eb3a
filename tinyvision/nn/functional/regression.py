"""Losses value by value: of regression, and of yes-or-no predictions."""

from __future__ import annotations

import warnings

import numpy as np

from tinyvision.dtypes import TORCH_NAMES
from tinyvision.nn.functional.activation import logsigmoid
from tinyvision.nn.functional.arguments import (
    as_number,
    as_reduction,
    check_constant,
    check_float,
    check_same_dtype,
    check_tensor,
)
from tinyvision.ops.elementwise import Rule, Unary
from tinyvision.ops.losses import BinaryCrossEntropy
from tinyvision.tensor import Tensor


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2; with `weight`, "mean" divides the weighted sum by the weights' sum.

    Gradient: dinput = 2 g (input - target).
    Raises: RuntimeError for shapes that do not broadcast; UserWarning if they need to.
    """
    reduction = as_reduction(reduction, size_average, reduce)
    difference = _difference("mse_loss", input, target)
    check_float("mse_loss", difference)
    return _weighted_mean(difference.square(), input, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|; weights, gradients of broadcast inputs and errors as in mse_loss.

    Gradient: dinput = g sign(input - target).
    """
    reduction = as_reduction(reduction, size_average, reduce)
    return _weighted_mean(_difference("l1_loss", input, target).abs(), input, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """With d = input - target: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2.

    Gradient: dinput = g d / beta, limited to [-g, g].
    Raises: RuntimeError for a negative beta, and as mse_loss.

    Source: Girshick, "Fast R-CNN", 2015, arXiv:1504.08083, equation 3.
    """
    reduction = as_reduction(reduction, size_average, reduce)
    beta = as_number("smooth_l1_loss", "beta", beta)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    difference = _difference("smooth_l1_loss", input, target)
    check_float("smooth_l1_loss", difference)
    return reduced(_huber(difference, beta) / beta, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """With d = input - target: d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).

    `weight` multiplies the losses; "mean", other than that of mse_loss, is still over their number.

    Gradient: dinput = g d, limited to [-g delta, g delta].
    Raises: RuntimeError unless delta is positive, and as mse_loss.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    reduction = as_reduction(reduction)
    delta = as_number("huber_loss", "delta", delta)
    if delta <= 0:
        raise RuntimeError(
            f"huber_loss does not support non-positive values for delta, got {delta}"
        )
    difference = _difference("huber_loss", input, target)
    check_float("huber_loss", difference)
    return reduced(_weighted(_huber(difference, delta), input, weight), reduction)


def _huber(difference: Tensor, delta: float) -> Tensor:
    # Clipping gives both pieces at once: for c = clip(d), c (d - c / 2) is d^2 / 2 inside and
    # delta (|d| - delta / 2) outside, and its derivative is c.
    def forward(d: np.ndarray) -> np.ndarray:
        clipped = np.clip(d, -delta, delta)
        return clipped * (d - 0.5 * clipped)

    def backward(g: np.ndarray, d: np.ndarray) -> np.ndarray:
        return g * np.clip(d, -delta, delta)

    return Unary.apply(difference, rule=Rule("HuberLoss", forward, backward))


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, times weight.

    The logarithms are cut off at -100, so that x = 0 and x = 1 give a finite loss.

    Gradient: dinput = g (x - t) / (x (1 - x)).
    Raises: RuntimeError for an input or target outside [0, 1], or of another dtype; ValueError
    for another shape.
    """
    name = "binary_cross_entropy"
    reduction = as_reduction(reduction, size_average, reduce)
    _check_binary(name, input, target, weight)
    check_same_dtype(name, input, target=target)
    for argument, tensor in (("input", input), ("target", target)):
        values = tensor.numpy(force=True)
        if not ((values >= 0) & (values <= 1)).all():  # NaN is not either
            raise RuntimeError(f"all elements of {argument} should be between 0 and 1")
    return _times_weight(name, BinaryCrossEntropy.apply(input, target), weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without overflow or cut-off.

    log(1 - sigmoid(x)) is log(sigmoid(x)) - x, so the loss is
    (1 - t) x - (1 + (pos_weight - 1) t) log(sigmoid(x)); pos_weight counts the ones more or less.

    Gradient, without weights: dinput = g (sigmoid(x) - t).
    Raises: ValueError for a target of another shape, RuntimeError for weights that do not
    broadcast to it.
    """
    name = "binary_cross_entropy_with_logits"
    reduction = as_reduction(reduction, size_average, reduce)
    _check_binary(name, input, target, weight)
    check_tensor(name, "pos_weight", pos_weight, optional=True)
    check_constant(name, "pos_weight", pos_weight)
    if not target.is_floating_point():
        raise RuntimeError(
            f"{name}: result type Float can't be cast to the target's type "
            f"{TORCH_NAMES[target.dtype]}"
        )
    log_probability = logsigmoid(input)
    if pos_weight is not None:
        _check_broadcasts(name, "pos_weight", pos_weight, input)
        log_probability = log_probability * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * input - log_probability
    return _times_weight(name, loss, weight, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-target * input)) for targets 1 and -1: binary cross-entropy with other targets.

    Raises: RuntimeError for a target that does not broadcast to the input.
    """
    name = "soft_margin_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    check_constant(name, "target", target)
    _check_broadcasts(name, "target", target, input)
    return reduced(-logsigmoid(target * input), reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log target - input): input holds log-probabilities, target probabilities.

    With log_target the target holds logarithms too. "batchmean", the sum over the batch size, is
    the Kullback-Leibler divergence; "mean" divides by the number of all values.

    Gradient: dinput = -g target.
    Raises: ValueError for an unknown reduction, UserWarning for "mean".

    Source: Kullback and Leibler 1951, "On Information and Sufficiency".
    """
    known = ("none", "mean", "sum", "batchmean")
    reduction = as_reduction(reduction, size_average, reduce, known)
    if reduction == "mean" and size_average is reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size. 'batchmean' divides only by the batch size, and aligns with the KL math "
            "definition. 'mean' will be changed to behave the same as 'batchmean' in the next "
            "major release.",
            stacklevel=2,
        )
    check_tensor("kl_div", "input", input)
    check_tensor("kl_div", "target", target)
    if log_target:
        loss = target.exp() * (target - input)
    else:
        # t log t is 0 where t is 0, whose logarithm is not needed then.
        is_zero = target == 0
        loss = target * target.masked_fill(is_zero, 1).log() - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.ndim > 0 else loss
    return reduced(loss, reduction)


def _check_binary(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    check_tensor(name, "weight", weight, optional=True)
    check_constant(name, "weight", weight)
    check_float(name, input)
    if target.shape != input.shape:
        raise ValueError(
            f"{name}: Target size ({target.shape}) must be the same as input size ({input.shape})"
        )


def _check_broadcasts(name: str, argument: str, weight: Tensor, input: Tensor) -> None:
    """Raise RuntimeError unless `weight` broadcasts to the shape of input, not beyond it."""
    try:
        weight.expand(input.shape)
    except RuntimeError:
        raise RuntimeError(
            f"{name}: {argument} of shape {weight.shape} does not broadcast to input of shape "
            f"{input.shape}"
        ) from None


def _times_weight(name: str, loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is not None:
        _check_broadcasts(name, "weight", weight, loss)
        loss = loss * weight
    return reduced(loss, reduction)


def _difference(name: str, input: Tensor, target: Tensor) -> Tensor:
    """input - target, with PyTorch's warning if they have to be broadcast."""
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
    return input - target


def _weighted(loss: Tensor, input: Tensor, weight: Tensor | None) -> Tensor:
    """The loss times weights that have the input's shape."""
    if weight is None:
        return loss
    check_tensor("loss", "weight", weight)
    if weight.shape != input.shape:
        raise ValueError(
            f"Weights and input must have the same size, got {weight.shape} and {input.shape}."
        )
    return loss * weight


def _weighted_mean(loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Reduced, with "mean" divided by the sum of the weights."""
    loss = _weighted(loss, input, weight)
    if weight is not None and reduction == "mean":
        return loss.sum() / weight.sum()
    return reduced(loss, reduction)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The losses as they are, their mean, or their sum."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()
