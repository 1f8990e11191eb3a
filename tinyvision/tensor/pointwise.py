"""Functions of one tensor, element by element: each is one row of the table in ops/elementwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from tinyvision.dtypes import int64
from tinyvision.ops import elementwise as ew
from tinyvision.tensor.arithmetic import Arithmetic


def _method(name: str, rule: ew.Rule, meaning: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return self._unary(rule)

    method.__name__, method.__qualname__, method.__doc__ = name, f"Tensor.{name}", meaning
    return method


class Pointwise(Arithmetic):
    """Methods y = f(x); integers become float32 where f is not a map of integers."""

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

    abs = _method("abs", ew.ABS, "|x|; the gradient at 0 is 0.")
    sign = _method("sign", ew.SIGN, "-1, 0 or 1.")
    relu = _method("relu", ew.RELU, "max(x, 0).")
    floor = _method("floor", ew.FLOOR, "The largest integer not above x.")
    ceil = _method("ceil", ew.CEIL, "The smallest integer not below x.")
    trunc = _method("trunc", ew.TRUNC, "x without its fraction.")
    exp = _method("exp", ew.EXP, "e^x.")
    exp2 = _method("exp2", ew.EXP2, "2^x.")
    expm1 = _method("expm1", ew.EXPM1, "e^x - 1, accurate near 0.")
    log = _method("log", ew.LOG, "The natural logarithm.")
    log2 = _method("log2", ew.LOG2, "The logarithm to base 2.")
    log10 = _method("log10", ew.LOG10, "The logarithm to base 10.")
    log1p = _method("log1p", ew.LOG1P, "log(1 + x), accurate near 0.")
    sqrt = _method("sqrt", ew.SQRT, "The square root.")
    rsqrt = _method("rsqrt", ew.RSQRT, "1 / sqrt(x).")
    reciprocal = _method("reciprocal", ew.RECIPROCAL, "1 / x.")
    sin = _method("sin", ew.SIN, "The sine.")
    cos = _method("cos", ew.COS, "The cosine.")
    tan = _method("tan", ew.TAN, "The tangent.")
    asin = _method("asin", ew.ASIN, "The inverse sine.")
    acos = _method("acos", ew.ACOS, "The inverse cosine.")
    atan = _method("atan", ew.ATAN, "The inverse tangent.")
    sinh = _method("sinh", ew.SINH, "The hyperbolic sine.")
    cosh = _method("cosh", ew.COSH, "The hyperbolic cosine.")
    tanh = _method("tanh", ew.TANH, "The hyperbolic tangent.")
    sigmoid = _method("sigmoid", ew.SIGMOID, "1 / (1 + e^-x).")
    erf = _method("erf", ew.ERF, "2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.")

    def square(self) -> Self:
        """x^2."""
        source = self._to_dtype(int64) if self._data.dtype.kind == "b" else self
        return source._unary(ew.SQUARE)

    def round(self, *, decimals: int = 0) -> Self:
        """x rounded to `decimals` places, halves to the even neighbour."""
        if decimals == 0:
            return self._unary(ew.ROUND)
        scale = 10.0**decimals
        return (self * scale)._unary(ew.ROUND) / scale
