"""Softmax, which makes probabilities of numbers, and its relatives."""

from __future__ import annotations

import warnings
from typing import Any

from tinyvision.creation import empty_like, zeros_like
from tinyvision.nn.functional.arguments import check_tensor
from tinyvision.tensor import Tensor


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """e^x / (sum of e^x along dim): positive values that add up to 1.

    Gradient: dx = y * (g - sum of g y). `_stacklevel` is where a warning points to.
    """
    check_tensor("softmax", "input", input)
    return input.softmax(_choose_dim("softmax", input, dim, _stacklevel), dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    check_tensor("softmin", "input", input)
    return (-input).softmax(_choose_dim("softmin", input, dim, _stacklevel), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)), accurate also where softmax is close to 0.

    Gradient: dx = g - softmax(x) * sum of g.
    """
    check_tensor("log_softmax", "input", input)
    return input.log_softmax(_choose_dim("log_softmax", input, dim, _stacklevel), dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A draw of a class with the probabilities softmax(logits), such that gradients flow through.

    softmax((logits + noise) / tau) along dim, whose largest value is at the class drawn; the
    smaller tau, the closer it is to one-hot. hard: one-hot, with the gradient of what is not.
    eps has no effect, as in PyTorch.

    Source: Jang, Gu and Poole 2016, arXiv:1611.01144.
    """
    check_tensor("gumbel_softmax", "logits", logits)
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -empty_like(logits).exponential_().log()  # Gumbel(0, 1)
    soft = ((logits + noise) / tau).softmax(dim)
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
