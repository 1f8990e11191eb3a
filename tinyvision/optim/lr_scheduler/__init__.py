"""Learning-rate schedulers: each `step()` gives every parameter group its next lr."""

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
    StepLR,
)

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
