"""Ways to fill a weight with first values, in place: torch.nn.init.

Each function returns the tensor it filled. The random ones draw from `generator`, by default
from the package's default generator.

fan_in is the number of inputs each output sums over, fan_out the number of outputs each input
goes to. Keeping variance * fan at a constant keeps signals (fan_in) or gradients (fan_out) from
growing or dying from layer to layer.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from tinyvision import missing
from tinyvision.engine.modes import no_grad
from tinyvision.random import Generator, stream
from tinyvision.tensor import Tensor

_CONVOLUTIONS = [f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3)]
_GAINS = {
    **dict.fromkeys(["linear", *_CONVOLUTIONS, "sigmoid"], 1.0),
    **{"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4},
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before this nonlinearity should be larger than usual.

    param: for "leaky_relu", the negative slope (0.01): gain = sqrt(2 / (1 + slope^2)).

    Raises: ValueError for an unknown nonlinearity or a slope that is no number.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


# ------------------------------------------------------------------ plain values


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All `val`."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: a Linear layer passes its input on.

    Raises: ValueError unless tensor has 2 dims.
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Weights of a convolution that passes its input channels on, as many as there is room for.

    Raises: ValueError unless tensor has 3, 4 or 5 dims, the first divisible by groups.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"dirac_: only tensors with 3, 4, or 5 dimensions are supported, got {tensor.shape}"
        )
    C_out, C_in = tensor.shape[:2]
    if C_out % groups != 0:
        raise ValueError(f"dirac_: dim 0 ({C_out}) must be divisible by groups ({groups})")
    values = np.zeros(tensor.shape)
    centre = tuple([n // 2 for n in tensor.shape[2:]])
    per_group = C_out // groups
    for group in range(groups):
        for channel in range(min(per_group, C_in)):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _fill(tensor, values)


# ------------------------------------------------------------------ plain distributions


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with the given mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, with what falls outside of [a, b] drawn again.

    Raises: ValueError if std <= 0 or a >= b.
    """
    if not std > 0 or not a < b or math.isnan(mean):
        got = f"mean={mean}, std={std}, a={a}, b={b}"
        raise ValueError(f"trunc_normal_: expected a mean, std > 0 and a < b, got {got}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    draw = _draw_normal if _share_inside(mean, std, a, b) > 0.3 else _draw_uniform
    values = np.empty(tensor.numel())
    left = np.arange(values.size)
    while left.size:
        candidates, accepted = draw(left.size, mean, std, a, b, stream(generator))
        values[left[accepted]] = candidates[accepted]
        left = left[~accepted]
    # float32 rounding must not put a value outside.
    return _fill(tensor, np.clip(values.astype(tensor.dtype), a, b).reshape(tensor.shape))


def _share_inside(mean: float, std: float, a: float, b: float) -> float:
    """The probability that a normal draw falls into [a, b]."""
    scale = std * math.sqrt(2)
    return (math.erf((b - mean) / scale) - math.erf((a - mean) / scale)) / 2


def _draw_normal(
    n: int, mean: float, std: float, a: float, b: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """n normal candidates, and which of them are inside."""
    candidates = rng.normal(mean, std, n)
    return candidates, (candidates >= a) & (candidates <= b)


def _draw_uniform(
    n: int, mean: float, std: float, a: float, b: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """n uniform candidates, each accepted with its density relative to the highest in [a, b].

    Where [a, b] is narrow or far out, this accepts much more often than _draw_normal.
    """
    candidates = rng.uniform(a, b, n)
    peak = min(max(mean, a), b)
    log_density = ((peak - mean) ** 2 - (candidates - mean) ** 2) / (2 * std**2)
    return candidates, rng.random(n) < np.exp(log_density)


# ------------------------------------------------------------------ scaled by fan


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS.
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform on [-b, b) with b = gain * sqrt(3 / fan); a is the slope of leaky_relu.

    Source: He et al. 2015, "Delving Deep into Rectifiers", arXiv 1502.01852.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan); a is the slope of leaky_relu."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer.

    Dims after the first count as one. QR of a normal matrix gives it, with the signs of R's
    diagonal taken out, without which Q would not be uniformly distributed.

    Raises: ValueError if tensor has fewer than 2 dims.

    Source: Saxe et al. 2013, arXiv 1312.6120; Mezzadri 2006, arXiv math-ph/0609050.
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"orthogonal_: only tensors with 2 or more dimensions are supported, got {tensor.shape}"
        )
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    normal = stream(generator).standard_normal((max(rows, cols), min(rows, cols)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    return _fill(tensor, gain * (q if rows >= cols else q.T).reshape(tensor.shape))


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / (fan_in + fan_out))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    fan = _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """The fans of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got {tensor.shape}"
        )
    kernel_area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel_area, tensor.shape[0] * kernel_area


def _fill(tensor: Tensor, values: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(values)


if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.nn.init")
