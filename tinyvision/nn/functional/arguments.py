"""What the functions here check about their arguments before an operation sees them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.checks import pair
from tinyvision.dtypes import TORCH_NAMES
from tinyvision.tensor import Tensor
from tinyvision.tensor.base import check_tensor

Size = int | Sequence[int]  # for height and width

# The kernels count in 64 bits; sizes up to here can be multiplied without an overflow.
_LARGEST_SIZE = 2**31 - 1


def check_tensors(name: str, **tensors: Any) -> None:
    """Raise TypeError unless all are Tensors."""
    for argument, value in tensors.items():
        check_tensor(name, argument, value)


def check_optional(name: str, **tensors: Any) -> None:
    """Raise TypeError unless each is a Tensor or None."""
    for argument, value in tensors.items():
        check_tensor(name, argument, value, optional=True)


def check_float(name: str, input: Any) -> None:
    """Raise TypeError unless `input` is a Tensor, NotImplementedError unless it holds floats."""
    check_tensor(name, "input", input)
    if not input.is_floating_point():
        raise NotImplementedError(f'"{name}" not implemented for {TORCH_NAMES[input.dtype]!r}')


def check_same_dtype(name: str, input: Tensor, **others: Tensor | None) -> None:
    """Raise RuntimeError unless all `others` that are given have the dtype of `input`."""
    for argument, other in others.items():
        if other is not None and other.dtype != input.dtype:
            raise RuntimeError(
                f"{name}: expected {argument} to have the dtype of input, "
                f"{TORCH_NAMES[input.dtype]}, but found {TORCH_NAMES[other.dtype]}"
            )


def check_constant(name: str, argument: str, value: Tensor | None) -> None:
    """Raise RuntimeError if an argument without a gradient requires one."""
    if value is not None and value.requires_grad:
        raise RuntimeError(
            f"{name} is not differentiable with respect to argument '{argument}'. "
            "This input cannot have requires_grad True."
        )


def as_number(name: str, argument: str, value: Any) -> Any:
    """`value` as a Python number: NumPy's float64 would turn float32 arrays into float64.

    Raises: TypeError if it is not a number.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        raise TypeError(
            f"{name}(): argument '{argument}' must be float, not {type(value).__name__}"
        )
    return value


def check_bool(name: str, argument: str, value: Any) -> None:
    """Raise TypeError unless `value` is a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}(): argument '{argument}' must be bool, not {type(value).__name__}")


def check_str(name: str, argument: str, value: Any) -> None:
    """Raise TypeError unless `value` is a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}(): argument '{argument}' must be str, not {type(value).__name__}")


def size_pair(name: str, argument: str, value: Size, minimum: int = 1) -> tuple[int, int]:
    """A size for height and width.

    Raises: TypeError if not ints; RuntimeError if below minimum, or beyond any image.
    """
    sizes = pair(value, name, argument, minimum)
    if max(sizes) > _LARGEST_SIZE:
        raise RuntimeError(f"{name}: {argument} must be at most {_LARGEST_SIZE}, got {value!r}")
    return sizes


def check_image(name: str, input: Tensor) -> None:
    """Raise unless `input` is a float tensor of shape (N, C, H, W) or (C, H, W).

    Only the batch may be empty.
    """
    check_tensor(name, "input", input)
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to {name}, but got input of size: "
            f"{input.shape}"
        )
    if 0 in input.shape[-3:]:
        raise RuntimeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but input "
            f"has shape {input.shape}"
        )
    check_float(name, input)


def on_batch(op: Any, input: Tensor, *others: Any, ndim: int = 4, **params: Any) -> Any:
    """`op` of a batch (N, C, H, W), or of `ndim` dims; a single image becomes a batch of one."""
    if input.ndim == ndim:
        return op.apply(input, *others, **params)
    result = op.apply(input.unsqueeze(0), *others, **params)
    return tuple([t.squeeze(0) for t in result]) if isinstance(result, tuple) else result.squeeze(0)


def as_reduction(
    reduction: str,
    size_average: bool | None = None,
    reduce: bool | None = None,
    known: tuple[str, ...] = ("none", "mean", "sum"),
) -> str:
    """The reduction, or with PyTorch's warning what its old spellings mean, if they are given.

    Raises: ValueError for an unknown reduction.
    """
    if size_average is not None or reduce is not None:
        total = "sum" if size_average is not None and not size_average else "mean"
        reduction = "none" if reduce is not None and not reduce else total
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in known:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction
