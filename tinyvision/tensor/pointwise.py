"""Functions of one tensor, element by element: each is one row of the table in ops/elementwise."""

from __future__ import annotations

from typing import Self

from tinyvision.ops import elementwise as ew
from tinyvision.tensor.arithmetic import Arithmetic


class Pointwise(Arithmetic):
    """Methods y = f(x); integers become float32 where f is not a map of integers."""

    __slots__ = ()

    def _unary(self, rule: ew.Rule) -> Self:
        return ew.Unary.apply(self if rule.keeps_integers else self._as_float(), rule=rule)

    def __neg__(self) -> Self:
        if self._data.dtype.kind == "b":
            raise RuntimeError("Negation, the `-` operator, on a bool tensor is not supported.")
        return self._unary(ew.NEG)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._unary(ew.ABS)

    def neg(self) -> Self:
        """-x."""
        return -self

    def abs(self) -> Self:
        """|x|; the gradient at 0 is 0."""
        return self._unary(ew.ABS)

    def sign(self) -> Self:
        """-1, 0 or 1."""
        return self._unary(ew.SIGN)

    def square(self) -> Self:
        """x^2."""
        return self._unary(ew.SQUARE)

    def relu(self) -> Self:
        """max(x, 0)."""
        return self._unary(ew.RELU)

    def floor(self) -> Self:
        """The largest integer not above x."""
        return self._unary(ew.FLOOR)

    def ceil(self) -> Self:
        """The smallest integer not below x."""
        return self._unary(ew.CEIL)

    def trunc(self) -> Self:
        """x without its fraction."""
        return self._unary(ew.TRUNC)

    def exp(self) -> Self:
        """e^x."""
        return self._unary(ew.EXP)

    def expm1(self) -> Self:
        """e^x - 1, accurate near 0."""
        return self._unary(ew.EXPM1)

    def log(self) -> Self:
        """The natural logarithm."""
        return self._unary(ew.LOG)

    def log2(self) -> Self:
        """The logarithm to base 2."""
        return self._unary(ew.LOG2)

    def log10(self) -> Self:
        """The logarithm to base 10."""
        return self._unary(ew.LOG10)

    def log1p(self) -> Self:
        """log(1 + x), accurate near 0."""
        return self._unary(ew.LOG1P)

    def sqrt(self) -> Self:
        """The square root."""
        return self._unary(ew.SQRT)

    def rsqrt(self) -> Self:
        """1 / sqrt(x)."""
        return self._unary(ew.RSQRT)

    def reciprocal(self) -> Self:
        """1 / x."""
        return self._unary(ew.RECIPROCAL)

    def sin(self) -> Self:
        """The sine."""
        return self._unary(ew.SIN)

    def cos(self) -> Self:
        """The cosine."""
        return self._unary(ew.COS)

    def tan(self) -> Self:
        """The tangent."""
        return self._unary(ew.TAN)

    def asin(self) -> Self:
        """The inverse sine."""
        return self._unary(ew.ASIN)

    def acos(self) -> Self:
        """The inverse cosine."""
        return self._unary(ew.ACOS)

    def atan(self) -> Self:
        """The inverse tangent."""
        return self._unary(ew.ATAN)

    def sinh(self) -> Self:
        """The hyperbolic sine."""
        return self._unary(ew.SINH)

    def cosh(self) -> Self:
        """The hyperbolic cosine."""
        return self._unary(ew.COSH)

    def tanh(self) -> Self:
        """The hyperbolic tangent."""
        return self._unary(ew.TANH)

    def sigmoid(self) -> Self:
        """1 / (1 + e^-x)."""
        return self._unary(ew.SIGMOID)

    def erf(self) -> Self:
        """The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
        return self._unary(ew.ERF)

    def round(self, *, decimals: int = 0) -> Self:
        """x rounded to `decimals` places, halves to the even neighbour."""
        if decimals == 0:
            return self._unary(ew.ROUND)
        scale = 10.0**decimals
        return (self * scale)._unary(ew.ROUND) / scale
