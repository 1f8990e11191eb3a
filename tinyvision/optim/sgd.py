"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.optim.optimizer import Optimizer, check_options, group_options
from tinyvision.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent with momentum.

    g = grad + weight_decay * p            (grad is negated first with maximize)
    b = momentum * b + (1 - dampening) * g        (b = g in the first step)
    p = p - lr * b                         (with nesterov: p - lr * (g + momentum * b))

    Raises: ValueError for options out of range.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning", ICML; as in PyTorch, lr multiplies b and is not part of it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        options = group_options(locals())
        check_options(options, "lr", "momentum", "weight_decay")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, options)

    def _update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        sign = -1.0 if group["maximize"] else 1.0
        lr, momentum = float(group["lr"]), float(group["momentum"])
        first = (sign, group["weight_decay"], lr, momentum, 1.0, float(group["nesterov"]))
        later = (*first[:4], 1.0 - group["dampening"], first[5])
        buffers, starts = [], [momentum == 0] * len(params)
        if momentum != 0:
            for i, param in enumerate(params):
                state = self.state[param]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = param._plain(np.zeros_like(param._data))
                    starts[i] = True
                buffers.append(state["momentum_buffer"]._data)
        options = np.where(np.array(starts)[:, None], first, later)
        data, grads = [param._data for param in params], [param._grad._data for param in params]
        kernels.sgd_step(data, grads, buffers, options, self._known[id(params[0])])
