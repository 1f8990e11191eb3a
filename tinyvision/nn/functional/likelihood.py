"""Losses that are -log of the probability a distribution gives to the target."""

from __future__ import annotations

import math

from tinyvision.engine.modes import no_grad
from tinyvision.nn.functional.arguments import as_number, as_reduction, check_tensor
from tinyvision.nn.functional.regression import reduced
from tinyvision.tensor import Tensor


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log var + (input - target)^2 / var) / 2, for a normal distribution around input.

    var, at least eps, has the gradient it would have without that limit. full: with the constant
    log(2 pi) / 2.

    Shapes: input and target broadcast; var is a number, or of the shape of input, in which one
    dim may be 1 or the last be missing. Raises: ValueError for other shapes or a negative var.

    Source: Nix and Weigend 1994, "Estimating the mean and variance of the target probability
    distribution".
    """
    name = "gaussian_nll_loss"
    reduction = as_reduction(reduction)
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    if isinstance(var, float):
        var = input.new_full(input.shape, var)
    if (check_tensor(name, "var", var) < 0).any():
        raise ValueError("var has negative entry/entries")
    if var.shape == input.shape[:-1] and var.shape != input.shape:
        var = var.unsqueeze(-1)
    different = [n for m, n in zip(input.shape, var.shape, strict=False) if m != n]
    if var.ndim != input.ndim or different not in ([], [1]):
        raise ValueError(f"var is of incorrect size: {var.shape} for input {input.shape}")
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target).square() / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """rate - target * log(rate), for counts from a Poisson distribution.

    The input is log(rate) or, without log_input, the rate, to which eps is added in the logarithm.
    full: for targets above 1 with Stirling's approximation of log(target!), which is
    t log t - t + log(2 pi t) / 2.
    """
    name = "poisson_nll_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + as_number(name, "eps", eps)).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, reduction)
