"""Borders around images.

Shapes: input (N, C, H, W) or (C, H, W), output the same with the border in H and W. padding: the
widths (left, right, top, bottom), or one for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import tinyvision.nn.functional as F
from tinyvision.nn.module import Module
from tinyvision.tensor import Tensor


class _Pad2d(Module):
    mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, Sequence) else (padding,) * 4
        if len(self.padding) != 4:
            raise ValueError(f"{type(self).__name__}: expected 4 widths, but got {padding}")

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad2d(_Pad2d):
    """A border of one value."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad2d(ConstantPad2d):
    """A border of zeros."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad2d(_Pad2d):
    """A border that mirrors the image, without repeating its edge."""

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """A border that repeats the edge of the image."""

    mode = "replicate"


class CircularPad2d(_Pad2d):
    """A border with which the image goes on at its other side."""

    mode = "circular"
