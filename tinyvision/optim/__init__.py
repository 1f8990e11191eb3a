"""Optimizers and learning-rate schedules. They work on Tensors and know nothing of modules."""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.optim import lr_scheduler
from tinyvision.optim.adam import Adam, AdamW
from tinyvision.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinyvision.optim.optimizer import Optimizer
from tinyvision.optim.sgd import SGD

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.optim")
