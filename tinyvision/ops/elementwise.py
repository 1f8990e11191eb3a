"""Elementwise operations and their derivatives.

Functions of one input are rows of a table, functions of two of another: the function and, as
PyTorch's derivative table has it, what multiplies the gradient. Functions of two inputs broadcast,
so their gradients are summed back to the input's shape by `unbroadcast`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op
from tinyvision.ops.reductions import quietly, sum_over
from tinyvision.strides import copy_laid_out, memory_format


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the dims along which an input of `shape` was broadcast.

    Broadcasting copies a value to many places; the gradient of a copy is the sum over them.
    """
    if grad.shape == shape:
        return grad
    lead = grad.ndim - len(shape)
    stretched = [i + lead for i, n in enumerate(shape) if n == 1 and grad.shape[i + lead] != 1]
    return sum_over(grad, (*range(lead), *stretched)).reshape(shape)


# ------------------------------------------------------------------ one input


class Rule(NamedTuple):
    """One function of one input.

    function: y = function(x).
    gradient: (grad_output, x or y) -> grad_input; None where the function is piecewise constant.
    saves: which of "x", "y" the gradient reads.
    keeps_integers: whether integer inputs stay integers instead of becoming float32.
    """

    name: str
    function: Callable
    gradient: Callable | None
    saves: str = "x"
    keeps_integers: bool = False


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))  # where exp overflows to inf, this is 0, as it should be


def _relu(x: np.ndarray) -> np.ndarray:
    return kernels.relu_forward(x) if x.dtype.kind == "f" else np.maximum(x, 0)


def _sign(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "b":
        return x.copy()
    return (x > 0).astype(x.dtype) - (x < 0)  # np.sign would keep NaN; PyTorch says 0


def _logit_backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    slope = np.where((x >= 0) & (x <= 1), 1 / (x * (1 - x)), np.nan)
    return g * np.abs(slope)  # without the sign of -0


NEG = Rule("Neg", np.negative, lambda g, x: -g, "", True)
ABS = Rule("Abs", np.abs, lambda g, x: g * _sign(x), "x", True)
SIGN = Rule("Sign", _sign, None, "", True)
SQUARE = Rule("Square", np.square, lambda g, x: g * (2 * x), "x", True)
RELU = Rule("Relu", _relu, kernels.relu_backward, "y", True)
FLOOR = Rule("Floor", np.floor, None, "", True)
CEIL = Rule("Ceil", np.ceil, None, "", True)
ROUND = Rule("Round", np.round, None, "", True)
TRUNC = Rule("Trunc", np.trunc, None, "", True)

EXP = Rule("Exp", np.exp, lambda g, y: g * y, "y")
EXPM1 = Rule("Expm1", np.expm1, lambda g, y: g * (y + 1), "y")
LOG = Rule("Log", np.log, lambda g, x: g / x)
LOG2 = Rule("Log2", np.log2, lambda g, x: g / (x * math.log(2)))
LOG10 = Rule("Log10", np.log10, lambda g, x: g / (x * math.log(10)))
LOG1P = Rule("Log1p", np.log1p, lambda g, x: g / (x + 1))
SQRT = Rule("Sqrt", np.sqrt, lambda g, y: g / (2 * y), "y")
RSQRT = Rule("Rsqrt", lambda x: 1 / np.sqrt(x), lambda g, y: g * (-0.5 * y * y * y), "y")
RECIPROCAL = Rule("Reciprocal", lambda x: 1 / x, lambda g, y: -g * y * y, "y")
SIN = Rule("Sin", np.sin, lambda g, x: g * np.cos(x))
COS = Rule("Cos", np.cos, lambda g, x: g * -np.sin(x))
TAN = Rule("Tan", np.tan, lambda g, y: g * (1 + y * y), "y")
ASIN = Rule("Asin", np.arcsin, lambda g, x: g / np.sqrt(1 - x * x))
ACOS = Rule("Acos", np.arccos, lambda g, x: -g / np.sqrt(1 - x * x))
ATAN = Rule("Atan", np.arctan, lambda g, x: g / (1 + x * x))
SINH = Rule("Sinh", np.sinh, lambda g, x: g * np.cosh(x))
COSH = Rule("Cosh", np.cosh, lambda g, x: g * np.sinh(x))
TANH = Rule("Tanh", np.tanh, lambda g, y: g * (1 - y * y), "y")
SIGMOID = Rule("Sigmoid", _sigmoid, lambda g, y: g * (y * (1 - y)), "y")
LOGIT = Rule("Logit", lambda x: np.log(x / (1 - x)), _logit_backward)
ERF = Rule("Erf", kernels.erf, lambda g, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x)))


