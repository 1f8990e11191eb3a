"""Custom differentiable functions, in PyTorch's way, on top of the engine's Op.

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 3 * x ** 2

    y = Cube.apply(x)

Forward and backward receive Tensors and work on them unrecorded.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinyvision.engine.modes import no_grad
from tinyvision.engine.op import Node, Op
from tinyvision.ops.elementwise import unbroadcast
from tinyvision.tensor import Tensor


class FunctionCtx:
    """What forward leaves for backward; any further attribute may be set on it."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Tensor | None, ...] = ()
        self._node: weakref.ref[Node]
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward; in-place changes to inputs and outputs are noticed."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors of save_for_backward.

        Raises: RuntimeError if they were released by an earlier pass or changed in place.
        """
        node = self._node()
        assert node is not None  # it is what called backward
        return tuple([None if a is None else Tensor._from_op(a) for a in node.saved])

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Name outputs that have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether outputs nothing used get zeros (True) or None as their gradient."""
        self._materialize = value

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Not supported: forward must not change its inputs."""
        raise NotImplementedError("mark_dirty is not supported: return a new tensor instead")


class Function:
    """Base class of custom functions: static `forward(ctx, ...)` and `backward(ctx, ...)`.

    forward takes any positional arguments; backward takes a gradient per output and returns one
    (or None) per argument of forward. `setup_context(ctx, inputs, output)` may be given
    separately; forward then has no ctx.
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """Compute the output, a Tensor or a tuple of Tensors."""
        raise NotImplementedError("You must implement the forward function for custom Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradient of each argument of forward."""
        raise NotImplementedError("You must implement the backward function for custom Function.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward and record it."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        if not tensors:
            with no_grad():
                return _call_forward(cls, FunctionCtx(), args)
        return _CustomOp.apply(*tensors, function=cls, args=args)


def _call_forward(function: Any, ctx: FunctionCtx, args: tuple) -> Any:
    if not hasattr(function, "setup_context"):
        return function.forward(ctx, *args)
    output = function.forward(*args)
    function.setup_context(ctx, args, output)
    return output


class _CustomOp(Op):
    """Turns arrays into Tensors for a user's Function, and its results back into arrays."""

    is_view = True  # forward may return its input, or a view of it
    suffix = "Backward"  # PyTorch numbers its own operations only

    @staticmethod
    def forward(ctx: Node, *arrays: np.ndarray, function: Any, args: tuple) -> Any:
        is_tensor = [isinstance(a, Tensor) for a in args]
        needs = iter(ctx.needs_input_grad)
        user = FunctionCtx()
        user._node = weakref.ref(ctx)  # the node owns the user's context, not the other way round
        user.needs_input_grad = tuple([next(needs) if t else False for t in is_tensor])
        with no_grad():
            output = _call_forward(function, user, args)
        outputs = output if isinstance(output, tuple) else (output,)
        for result in outputs:
            if not isinstance(result, Tensor):
                raise TypeError(
                    f"{function.__name__}.forward must return Tensors, not {type(result).__name__}"
                )
        ctx.op_name, ctx.function, ctx.user = function.__name__, function, user
        ctx.is_tensor = is_tensor
        ctx.inputs = [(a.shape, a.dtype) for a in arrays]
        ctx.materialize_grads = user._materialize
        ctx.mark_non_differentiable(*[t._data for t in user._non_differentiable])
        ctx.save_for_backward(*[None if t is None else t._data for t in user._to_save])
        # An input returned as it is becomes an output of its own.
        results = [t._data[...] if any(t._data is a for a in arrays) else t._data for t in outputs]
        return tuple(results) if isinstance(output, tuple) else results[0]

    @staticmethod
    def backward(ctx: Node, *grad_outputs: Any) -> tuple[Any, ...]:
        name = f"{ctx.function.__name__}.backward"
        with no_grad():
            grads = ctx.function.backward(
                ctx.user, *[None if g is None else Tensor._from_op(g) for g in grad_outputs]
            )
        grads = grads if isinstance(grads, tuple) else (grads,)
        arguments = len(ctx.is_tensor)
        if all(grad is None for grad in grads[arguments:]):  # of optional ones that were not given
            grads = grads[:arguments]
        if len(grads) != arguments:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected "
                f"{len(ctx.is_tensor)}, got {len(grads)})"
            )
        of_tensors = [g for g, is_tensor in zip(grads, ctx.is_tensor, strict=True) if is_tensor]
        return tuple([_checked(name, i, g, *ctx.inputs[i]) for i, g in enumerate(of_tensors)])


def _checked(name: str, index: int, grad: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """The array of a gradient a user returned, fitted to its input.

    Raises: TypeError if it is no Tensor; RuntimeError if its shape cannot be summed to `shape`.
    """
    if grad is None:
        return None
    if not isinstance(grad, Tensor):
        raise TypeError(f"{name} must return Tensors or None, not {type(grad).__name__}")
    array = grad._data
    try:
        fits = np.broadcast_shapes(array.shape, shape) == array.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"Function {name} returned an invalid gradient at index {index} - got {array.shape} "
            f"but expected shape compatible with {shape}"
        )
    return unbroadcast(array, shape).astype(dtype, copy=False)
