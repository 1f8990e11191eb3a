"""Reductions, sorting and softmax as methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from tinyvision.checks import as_int, normalize_dim, normalize_dims
from tinyvision.dtypes import TORCH_NAMES, as_dtype, bool_, int64, require_kind, uint8
from tinyvision.ops import reductions as ops
from tinyvision.ops.elementwise import Maximum, Minimum
from tinyvision.ops.softmax import LogSumExp, Softmax
from tinyvision.tensor.base import TensorBase

Dims = int | Sequence[int] | None


class ValuesAndIndices(NamedTuple):
    """What max, min, sort, topk and median along a dim return."""

    values: Any
    indices: Any

    def __repr__(self) -> str:
        fields = f"values={self.values!r},\nindices={self.indices!r}"
        return f"torch.return_types.{type(self).__name__}(\n{fields})"


# One type for each method, whose name it prints.
_RESULTS = {
    name: type(name, (ValuesAndIndices,), {}) for name in ("max", "min", "sort", "topk", "median")
}


class Reductions(TensorBase):
    """Methods that combine the values along some dims, or put them in order.

    `dim` may be negative; where several dims are allowed, None and () mean all of them (all and
    any excepted). `keepdim` keeps reduced dims with size 1.

    Raises: IndexError if a dim is out of range, RuntimeError if one is given twice.
    """

    # ---------------------------------------------------------------- sums, products, moments

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The sum over dims; int64 for integers and bools unless `dtype` says otherwise."""
        dims = normalize_dims(dim, self._data.ndim, "sum")
        return ops.Sum.apply(self._accumulable(dtype), dims=dims, keepdim=keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The sum over dims divided by the number of values; for floats only, see `dtype`."""
        which = "Input" if dtype is None else "Optional"
        dtype = self._data.dtype if dtype is None else as_dtype(dtype)
        if dtype.kind != "f":
            raise RuntimeError(
                f"mean(): could not infer output dtype. {which} dtype must be a floating point "
                f"dtype. Got: {TORCH_NAMES[dtype]}"
            )
        dims = normalize_dims(dim, self._data.ndim, "mean")
        return ops.Mean.apply(self._to_dtype(dtype), dims=dims, keepdim=keepdim)

    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The product along one dim, or of all values; int64 for integers and bools."""
        dim = _dim_or_all("prod", dim, keepdim, self._data.ndim)
        axis = dim if self._data.ndim else None
        return ops.Prod.apply(self._accumulable(dtype), dim=axis, keepdim=keepdim)

    def var(
        self, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False,
        *, correction: float | None = None,
    ) -> Self:  # fmt: skip
        """sum((x - mean)^2) / (n - correction) over dims.

        `correction` is 1 by default; `unbiased` is the older way to say 1 (True) or 0 (False).
        """
        return self._variance("var", dim, unbiased, keepdim, correction)

    def std(
        self, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False,
        *, correction: float | None = None,
    ) -> Self:  # fmt: skip
        """The square root of `var`, with the same arguments."""
        return self._variance("std", dim, unbiased, keepdim, correction)

    def _variance(self, name: str, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Self:
        if isinstance(dim, bool):  # PyTorch's var(unbiased)
            dim, unbiased = None, dim if unbiased is None else "given twice"
        correction = _correction(name, unbiased, correction)
        if self._data.dtype.kind != "f":
            raise RuntimeError(
                f"{name}: std and var only support floating point dtypes, got {self._data.dtype}"
            )
        dims = normalize_dims(dim, self._data.ndim, name)
        return ops.Var.apply(
            self, dims=dims, correction=correction, keepdim=keepdim, root=name == "std"
        )

    def cumsum(self, dim: int, *, dtype: Any = None) -> Self:
        """Running sums: y_i = x_0 + ... + x_i along `dim`; int64 for integers and bools."""
        dim = normalize_dim(dim, self._data.ndim, "cumsum")
        return ops.Cumsum.apply(self._accumulable(dtype, "cumsum"), dim=dim)

    def cumprod(self, dim: int, *, dtype: Any = None) -> Self:
        """Running products: y_i = x_0 * ... * x_i along `dim`; int64 for integers and bools."""
        dim = normalize_dim(dim, self._data.ndim, "cumprod")
        return ops.Cumprod.apply(self._accumulable(dtype, "cumprod"), dim=dim)

    def norm(
        self, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
    ) -> Self:
        """The p-norm (sum of |x|^p)^(1/p) over dims; "fro" is p = 2, 0 counts nonzeros.

        p may be inf (largest |x|), -inf (smallest |x|) or any other number.

        Raises: RuntimeError for integers, and where nothing is left to take a smallest or
        largest |x| of.
        """
        dims = normalize_dims(dim, self._data.ndim, "norm")
        p = _norm_order(p, dim)
        target = self._data.dtype if dtype is None else as_dtype(dtype)
        if self._data.dtype.kind != "f" or target.kind != "f":
            got = (self._data.dtype if target.kind == "f" else target).name
            raise RuntimeError(f"norm: expected a floating point dtype, got {got}")
        if (p < 0 or p == math.inf) and 0 in [self._data.shape[d] for d in dims]:
            raise RuntimeError(
                f"norm: cannot compute the {p} norm over dims {dims} of shape "
                f"{self._data.shape}: one is empty and the operation does not have an identity"
            )
        return ops.Norm.apply(self._to_dtype(target), p=p, dims=dims, keepdim=keepdim)

    def count_nonzero(self, dim: Dims = None) -> Self:
        """How many values are not zero, over dims."""
        dims = normalize_dims(dim, self._data.ndim, "count_nonzero")
        return self._plain(np.count_nonzero(self._data, axis=dims))

    def all(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """Whether every value over dims is nonzero (NaN is)."""
        return self._truth("all", np.logical_and, dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """Whether some value over dims is nonzero (NaN is)."""
        return self._truth("any", np.logical_or, dim, keepdim)

    def _truth(self, name: str, ufunc: np.ufunc, dim: Dims, keepdim: bool) -> Self:
        # PyTorch's exception: for all and any, () means no dims rather than all of them.
        dims = () if dim in ((), []) else normalize_dims(dim, self._data.ndim, name)
        result = ufunc.reduce(self._data, axis=dims, keepdims=keepdim)
        # uint8 was PyTorch's bool once, and still gives uint8.
        return self._plain(np.asarray(result, uint8 if self._data.dtype == uint8 else bool_))

    def _accumulable(self, dtype: Any, running: str | None = None) -> Self:
        """Self in `dtype`; by default integers and bools as int64, which holds their sums.

        running: the name of an operation that bools have not.
        """
        own = self._data.dtype if self._data.dtype.kind == "f" else int64
        wanted = own if dtype is None else as_dtype(dtype)
        if running is not None:
            require_kind(running, wanted, "iuf")
        return self._to_dtype(wanted)

    # ---------------------------------------------------------------- extremes and order

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The largest value over dims, NaN if there is one; ties share the gradient evenly."""
        return self._extremum("amax", dim, keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The smallest value over dims, NaN if there is one; ties share the gradient evenly."""
        return self._extremum("amin", dim, keepdim)

    def _extremum(self, name: str, dim: Any, keepdim: bool) -> Self:
        dims = normalize_dims(dim, self._data.ndim, name)
        self._require_values(name, None if dim in (None, (), []) else dims)
        largest = name in ("amax", "max")
        return ops.ReduceExtremum.apply(self, largest=largest, dims=dims, keepdim=keepdim)

    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The largest value: of all, along a dim, or of two tensors.

        `max()` gives one value, `max(dim)` values and indices (the first of equals, or the
        first NaN), and `max(other)` the larger of two tensors, element by element.
        """
        return self._max_or_min("max", dim, keepdim, other)

    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The smallest value: of all, along a dim, or of two tensors; see `max`."""
        return self._max_or_min("min", dim, keepdim, other)

    def _max_or_min(self, name: str, dim: Any, keepdim: bool, other: Any) -> Any:
        if isinstance(dim, TensorBase) and other is None:
            dim, other = None, dim
        if other is not None:
            if dim is not None or keepdim or not isinstance(other, TensorBase):
                raise TypeError(f"{name}: expected {name}(dim, keepdim) or {name}(other tensor)")
            return self._binary(other, Maximum if name == "max" else Minimum)
        dim = _dim_or_all(name, dim, keepdim, self._data.ndim)
        if dim is None:
            return self._extremum(name, None, False)
        self._require_values(name, (dim,))
        argument = np.argmax if name == "max" else np.argmin
        index = argument(np.atleast_1d(self._data), axis=dim, keepdims=True)
        return self._take(name.capitalize(), index, dim, drop=not keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the largest value along a dim, or in the flattened tensor."""
        return self._argument("argmax", np.argmax, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the smallest value along a dim, or in the flattened tensor."""
        return self._argument("argmin", np.argmin, dim, keepdim)

    def _argument(self, name: str, function: Any, dim: Any, keepdim: bool) -> Self:
        if self._data.dtype == bool_:
            raise RuntimeError(f"{name}(): does not support bool input")
        if dim is not None:
            dim = normalize_dim(dim, self._data.ndim, name)
        self._require_values(name, None if dim is None else (dim,), IndexError)
        return self._plain(function(self._data, axis=dim, keepdims=keepdim))

    def sort(
        self, dim: int = -1, descending: bool = False, *, stable: bool = False
    ) -> ValuesAndIndices:
        """Values in order along `dim`, and where they were. NaN is larger than all others.

        Equal values always keep their order, as `stable=True` asks for.
        """
        dim = normalize_dim(dim, self._data.ndim, "sort")
        indices = ops.argsort(np.atleast_1d(self._data), dim, descending)
        return self._take("Sort", indices, dim)

    def argsort(self, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Self:
        """The indices of `sort`."""
        dim = normalize_dim(dim, self._data.ndim, "argsort")
        indices = ops.argsort(np.atleast_1d(self._data), dim, descending)
        return self._plain(indices.reshape(self._data.shape))

    def topk(
        self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
    ) -> ValuesAndIndices:
        """The k largest (or smallest) values along `dim` in order, and where they were.

        `sorted=False` allows any order; this one is then as good as any.
        """
        k = as_int(k, "topk", "k")
        dim = normalize_dim(dim, self._data.ndim, "topk")
        x = np.atleast_1d(self._data)
        if not 0 <= k <= x.shape[dim]:
            raise RuntimeError(
                f"topk: selected index k out of range: k is {k}, dim {dim} has size {x.shape[dim]}"
            )
        if x.dtype == bool_:
            raise RuntimeError("topk does not support bool dtypes on CPU")
        if not self._data.ndim:
            k = 1  # PyTorch's answer for a zero-dimensional tensor, also for k = 0
        return self._take("Topk", ops.argtopk(x, k, dim, largest), dim)

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The middle value, the lower of two: of all, or along `dim` with its index.

        NaN if there is one.
        """
        require_kind("median", self._data.dtype, "iuf")
        dim = _dim_or_all("median", dim, keepdim, self._data.ndim)
        if dim is None:
            if self._data.dtype.kind != "f":
                self._require_values("median", None)  # integers have no NaN
            return ops.Median.apply(self)
        self._require_values("median", (dim,))
        index = ops.argmedian(np.atleast_1d(self._data), dim)
        return self._take("Median", index, dim, drop=not keepdim)

    def _take(self, name: str, indices: np.ndarray, dim: int, drop: bool = False) -> Any:
        """The values at `indices` along `dim`, and the indices; `drop` the dim of size 1."""
        if drop or not self._data.ndim:
            indices = indices.squeeze(dim)
        tensor = self._plain(indices)
        values = ops.TakeAlongDim.apply(self, tensor, dim=dim, name=name)
        return _RESULTS[name.lower()](values, tensor)

    def _require_values(
        self, name: str, dims: tuple[int, ...] | None, error: type[Exception] = RuntimeError
    ) -> None:
        """Raise unless there are values to choose from: along all of dims, or any at all."""
        if dims is None and self._data.size == 0:
            raise error(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        for dim in dims or ():
            if self._data.ndim and self._data.shape[dim] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")

    # ---------------------------------------------------------------- exponentials

    def logsumexp(self, dim: int | Sequence[int], keepdim: bool = False) -> Self:
        """log(sum of e^x) over dims, without overflow; integers count as float32."""
        if dim is None:
            raise TypeError("logsumexp: dim must be an int or ints, not None")
        dims = normalize_dims(dim, self._data.ndim, "logsumexp")
        return LogSumExp.apply(self._as_float(), dims=dims, keepdim=keepdim)

    def softmax(self, dim: int, dtype: Any = None) -> Self:
        """e^x / (sum of e^x) along `dim`: positive values that add up to 1."""
        dim, dtype = self._softmax_arguments("softmax", dim, dtype)
        return Softmax.apply(self._to_dtype(dtype), dim=dim)

    def log_softmax(self, dim: int, dtype: Any = None) -> Self:
        """log(softmax(x)) along `dim`, accurate also where softmax is close to 0."""
        dim, dtype = self._softmax_arguments("log_softmax", dim, dtype)
        return Softmax.apply(self._to_dtype(dtype), dim=dim, log=True)

    def _softmax_arguments(self, name: str, dim: Any, dtype: Any) -> tuple[int, np.dtype]:
        dtype = self._data.dtype if dtype is None else as_dtype(dtype)
        require_kind(name, dtype, "f")
        return normalize_dim(dim, self._data.ndim, name), dtype


def _correction(name: str, unbiased: Any, correction: Any) -> float:
    """What is subtracted from n, from the new and the old way to say it."""
    if unbiased is None:
        number = 1 if correction is None else correction
        if isinstance(number, (int, float)):
            return number
        raise TypeError(f"{name}: correction must be a number, got {type(number).__name__}")
    if correction is not None:
        raise TypeError(f"{name}: give either unbiased or correction, not both")
    if not isinstance(unbiased, bool):
        raise TypeError(f"{name}: unbiased must be a bool, got {unbiased!r}")
    return int(unbiased)


def _norm_order(p: Any, dim: Any) -> float:
    """The number that `p` of norm means."""
    if p == "nuc":
        raise NotImplementedError("norm: p='nuc', the nuclear norm, is not supported")
    if p == "fro" and isinstance(dim, (tuple, list)) and len(dim) > 2:
        raise RuntimeError(f"norm: p='fro' expects at most two dims, got {dim}")
    if p is None or p == "fro":
        return 2.0
    if isinstance(p, str):
        raise RuntimeError(f"norm: p must be a number or 'fro', got {p!r}")
    if not isinstance(p, (int, float)):
        raise TypeError(f"norm: p must be a number or 'fro', got {type(p).__name__}")
    return float(p)


def _dim_or_all(name: str, dim: int | None, keepdim: bool, ndim: int) -> int | None:
    """A dim, or None for all values, of which none can be kept."""
    if dim is not None:
        return normalize_dim(dim, ndim, name)
    if keepdim:
        raise TypeError(f"{name}: keepdim=True needs a dim")
    return None
