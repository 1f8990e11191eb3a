"""Optimizers and learning-rate schedules. They work on Tensors and know nothing of modules."""

from tinyvision.optim import lr_scheduler
from tinyvision.optim.adam import Adam, AdamW
from tinyvision.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinyvision.optim.optimizer import Optimizer
from tinyvision.optim.sgd import SGD
