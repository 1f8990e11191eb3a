"""Functions that make tensors: from data, of one value, in a sequence, at random."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyvision.checks import as_int, broadcast_shape, either, fitting, sizes_from, without_out
from tinyvision.devices import require_cpu
from tinyvision.dtypes import (
    SUPPORTED,
    TORCH_NAMES,
    as_dtype,
    bool_,
    float32,
    float64,
    int32,
    int64,
    number_dtypes,
    promote,
    scalar_dtype,
    uint8,
)
from tinyvision.random import Generator, stream
from tinyvision.strides import check_memory_format, copy_laid_out, memory_format, preserve_format
from tinyvision.tensor import Tensor
from tinyvision.tensor.base import check_tensor
from tinyvision.tensor.tensor import to_array


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor that copies `data`: numbers, nested lists, arrays or a tensor.

    Python floats become float32; arrays and tensors keep their dtype, also as elements of lists.

    Raises: ValueError for ragged lists or tensors of several elements in a list, TypeError for
        what is not numbers, RuntimeError for numbers that do not fit the dtype.
    """
    array, typed = to_array(data), isinstance(data, (np.ndarray, np.generic, Tensor))
    if dtype is None:
        dtype = functools.reduce(promote, number_dtypes(data) or {float32})
    dtype = as_dtype(dtype)
    copy = np.array(array, dtype, order="C") if typed else fitting(array, dtype)
    return _make(copy, device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor; an array shares its memory and a tensor is returned itself."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if not isinstance(data, np.ndarray):
        return tensor(data, dtype=dtype)
    shared = from_numpy(data)
    return shared if dtype is None else shared.to(dtype)


asarray = as_tensor


class TypedTensor:
    """The constructor that Tensor is for float32, for another dtype; isinstance asks for it."""

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype = dtype

    def __call__(self, *data: Any) -> Tensor:
        are_sizes = not data or isinstance(data[0], int)
        return Tensor(*data).to(self._dtype) if are_sizes else tensor(*data, dtype=self._dtype)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == self._dtype


FloatTensor, DoubleTensor = TypedTensor(float32), TypedTensor(float64)
LongTensor, IntTensor = TypedTensor(int64), TypedTensor(int32)
ByteTensor, BoolTensor = TypedTensor(uint8), TypedTensor(bool_)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of an array: a change to one shows in the other.

    Raises: TypeError if it is no array, or of a dtype a tensor cannot have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order")
    if ndarray.dtype not in SUPPORTED:
        names = ", ".join(str(d) for d in SUPPORTED)
        raise TypeError(
            f"can't convert np.ndarray of type {ndarray.dtype}. The supported types are: {names}"
        )
    return Tensor._from_op(ndarray.view(np.ndarray))


# ------------------------------------------------------------------ of one value


@without_out
def zeros(
    *sizes: Any, size: Any = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """All 0, of the given sizes."""
    shape = _sizes(either(sizes, size), "zeros")
    return _make(np.zeros(shape, _or_float(dtype)), device, requires_grad)


@without_out
def ones(
    *sizes: Any, size: Any = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """All 1, of the given sizes."""
    shape = _sizes(either(sizes, size), "ones")
    return _make(np.ones(shape, _or_float(dtype)), device, requires_grad)


@without_out
def empty(
    *sizes: Any, size: Any = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Of the given sizes, with values that are whatever the memory held."""
    shape = _sizes(either(sizes, size), "empty")
    return _make(np.empty(shape, _or_float(dtype)), device, requires_grad)


@without_out
def full(
    size: Sequence[int], fill_value: Any,
    *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """All `fill_value`, whose type gives the dtype."""
    fill_value = _number("full", "fill_value", fill_value)
    dtype = scalar_dtype(fill_value) if dtype is None else as_dtype(dtype)
    filled = np.full(_sizes(tuple(size), "full"), fitting(fill_value, dtype))
    return _make(filled, device, requires_grad)


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """All 0, in the shape and dtype of input."""
    return _like(np.zeros_like, input, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """All 1, in the shape and dtype of input."""
    return _like(np.ones_like, input, dtype, device, requires_grad, memory_format)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """Arbitrary values, in the shape and dtype of input."""
    return _like(np.empty_like, input, dtype, device, requires_grad, memory_format)


def full_like(
    input: Tensor, fill_value: Any,
    *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """All `fill_value`, in the shape and dtype of input."""

    def full_like(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return np.full_like(array, fitting(fill_value, dtype), dtype)

    return _like(full_like, input, dtype, device, requires_grad, memory_format)


# ------------------------------------------------------------------ in a sequence


@without_out
def arange(
    start: Any = None, end: Any = None, step: Any = 1,
    *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below end; `arange(end)` starts at 0. int64 if all are ints."""
    if start is None or end is None:
        start, end = 0, start if end is None else end
    start, end = _number("arange", "start", start), _number("arange", "end", end)
    step = _number("arange", "step", step)
    if not all(map(math.isfinite, (start, end, step))):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(
            f"arange: bounds {start} and {end} are inconsistent with the step {step}"
        )
    integers = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    dtype = (int64 if integers else float32) if dtype is None else as_dtype(dtype)
    if dtype.kind != "f":
        start, end, step = int(start), int(end), int(step)
    count = int(np.ceil((end - start) / step))
    return _make((start + step * np.arange(count)).astype(dtype), device, requires_grad)


@without_out
def linspace(
    start: float, end: float, steps: int,
    *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` values from start to end, both included, at equal distances."""
    if as_int(steps, "linspace", "steps") < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, got {steps}")
    dtype = _or_float(dtype)
    if np.ndim(start) or np.ndim(end):
        raise RuntimeError("linspace only supports 0-dimensional start and end tensors")
    start, end = float(start), float(end)
    if dtype.kind != "f":
        start, end = int(start), int(end)
    step = (end - start) / max(steps - 1, 1)
    i = np.arange(steps)
    # From both ends, so that rounding leaves the sequence symmetric.
    values = np.where(
        (i < steps / 2) | (steps == 1), start + step * i, end - step * (steps - 1 - i)
    )
    return _make(values.astype(dtype), device, requires_grad)


@without_out
def eye(
    n: int, m: int | None = None,
    *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """n rows and m (by default n) columns, 1 on the diagonal and 0 elsewhere."""
    rows, columns = _sizes((n, n if m is None else m), "eye")
    return _make(np.eye(rows, columns, dtype=_or_float(dtype)), device, requires_grad)


# ------------------------------------------------------------------ at random


@without_out
def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1)."""
    shape = _sizes(either(sizes, size), "rand")
    draws = stream(generator).random(shape, _float_dtype(dtype, "rand"))
    return _make(draws, device, requires_grad)


@without_out
def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal with mean 0 and variance 1."""
    shape = _sizes(either(sizes, size), "randn")
    draws = stream(generator).standard_normal(shape, _float_dtype(dtype, "randn"))
    return _make(draws, device, requires_grad)


@without_out
def randint(
    low: Any = 0, high: Any = None, size: Sequence[int] | None = None,
    *, generator: Generator | None = None,
    dtype: Any = int64, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers from low to high - 1; `randint(high, size)` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    low, high = as_int(low, "randint", "low"), as_int(high, "randint", "high")
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    dtype, ends = as_dtype(dtype), np.array([low, high - 1])
    if dtype.kind != "f" and (ends.astype(dtype) != ends).any():
        raise RuntimeError(f"randint: {low} or {high} - 1 is out of bounds for {dtype}")
    draws = stream(generator).integers(low, high, _sizes(tuple(size), "randint"))
    return _make(np.asarray(draws, dtype), device, requires_grad)


@without_out
def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = int64, device: Any = None
) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    if as_int(n, "randperm", "n") < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    return _make(stream(generator).permutation(n).astype(as_dtype(dtype)), device, False)


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1), in the shape and dtype of input."""

    def rand_like(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return rand(array.shape, generator=generator, dtype=dtype)._data

    return _like(rand_like, input, dtype, device, requires_grad, memory_format)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: memory_format = preserve_format,
) -> Tensor:  # fmt: skip
    """Standard normal, in the shape and dtype of input."""

    def randn_like(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return randn(array.shape, generator=generator, dtype=dtype)._data

    return _like(randn_like, input, dtype, device, requires_grad, memory_format)


@without_out
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Sequence[int] | None = None,
    *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal with mean and standard deviation, numbers or tensors; numbers need a size.

    Raises: RuntimeError for a std that is negative, TypeError for numbers without a size.
    """
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not given and size is None:
        raise TypeError("normal: argument 'size' is needed where mean and std are numbers")
    if given and size is not None:
        raise TypeError("normal: argument 'size' is only for a mean and std that are numbers")
    mean, std = (x._data if isinstance(x, Tensor) else x for x in (mean, std))
    if (np.asarray(std) < 0).any():
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but found {std}")
    shape = broadcast_shape(np.shape(mean), np.shape(std)) if given else tuple(size or ())
    own = np.result_type(*[x._data.dtype for x in given]) if given else None
    draws = stream(generator).standard_normal(shape, _float_dtype(dtype or own, "normal"))
    return _make(np.asarray(draws * std + mean).astype(draws.dtype), device, requires_grad)


# ------------------------------------------------------------------ shared by the above


def _make(array: np.ndarray, device: Any, requires_grad: bool) -> Tensor:
    require_cpu(device)
    result = Tensor._from_op(array)
    if requires_grad:
        result.requires_grad = True
    return result


def _like(
    make: Callable[[np.ndarray, np.dtype], np.ndarray],
    input: Tensor, dtype: Any, device: Any, requires_grad: bool, order: Any,
) -> Tensor:  # fmt: skip
    """What `make` makes of an array and a dtype, in a memory format; errors have make's name."""
    source = check_tensor(make.__name__, "input", input)._data
    array = make(source, source.dtype if dtype is None else as_dtype(dtype))
    if check_memory_format(make.__name__, order) is not preserve_format:
        array = copy_laid_out(array, order)
    return _make(array, device, requires_grad)


def _number(name: str, argument: str, value: Any) -> Any:
    """A number, which may be given as a tensor without dims."""
    if isinstance(value, Tensor) and not value.ndim:
        return value.item()
    if not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(
            f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}"
        )
    return value


def _sizes(size: Sequence[Any], name: str) -> tuple[int, ...]:
    sizes = sizes_from(size, name)
    if any(n < 0 for n in sizes):
        raise RuntimeError(f"{name}: trying to create tensor with negative dimension: {sizes}")
    return sizes


def _or_float(dtype: Any) -> np.dtype:
    return float32 if dtype is None else as_dtype(dtype)


def _float_dtype(dtype: Any, name: str) -> Any:
    found = _or_float(dtype)
    if found.kind != "f":
        raise RuntimeError(f"{name}: not implemented for {TORCH_NAMES[found]!r}")
    return found
