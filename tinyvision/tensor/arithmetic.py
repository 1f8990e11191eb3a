"""Arithmetic of two tensors, or a tensor and a number: operators and their methods."""

from __future__ import annotations

from typing import Any, Self

from tinyvision.checks import broadcast_shape, fitting
from tinyvision.dtypes import TORCH_NAMES, bool_, require_kind, uint8, with_number
from tinyvision.engine.op import Op
from tinyvision.ops import elementwise as ew
from tinyvision.tensor.base import TensorBase, check_number, check_tensor


class Arithmetic(TensorBase):
    """Methods that combine two operands element by element, broadcasting them."""

    def __add__(self, other: Any) -> Self:
        return self._binary(other, ew.Add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        _refuse_bool(self, other)
        return self._binary(other, ew.Sub)

    def __rsub__(self, other: Any) -> Self:
        _refuse_bool(self, other)
        return self._binary(other, ew.Sub, swap=True)

    def __mul__(self, other: Any) -> Self:
        return self._binary(other, ew.Mul)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        return self._float_binary(other, ew.Div)

    def __rtruediv__(self, other: Any) -> Self:
        return self._float_binary(other, ew.Div, swap=True)

    def __floordiv__(self, other: Any) -> Self:
        return self._integer_division(other, ew.FloorDivide)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._integer_division(other, ew.FloorDivide, swap=True)

    def __mod__(self, other: Any) -> Self:
        return self._integer_division(other, ew.Remainder)

    def __rmod__(self, other: Any) -> Self:
        return self._integer_division(other, ew.Remainder, swap=True)

    def __pow__(self, exponent: Any) -> Self:
        if type(exponent) in (int, float):
            dtype = with_number(self._data.dtype, exponent)
            if dtype.kind in "iu":
                if exponent < 0:
                    raise RuntimeError("Integers to negative integer powers are not allowed.")
                fitting(exponent, dtype)
            return ew.PowScalar.apply(self._to_dtype(dtype), exponent=exponent)
        operands = self._promoted(exponent)
        if operands is None:
            return NotImplemented
        require_kind("pow", operands[0]._data.dtype, "iuf")
        return ew.Pow.apply(*operands)

    def __rpow__(self, base: Any) -> Self:
        return self._binary(base, ew.Pow, swap=True)

    def _float_binary(self, other: Any, op: type[Op], swap: bool = False) -> Self:
        """An operation that makes floats of integers."""
        kind = getattr(getattr(other, "dtype", None), "kind", None)  # None of a Python number
        return (self if kind == "f" else self._as_float())._binary(other, op, swap)

    def _integer_division(self, other: Any, op: type[Op], swap: bool = False) -> Self:
        """A division that keeps integers, which must not be divided by zero."""
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        a, b = reversed(operands) if swap else operands
        require_kind(op.__name__, a._data.dtype, "iuf")
        if b._data.dtype.kind in "iu" and not b._data.all():
            raise RuntimeError("ZeroDivisionError: integer division or remainder by zero")
        return op.apply(a, b)

    def add(self, other: Any, *, alpha: Any = 1) -> Self:
        """self + alpha * other."""
        return check_number("add", other, self.__add__(self._scaled(other, alpha)))

    def sub(self, other: Any, *, alpha: Any = 1) -> Self:
        """self - alpha * other."""
        _refuse_bool(self, other)
        return check_number("sub", other, self.__sub__(self._scaled(other, alpha)))

    def _scaled(self, other: Any, alpha: Any) -> Any:
        """alpha * other, in the dtype of their sum."""
        operands = None if alpha == 1 else self._promoted(other)
        if operands is None:
            return other
        dtype = operands[1]._data.dtype
        if isinstance(alpha, float) and dtype.kind != "f":
            raise RuntimeError(
                "For integral input tensors, argument alpha must not be a floating point number."
            )
        return (operands[1] * operands[1]._own_number(alpha))._to_dtype(dtype)

    def mul(self, other: Any) -> Self:
        """self * other."""
        return check_number("mul", other, self._binary(other, ew.Mul))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Self:
        """self / other, rounded toward zero ("trunc") or down ("floor") if asked."""
        if rounding_mode not in (None, "trunc", "floor"):
            raise RuntimeError(
                "div: expected rounding_mode to be one of None, 'trunc', or 'floor' "
                f"but found {rounding_mode!r}"
            )
        if rounding_mode is None:
            return check_number("div", other, self._float_binary(other, ew.Div))
        op = ew.FloorDivide if rounding_mode == "floor" else ew.TruncDivide
        return check_number("div", other, self._integer_division(other, op))

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
        return self._float_binary(check_tensor("atan2", "other", other), ew.Atan2)

    def maximum(self, other: Self) -> Self:
        """The larger of two values; NaN if one is NaN."""
        return self._binary(check_tensor("maximum", "other", other), ew.Maximum)

    def minimum(self, other: Self) -> Self:
        """The smaller of two values; NaN if one is NaN."""
        return self._binary(check_tensor("minimum", "other", other), ew.Minimum)

    def clamp(self, min: Any = None, max: Any = None) -> Self:
        """Values limited to [min, max]; a bound may be a number, a tensor or None."""
        if min is None and max is None:
            raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
        source, low, high = self, None, None
        if min is not None:
            source, low = check_number("clamp", min, source._promoted(source._tensor_like(min)))
        if max is not None:
            source, high = check_number("clamp", max, source._promoted(source._tensor_like(max)))
        if low is not None:
            low = low._to_dtype(source._data.dtype)
        return ew.Clamp.apply(source, low, high)

    clip = clamp

    def lerp(self, end: Self, weight: Any) -> Self:
        """self + weight * (end - self)."""
        check_tensor("lerp", "end", end)
        dtype = self._data.dtype
        require_kind("lerp", dtype, "f")
        for tensor in (end, weight):
            if isinstance(tensor, TensorBase) and tensor._data.dtype != dtype:
                raise RuntimeError(f"lerp: expected dtype {dtype} but got {tensor._data.dtype}")
        return self + weight * (end - self)

    def where(self, condition: Self, other: Any) -> Self:
        """Self where condition holds, elsewhere other."""
        holds = check_tensor("where", "condition", condition)._data
        if holds.dtype not in (bool_, uint8):  # uint8 was PyTorch's bool once
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{TORCH_NAMES[holds.dtype]}"
            )
        a, b = check_number("where", other, self._promoted(self._tensor_like(other)))
        broadcast_shape(holds.shape, broadcast_shape(a._data.shape, b._data.shape))
        return ew.Where.apply(a, b, condition._to_dtype(bool_))


def _refuse_bool(a: Any, b: Any) -> None:
    if a._data.dtype == bool_ or isinstance(b, bool) or getattr(b, "dtype", None) == bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
            "trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
