"""Losses of classification: how unlikely the model thinks the right class is."""

from __future__ import annotations

import numpy as np

from tinyvision.checks import as_int
from tinyvision.dtypes import TORCH_NAMES, int64, uint8
from tinyvision.nn.functional.arguments import (
    as_number,
    as_reduction,
    check_constant,
    check_float,
    check_optional,
    check_tensors,
)
from tinyvision.ops.losses import CrossEntropy, NllLoss
from tinyvision.tensor import Tensor


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: how unlikely the model thinks the right class is.

    target holds class indices, or a probability for every class. label_smoothing s mixes the
    target with the uniform distribution: (1 - s) target + s / C. `weight` counts classes more or
    less; "mean" divides by the sum of the weights of the targets.

    Shapes: input (N, C, ...), or (C,) for one example; target (N, ...) of int64 or uint8, or
    the shape of input; weight (C,).
    Gradient, for class indices: dinput = g * (softmax(input) - onehot).
    Raises: IndexError for a class out of range, ValueError for another batch size, RuntimeError
    for other shapes or dtypes that do not fit.
    """
    reduction = as_reduction(reduction, size_average, reduce)
    _check_classification("cross_entropy", input, target, weight)
    ignore_index = as_int(ignore_index, "cross_entropy", "ignore_index")
    smoothing = as_number("cross_entropy", "label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    if input.shape == target.shape:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _cross_entropy_of_probabilities(input, target, weight, reduction, smoothing)
    input, target, unbatched = _check_classes(input, target, weight, ignore_index)
    loss = CrossEntropy.apply(
        input,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=smoothing,
    )
    return loss.squeeze(0) if unbatched and reduction == "none" else loss


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target], for log-probabilities such as those of log_softmax.

    Shapes, weights and errors are those of cross_entropy with class indices.
    Gradient: dinput = -g at the target class, else 0.
    """
    reduction = as_reduction(reduction, size_average, reduce)
    _check_classification("nll_loss", input, target, weight)
    ignore_index = as_int(ignore_index, "nll_loss", "ignore_index")
    input, target, unbatched = _check_classes(input, target, weight, ignore_index)
    loss = NllLoss.apply(input, target, weight, ignore_index=ignore_index, reduction=reduction)
    return loss.squeeze(0) if unbatched and reduction == "none" else loss


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    """-sum over the classes of target * weight * log softmax(input)."""
    if not target.is_floating_point():
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{TORCH_NAMES[target.dtype]}"
        )
    dim = 0 if input.ndim == 1 else 1
    C = input.shape[dim]
    _check_class_weight(weight, C)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / max(C, 1)
    terms = input.log_softmax(dim) * target
    if weight is not None:
        terms = terms * weight.reshape(-1, *[1] * (input.ndim - dim - 1))  # (C,) -> (C, 1, ...)
    loss = -terms.sum(dim)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _check_classification(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    check_tensors(name, input=input, target=target)
    check_optional(name, weight=weight)
    check_float(name, input)
    if input.ndim == 0:
        raise ValueError(f"{name}: Expected 1 or more dimensions (got 0)")


def _check_class_weight(weight: Tensor | None, C: int) -> None:
    if weight is not None and weight.shape != (C,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {C} classes or no classes but got "
            f"weight tensor of shape: {weight.shape}"
        )


def _check_classes(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor, bool]:
    """Input and target as a batch, and whether they were a single example (C,)."""
    unbatched = input.ndim == 1
    if unbatched:
        if target.ndim > 1 or target.numel() != 1:
            error = ValueError if target.ndim == 1 else RuntimeError
            raise error(
                f"For 1D input {input.shape}, target must be 0D or 1D of size 1, but got target "
                f"size: {target.shape}"
            )
        input, target = input.unsqueeze(0), target.reshape(1)
    _check_target_shape(input, target)
    if target.dtype not in (int64, uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {TORCH_NAMES[target.dtype]}"
        )
    _check_class_weight(weight, input.shape[1])
    check_constant("nll_loss", "weight", weight)
    if weight is not None and weight.dtype != input.dtype:
        raise RuntimeError(
            f"expected weight of scalar type {TORCH_NAMES[input.dtype]} but found "
            f"{TORCH_NAMES[weight.dtype]}"
        )
    _check_target_range(target, input.shape[1], ignore_index)
    return input, target, unbatched


def _check_target_shape(input: Tensor, target: Tensor) -> None:
    shape, found = input.shape, target.shape
    N = found[0] if found else 0
    if N != shape[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({N}): "
            f"shapes are {shape} and {found}"
        )
    expected = shape[:1] + shape[2:]
    if found != expected:
        raise RuntimeError(f"Expected target size {expected} for input {shape}, got {found}")


def _check_target_range(target: Tensor, C: int, ignore_index: int) -> None:
    classes = target.numpy()
    # As unsigned numbers, negative ones are greater than all others: one comparison for both ends.
    unsigned = classes.view(np.uint64) if classes.dtype == int64 else classes
    if classes.size and np.maximum.reduce(unsigned, axis=None) >= C:
        wrong = classes[(unsigned >= C) & (classes != ignore_index)]
        if wrong.size:
            raise IndexError(f"Target {wrong[0]} is out of bounds.")
