"""Linear and Identity."""

from __future__ import annotations

import math
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.nn import init
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor


class Identity(Module):
    """Returns its input; takes any arguments and ignores them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """y = x @ weight.T + bias, along the last dim.

    Shapes: input (..., in_features), weight (out_features, in_features), bias (out_features),
    output (..., out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = as_int(in_features, "Linear", "in_features")
        self.out_features = as_int(out_features, "Linear", "out_features")
        self.weight = new_parameter(out_features, in_features, dtype=dtype, device=device)
        shift = new_parameter(out_features, dtype=dtype, device=device) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from the uniform distribution on +-1/sqrt(in_features)."""
        # PyTorch says it in this way; the bound works out to 1/sqrt(fan_in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init_bias(self.bias, self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        bias = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"


def init_bias(bias: Tensor | None, weight: Tensor) -> None:
    """Draw a layer's bias from the uniform distribution on +-1/sqrt(fan_in of its weight)."""
    if bias is not None:
        fan_in, _ = init._calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)
