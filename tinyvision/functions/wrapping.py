"""How a method of Tensor becomes a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from tinyvision.checks import refuse_out
from tinyvision.dtypes import scalar_dtype
from tinyvision.tensor import Tensor
from tinyvision.tensor.base import check_tensor

P = ParamSpec("P")
R = TypeVar("R")


def function_of(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """The function `name(input, ...)` that is `input.name(...)`."""
    name = method.__name__

    @functools.wraps(method)
    def function(input: Tensor, *args: P.args, **kwargs: P.kwargs) -> R:
        if "out" in kwargs:
            refuse_out(name, kwargs.pop("out"))
        return method(check_tensor(name, "input", input), *args, **kwargs)

    signature = inspect.signature(method)
    first, *others = signature.parameters.values()
    named = signature.replace(parameters=[first.replace(name="input"), *others])
    function.__signature__ = named  # type: ignore[attr-defined]
    return function


def unary_functions_of(*methods: Callable[[Any], Any]) -> list[Callable[[Tensor], Tensor]]:
    """The functions of several methods that take no arguments."""
    return [function_of(method) for method in methods]


def arithmetic_of(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """The function of a method whose first operand may be a number too: `pow(2, x)`."""
    of_tensors = function_of(method)

    @functools.wraps(of_tensors)
    def function(input: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        others = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if others and isinstance(input, (int, float)):
            dtype = others[0].dtype  # if that is no float, the number may not fit it
            dtype = dtype if dtype.kind == "f" else scalar_dtype(input)
            input = Tensor._from_op(np.asarray(input, dtype))
        return of_tensors(input, *args, **kwargs)

    return function