class Unary(Op):
    """y = rule.function(x)."""

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, rule: Rule) -> np.ndarray:
        y = np.asarray(rule.function(x))
        ctx.op_name, ctx.rule = rule.name, rule
        ctx.save_for_backward(x if rule.saves == "x" else y if rule.saves == "y" else None)
        return y

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        (kept,) = ctx.saved
        if ctx.rule.gradient is None:
            return np.zeros_like(grad_output)
        return ctx.rule.gradient(grad_output, kept)


class PowScalar(Op):
    """y = x ** exponent for a Python number."""

    @staticmethod
    @quietly
    def forward(ctx: Node, x: np.ndarray, *, exponent: int | float) -> np.ndarray:
        ctx.exponent = exponent
        ctx.save_for_backward(x)
        return np.asarray(x**exponent)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        (x,) = ctx.saved
        if ctx.exponent == 0:
            return np.zeros_like(grad_output)
        return grad_output * (ctx.exponent * x ** (ctx.exponent - 1))


class Cast(Op):
    """The same values in another dtype."""

    @staticmethod
    @quietly  # NaN to an integer is undefined, as in PyTorch
    def forward(ctx: Node, x: np.ndarray, *, dtype: np.dtype) -> np.ndarray:
        ctx.op_name, ctx.dtype = "ToCopy", x.dtype
        return x.astype(dtype)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.astype(ctx.dtype)


class Clone(Op):
    """A copy with its own memory, in which its elements may lie in another order."""

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, order: memory_format = memory_format.preserve_format
    ) -> np.ndarray:
        return copy_laid_out(x, order)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        return grad_output


# ------------------------------------------------------------------ two inputs, broadcast


class BinaryRule(NamedTuple):
    """One function of two inputs.

    function: y = function(a, b).
    gradient_a, gradient_b: (grad_output, a, b, y) -> gradient of a or b, not yet unbroadcast.
    a_reads, b_reads: which of "a", "b", "y" these two read; only what is needed is kept for them.
    """

    function: Callable
    gradient_a: Callable
    gradient_b: Callable
    a_reads: str = ""
    b_reads: str = ""


