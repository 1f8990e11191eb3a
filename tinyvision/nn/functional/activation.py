"""Activation functions.

A function that takes parameters makes a row like those in ops/elementwise.py's table: the
function, and what turns the gradient of its result into that of its input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.nn.functional.arguments import (
    as_number,
    check_float,
    check_same_dtype,
    check_tensor,
)
from tinyvision.ops.elementwise import SIGMOID, Rule, Unary
from tinyvision.tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); the gradient at 0 is 0."""
    check_tensor("relu", "input", input)
    if input.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    return input.relu_() if inplace else input.relu()


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6).

    Source: Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.
    """
    return hardtanh(input, 0, 6, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x limited to [min_val, max_val]; the gradient is 0 outside and at both ends.

    Raises: ValueError if min_val is greater than max_val.
    """
    check_tensor("hardtanh", "input", input)
    min_val = as_number("hardtanh", "min_val", min_val)
    max_val = as_number("hardtanh", "max_val", max_val)
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} > {max_val}")
    if input.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if not input.is_floating_point():
        min_val, max_val = int(min_val), int(max_val)
    rule = Rule(
        "Hardtanh",
        lambda x: np.clip(x, min_val, max_val),
        lambda g, x: g * ~((x <= min_val) | (x >= max_val)),
        keeps_integers=True,
    )
    return _apply(input, rule, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x.

    Source: Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic
    Models", 2013.
    """
    _check("leaky_relu", input)
    negative_slope = as_number("leaky_relu", "negative_slope", negative_slope)
    rule = Rule(
        "LeakyRelu",
        lambda x: np.maximum(x, 0) + np.minimum(x, 0) * negative_slope,
        lambda g, x: g * _one_above_zero(x, negative_slope),
    )
    return _apply(input, rule, inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1).

    Source: Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289.
    """
    _check("elu", input)
    alpha = as_number("elu", "alpha", alpha)
    # Of min(x, 0), exp cannot overflow, and where x > 0 expm1 is 0.
    rule = Rule(
        "Elu",
        lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)) * alpha,
        lambda g, x: g * _one_above_zero(x, np.exp(np.minimum(x, 0)) * alpha),
    )
    return _apply(input, rule, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (e^(x / alpha) - 1), whose slope at 0 is 1 for any alpha.

    Source: Barron 2017, "Continuously Differentiable Exponential Linear Units", arXiv:1704.07483.
    """
    alpha = as_number("celu", "alpha", alpha)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    _check("celu", input)
    rule = Rule(
        "Celu",
        lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0) / alpha) * alpha,
        lambda g, x: g * _one_above_zero(x, np.exp(np.minimum(x, 0) / alpha)),
    )
    return _apply(input, rule, inplace)


def _one_above_zero(x: np.ndarray, otherwise: Any) -> np.ndarray:
    """1 where x > 0, else `otherwise`: np.where, but without its costly unpredictable branches."""
    above = (x > 0).astype(x.dtype)
    return above + (1 - above) * otherwise


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha), with the two constants that keep mean 0 and variance 1 in a network.

    Source: Klambauer et al. 2017, "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """
    _check("selu", input)
    return _apply(input, _SELU, inplace)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_SELU = Rule(
    "Elu",
    lambda x: _SELU_SCALE * (np.maximum(x, 0) + np.expm1(np.minimum(x, 0)) * _SELU_ALPHA),
    lambda g, x: g * (_SELU_SCALE * _one_above_zero(x, np.exp(np.minimum(x, 0)) * _SELU_ALPHA)),
)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x: a leaky_relu whose slope is learned.

    Shapes: input (N, C, ...), weight (C,) or one number for all channels.
    Raises: RuntimeError for another number of weights.

    Source: He et al. 2015, "Delving Deep into Rectifiers", arXiv:1502.01852.
    """
    _check("prelu", input)
    check_tensor("prelu", "weight", weight)
    check_same_dtype("prelu", input, weight=weight)
    if weight.numel() != 1:
        C = input.shape[1] if input.ndim > 1 else 1
        if weight.ndim != 1 or len(weight) != C:
            raise RuntimeError(
                f"prelu: weight must have one element or one per channel of input "
                f"{tuple(input.shape)}, which are {C}, but its shape is {tuple(weight.shape)}"
            )
        weight = weight.reshape(C, *[1] * (input.ndim - 2))  # (C,) -> (C, 1, ...)
    else:
        weight = weight.reshape(())
    return input.relu() - weight * (-input).relu()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b being the halves of x along dim.

    Raises: RuntimeError if the size along dim is odd.

    Source: Dauphin et al. 2016, arXiv:1612.08083.
    """
    _check("glu", input)
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2 != 0:
        raise RuntimeError(
            f"glu: the size along dim {dim} must be even, but input has shape {tuple(input.shape)}"
        )
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6: straight lines in place of the sigmoid.

    Source: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
    """
    _check("hardsigmoid", input)
    return _apply(input, _HARDSIGMOID, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x), from the same source."""
    _check("hardswish", input)
    return _apply(input, _HARDSWISH, inplace)


def _gate(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 3, 0, 6) / 6


_HARDSIGMOID = Rule("Hardsigmoid", _gate, lambda g, x: g * ((np.abs(x) < 3) / x.dtype.type(6)))
_HARDSWISH = Rule(
    "Hardswish",
    lambda x: x * _gate(x),
    lambda g, x: g * np.where(x >= 3, 1, np.where(x <= -3, 0, x / 3 + 0.5)).astype(x.dtype),
)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)).

    Gradient: dx = g * (t + x * sigmoid(x) * (1 - t^2)) with t = tanh(softplus(x)).

    Source: Misra 2019, arXiv:1908.08681.
    """
    _check("mish", input)
    return _apply(input, _MISH, inplace)


def _mish_tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(np.logaddexp(x, x.dtype.type(0)))


def _mish_backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    t = _mish_tanh(x)
    return g * (t + x * SIGMOID.function(x) * (1 - t * t))


_MISH = Rule("Mish", lambda x: x * _mish_tanh(x), _mish_backward)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi being the normal distribution's P(X <= x) = (1 + erf(x / sqrt(2))) / 2.

    approximate="tanh" takes Phi(x) ~ (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2.
    Gradient: dx = g * (Phi(x) + x * phi(x)), phi = Phi' being the bell curve.

    Source: Hendrycks and Gimpel, 2016, arXiv:1606.08415.
    """
    _check("gelu", input)
    if not isinstance(approximate, str):
        kind = type(approximate).__name__
        raise TypeError(f"gelu(): argument 'approximate' must be str, not {kind}")
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    return Unary.apply(input, rule=_GELU if approximate == "none" else _GELU_TANH)


