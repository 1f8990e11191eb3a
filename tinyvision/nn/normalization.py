"""LayerNorm, RMSNorm and GroupNorm, which need no batch: each example is normalised alone.

The formulas, shapes and sources are those of the functions of the same name in nn.functional.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.nn import init
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor


class Normalization(Module):
    """A weight that starts at 1 and a bias that starts at 0, each if it is wanted."""

    def _make_parameters(
        self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            parameter = new_parameter(*shape, device=device, dtype=dtype) if wanted else None
            self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


def _as_shape(normalized_shape: Any, name: str) -> tuple[int, ...]:
    if not isinstance(normalized_shape, (tuple, list)):
        normalized_shape = (normalized_shape,)
    return tuple(as_int(n, name, "normalized_shape") for n in normalized_shape)


class LayerNorm(Normalization):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the last dims.

    Shapes: input and output (..., *normalized_shape); an int stands for one dim.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape, "LayerNorm")
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        affine = elementwise_affine
        self._make_parameters(self.normalized_shape, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine, bias = self.elementwise_affine, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"


class RMSNorm(Normalization):
    """x / sqrt(mean of x^2 + eps) * weight, the mean over the last dims. Shapes: as LayerNorm."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape, "RMSNorm")
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, False, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class GroupNorm(Normalization):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over a group of channels.

    Shapes: input and output (N, num_channels, ...), weight and bias (num_channels,).
    Raises: ValueError if num_groups does not divide num_channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = as_int(num_groups, "GroupNorm", "num_groups")
        self.num_channels = as_int(num_channels, "GroupNorm", "num_channels")
        if self.num_groups < 1 or self.num_channels % self.num_groups != 0:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.eps = eps
        self.affine = affine
        self._make_parameters((self.num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        sizes, bias = f"{self.num_groups}, {self.num_channels}", self.bias is not None
        return f"{sizes}, eps={self.eps}, affine={self.affine}, bias={bias}"


class LocalResponseNorm(Module):
    """x / (k + alpha * mean square of the `size` channels around) ^ beta, as in AlexNet.

    Shapes: input and output (N, C, ...).
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
