"""`tv.exp(x)` for `x.exp()`, and so on: elementwise methods of Tensor spelled as functions."""

from __future__ import annotations

from typing import Any

from tinyvision.tensor import Tensor
from tinyvision.tensor.base import require_tensor


def neg(input: Tensor) -> Tensor:
    """-x."""
    return require_tensor(input, "neg").neg()


def abs(input: Tensor) -> Tensor:
    """|x|; the gradient at 0 is 0."""
    return require_tensor(input, "abs").abs()


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1."""
    return require_tensor(input, "sign").sign()


def square(input: Tensor) -> Tensor:
    """x^2."""
    return require_tensor(input, "square").square()


def relu(input: Tensor) -> Tensor:
    """max(x, 0)."""
    return require_tensor(input, "relu").relu()


def floor(input: Tensor) -> Tensor:
    """The largest integer not above x."""
    return require_tensor(input, "floor").floor()


def ceil(input: Tensor) -> Tensor:
    """The smallest integer not below x."""
    return require_tensor(input, "ceil").ceil()


def trunc(input: Tensor) -> Tensor:
    """x without its fraction."""
    return require_tensor(input, "trunc").trunc()


def exp(input: Tensor) -> Tensor:
    """e^x."""
    return require_tensor(input, "exp").exp()


def expm1(input: Tensor) -> Tensor:
    """e^x - 1, accurate near 0."""
    return require_tensor(input, "expm1").expm1()


def log(input: Tensor) -> Tensor:
    """The natural logarithm."""
    return require_tensor(input, "log").log()


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return require_tensor(input, "log2").log2()


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return require_tensor(input, "log10").log10()


def log1p(input: Tensor) -> Tensor:
    """log(1 + x), accurate near 0."""
    return require_tensor(input, "log1p").log1p()


def sqrt(input: Tensor) -> Tensor:
    """The square root."""
    return require_tensor(input, "sqrt").sqrt()


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return require_tensor(input, "rsqrt").rsqrt()


def reciprocal(input: Tensor) -> Tensor:
    """1 / x."""
    return require_tensor(input, "reciprocal").reciprocal()


def sin(input: Tensor) -> Tensor:
    """The sine."""
    return require_tensor(input, "sin").sin()


def cos(input: Tensor) -> Tensor:
    """The cosine."""
    return require_tensor(input, "cos").cos()


def tan(input: Tensor) -> Tensor:
    """The tangent."""
    return require_tensor(input, "tan").tan()


def asin(input: Tensor) -> Tensor:
    """The inverse sine."""
    return require_tensor(input, "asin").asin()


def acos(input: Tensor) -> Tensor:
    """The inverse cosine."""
    return require_tensor(input, "acos").acos()


def atan(input: Tensor) -> Tensor:
    """The inverse tangent."""
    return require_tensor(input, "atan").atan()


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return require_tensor(input, "sinh").sinh()


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return require_tensor(input, "cosh").cosh()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return require_tensor(input, "tanh").tanh()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return require_tensor(input, "sigmoid").sigmoid()


def erf(input: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return require_tensor(input, "erf").erf()


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` places, halves to the even neighbour."""
    return require_tensor(input, "round").round(decimals=decimals)


def add(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """self + alpha * other."""
    return require_tensor(input, "add").add(other, alpha=alpha)


def sub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """self - alpha * other."""
    return require_tensor(input, "sub").sub(other, alpha=alpha)


def mul(input: Tensor, other: Any) -> Tensor:
    """self * other."""
    return require_tensor(input, "mul").mul(other)


def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """self / other, rounded toward zero ("trunc") or down ("floor") if asked."""
    return require_tensor(input, "div").div(other, rounding_mode=rounding_mode)


def floor_divide(input: Tensor, other: Any) -> Tensor:
    """The quotient rounded down."""
    return require_tensor(input, "floor_divide").floor_divide(other)


def remainder(input: Tensor, other: Any) -> Tensor:
    """self - other * floor(self / other); it has the sign of other."""
    return require_tensor(input, "remainder").remainder(other)


def pow(input: Tensor, exponent: Any) -> Tensor:
    """self ** exponent."""
    return require_tensor(input, "pow").pow(exponent)


def atan2(input: Tensor, other: Any) -> Tensor:
    """The angle of the point (x=other, y=self), from -pi to pi."""
    return require_tensor(input, "atan2").atan2(other)


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two values; NaN if one is NaN."""
    return require_tensor(input, "maximum").maximum(other)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two values; NaN if one is NaN."""
    return require_tensor(input, "minimum").minimum(other)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Values limited to [min, max]; a bound may be a number, a tensor or None."""
    return require_tensor(input, "clamp").clamp(min, max)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """self + weight * (end - self)."""
    return require_tensor(input, "lerp").lerp(end, weight)


def eq(input: Tensor, other: Any) -> Tensor:
    """self == other, element by element."""
    return require_tensor(input, "eq").eq(other)


def ne(input: Tensor, other: Any) -> Tensor:
    """self != other, element by element."""
    return require_tensor(input, "ne").ne(other)


def lt(input: Tensor, other: Any) -> Tensor:
    """self < other, element by element."""
    return require_tensor(input, "lt").lt(other)


def le(input: Tensor, other: Any) -> Tensor:
    """self <= other, element by element."""
    return require_tensor(input, "le").le(other)


def gt(input: Tensor, other: Any) -> Tensor:
    """self > other, element by element."""
    return require_tensor(input, "gt").gt(other)


def ge(input: Tensor, other: Any) -> Tensor:
    """self >= other, element by element."""
    return require_tensor(input, "ge").ge(other)


def isnan(input: Tensor) -> Tensor:
    """Where values are NaN."""
    return require_tensor(input, "isnan").isnan()


def isinf(input: Tensor) -> Tensor:
    """Where values are infinite."""
    return require_tensor(input, "isinf").isinf()


def isfinite(input: Tensor) -> Tensor:
    """Where values are neither infinite nor NaN."""
    return require_tensor(input, "isfinite").isfinite()


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both tensors have the same shape and the same values."""
    return require_tensor(input, "equal").equal(other)


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |self - other| <= atol + rtol * |other| everywhere."""
    return require_tensor(input, "allclose").allclose(other, rtol, atol, equal_nan)


def logical_not(input: Tensor) -> Tensor:
    """Where values are zero."""
    return require_tensor(input, "logical_not").logical_not()


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Where both values are nonzero."""
    return require_tensor(input, "logical_and").logical_and(other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Where at least one value is nonzero."""
    return require_tensor(input, "logical_or").logical_or(other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Where exactly one value is nonzero."""
    return require_tensor(input, "logical_xor").logical_xor(other)
