"""Conv2d and ConvTranspose2d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int, pair
from tinyvision.nn import init
from tinyvision.nn.functional.arguments import Size
from tinyvision.nn.linear import init_bias
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What both have in common: the filters and how they slide."""

    output_padding: tuple[int, int] = (0, 0)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = as_int(in_channels, name, "in_channels")
        self.out_channels = as_int(out_channels, name, "out_channels")
        self.kernel_size = pair(kernel_size, name, "kernel_size")
        self.stride = pair(stride, name, "stride")
        self.padding: Any = padding
        if not isinstance(padding, str):
            self.padding = pair(padding, name, "padding", 0)
        self.dilation = pair(dilation, name, "dilation")
        self.groups = as_int(groups, name, "groups")
        self.padding_mode = padding_mode
        self._check_configuration()
        size = (*self._channels_of_weight(), *self.kernel_size)
        self.weight = new_parameter(*size, dtype=dtype, device=device)
        shift = new_parameter(out_channels, dtype=dtype, device=device) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def _check_configuration(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        for channels in ("in_channels", "out_channels"):
            if getattr(self, channels) % self.groups != 0:
                raise ValueError(f"{channels} must be divisible by groups")
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

    def _channels_of_weight(self) -> tuple[int, int]:
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw weight and bias from the uniform distribution on +-1/sqrt(fan_in of the weight)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init_bias(self.bias, self.weight)

    def extra_repr(self) -> str:
        channels = f"{self.in_channels}, {self.out_channels}"
        windows = f"kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": (0, 0), "dilation": (1, 1), "output_padding": (0, 0), "groups": 1}
        bias = ", bias=False" if self.bias is None else ""
        padding_mode = self._unusual({"padding_mode": "zeros"})
        return f"{channels}, {windows}{self._unusual(usual)}{bias}{padding_mode}"


class Conv2d(_Conv):
    """A layer of learned filters that slide over images (cross-correlation, as in PyTorch).

    Shapes: input (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in / groups, kH, kW),
    bias (C_out), output (N, C_out, H_out, W_out) with
    H_out = floor((H + 2 * padding - dilation * (kH - 1) - 1) / stride) + 1.

    Raises: ValueError for groups that do not divide the channels or an unknown padding.
    """

    def _channels_of_weight(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels // self.groups

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._widths(), self.padding_mode), 0
        return F.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _widths(self) -> list[int]:
        """The borders (left, right, top, bottom), as F.pad takes them."""
        if isinstance(self.padding, str):
            spans = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            pairs = [(t // 2, t - t // 2) if self.padding == "same" else (0, 0) for t in spans]
        else:
            pairs = [(p, p) for p in self.padding]
        return [*pairs[1], *pairs[0]]


class ConvTranspose2d(_Conv):
    """A layer of learned filters that makes images larger, see F.conv_transpose2d.

    Shapes: input (N, C_in, H, W) or (C_in, H, W), weight (C_in, C_out / groups, kH, kW),
    bias (C_out), output (N, C_out, H_out, W_out) with
    H_out = (H - 1) * stride - 2 * padding + dilation * (kH - 1) + output_padding + 1.

    Raises: ValueError for groups that do not divide the channels or another padding than zeros.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError('Only "zeros" padding mode is supported for ConvTranspose2d')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        self.output_padding = pair(output_padding, "ConvTranspose2d", "output_padding", 0)

    def _channels_of_weight(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """output_size: the (H_out, W_out) to choose output_padding for."""
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> list[int]:
        if len(output_size) == input.ndim:
            output_size = output_size[-2:]
        if len(output_size) != 2:
            raise ValueError(
                f"ConvTranspose2d: for {input.ndim}D input, output_size must have 2 or "
                f"{input.ndim} elements (got {len(output_size)})"
            )
        sizes = (input.shape[-2:], self.stride, self.padding, self.dilation, self.kernel_size)
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(*sizes, strict=True)
        ]
        extra = [n - m for n, m in zip(output_size, least, strict=True)]
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            most = [m + s - 1 for m, s in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} "
                f"to {most} (for an input of {list(input.shape[-2:])})"
            )
        return extra
