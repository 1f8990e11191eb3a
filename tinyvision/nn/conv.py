"""Conv2d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int, pair
from tinyvision.nn import init
from tinyvision.nn.linear import init_bias
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv2d(Module):
    """A layer of learned filters that slide over images (cross-correlation, as in PyTorch).

    Shapes: input (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in / groups, kH, kW),
    bias (C_out), output (N, C_out, H_out, W_out) with
    H_out = floor((H + 2 * padding - dilation * (kH - 1) - 1) / stride) + 1.

    Raises: ValueError for groups that do not divide the channels or an unknown padding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = as_int(in_channels, "Conv2d", "in_channels")
        self.out_channels = as_int(out_channels, "Conv2d", "out_channels")
        self.kernel_size = pair(kernel_size, "Conv2d", "kernel_size")
        self.stride = pair(stride, "Conv2d", "stride")
        self.padding = (
            padding if isinstance(padding, str) else pair(padding, "Conv2d", "padding", 0)
        )
        self.dilation = pair(dilation, "Conv2d", "dilation")
        self.groups = as_int(groups, "Conv2d", "groups")
        self.padding_mode = padding_mode
        self._check_configuration()
        size = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = new_parameter(*size, dtype=dtype, device=device)
        if bias:
            self.bias = new_parameter(out_channels, dtype=dtype, device=device)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check_configuration(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if self.out_channels % self.groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(self.padding, str) and self.padding not in ("same", "valid"):
            raise ValueError(
                f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'"
            )
        if self.padding == "same" and self.stride != (1, 1):
            raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _PADDING_MODES:
            raise ValueError(
                f"padding_mode must be one of {_PADDING_MODES}, but got "
                f"padding_mode={self.padding_mode!r}"
            )
        if self.padding_mode != "zeros":
            raise NotImplementedError(
                f"Conv2d: padding_mode={self.padding_mode!r} is not supported; only 'zeros' is"
            )

    def reset_parameters(self) -> None:
        """Draw weight and bias from the uniform distribution on +-1/sqrt(C_in/groups * kH * kW)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init_bias(self.bias, self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else text + ", bias=False"