def _gelu_rule(approximate: bool) -> Rule:
    return Rule(
        "Gelu",
        lambda x: kernels.gelu_forward(x, approximate),
        lambda g, x: kernels.gelu_backward(g, x, approximate),
    )


_GELU, _GELU_TANH = _gelu_rule(False), _gelu_rule(True)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also called swish.

    Gradient: dx = g * s * (1 + x * (1 - s)) with s = sigmoid(x).

    Source: Hendrycks and Gimpel, 2016, arXiv:1606.08415, section 4.
    """
    _check("silu", input)
    return _apply(input, _SILU, inplace)


_SILU = Rule("Silu", kernels.silu_forward, kernels.silu_backward)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    check_tensor("sigmoid", "input", input)
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    check_tensor("tanh", "input", input)
    return input.tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x > threshold.

    Gradient: dx = g * sigmoid(beta x).
    """
    _check("softplus", input)
    beta = as_number("softplus", "beta", beta)
    threshold = as_number("softplus", "threshold", threshold)

    def forward(x: np.ndarray) -> np.ndarray:
        return np.where(
            x * beta > threshold, x, np.log1p(np.exp(x * beta)) / np.asarray(beta, x.dtype)
        )

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.where(x * beta > threshold, g, g * SIGMOID.function(x * beta))

    return Unary.apply(input, rule=Rule("Softplus", forward, backward))


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|), which overflows nowhere.

    Gradient: dx = g * sigmoid(-x).
    """
    _check("logsigmoid", input)
    return Unary.apply(input, rule=_LOG_SIGMOID)


_LOG_SIGMOID = Rule(
    "LogSigmoid",
    lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    lambda g, x: g * SIGMOID.function(-x),
)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    check_tensor("softsign", "input", input)
    if input.dtype.kind == "b":
        raise NotImplementedError("softsign is not implemented for 'Bool'")
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    check_tensor("tanhshrink", "input", input)
    return input - input.tanh()


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd toward 0, and 0 where |x| <= lambd.

    Raises: RuntimeError for a negative lambd.
    """
    _check("softshrink", input)
    lambd = as_number("softshrink", "lambd", lambd)
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambda must not be negative, but found {lambd}")
    rule = Rule(
        "Softshrink",
        lambda x: x - np.clip(x, -lambd, lambd),
        lambda g, x: g * ~(np.abs(x) <= lambd),
    )
    return _apply(input, rule, False)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, but 0 where |x| <= lambd."""
    _check("hardshrink", input)
    lambd = as_number("hardshrink", "lambd", lambd)
    rule = Rule(
        "Hardshrink",
        lambda x: x * ~((-lambd <= x) & (x <= lambd)),
        lambda g, x: g * ~((-lambd <= x) & (x <= lambd)),
    )
    return _apply(input, rule, False)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    check_tensor("threshold", "input", input)
    if input.dtype.kind == "b":
        raise NotImplementedError("threshold is not implemented for 'Bool'")
    threshold = as_number("threshold", "threshold", threshold)
    value = as_number("threshold", "value", value)
    rule = Rule(
        "Threshold",
        lambda x: np.where(x <= threshold, x.dtype.type(value), x),
        lambda g, x: g * ~(x <= threshold),
        keeps_integers=True,
    )
    return _apply(input, rule, inplace)


def _check(name: str, input: Tensor) -> None:
    check_tensor(name, "input", input)
    check_float(name, input)


def _apply(input: Tensor, rule: Rule, inplace: bool) -> Tensor:
    if inplace:
        return input._in_place(lambda x: Unary.apply(x, rule=rule))
    return Unary.apply(input, rule=rule)
