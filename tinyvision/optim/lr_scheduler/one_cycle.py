"""OneCycleLR: warm up to a high learning rate, then anneal far below where it began."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinyvision.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from tinyvision.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """lr rises from max_lr / div_factor to max_lr and falls to that / final_div_factor.

    pct_start: the share of the steps in which it rises; three_phase: it first falls as it rose,
    and the rest of the steps take it to the end. With cycle_momentum, momentum (or beta1) falls
    from max_momentum to base_momentum while lr rises, and rises while it falls. Step it after
    every batch.

    Raises: ValueError for options out of range, or when stepped beyond total_steps.

    Source: Smith and Topin 2017, "Super-Convergence", arXiv 1708.07120.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.total_steps = _count_steps(total_steps, epochs, steps_per_epoch)
        _check_shape(pct_start, anneal_strategy)
        self._anneal_func_type, self.cycle_momentum = anneal_strategy, cycle_momentum
        self._schedule_phases = _phases(pct_start * self.total_steps, self.total_steps, three_phase)
        peaks = per_group(max_lr, "max_lr", optimizer)
        momenta = _momenta(optimizer, base_momentum, max_momentum) if cycle_momentum else []
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["initial_lr"] = peak / div_factor
                group["max_lr"] = peak
                group["min_lr"] = peak / div_factor / final_div_factor
            for group, (low, high) in zip(optimizer.param_groups, momenta, strict=False):
                group["max_momentum"] = high
                group["base_momentum"] = low
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        start_step, phase = self._find_phase()
        length = phase["end_step"] - start_step
        progress = (self.last_epoch - start_step) / length if length else 1.0
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._anneal(group, phase, "lr", progress))
            if self.cycle_momentum:
                _set_momentum(group, self._anneal(group, phase, "momentum", progress))
        return lrs

    def _find_phase(self) -> tuple[float, Any]:
        """Where the present phase starts, and the phase."""
        start_step = 0.0
        for phase in self._schedule_phases[:-1]:
            if self.last_epoch <= phase["end_step"]:
                return start_step, phase
            start_step = phase["end_step"]
        return start_step, self._schedule_phases[-1]

    def _anneal(
        self, group: dict[str, Any], phase: dict[str, Any], what: str, progress: float
    ) -> float:
        """The lr or momentum at `progress` (0 to 1) on its way from start to end in a phase."""
        start, end = group[phase[f"start_{what}"]], group[phase[f"end_{what}"]]
        if self._anneal_func_type == "linear":
            return start + (end - start) * progress
        return end + (start - end) / 2.0 * (1 + math.cos(math.pi * progress))


def _phase(end_step: float, *ends: str) -> dict[str, Any]:
    """The last step of a phase, from which lr to which it goes, and from which momentum."""
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return {"end_step": end_step, **dict(zip(names, ends, strict=True))}


def _phases(rise_steps: float, total_steps: int, three_phase: bool) -> list[dict[str, Any]]:
    last_step = total_steps - 1
    rise = _phase(rise_steps - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [rise, _phase(last_step, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    return [
        rise,
        _phase(2 * rise_steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        _phase(last_step, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]


def _count_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return _positive(total_steps, "total_steps")
    if epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return _positive(epochs, "epochs") * _positive(steps_per_epoch, "steps_per_epoch")


def _positive(value: Any, name: str) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _check_shape(pct_start: float, anneal_strategy: str) -> None:
    if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
        raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(
            f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
        )


def _momenta(optimizer: Optimizer, base_momentum: Any, max_momentum: Any) -> list[Any]:
    """(lowest, highest) momentum of each group."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError(
            "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
        )
    low = per_group(base_momentum, "base_momentum", optimizer)
    high = per_group(max_momentum, "max_momentum", optimizer)
    return list(zip(low, high, strict=True))


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set the momentum, which Adam calls beta1."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
