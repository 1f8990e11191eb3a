"""Public autograd, as in torch.autograd: gradients, custom functions, gradient checks.

The engine behind it is `tinyvision.engine`.
"""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.autograd.function import Function
from tinyvision.autograd.gradcheck import GradcheckError, gradcheck
from tinyvision.autograd.gradients import Variable, backward, grad
from tinyvision.engine.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.autograd")
