"""Learning-rate schedulers: each `step()` gives every parameter group its next lr."""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.optim.lr_scheduler.base import LRScheduler
from tinyvision.optim.lr_scheduler.one_cycle import OneCycleLR
from tinyvision.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinyvision.optim.lr_scheduler.sequential import SequentialLR
from tinyvision.optim.lr_scheduler.simple import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinyvision.optim.lr_scheduler.warm_restarts import CosineAnnealingWarmRestarts

_LRScheduler = LRScheduler  # the name that programs written for older versions derive from

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.optim.lr_scheduler")
