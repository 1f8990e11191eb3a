"""Comparisons and logic on tensors; the results are bool tensors without history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinyvision.checks import broadcast_shape
from tinyvision.dtypes import TORCH_NAMES, require_kind
from tinyvision.tensor.base import TensorBase, check_number, check_tensor


class Comparison(TensorBase):
    """Methods that compare two operands element by element, broadcasting them."""

    def _compare(self, other: Any, function: Callable) -> Any:
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        return self._plain(function(operands[0]._data, operands[1]._data))

    def __eq__(self, other: Any) -> Any:
        return self._compare(other, np.equal)

    def __ne__(self, other: Any) -> Any:
        return self._compare(other, np.not_equal)

    def __lt__(self, other: Any) -> Self:
        return self._compare(other, np.less)

    def __le__(self, other: Any) -> Self:
        return self._compare(other, np.less_equal)

    def __gt__(self, other: Any) -> Self:
        return self._compare(other, np.greater)

    def __ge__(self, other: Any) -> Self:
        return self._compare(other, np.greater_equal)

    def __hash__(self) -> int:
        return id(self)  # by identity: equality is elementwise

    def eq(self, other: Any) -> Self:
        """self == other, element by element."""
        return check_number("eq", other, self._compare(other, np.equal))

    def ne(self, other: Any) -> Self:
        """self != other, element by element."""
        return check_number("ne", other, self._compare(other, np.not_equal))

    def lt(self, other: Any) -> Self:
        """self < other, element by element."""
        return check_number("lt", other, self._compare(other, np.less))

    def le(self, other: Any) -> Self:
        """self <= other, element by element."""
        return check_number("le", other, self._compare(other, np.less_equal))

    def gt(self, other: Any) -> Self:
        """self > other, element by element."""
        return check_number("gt", other, self._compare(other, np.greater))

    def ge(self, other: Any) -> Self:
        """self >= other, element by element."""
        return check_number("ge", other, self._compare(other, np.greater_equal))

    def isnan(self) -> Self:
        """Where values are NaN."""
        return self._plain(np.isnan(self._data))

    def isinf(self) -> Self:
        """Where values are infinite."""
        return self._plain(np.isinf(self._data))

    def isfinite(self) -> Self:
        """Where values are neither infinite nor NaN."""
        return self._plain(np.isfinite(self._data))

    def equal(self, other: Self) -> bool:
        """Whether both tensors have the same shape and the same values."""
        a, b = self._data, check_tensor("equal", "other", other)._data
        return a.shape == b.shape and bool((a == b).all())

    def allclose(
        self, other: Self, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> bool:
        """Whether |self - other| <= atol + rtol * |other| everywhere."""
        return bool(self.isclose(other, rtol, atol, equal_nan)._data.all())

    def isclose(
        self, other: Self, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> Self:
        """Where |self - other| <= atol + rtol * |other|."""
        a, b = self._data, check_tensor("isclose", "other", other)._data
        for name, value in (("rtol", rtol), ("atol", atol)):
            if value < 0:
                raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
        if a.dtype != b.dtype:
            raise RuntimeError(f"{TORCH_NAMES[a.dtype]} did not match {TORCH_NAMES[b.dtype]}")
        broadcast_shape(a.shape, b.shape)
        return self._plain(np.isclose(a, b, rtol, atol, equal_nan))

    # ---------------------------------------------------------------- logic

    def __invert__(self) -> Self:
        if self._data.dtype.kind == "f":
            raise TypeError("~ (bitwise_not) is only implemented on integer and Boolean tensors")
        return self._plain(np.invert(self._data))

    def _bitwise(self, other: Any, function: Callable, kinds: str = "biu") -> Self:
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        require_kind(function.__name__, operands[0]._data.dtype, kinds)
        return self._plain(function(operands[0]._data, operands[1]._data))

    def __and__(self, other: Any) -> Self:
        return self._bitwise(other, np.bitwise_and)

    def __or__(self, other: Any) -> Self:
        return self._bitwise(other, np.bitwise_or)

    def __xor__(self, other: Any) -> Self:
        return self._bitwise(other, np.bitwise_xor)

    def __lshift__(self, other: Any) -> Self:
        return self._bitwise(other, np.left_shift, "iu")

    def __rshift__(self, other: Any) -> Self:
        return self._bitwise(other, np.right_shift, "iu")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def bitwise_not(self) -> Self:
        """All bits inverted; of bools, not self."""
        require_kind("bitwise_not", self._data.dtype, "biu")
        return ~self

    def bitwise_and(self, other: Any) -> Self:
        """self & other: the bits that are in both."""
        return check_number("bitwise_and", other, self._bitwise(other, np.bitwise_and))

    def bitwise_or(self, other: Any) -> Self:
        """self | other: the bits that are in one or both."""
        return check_number("bitwise_or", other, self._bitwise(other, np.bitwise_or))

    def bitwise_xor(self, other: Any) -> Self:
        """self ^ other: the bits that are in just one."""
        return check_number("bitwise_xor", other, self._bitwise(other, np.bitwise_xor))

    def logical_not(self) -> Self:
        """Where values are zero."""
        return self._plain(np.logical_not(self._data))

    def logical_and(self, other: Self) -> Self:
        """Where both values are nonzero."""
        return self._compare(check_tensor("logical_and", "other", other), np.logical_and)

    def logical_or(self, other: Self) -> Self:
        """Where at least one value is nonzero."""
        return self._compare(check_tensor("logical_or", "other", other), np.logical_or)

    def logical_xor(self, other: Self) -> Self:
        """Where exactly one value is nonzero."""
        return self._compare(check_tensor("logical_xor", "other", other), np.logical_xor)
