"""The dtypes a Tensor can have, and PyTorch's rules for mixing them.

A dtype here is simply NumPy's: `tv.float32 == np.dtype("float32")`. Only the promotion rules
differ: NumPy lets int64 + float32 grow to float64; PyTorch keeps the float type it finds.
"""

from __future__ import annotations

import functools
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int64 = np.dtype(np.int64)
int32 = np.dtype(np.int32)
int16 = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)


class Half(Enum):
    """The dtypes of half precision: they can be named, but no tensor has them."""

    float16 = 2
    bfloat16 = 3


float16, bfloat16 = Half

# PyTorch's names, for error messages that a search engine knows; the second are for products.
TORCH_NAMES = {
    float32: "Float", float64: "Double", int64: "Long", int32: "Int", int16: "Short", int8: "Char",
    uint8: "Byte", bool_: "Bool",
}  # fmt: skip
C_NAMES = {
    float32: "float", float64: "double", int64: "long int", int32: "int", int16: "short int",
    int8: "signed char", uint8: "unsigned char", bool_: "bool",
}  # fmt: skip
SUPPORTED = tuple(TORCH_NAMES)

# A category absorbs all lower ones: bool < integer < float.
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}


def as_dtype(dtype: Any) -> np.dtype:
    """The supported dtype that `dtype` names: ours, NumPy's, or Python's bool, int, float.

    Raises: NotImplementedError for half precision, TypeError for anything else.
    """
    if isinstance(dtype, Half):
        raise NotImplementedError(f"dtype {dtype.name} is not supported; float32 is the smallest")
    if dtype is float:
        return float32
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if dtype is None or found not in SUPPORTED:  # np.dtype(None) would be float64
        names = ", ".join(str(d) for d in SUPPORTED)
        raise TypeError(f"dtype {dtype!r} is not supported; choose one of {names}")
    return found


def get_default_dtype() -> np.dtype:
    """What Python's floats become: float32."""
    return float32


def set_default_dtype(d: Any) -> None:
    """Raises: NotImplementedError for anything but float32, which Python's floats always become."""
    if as_dtype(d) != float32:
        raise NotImplementedError(f"set_default_dtype: {d} is not supported; it is always float32")


def finfo(type: Any = float32) -> SimpleNamespace:
    """The limits of a float dtype as Python numbers: `finfo(x.dtype).max`."""
    limits = np.finfo(as_dtype(type))
    names = ("min", "max", "eps", "tiny", "smallest_normal", "resolution")
    numbers = {name: float(getattr(limits, name)) for name in names}
    return SimpleNamespace(**numbers, bits=limits.bits, dtype=str(limits.dtype))


def is_floating_point(dtype: np.dtype) -> bool:
    """Whether values of this dtype can carry gradients."""
    return dtype.kind == "f"


def require_kind(name: str, dtype: np.dtype, kinds: str) -> None:
    """Raise NotImplementedError unless NumPy's letter for the kind of `dtype` is in `kinds`.

    kinds: "f" for floats, "iuf" for all but bools, "biu" for all but floats.
    """
    if dtype.kind not in kinds:
        raise NotImplementedError(f"{name} is not implemented for {TORCH_NAMES[dtype]!r}")


def scalar_dtype(value: Any) -> np.dtype:
    """The dtype of a Python or NumPy number on its own: bool, int64 or float32."""
    kind = np.dtype(type(value)).kind
    return {"b": bool_, "f": float32}.get(kind, int64)


def can_cast(from_: np.dtype, to: np.dtype) -> bool:
    """Whether values may be stored in another dtype unasked: not if its category is lower."""
    return _CATEGORY[from_.kind] <= _CATEGORY[to.kind]


def number_dtypes(data: Any) -> set[np.dtype]:
    """The dtypes of all numbers in nested sequences, of those in arrays and tensors their own."""
    if hasattr(data, "dtype"):
        return {data.dtype}
    if not isinstance(data, (list, tuple)):
        return {scalar_dtype(np.asarray(data).dtype.type())}
    types = set(map(type, data))
    if types <= {bool, int, float}:  # of a long list, not number by number
        return {scalar_dtype(kind()) for kind in types}
    return set().union(*map(number_dtypes, data))


def with_number(dtype: np.dtype, value: Any) -> np.dtype:
    """The dtype of a tensor of `dtype` op a Python number, of which only the category counts."""
    if dtype.kind == "f":
        return dtype  # no category is higher
    number = scalar_dtype(value)
    return number if _CATEGORY[number.kind] > _CATEGORY[dtype.kind] else dtype


def promote(dtype_a: np.dtype, dtype_b: np.dtype) -> np.dtype:
    """The dtype of a op b for two tensors that both have dims, or both none (promote_types).

    Floats win over integers without growing; within a category NumPy's lattice holds.
    """
    if (dtype_a.kind == "f") == (dtype_b.kind == "f"):
        return np.promote_types(dtype_a, dtype_b)
    return dtype_a if dtype_a.kind == "f" else dtype_b


def result_type(*arrays: np.ndarray) -> np.dtype:
    """The dtype of an operation on several tensors' data.

    What has no dims counts only where its category is higher than that of all that has.

    Source: PyTorch documentation, "Tensor Attributes", torch.dtype, type promotion.
    """
    with_dims = [a.dtype for a in arrays if a.ndim]
    without = [a.dtype for a in arrays if not a.ndim]
    dtypes = [functools.reduce(promote, group) for group in (with_dims, without) if group]
    return max(dtypes, key=lambda dtype: _CATEGORY[dtype.kind])  # the first of equals
