"""Functions that bring values to a common scale."""

from __future__ import annotations

import math
from typing import Any

from tinyvision.nn.functional.arguments import (
    as_number,
    check_constant,
    check_float,
    check_same_dtype,
    check_tensor,
)
from tinyvision.ops.norm import BatchNorm
from tinyvision.tensor import Tensor


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = weight * (x - mean) / sqrt(var + eps) + bias, channel by channel.

    In training, mean and variance are those of the batch, and the running ones move towards
    them in place: running = (1 - momentum) * running + momentum * batch, with the unbiased
    variance. Otherwise the running ones are used.

    Shapes: input and y (N, C, ...), all others (C,).
    Raises: RuntimeError for sizes and dtypes that do not fit together; ValueError for one value
    per channel in training, or an eps that is not positive.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
    """
    _check_batch_norm(input, running_mean, running_var, weight, bias)
    momentum = as_number("batch_norm", "momentum", momentum)
    eps = as_number("batch_norm", "eps", eps)
    if training:
        return _normalize_by_batch(input, running_mean, running_var, weight, bias, momentum, eps)
    return _normalize_by_running(input, running_mean, running_var, weight, bias, eps)


def _normalize_by_batch(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    n = input.shape[0] * math.prod(input.shape[2:])  # values per channel
    if n == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if input.numel() == 0:  # no batch, no statistics: the running ones stay as they are
        return input.clone()
    output, mean, var = BatchNorm.apply(input, weight, bias, eps=eps)
    if running_mean is not None and running_var is not None:
        _move_towards(running_mean, mean, momentum)
        _move_towards(running_var, var * (n / (n - 1)), momentum)
    return output


def _move_towards(running: Tensor, batch: Tensor, momentum: float) -> None:
    """running <- (1 - momentum) running + momentum batch, in place and unrecorded."""
    values = running.numpy()
    values *= 1 - momentum
    values += momentum * batch.numpy()
    running._bump_version()


def _normalize_by_running(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    if running_mean is None or running_var is None:
        missing = "running_mean" if running_mean is None else "running_var"
        raise RuntimeError(f"batch_norm: {missing} must be defined in evaluation mode")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    # One multiplication and one addition per value: y = x * scale + shift.
    scale = (running_var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    per_channel = (-1, *[1] * (input.ndim - 2))  # (C,) -> (C, 1, ...)
    return input * scale.reshape(per_channel) + shift.reshape(per_channel)


def _check_batch_norm(input: Tensor, *per_channel: Tensor | None) -> None:
    check_tensor("batch_norm", "input", input)
    if input.ndim < 2:
        raise IndexError(f"batch_norm: expected input of shape (N, C, ...), but got {input.shape}")
    check_float("batch_norm", input)
    names = ("running_mean", "running_var", "weight", "bias")
    given = dict(zip(names, per_channel, strict=True))
    C = input.shape[1]
    for argument, value in given.items():
        check_tensor("batch_norm", argument, value, optional=True)
        if value is not None and value.shape != (C,):
            raise RuntimeError(
                f"batch_norm: {argument} should contain {C} elements, one per channel of input "
                f"{input.shape}, but its shape is {value.shape}"
            )
    check_same_dtype("batch_norm", input, **given)
    check_constant("batch_norm", "running_mean", given["running_mean"])
    check_constant("batch_norm", "running_var", given["running_var"])


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(norm of x along dim, eps): vectors of p-norm 1.

    Raises: IndexError for a dim out of range, RuntimeError for integers.
    """
    check_tensor("normalize", "input", input)
    if out is not None:
        raise NotImplementedError("normalize: argument 'out' is not supported")
    smallest = as_number("normalize", "eps", eps)
    return input / input.norm(p, dim, keepdim=True).clamp(min=smallest)
