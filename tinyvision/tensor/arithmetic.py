"""Arithmetic of two tensors, or a tensor and a number: operators and their methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinyvision.dtypes import TORCH_NAMES, result_type, scalar_dtype
from tinyvision.engine.op import Op
from tinyvision.ops import elementwise as ew
from tinyvision.tensor.base import TensorBase, check_number, check_tensor


class Arithmetic(TensorBase):
    """Methods that combine two operands element by element, broadcasting them."""

    def __add__(self, other: Any) -> Self:
        return self._binary(other, ew.Add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        _refuse_bools(self, other)
        return self._binary(other, ew.Sub)

    def __rsub__(self, other: Any) -> Self:
        _refuse_bools(self, other)
        return self._binary(other, ew.Sub, swap=True)

    def __mul__(self, other: Any) -> Self:
        return self._binary(other, ew.Mul)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        return self._divide(other, swap=False)

    def __rtruediv__(self, other: Any) -> Self:
        return self._divide(other, swap=True)

    def __floordiv__(self, other: Any) -> Self:
        return self._integer_safe(other, np.floor_divide)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._integer_safe(other, np.floor_divide, swap=True)

    def __mod__(self, other: Any) -> Self:
        return self._remainder(other, swap=False)

    def __rmod__(self, other: Any) -> Self:
        return self._remainder(other, swap=True)

    def __pow__(self, exponent: Any) -> Self:
        if type(exponent) in (int, float):
            _refuse_negative_power(self._data.dtype, exponent)
            own = (self._data.dtype, self._standing())
            dtype = result_type((own, (scalar_dtype(exponent), 0)))
            return ew.PowScalar.apply(self._to_dtype(dtype), exponent=exponent)
        operands = self._promoted(exponent)
        if operands is None:
            return NotImplemented
        _refuse_two_bools("pow", operands[0])
        if operands[0]._data.dtype.kind in "iu":
            _refuse_negative_power(operands[0]._data.dtype, operands[1]._data)
        return ew.Pow.apply(*operands)

    def __rpow__(self, base: Any) -> Self:
        operands = self._promoted(base)
        return NotImplemented if operands is None else ew.Pow.apply(operands[1], operands[0])

    def _divide(self, other: Any, swap: bool) -> Self:
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        a, b = (t._as_float() for t in operands)
        return ew.Div.apply(b, a) if swap else ew.Div.apply(a, b)

    def _remainder(self, other: Any, swap: bool) -> Self:
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        a, b = reversed(operands) if swap else operands
        _refuse_two_bools("remainder", a)
        _refuse_integer_zero(b._data)
        return ew.Remainder.apply(a, b)

    def _integer_safe(self, other: Any, function: Callable, swap: bool = False) -> Self:
        """A division without gradient whose integers must not be divided by zero."""
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        a, b = reversed(operands) if swap else operands
        _refuse_two_bools("floor_divide", a)
        _refuse_integer_zero(b._data)
        with np.errstate(all="ignore"):
            return self._plain(function(a._data, b._data))

    def add(self, other: Any, *, alpha: Any = 1) -> Self:
        """self + alpha * other."""
        return self + check_number(
            "add", other, self._tensor_like(other if alpha == 1 else other * alpha)
        )

    def sub(self, other: Any, *, alpha: Any = 1) -> Self:
        """self - alpha * other."""
        return self - check_number(
            "sub", other, self._tensor_like(other if alpha == 1 else other * alpha)
        )

    def mul(self, other: Any) -> Self:
        """self * other."""
        return check_number("mul", other, self._binary(other, ew.Mul))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Self:
        """self / other, rounded toward zero ("trunc") or down ("floor") if asked."""
        if rounding_mode == "floor":
            return self.floor_divide(other)
        if rounding_mode not in (None, "trunc"):
            raise RuntimeError(
                "div: expected rounding_mode to be one of None, 'trunc', or 'floor' "
                f"but found {rounding_mode!r}"
            )
        quotient = check_number("div", other, self._divide(other, swap=False))
        if rounding_mode is None:
            return quotient
        promoted = self._promoted(other)
        assert promoted is not None
        return quotient.trunc()._to_dtype(promoted[0]._data.dtype)

    def floor_divide(self, other: Any) -> Self:
        """The quotient rounded down."""
        return check_number("floor_divide", other, self // other)

    def remainder(self, other: Any) -> Self:
        """self - other * floor(self / other); it has the sign of other."""
        return check_number("remainder", other, self % other)

    def pow(self, exponent: Any) -> Self:
        """self ** exponent."""
        return check_number("pow", exponent, self.__pow__(exponent))

    def atan2(self, other: Self) -> Self:
        """The angle of the point (x=other, y=self), from -pi to pi."""
        promoted = self._promoted(check_tensor("atan2", "other", other))
        assert promoted is not None
        a, b = promoted
        return ew.Atan2.apply(a._as_float(), b._as_float())

    def fmod(self, other: Any) -> Self:
        """self - other * trunc(self / other); it has the sign of self."""
        a, b = check_number("fmod", other, self._promoted(other))
        _refuse_two_bools("fmod", a)
        _refuse_integer_zero(b._data)
        return ew.Fmod.apply(a, b)

    def hypot(self, other: Self) -> Self:
        """sqrt(self^2 + other^2), without overflow."""
        return self._binary_of_floats("hypot", other, ew.Hypot)

    def logaddexp(self, other: Self) -> Self:
        """log(e^self + e^other), without overflow."""
        return self._binary_of_floats("logaddexp", other, ew.LogAddExp)

    def _binary_of_floats(self, name: str, other: Any, op: type[Op]) -> Self:
        a, b = check_number(name, other, self._promoted(check_tensor(name, "other", other)))
        if a._data.dtype.kind != "f":
            raise NotImplementedError(f"{name} not implemented for {TORCH_NAMES[a._data.dtype]!r}")
        with np.errstate(all="ignore"):
            return op.apply(a, b)

    def maximum(self, other: Self) -> Self:
        """The larger of two values; NaN if one is NaN."""
        return self._binary(check_tensor("maximum", "other", other), ew.Extremum, largest=True)

    def minimum(self, other: Self) -> Self:
        """The smaller of two values; NaN if one is NaN."""
        return self._binary(check_tensor("minimum", "other", other), ew.Extremum, largest=False)

    def clamp(self, min: Any = None, max: Any = None) -> Self:
        """Values limited to [min, max]; a bound may be a number, a tensor or None."""
        if min is None and max is None:
            raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
        source, low, high = self, None, None
        if min is not None:
            source, low = check_number("clamp", min, source._promoted(min))
        if max is not None:
            source, high = check_number("clamp", max, source._promoted(max))
        if low is not None:
            low = low._to_dtype(source._data.dtype)
        return ew.Clamp.apply(source, low, high)

    clip = clamp

    def lerp(self, end: Self, weight: Any) -> Self:
        """self + weight * (end - self)."""
        return self + weight * (end - self)

    def where(self, condition: Self, other: Any) -> Self:
        """Self where condition holds, elsewhere other."""
        if condition._data.dtype.kind != "b":
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{TORCH_NAMES[condition._data.dtype]}"
            )
        a, b = check_number("where", other, self._promoted(other))
        condition._promoted(a)  # checks that the condition broadcasts too
        return ew.Where.apply(a, b, condition)


def _refuse_bools(a: Any, b: Any) -> None:
    kinds = [a._data.dtype.kind, b._data.dtype.kind if isinstance(b, TensorBase) else ""]
    if "b" in kinds or isinstance(b, bool):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
            "trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _refuse_two_bools(name: str, a: Any) -> None:
    if a._data.dtype.kind == "b":
        raise NotImplementedError(f"{name} is not implemented for bool tensors")


def _refuse_integer_zero(divisor: np.ndarray) -> None:
    if divisor.dtype.kind in "biu" and not divisor.all():
        raise RuntimeError("ZeroDivisionError: integer division or remainder by zero")


def _refuse_negative_power(dtype: np.dtype, exponent: Any) -> None:
    if dtype.kind in "biu" and not isinstance(exponent, float) and np.any(exponent < 0):
        raise RuntimeError("Integers to negative integer powers are not allowed.")
