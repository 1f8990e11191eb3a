"""SequentialLR: one schedule after another."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from tinyvision.optim.lr_scheduler.base import LRScheduler, check_optimizer
from tinyvision.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinyvision.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """Follows schedulers[i] from milestones[i - 1] on; each starts from its own beginning.

    Raises: ValueError if the schedulers and milestones do not fit together or the optimizer.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if last_epoch != -1:
            raise NotImplementedError("SequentialLR: last_epoch is not supported; use state_dict")
        _check_schedulers(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got number of schedulers {len(schedulers)} "
                f"and the number of milestones to be equal to {len(milestones)}"
            )
        if sorted(milestones) != list(milestones):
            raise ValueError(f"SequentialLR expects increasing milestones, but got {milestones}")
        self.optimizer = optimizer
        self._schedulers, self._milestones = schedulers, milestones
        self._restart()

    def _restart(self) -> None:
        # Every scheduler set its own first lr when it was made; only the one to begin with counts.
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._restart()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one, with the next scheduler if its milestone is reached."""
        if epoch is not None:
            raise NotImplementedError("SequentialLR.step: epoch is not supported")
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with a state_dict for each scheduler."""
        schedulers = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": schedulers}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        rest = {name: value for name, value in state_dict.items() if name != "_schedulers"}
        super().load_state_dict(rest)
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(saved)


def _check_schedulers(optimizer: Optimizer, schedulers: list[LRScheduler]) -> None:
    if len(schedulers) < 1:
        raise ValueError("SequentialLR expects at least one scheduler, but got no scheduler.")
    for i, scheduler in enumerate(schedulers):
        if not isinstance(scheduler, LRScheduler):
            raise TypeError(
                f"SequentialLR: expected a scheduler at index {i}, got {type(scheduler).__name__}"
            )
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError(
                "SequentialLR does not support `ReduceLROnPlateau`, whose step needs a metric, "
                f"but got one at index {i}"
            )
        if scheduler.optimizer is not optimizer:
            raise ValueError(
                "SequentialLR expects all schedulers to belong to the same optimizer, but the "
                f"{type(scheduler).__name__} at index {i} belongs to another"
            )
