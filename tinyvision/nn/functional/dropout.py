"""Dropout: random zeros in training, against overfitting."""

from __future__ import annotations

import math
import warnings

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.dtypes import TORCH_NAMES
from tinyvision.nn.functional.arguments import as_number, check_bool, check_tensor
from tinyvision.random import stream
from tinyvision.tensor import Tensor


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each value becomes 0 with probability p, else it is divided by 1 - p.

    So the expected value stays the same, and otherwise x itself is returned. The draws come
    from the default generator.

    Raises: ValueError if p is not in [0, 1].

    Source: Srivastava et al., "Dropout", JMLR 15, 2014.
    """
    _check("dropout", input, p, training)
    return _drop(input, p, training, inplace, input.shape)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels: neighbouring pixels are too alike for single ones to matter.

    Shapes: input (N, C, H, W); other shapes (N, C, ...) work with PyTorch's warning.
    Raises: as dropout.

    Source: Tompson et al., 2014, arXiv:1411.4280.
    """
    _check("dropout2d", input, p, training)
    _warn_about_shape(input)
    if input.ndim < 2:
        raise RuntimeError(
            f"Feature dropout requires at least 2 dimensions in the input, got {input.shape}"
        )
    shape = input.shape[:2] + (1,) * (input.ndim - 2)
    return _drop(input, p, training, inplace, shape)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout for selu: values become selu's limit of -1.758 with probability p, instead of 0.

    All are then scaled and moved such that mean 0 and variance 1 stay.

    Source: Klambauer et al. 2017, "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """
    _check("alpha_dropout", input, p, training)
    if not training or p == 0:
        return input
    _check_float(input)
    limit = -1.7580993408473766
    scale = 0.0 if p == 1 else 1 / math.sqrt((1 - p) * (1 + p * limit**2))
    kept = from_numpy(stream(None).random(input.shape, np.float32) >= p)
    # What is dropped is `limit`, and the mean of all, p * limit, becomes 0.
    dropped = scale * limit * (~kept).to(input.dtype) - scale * p * limit
    if inplace:
        return input.mul_(kept * scale).add_(dropped)
    return input * (kept * scale) + dropped


def _drop(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    """Multiply by a mask of `shape`, which broadcasts to the input's."""
    if not training or p == 0:
        return input
    _check_float(input)
    kept = stream(None).random(shape, np.float32) >= p
    scale = 0 if p == 1 else 1 / (1 - p)
    mask = from_numpy(kept * input.dtype.type(scale))
    return input.mul_(mask) if inplace else input * mask


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Dropout of a whole branch of a network: of all its values for an example at once.

    mode: "row" draws for each example, "batch" once for all. What stays is divided by 1 - p.

    Raises: ValueError if p is not in [0, 1] or mode is another.

    Source: Huang et al., "Deep Networks with Stochastic Depth", 2016, arXiv:1603.09382.
    """
    _check("stochastic_depth", input, p, training)
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    N = input.shape[:1] if mode == "row" else (1,) * min(input.ndim, 1)
    return _drop(input, p, training, False, N + (1,) * (input.ndim - 1))


def _check(name: str, input: Tensor, p: float, training: bool) -> None:
    p = as_number(name, "p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    check_tensor(name, "input", input)
    check_bool(name, "training", training)


def _check_float(input: Tensor) -> None:
    if not input.is_floating_point():
        raise RuntimeError(
            "dropout: result type Float can't be cast to the input's type "
            f"{TORCH_NAMES[input.dtype]}"
        )


def _warn_about_shape(input: Tensor) -> None:
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim.",
            stacklevel=3,
        )
    elif input.ndim != 4:
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated and "
            "will result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead.",
            stacklevel=3,
        )
