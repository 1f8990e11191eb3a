"""LRScheduler: what all learning-rate schedulers share.

Most of them compute the next lr from the present one ("chainable" form), so that several can
work on one optimizer at the same time and what a program sets itself is respected. The formula
each docstring gives is what comes of it when nobody interferes; base_lr is the lr the optimizer
was made with and t = last_epoch the number of steps taken.
"""

from __future__ import annotations

import warnings
from typing import Any

from tinyvision.optim.optimizer import Optimizer

_TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, "
    "you should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  "
    "Failure to do this will result in PyTorch skipping the first value of the learning rate "
    "schedule. See more details at "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)


class LRScheduler:
    """Base of the schedulers; a new one defines `get_lr`.

    last_epoch: steps taken when resuming without a state_dict, -1 to start. Making a scheduler
    sets the first lr at once.

    Raises: TypeError if optimizer is none, KeyError if last_epoch is given but a group has no
        "initial_lr" from an earlier scheduler.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    "scheduler with last_epoch >= 0"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """The step that sets the first lr; get_lr can tell by `_is_initial`."""
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def _restart(self) -> None:
        """Begin the schedule again, from the base lrs."""
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base_lr
        self.last_epoch = -1
        self._initial_step()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one; call it after `optimizer.step()`, per epoch or per batch as you choose."""
        if epoch is not None:
            raise NotImplementedError(f"{type(self).__name__}.step: epoch is not supported")
        if self._step_count == 1 and not self.optimizer._has_stepped():
            warnings.warn(_TOO_EARLY, stacklevel=2)
        self._step_count += 1
        self._update_lr()

    def _update_lr(self) -> None:
        self.last_epoch += 1
        lrs = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr
        self._last_lr = list(lrs)

    def get_lr(self) -> list[float]:
        """The lr of each group at last_epoch; for `step`. Programs use get_last_lr."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The lr of each group that this scheduler set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, which is saved on its own."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; load the optimizer's state as well."""
        self.__dict__.update(state_dict)

    def _present_lrs(self, factor: float = 1.0) -> list[float]:
        return [group["lr"] * factor for group in self.optimizer.param_groups]


def check_optimizer(optimizer: Any) -> None:
    """Raises: TypeError if `optimizer` is no Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def per_group(value: Any, name: str, optimizer: Optimizer) -> list[Any]:
    """A value for each parameter group: a list or tuple gives them, anything else is for all.

    Raises: ValueError if there are more or fewer than groups.
    """
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"expected {count} values for {name}, one per group, got {len(value)}")
    return list(value)
