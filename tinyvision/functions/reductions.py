"""`tv.mean(x)` for `x.mean()`, and so on: reductions and sorting spelled as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyvision.tensor import Tensor
from tinyvision.tensor.base import require_tensor
from tinyvision.tensor.reductions import ValuesAndIndices

Dims = int | Sequence[int] | None


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dims; int64 for integers and bools unless `dtype` says otherwise."""
    return require_tensor(input, "sum").sum(dim, keepdim, dtype=dtype)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dims divided by the number of values; for floats only, see `dtype`."""
    return require_tensor(input, "mean").mean(dim, keepdim, dtype=dtype)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The product along one dim, or of all values; int64 for integers and bools."""
    return require_tensor(input, "prod").prod(dim, keepdim, dtype=dtype)


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """sum((x - mean)^2) / (n - correction) over dims."""
    return require_tensor(input, "var").var(dim, unbiased, keepdim, correction=correction)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The square root of `var`, with the same arguments."""
    return require_tensor(input, "std").std(dim, unbiased, keepdim, correction=correction)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums: y_i = x_0 + ... + x_i along `dim`; int64 for integers and bools."""
    return require_tensor(input, "cumsum").cumsum(dim, dtype=dtype)


def norm(
    input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm (sum of |x|^p)^(1/p) over dims; "fro" is p = 2, 0 counts nonzeros."""
    return require_tensor(input, "norm").norm(p, dim, keepdim, dtype)


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many values are not zero, over dims."""
    return require_tensor(input, "count_nonzero").count_nonzero(dim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether every value over dims is nonzero (NaN is)."""
    return require_tensor(input, "all").all(dim, keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether some value over dims is nonzero (NaN is)."""
    return require_tensor(input, "any").any(dim, keepdim)


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest value over dims, NaN if there is one; ties share the gradient evenly."""
    return require_tensor(input, "amax").amax(dim, keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest value over dims, NaN if there is one; ties share the gradient evenly."""
    return require_tensor(input, "amin").amin(dim, keepdim)


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest value: of all, along a dim, or of two tensors."""
    return require_tensor(input, "max").max(dim, keepdim, other=other)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest value: of all, along a dim, or of two tensors; see `max`."""
    return require_tensor(input, "min").min(dim, keepdim, other=other)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest value along a dim, or in the flattened tensor."""
    return require_tensor(input, "argmax").argmax(dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest value along a dim, or in the flattened tensor."""
    return require_tensor(input, "argmin").argmin(dim, keepdim)


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> ValuesAndIndices:
    """Values in order along `dim`, and where they were. NaN is larger than all others."""
    return require_tensor(input, "sort").sort(dim, descending, stable=stable)


def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Tensor:
    """The indices of `sort`."""
    return require_tensor(input, "argsort").argsort(dim, descending, stable=stable)


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """The k largest (or smallest) values along `dim` in order, and where they were."""
    return require_tensor(input, "topk").topk(k, dim, largest, sorted)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value, the lower of two: of all, or along `dim` with its index."""
    return require_tensor(input, "median").median(dim, keepdim)


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log(sum of e^x) over dims, without overflow; integers count as float32."""
    return require_tensor(input, "logsumexp").logsumexp(dim, keepdim)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """e^x / (sum of e^x) along `dim`: positive values that add up to 1."""
    return require_tensor(input, "softmax").softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, accurate also where softmax is close to 0."""
    return require_tensor(input, "log_softmax").log_softmax(dim, dtype)