class Binary(Op):
    """y = rule.function(a, b), broadcast."""

    rule: BinaryRule

    @classmethod
    def forward(cls, ctx: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        function, _, _, a_reads, b_reads = cls.rule
        y = function(a, b)
        edge_a, edge_b = ctx.edges  # ctx.needs_input_grad, which takes longer
        ctx.shapes = a.shape, b.shape
        if b_reads and (edge_a or edge_b):  # without b_reads neither reads any
            read = (a_reads if edge_a else "") + (b_reads if edge_b else "")
            ctx.save_for_backward(
                a if "a" in read else None, b if "b" in read else None, y if "y" in read else None
            )
        return y

    @classmethod
    def backward(cls, ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any]:
        _, gradient_a, gradient_b, _, b_reads = cls.rule
        edge_a, edge_b = ctx.edges
        shape_a, shape_b = ctx.shapes
        kept = ctx.saved if b_reads else (None, None, None)
        return (
            unbroadcast(gradient_a(grad_output, *kept), shape_a) if edge_a else None,
            unbroadcast(gradient_b(grad_output, *kept), shape_b) if edge_b else None,
        )


def _binary(name: str, *rule: Any) -> type[Op]:
    """An Op of its own, so that recording an addition need not be told that it is one."""
    return type(name, (Binary,), {"rule": BinaryRule(*rule)})


@quietly
def _pow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(_integer_power(a, b) if a.dtype.kind in "iu" else a**b)


def _integer_power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a ** b; where b is negative, what is left of a fraction without its decimals."""
    odd = np.where(b % 2 == 0, 1, a)
    reciprocal = np.where(np.abs(a) == 1, odd, 0).astype(a.dtype)
    return np.where(b < 0, reciprocal, a ** np.maximum(b, 0))


def _over_squares(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """g / (a^2 + b^2), and 0 where a and b are."""
    return np.where((a == 0) & (b == 0), 0, g / (a * a + b * b))


def _truncated_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b rounded toward zero."""
    if a.dtype.kind == "f":
        return np.trunc(a / b)
    return a // b + ((a % b != 0) & ((a < 0) != (b < 0)))  # up, where rounding down passed it


def _no_gradient(g: np.ndarray, *_: Any) -> np.ndarray:
    return np.zeros_like(g)


def _halved_at_ties(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a == b, g / 2, g)


# fmt: off
Add = _binary("Add", np.add, lambda g, a, b, y: g, lambda g, a, b, y: g)
Sub = _binary("Sub", np.subtract, lambda g, a, b, y: g, lambda g, a, b, y: -g)
Mul = _binary("Mul", np.multiply, lambda g, a, b, y: g * b, lambda g, a, b, y: g * a, "b", "a")
Div = _binary(
    "Div", quietly(np.divide),
    lambda g, a, b, y: g / b,
    lambda g, a, b, y: -g * (a / b) / b, "b", "ab",
)
# The gradients are 0 where their factor b or a is. That of a does not read y, but PyTorch keeps it.
Pow = _binary(
    "Pow", _pow,
    lambda g, a, b, y: g * np.where(b == 0, 0, b * a ** (b - 1)),
    lambda g, a, b, y: g * np.where((a == 0) & (b >= 0), 0, y * np.log(a)), "aby", "aby",
)
Prelu = _binary(  # a where it is above 0, else b a
    "PreluKernel", quietly(lambda a, b: np.where(a > 0, a, b * a)),
    quietly(lambda g, a, b, y: np.where(a > 0, g, b * g)),
    quietly(lambda g, a, b, y: np.where(a > 0, 0, a * g)), "ab", "ab",
)
Remainder = _binary(  # a - b floor(a / b), with the sign of b as in Python
    "Remainder", quietly(np.remainder),
    lambda g, a, b, y: g,
    lambda g, a, b, y: -g * np.floor_divide(a, b), "", "ab",
)
FloorDivide = _binary("FloorDivide", quietly(np.floor_divide), _no_gradient, _no_gradient)
TruncDivide = _binary("TruncDivide", quietly(_truncated_quotient), _no_gradient, _no_gradient)
Atan2 = _binary(  # the angle of the point (b, a)
    "Atan2", np.arctan2,
    lambda g, a, b, y: _over_squares(g, a, b) * b,
    lambda g, a, b, y: _over_squares(g, a, b) * -a, "ab", "ab",
)
Maximum = _binary(
    "Maximum", np.maximum,
    lambda g, a, b, y: np.where(a < b, 0, _halved_at_ties(g, a, b)),
    lambda g, a, b, y: np.where(b < a, 0, _halved_at_ties(g, a, b)), "ab", "ab",
)
Minimum = _binary(
    "Minimum", np.minimum,
    lambda g, a, b, y: np.where(a > b, 0, _halved_at_ties(g, a, b)),
    lambda g, a, b, y: np.where(b > a, 0, _halved_at_ties(g, a, b)), "ab", "ab",
)
# fmt: on


class Clamp(Op):
    """y = min(max(x, low), high); low and high broadcast, and one of them may be None.

    The gradient passes to x inside the bounds (edges included), else to the bound that held.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, low: Any, high: Any) -> np.ndarray:
        ctx.save_for_backward(x, low, high)
        y = x if low is None else np.maximum(x, low)
        return y if high is None else np.minimum(y, high)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, Any]:
        (x, low, high), (need_x, need_low, need_high) = ctx.saved, ctx.needs_input_grad
        least, most = -np.inf if low is None else low, np.inf if high is None else high

        def where(holds: Any, shape: tuple[int, ...]) -> np.ndarray:
            return unbroadcast(np.where(holds, grad_output, 0), shape)

        return (
            where((x >= least) & (x <= most), x.shape) if need_x else None,
            where((x < least) & (least <= most), low.shape) if need_low else None,
            where((x > most) | (least > most), high.shape) if need_high else None,
        )


class Where(Op):
    """y = a where condition holds, else b."""

    @staticmethod
    def forward(ctx: Node, a: np.ndarray, b: np.ndarray, condition: np.ndarray) -> np.ndarray:
        ctx.shapes = a.shape, b.shape
        ctx.save_for_backward(condition)
        return np.where(condition, a, b)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, Any, None]:
        (condition,), (shape_a, shape_b) = ctx.saved, ctx.shapes
        need_a, need_b, _ = ctx.needs_input_grad
        return (
            unbroadcast(np.where(condition, grad_output, 0), shape_a) if need_a else None,
            unbroadcast(np.where(condition, 0, grad_output), shape_b) if need_b else None,
            None,
        )
