"""Adagrad, RMSprop and Adadelta: the methods that led to Adam.

Each scales the step of every parameter element by how large its gradients have been.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyvision.dtypes import float32
from tinyvision.optim.optimizer import (
    Optimizer,
    blocks,
    check_options,
    descent_direction,
    group_options,
)
from tinyvision.tensor import Tensor


class Adagrad(Optimizer):
    """Steps over the root of the sum of all squared gradients.

    g = grad + weight_decay * p            (grad is negated first with maximize)
    s = s + g^2                            (from initial_accumulator_value)
    p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Raises: ValueError for options out of range.

    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods", JMLR 12.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        options = group_options(locals())
        check_options(options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        super().__init__(params, options)
        for group in self.param_groups:
            for param in group["params"]:
                remember(self.state[param], param, ["sum"], initial_accumulator_value)

    def _update(self, param: Tensor, group: dict[str, Any]) -> None:
        start = group["initial_accumulator_value"]
        step, *arrays = remember(self.state[param], param, ["sum"], start)
        lr = float(group["lr"]) / (1 + float(step) * group["lr_decay"])
        step += 1
        for p, grad, s in blocks(param._data, param.grad._data, *arrays):
            g = descent_direction(p, grad, group)
            s += g * g
            p -= lr * (g / (np.sqrt(s) + group["eps"]))


class RMSprop(Optimizer):
    """Steps over the root of a running mean of the squared gradients.

    g = grad + weight_decay * p            (grad is negated first with maximize)
    s = alpha * s + (1 - alpha) * g^2
    b = momentum * b + g / (sqrt(s) + eps)
    p = p - lr * b

    With centered, s - m^2 stands in for s, m being the running mean of g: the variance.

    Raises: ValueError for options out of range.

    Source: Hinton 2012, lecture 6e of "Neural Networks for Machine Learning"; Graves 2013, arXiv
    1308.0850 (centered).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        options = group_options(locals())
        check_options(options, "lr", "eps", "momentum", "weight_decay", "alpha")
        super().__init__(params, options)

    def _update(self, param: Tensor, group: dict[str, Any]) -> None:
        lr, alpha, momentum = float(group["lr"]), group["alpha"], group["momentum"]
        names = ["square_avg"]
        names += ["momentum_buffer"] if momentum > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        step, *arrays = remember(self.state[param], param, names)
        step += 1
        for p, grad, s, *more in blocks(param._data, param.grad._data, *arrays):
            g = descent_direction(p, grad, group)
            s *= alpha
            s += (1 - alpha) * (g * g)
            variance = s
            if group["centered"]:
                mean = more[-1]
                mean += (1 - alpha) * (g - mean)
                variance = s - mean * mean
            direction = g / (np.sqrt(variance) + group["eps"])
            if momentum > 0:
                more[0] *= momentum
                more[0] += direction
                direction = more[0]
            p -= lr * direction


class Adadelta(Optimizer):
    """Steps as large as the last ones were, relative to the gradients: lr has no unit.

    g = grad + weight_decay * p            (grad is negated first with maximize)
    s = rho * s + (1 - rho) * g^2
    step = sqrt(d + eps) / sqrt(s + eps) * g
    d = rho * d + (1 - rho) * step^2
    p = p - lr * step

    Raises: ValueError for options out of range.

    Source: Zeiler 2012, arXiv 1212.5701.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        options = group_options(locals())
        check_options(options, "lr")
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_options(options, "eps", "weight_decay")
        super().__init__(params, options)

    def _update(self, param: Tensor, group: dict[str, Any]) -> None:
        rho, eps = group["rho"], group["eps"]
        steps, *arrays = remember(self.state[param], param, ["square_avg", "acc_delta"])
        steps += 1
        for p, grad, s, d in blocks(param._data, param.grad._data, *arrays):
            g = descent_direction(p, grad, group)
            s *= rho
            s += (1 - rho) * (g * g)
            step = np.sqrt(d + eps) / np.sqrt(s + eps) * g
            d *= rho
            d += (1 - rho) * (step * step)
            p -= float(group["lr"]) * step


def remember(
    state: dict[str, Any], param: Tensor, names: list[str], start: float = 0.0
) -> list[np.ndarray]:
    """The number of steps, and an array like the parameter for each name; made if not there."""
    if not state:
        state["step"] = param._plain(np.zeros((), float32))
        state |= {name: param._plain(np.full_like(param._data, start)) for name in names}
    return [state[name]._data for name in ("step", *names)]
