"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.dtypes import float32
from tinyvision.optim.optimizer import Optimizer, check_option, check_options, group_options
from tinyvision.tensor import Tensor


class Adam(Optimizer):
    """Steps scaled, element by element, by running averages of the gradient and of its square.

    g = grad + weight_decay * p            (grad is negated first with maximize)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    t counts the steps: m and v start from 0, and dividing by 1 - beta^t makes up for it. With
    amsgrad, the largest v so far stands in for v. With decoupled_weight_decay, g is grad, and p
    is first multiplied by 1 - lr * weight_decay, which is AdamW.

    Raises: ValueError for options out of range.

    Source: Kingma and Ba 2014, arXiv 1412.6980; Reddi et al. 2018 (amsgrad), arXiv 1904.09237.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        options = group_options(locals())
        check_options(options, "lr", "eps")
        for i, beta in enumerate(betas):
            check_option(beta, f"beta parameter at index {i}", below=1.0)
        check_options(options, "weight_decay")
        if not all(isinstance(beta, float) for beta in betas):
            raise ValueError("betas must be both floats")
        super().__init__(params, options)

    def _update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state_of(param, group) for param in params]
        for state in states:
            state["step"]._data += 1
        steps = [state["step"]._data.item() for state in states]
        if len(set(steps)) == 1:  # as a rule
            options = np.repeat([_factors(steps[0], group)], len(steps), axis=0)
        else:
            options = np.array([_factors(step, group) for step in steps])
        kernels.adam_step(
            [param._data for param in params],
            [param._grad._data for param in params],
            [state["exp_avg"]._data for state in states],
            [state["exp_avg_sq"]._data for state in states],
            [state["max_exp_avg_sq"]._data for state in states] if group["amsgrad"] else [],
            options,
            self._known[id(params[0])],
        )

    def _state_of(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """What is remembered of `param`; zeros before the first step."""
        state = self.state[param]
        if "step" not in state:
            state["step"] = param._plain(np.zeros((), float32))
            state["exp_avg"] = param._plain(np.zeros_like(param._data))
            state["exp_avg_sq"] = param._plain(np.zeros_like(param._data))
        if group["amsgrad"] and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = param._plain(np.zeros_like(param._data))
        return state


def _factors(step: float, group: dict[str, Any]) -> tuple[float, ...]:
    """The numbers in the formula of one step, in the order of kernels.adam_step's options."""
    beta1, beta2 = group["betas"]
    lr, decay = float(group["lr"]), group["weight_decay"]
    decoupled = group["decoupled_weight_decay"]
    return (
        -1.0 if group["maximize"] else 1.0,
        0.0 if decoupled else decay,
        1.0 - lr * decay if decoupled else 1.0,
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        lr / (1.0 - beta1**step),
        1.0 / math.sqrt(1.0 - beta2**step),
        group["eps"],
    )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p = p * (1 - lr * weight_decay) first.

    Inside the gradient, as in Adam, the decay of an element would shrink as its gradients grow.

    Source: Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization", arXiv 1711.05101.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        """options: Adam's other keyword arguments."""
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, **options
        )
