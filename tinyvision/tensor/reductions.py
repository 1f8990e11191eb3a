"""Reductions, sorting and softmax as methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from tinyvision.checks import as_int, normalize_dim, normalize_dims
from tinyvision.dtypes import TORCH_NAMES, as_dtype, bool_, int64, uint8
from tinyvision.ops import reductions as ops
from tinyvision.ops.elementwise import Extremum
from tinyvision.tensor.base import TensorBase

Dims = int | Sequence[int] | None


class ValuesAndIndices(NamedTuple):
    """What max, min, sort, topk and median along a dim return."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """What aminmax returns."""

    min: Any
    max: Any


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
        if dim is None:
            _refuse_keepdim("prod", keepdim)
        else:
            dim = normalize_dim(dim, self._data.ndim, "prod")
        axis = dim if self._data.ndim else None
        return ops.Prod.apply(self._accumulable(dtype), dim=axis, keepdim=keepdim)

    def var(
        self,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Self:
        """sum((x - mean)^2) / (n - correction) over dims.

        `correction` is 1 by default; `unbiased` is the older way to say 1 (True) or 0 (False).
        """
        return self._variance("var", dim, unbiased, keepdim, correction)

    def std(
        self,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Self:
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
        x = self._accumulable(dtype)
        if x._data.dtype == bool_:
            raise NotImplementedError("cumsum is not implemented for 'Bool'")
        return ops.Cumsum.apply(x, dim=dim)

    def cumprod(self, dim: int, *, dtype: Any = None) -> Self:
        """Running products: y_i = x_0 * ... * x_i along `dim`; int64 for integers and bools."""
        dim = normalize_dim(dim, self._data.ndim, "cumprod")
        return ops.Cumprod.apply(self._accumulable(dtype), dim=dim)

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
        dims = () if dim == () else normalize_dims(dim, self._data.ndim, name)
        result = ufunc.reduce(self._data, axis=dims, keepdims=keepdim)
        # uint8 was PyTorch's bool once, and still gives uint8.
        return self._plain(np.asarray(result, uint8 if self._data.dtype == uint8 else bool_))

    def _accumulable(self, dtype: Any) -> Self:
        """Self in `dtype`; by default integers and bools as int64, which holds their sums."""
        if dtype is not None:
            return self._to_dtype(as_dtype(dtype))
        return self if self._data.dtype.kind == "f" else self._to_dtype(int64)

    # ---------------------------------------------------------------- extremes and order

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The largest value over dims, NaN if there is one; ties share the gradient evenly."""
        return self._extreme("amax", dim, keepdim, largest=True)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The smallest value over dims, NaN if there is one; ties share the gradient evenly."""
        return self._extreme("amin", dim, keepdim, largest=False)

    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
        """`amin` and `amax` along one dim, or of all values."""
        dim = None if dim is None else as_int(dim, "aminmax", "dim")
        return Extremes(self.amin(dim, keepdim), self.amax(dim, keepdim))

    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The largest value: of all, along a dim, or of two tensors.

        `max()` gives one value, `max(dim)` values and indices (the first of equals, or the
        first NaN), and `max(other)` the larger of two tensors, element by element.
        """
        return self._max_or_min("max", dim, keepdim, other)

    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The smallest value: of all, along a dim, or of two tensors; see `max`."""
        return self._max_or_min("min", dim, keepdim, other)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the largest value along a dim, or in the flattened tensor."""
        return self._arg_extreme("argmax", np.argmax, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the smallest value along a dim, or in the flattened tensor."""
        return self._arg_extreme("argmin", np.argmin, dim, keepdim)

    def sort(
        self, dim: int = -1, descending: bool = False, *, stable: bool = False
    ) -> ValuesAndIndices:
        """Values in order along `dim`, and where they were. NaN is larger than all others.

        Equal values always keep their order, as `stable=True` asks for.
        """
        dim = normalize_dim(dim, self._data.ndim, "sort")
        places = ops.places_in_order(np.atleast_1d(self._data), dim, descending)
        return self._pick("Sort", places, dim)

    def argsort(self, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Self:
        """The indices of `sort`."""
        dim = normalize_dim(dim, self._data.ndim, "argsort")
        places = ops.places_in_order(np.atleast_1d(self._data), dim, descending)
        return self._plain(places.reshape(self._data.shape))

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
        return self._pick("Topk", ops.places_of_top(x, k, dim, largest), dim)

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The middle value, the lower of two: of all, or along `dim` with its index.

        NaN if there is one.
        """
        if self._data.dtype == bool_:
            raise NotImplementedError("\"median_cpu\" not implemented for 'Bool'")
        if dim is None:
            _refuse_keepdim("median", keepdim)
            if self._data.dtype.kind != "f":
                self._refuse_nothing("median", RuntimeError)  # integers have no NaN
            return ops.Median.apply(self)
        dim = normalize_dim(dim, self._data.ndim, "median")
        self._refuse_empty("median", (dim,))
        place = ops.place_of_median(np.atleast_1d(self._data), dim)
        return self._pick("Median", place, dim, drop=not keepdim)

    def _extreme(self, name: str, dim: Any, keepdim: bool, largest: bool) -> Self:
        dims = normalize_dims(dim, self._data.ndim, name)
        if dim is None or dim == ():
            self._refuse_nothing(name, RuntimeError)
        self._refuse_empty(name, dims)
        return ops.ReduceExtremum.apply(self, largest=largest, dims=dims, keepdim=keepdim)

    def _max_or_min(self, name: str, dim: Any, keepdim: bool, other: Any) -> Any:
        largest = name == "max"
        if isinstance(dim, TensorBase) and other is None:
            dim, other = None, dim
        if other is not None:
            if dim is not None or keepdim or not isinstance(other, TensorBase):
                raise TypeError(f"{name}: expected {name}(dim, keepdim) or {name}(other tensor)")
            return self._binary(other, Extremum, largest=largest)
        if dim is None:
            _refuse_keepdim(name, keepdim)
            self._refuse_nothing(name, RuntimeError)
            return self._extreme(name, None, False, largest)
        dim = normalize_dim(dim, self._data.ndim, name)
        self._refuse_empty(name, (dim,))
        x = np.atleast_1d(self._data)
        place = (np.argmax if largest else np.argmin)(x, axis=dim, keepdims=True)
        return self._pick(name.capitalize(), place, dim, drop=not keepdim)

    def _arg_extreme(self, name: str, function: Any, dim: Any, keepdim: bool) -> Self:
        if self._data.dtype == bool_:
            raise RuntimeError(f"{name}(): does not support bool input")
        if dim is None:
            self._refuse_nothing(name, IndexError)
        else:
            dim = normalize_dim(dim, self._data.ndim, name)
            self._refuse_empty(name, (dim,))
        return self._plain(function(self._data, axis=dim, keepdims=keepdim))

    def _pick(self, name: str, places: np.ndarray, dim: int, drop: bool = False) -> Any:
        """The values at `places` along `dim`, and the places; `drop` the dim of size 1."""
        if drop or not self._data.ndim:
            places = places.squeeze(dim)
        indices = self._plain(places)
        return ValuesAndIndices(ops.Pick.apply(self, indices, dim=dim, name=name), indices)

    def _refuse_nothing(self, name: str, error: type[Exception]) -> None:
        if self._data.size == 0:
            raise error(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )

    def _refuse_empty(self, name: str, dims: tuple[int, ...]) -> None:
        for dim in dims if self._data.ndim else ():
            if self._data.shape[dim] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")

    # ---------------------------------------------------------------- exponentials

    def logsumexp(self, dim: int | Sequence[int], keepdim: bool = False) -> Self:
        """log(sum of e^x) over dims, without overflow; integers count as float32."""
        if dim is None:
            raise TypeError("logsumexp: dim must be an int or ints, not None")
        dims = normalize_dims(dim, self._data.ndim, "logsumexp")
        return ops.LogSumExp.apply(self._as_float(), dims=dims, keepdim=keepdim)

    def softmax(self, dim: int, dtype: Any = None) -> Self:
        """e^x / (sum of e^x) along `dim`: positive values that add up to 1."""
        dim, dtype = self._softmax_arguments("softmax", dim, dtype)
        return ops.Softmax.apply(self._to_dtype(dtype), dim=dim)

    def log_softmax(self, dim: int, dtype: Any = None) -> Self:
        """log(softmax(x)) along `dim`, accurate also where softmax is close to 0."""
        dim, dtype = self._softmax_arguments("log_softmax", dim, dtype)
        return ops.Softmax.apply(self._to_dtype(dtype), dim=dim, log=True)

    def _softmax_arguments(self, name: str, dim: Any, dtype: Any) -> tuple[int, np.dtype]:
        dtype = self._data.dtype if dtype is None else as_dtype(dtype)
        if dtype.kind != "f":
            raise NotImplementedError(f"{name} is not implemented for '{TORCH_NAMES[dtype]}'")
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


def _refuse_keepdim(name: str, keepdim: bool) -> None:
    if keepdim:
        raise TypeError(f"{name}: keepdim=True needs a dim")
