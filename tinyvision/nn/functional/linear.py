"""The linear map: y = x weight^T + bias."""

from __future__ import annotations

from tinyvision.nn.functional.arguments import (
    check_float,
    check_optional,
    check_same_dtype,
    check_tensors,
)
from tinyvision.ops.matmul import Linear
from tinyvision.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = input weight^T + bias: one dot product per output feature.

    Shapes: input (..., in), weight (out, in), bias (out,), y (..., out); a weight (in,) gives
    one dot product, y (...).
    Gradients: dinput = g weight, dweight = g^T input, dbias = sum of g over all but the last dim.
    Raises: RuntimeError for shapes or dtypes that do not fit together.
    """
    check_tensors("linear", input=input, weight=weight)
    check_optional("linear", bias=bias)
    check_same_dtype("linear", input, weight=weight, bias=bias)
    check_float("linear", input)
    _check_linear_shapes(input, weight, bias)
    if weight.ndim == 1:
        return input.matmul(weight)
    return Linear.apply(input, weight, bias)


def _check_linear_shapes(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if input.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {input.ndim}D and "
            f"{weight.ndim}D"
        )
    if weight.ndim > 2 or (weight.ndim == 1 and bias is not None):
        raise RuntimeError(f"linear: weight must be a matrix, got shape {weight.shape}")
    if input.shape[-1] != weight.shape[-1]:
        raise RuntimeError(
            f"linear: input and weight shapes cannot be multiplied: weight {weight.shape} expects "
            f"{weight.shape[-1]} input features, but input {input.shape} has {input.shape[-1]}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(
            f"linear: expected bias to be of shape {weight.shape[:1]} for weight {weight.shape}, "
            f"but got {bias.shape}"
        )
