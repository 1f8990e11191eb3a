"""Functions that bring values to a common scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.checks import as_int
from tinyvision.nn.functional.arguments import (
    as_number,
    check_constant,
    check_float,
    check_optional,
    check_same_dtype,
    check_tensors,
)
from tinyvision.ops.norm import BatchNorm, BatchNormByRunning, LayerNorm
from tinyvision.ops.shape import Pad
from tinyvision.tensor import Tensor

Running = tuple[Tensor | None, Tensor | None]  # running_mean and running_var


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
    running = running_mean, running_var
    if training:
        return _normalize_by_batch(input, running, weight, bias, momentum, eps)
    return _normalize_by_running(input, running, weight, bias, eps)


def _normalize_by_batch(
    input: Tensor, running: Running, weight: Any, bias: Any, momentum: float, eps: float
) -> Tensor:
    n = input.shape[0] * math.prod(input.shape[2:])  # values per channel
    if n == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    if (running[0] is None) != (running[1] is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if input.numel() == 0:  # no batch, no statistics: the running ones stay as they are
        return input.clone()
    output, mean, var = BatchNorm.apply(input, weight, bias, eps=eps)
    for moving, batch in zip(running, (mean, var * (n / (n - 1))), strict=True):
        if moving is not None:
            values = moving.numpy()  # changed in place and unrecorded
            values *= 1 - momentum
            values += momentum * batch.numpy()
            moving._bump_version()
    return output


def _normalize_by_running(
    input: Tensor, running: Running, weight: Any, bias: Any, eps: float
) -> Tensor:
    for name, values in zip(("running_mean", "running_var"), running, strict=True):
        if values is None:
            raise RuntimeError(f"batch_norm: {name} must be defined in evaluation mode")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return BatchNormByRunning.apply(input, weight, bias, *running, eps=eps)


def _check_batch_norm(input: Tensor, *per_channel: Tensor | None) -> None:
    check_tensors("batch_norm", input=input)
    if input.ndim < 2:
        raise IndexError(f"batch_norm: expected input of shape (N, C, ...), but got {input.shape}")
    check_float("batch_norm", input)
    names = ("running_mean", "running_var", "weight", "bias")
    given = dict(zip(names, per_channel, strict=True))
    _check_per_channel("batch_norm", input, **given)
    check_constant("batch_norm", "running_mean", given["running_mean"])
    check_constant("batch_norm", "running_var", given["running_var"])


def _check_per_channel(name: str, input: Tensor, **per_channel: Tensor | None) -> None:
    check_optional(name, **per_channel)
    C = input.shape[1]
    for argument, value in per_channel.items():
        if value is not None and value.shape != (C,):
            raise RuntimeError(
                f"{name}: {argument} should contain {C} elements, one per channel of input "
                f"{input.shape}, but its shape is {value.shape}"
            )
    check_same_dtype(name, input, **per_channel)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = weight * (x - mean) / sqrt(var + eps) + bias, mean and variance over the last dims.

    Shapes: input and y (..., *normalized_shape), weight and bias normalized_shape.
    Raises: RuntimeError for shapes that do not fit, NotImplementedError for integers.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
    """
    size = _check_rows("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    eps = float(as_number("layer_norm", "eps", eps))
    return LayerNorm.apply(input, weight, bias, size=size, eps=eps, centre=True)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """y = weight * x / sqrt(mean of x^2 + eps), the mean over the last dims.

    eps: None means the smallest step of the dtype at 1. Shapes and errors as in layer_norm.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.
    """
    size = _check_rows("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:
        eps = float(np.finfo(input.dtype).eps)
    eps = float(as_number("rms_norm", "eps", eps))
    return LayerNorm.apply(input, weight, None, size=size, eps=eps, centre=False)


def _check_rows(name: str, input: Tensor, shape: Any, **parameters: Tensor | None) -> int:
    """How many values the normalized dims hold together."""
    check_tensors(name, input=input)
    if not isinstance(shape, (tuple, list)):
        kind = type(shape).__name__
        raise TypeError(f"{name}(): argument 'normalized_shape' must be tuple of ints, not {kind}")
    shape = tuple(as_int(n, name, "normalized_shape") for n in shape)
    if not shape:
        raise RuntimeError(f"{name}: expected normalized_shape to have at least one element")
    check_float(name, input)
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"{name}: given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    check_optional(name, **parameters)
    for argument, value in parameters.items():
        if value is not None and tuple(value.shape) != shape:
            raise RuntimeError(
                f"{name}: expected {argument} to be of same shape as normalized_shape, but got "
                f"{argument} of shape {list(value.shape)} and normalized_shape={list(shape)}"
            )
    check_same_dtype(name, input, **parameters)
    return math.prod(shape)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """y_c = x_c / (k + alpha / size * sum of x_j^2 over the `size` channels j around c) ^ beta.

    Shapes: input and y (N, C, ...).
    Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural
    networks", section 3.3.
    """
    check_tensors("local_response_norm", input=input)
    size = as_int(size, "local_response_norm", "size")
    if size < 1:
        raise RuntimeError(f"local_response_norm: size must be greater than zero, got {size}")
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim})")
    check_float("local_response_norm", input)
    if input.numel() == 0:
        return input
    before_and_after = size // 2, (size - 1) // 2
    widths = [(0, 0), before_and_after, *[(0, 0)] * (input.ndim - 2)]
    squares = Pad.apply(input * input, widths=widths, value=0)
    mean = squares.unfold(1, size, 1).mean(-1)
    return input / (mean * alpha + k) ** beta


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer norm over each group of neighbouring channels, then weight and bias by channel.

    Shapes: input and y (N, C, ...), weight and bias (C,).
    Raises: RuntimeError for shapes that do not fit or groups that do not divide the channels;
    ValueError for one value per group, whose variance is 0.

    Source: Wu and He, "Group Normalization", 2018, arXiv:1803.08494.
    """
    check_float("group_norm", input)
    if input.ndim < 2:
        raise RuntimeError(
            f"group_norm: expected input of shape (N, C, ...), but got {list(input.shape)}"
        )
    num_groups = as_int(num_groups, "group_norm", "num_groups")
    N, C, *rest = input.shape
    if num_groups < 1 or C % num_groups != 0:
        raise RuntimeError(
            "group_norm: expected number of channels in input to be divisible by num_groups, but "
            f"got input of shape {list(input.shape)} and num_groups={num_groups}"
        )
    _check_per_channel("group_norm", input, weight=weight, bias=bias)
    if N * (C // num_groups) * math.prod(rest) == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{list(input.shape)}"
        )
    size = C // num_groups * math.prod(rest)
    eps = float(as_number("group_norm", "eps", eps))
    output = LayerNorm.apply(input, None, None, size=size, eps=eps, centre=True)
    per_channel = (C, *[1] * len(rest))  # (C,) -> (C, 1, ...)
    if weight is not None:
        output = output * weight.reshape(per_channel)
    return output if bias is None else output + bias.reshape(per_channel)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch norm of each image by itself: mean and variance of each channel of each example.

    The running statistics, if there are any, move towards the means over the batch; they are used
    instead if not use_input_stats.

    Shapes: input and y (N, C, ...), all others (C,).
    Raises: as batch_norm; ValueError for one value per channel.

    Source: Ulyanov et al., "Instance normalization", 2016, arXiv:1607.08022.
    """
    check_tensors("instance_norm", input=input)
    if input.ndim < 3 and use_input_stats:
        raise ValueError(f"instance_norm: expected input (N, C, L, ...), got {list(input.shape)}")
    N, C, *rest = input.shape
    if use_input_stats and math.prod(rest) == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"{list(input.shape)}"
        )
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight}
    _check_per_channel("instance_norm", input, **given, bias=bias)
    channels = input.reshape(1, N * C, *rest)  # each is a channel of its own in a batch of one
    mean, var, weight, bias = (
        None if t is None else t.repeat(N) for t in (running_mean, running_var, weight, bias)
    )
    output = batch_norm(channels, mean, var, weight, bias, use_input_stats, momentum, eps)
    for running, moved in ((running_mean, mean), (running_var, var)):
        if use_input_stats and running is not None and moved is not None and N > 0:
            running.copy_(moved.reshape(N, C).mean(0))
    return output.reshape(input.shape)


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(norm of x along dim, eps): vectors of p-norm 1.

    Raises: IndexError for a dim out of range, RuntimeError for integers.
    """
    check_tensors("normalize", input=input)
    if out is not None:
        raise NotImplementedError("normalize: argument 'out' is not supported")
    smallest = as_number("normalize", "eps", eps)
    return input / input.norm(p, dim, keepdim=True).clamp(min=smallest)
