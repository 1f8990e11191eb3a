"""Activation functions, and softmax with its relatives.

A function that takes parameters makes a row like those in ops/elementwise.py's table: the
function, and what turns the gradient of its result into that of its input.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.creation import from_numpy, zeros_like
from tinyvision.dtypes import require_kind
from tinyvision.nn.functional.arguments import (
    as_number,
    check_float,
    check_same_dtype,
    check_str,
    check_tensors,
)
from tinyvision.ops.elementwise import SIGMOID, Prelu, Rule, Unary
from tinyvision.random import stream
from tinyvision.tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); the gradient at 0 is 0."""
    check_tensors("relu", input=input)
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
    check_tensors("hardtanh", input=input)
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
    check_float("leaky_relu", input)
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
    check_float("elu", input)
    alpha = as_number("elu", "alpha", alpha)
    # Of min(x, 0), exp cannot overflow, and where x > 0 expm1 is 0.
    rule = Rule(
        "Elu",
        lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)) * alpha,
        lambda g, x: g * _one_above_zero(x, np.exp(np.minimum(x, 0)) * alpha),
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
    check_float("selu", input)
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
    check_float("prelu", input)
    check_tensors("prelu", weight=weight)
    check_same_dtype("prelu", input, weight=weight)
    C = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, C):
        raise RuntimeError(
            f"prelu: weight must have one element or one per channel of input "
            f"{tuple(input.shape)}, which are {C}, but its shape is {tuple(weight.shape)}"
        )
    shape = () if weight.numel() == 1 else (C, *[1] * (input.ndim - 2))
    weight = weight.reshape(shape)  # (C,) -> (C, 1, ...)
    return Prelu.apply(input, weight)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b being the halves of x along dim.

    Raises: RuntimeError if the size along dim is odd.

    Source: Dauphin et al. 2016, arXiv:1612.08083.
    """
    check_float("glu", input)
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
    check_float("hardsigmoid", input)
    return _apply(input, _HARDSIGMOID, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x), from the same source."""
    check_float("hardswish", input)
    return _apply(input, _HARDSWISH, inplace)


def _gate(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 3, 0, 6) / 6


_HARDSIGMOID = Rule("Hardsigmoid", _gate, lambda g, x: g * ((np.abs(x) < 3) / x.dtype.type(6)))
_HARDSWISH = Rule(
    "Hardswish",
    lambda x: x * _gate(x),
    lambda g, x: g * np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1)).astype(x.dtype),
)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)).

    Gradient: dx = g * (t + x * sigmoid(x) * (1 - t^2)) with t = tanh(softplus(x)).

    Source: Misra 2019, arXiv:1908.08681.
    """
    check_float("mish", input)
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
    check_float("gelu", input)
    check_str("gelu", "approximate", approximate)
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
    check_float("silu", input)
    return _apply(input, _SILU, inplace)


_SILU = Rule("Silu", kernels.silu_forward, kernels.silu_backward)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    check_tensors("sigmoid", input=input)
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    check_tensors("tanh", input=input)
    return input.tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x > threshold.

    Gradient: dx = g * sigmoid(beta x).
    """
    check_float("softplus", input)
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
    check_float("logsigmoid", input)
    return Unary.apply(input, rule=_LOG_SIGMOID)


_LOG_SIGMOID = Rule(
    "LogSigmoid",
    lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    lambda g, x: g * SIGMOID.function(-x),
)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    check_tensors("softsign", input=input)
    require_kind("softsign", input.dtype, "iuf")
    return input / (input.abs() + 1)


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """e^x / (sum of e^x along dim): positive values that add up to 1.

    Gradient: dx = y * (g - sum of g y). `_stacklevel` is where a warning points to.
    """
    check_tensors("softmax", input=input)
    return input.softmax(_choose_dim("softmax", input, dim, _stacklevel), dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    check_tensors("softmin", input=input)
    return (-input).softmax(_choose_dim("softmin", input, dim, _stacklevel), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)), accurate also where softmax is close to 0.

    Gradient: dx = g - softmax(x) * sum of g.
    """
    check_tensors("log_softmax", input=input)
    return input.log_softmax(_choose_dim("log_softmax", input, dim, _stacklevel), dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A draw of a class with the probabilities softmax(logits), such that gradients flow through.

    softmax((logits + noise) / tau) along dim, whose largest value is at the class drawn; the
    smaller tau, the closer it is to one-hot. hard: one-hot, with the gradient of what is not.
    eps has no effect, as in PyTorch. Raises: RuntimeError for integers.

    Source: Jang, Gu and Poole 2016, arXiv:1611.01144.
    """
    check_tensors("gumbel_softmax", logits=logits)
    if not logits.is_floating_point():
        raise RuntimeError(f"gumbel_softmax: expected floating-point logits, got {logits.dtype}")
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = stream(None).gumbel(size=logits.shape)
    soft = ((logits + from_numpy(np.asarray(noise, logits.dtype))) / tau).softmax(dim)
    if not hard:
        return soft
    one_hot = zeros_like(logits).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
    return one_hot - soft.detach() + soft


def _choose_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """`dim`, or with PyTorch's warning the dim that PyTorch takes if none is given."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def _apply(input: Tensor, rule: Rule, inplace: bool) -> Tensor:
    if inplace:
        return input._in_place(lambda x: Unary.apply(x, rule=rule))
    return Unary.apply(input, rule=rule)
