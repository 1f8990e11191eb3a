"""CosineAnnealingWarmRestarts: down along a cosine, then up again at once."""

from __future__ import annotations

import math

from tinyvision.optim.lr_scheduler.base import LRScheduler
from tinyvision.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2.

    T_cur counts the steps since the last restart, T_i is how many there are between two: T_0 at
    first, and T_mult times as many after each restart. `step(epoch)` goes to any place, also
    between whole epochs: `scheduler.step(epoch + batch / batches)`.

    Raises: ValueError for options out of range.

    Source: Loshchilov and Hutter 2016, "SGDR", arXiv 1608.03983.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            kind = type(eta_min)
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {kind}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min = T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to the given one."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self.T_cur, self.T_i = self._place(epoch or 0)
        self.last_epoch = math.floor(epoch or 0) - 1  # _update_lr adds 1
        self._update_lr()

    def _place(self, epoch: float) -> tuple[float, int]:
        """T_cur and T_i at an epoch."""
        if epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return epoch, length

    def get_lr(self) -> list[float]:
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]
