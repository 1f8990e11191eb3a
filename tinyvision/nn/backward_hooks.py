"""How a module's full backward hooks see the gradients of one call of it.

All inputs of the call go through one identity operation and all outputs through another. The
backward of an identity receives the gradients of everything that went through it together, and
what it returns goes on: exactly what the hooks want to look at and may replace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyvision.engine.op import Node, Op
from tinyvision.tensor import Tensor


class Gate(Op):
    """The identity of any number of tensors; `on_gradients` sees and may replace gradients."""

    @staticmethod
    def forward(ctx: Node, *arrays: np.ndarray, on_gradients: Callable) -> tuple[np.ndarray, ...]:
        ctx.op_name = "BackwardHookFunction"
        ctx.on_gradients = on_gradients
        # Copies, because results that share memory with inputs could not be changed in place.
        return tuple([a.copy() for a in arrays])

    @staticmethod
    def backward(ctx: Node, *grad_outputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return ctx.on_gradients(grad_outputs)


class WatchedCall:
    """One call of `module`, from its inputs to the gradients of them."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.pre_hooks = list(module._backward_pre_hooks.values())
        self.hooks = list(module._backward_hooks.values())
        self.grad_output: tuple[Tensor | None, ...] = ()
        self.grad_input_size = 0
        self.inputs_watched = False

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional inputs, through the gate that calls the hooks."""
        self.grad_input_size = len(args)
        places = _places_with_grad(args)
        self.inputs_watched = bool(places)

        def on_gradients(grads: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
            grad_input = _spread(grads, places, len(args))
            return _gather(self._run_hooks(grad_input), places, grads, "grad_input")

        return _through_gate(args, places, on_gradients)

    def watch_output(self, output: Any) -> Any:
        """What forward returned, through the gate that calls the pre-hooks.

        If no input needs a gradient, the hooks are called here too, with None for each input.
        """
        outputs = output if isinstance(output, tuple) else (output,)
        if not all(isinstance(o, Tensor) or o is None for o in outputs):
            raise NotImplementedError(
                f"{type(self.module).__name__}: full backward hooks need a forward that returns "
                f"a Tensor or a tuple of Tensors, but it returned {type(output).__name__}"
            )
        places = _places_with_grad(outputs)

        def on_gradients(grads: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
            self.grad_output = self._run_pre_hooks(_spread(grads, places, len(outputs)))
            if not self.inputs_watched:
                self._run_hooks((None,) * self.grad_input_size)
            return _gather(self.grad_output, places, grads, "grad_output")

        watched = _through_gate(outputs, places, on_gradients)
        return watched if isinstance(output, tuple) else watched[0]

    def _run_pre_hooks(self, grad_output: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        for hook in self.pre_hooks:
            replaced = hook(self.module, grad_output)
            grad_output = grad_output if replaced is None else _as_tuple(replaced)
        return grad_output

    def _run_hooks(self, grad_input: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        for hook in self.hooks:
            replaced = hook(self.module, grad_input, self.grad_output)
            grad_input = grad_input if replaced is None else _as_tuple(replaced)
        return grad_input


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _places_with_grad(values: tuple[Any, ...]) -> list[int]:
    return [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]


def _through_gate(
    values: tuple[Any, ...], places: list[int], on_gradients: Callable
) -> tuple[Any, ...]:
    """`values` with those at `places` passed through a common Gate."""
    if not places:
        return values
    passed = Gate.apply(*[values[i] for i in places], on_gradients=on_gradients)
    result = list(values)
    for i, tensor in zip(places, passed, strict=True):
        result[i] = tensor
    return tuple(result)


def _spread(
    grads: tuple[np.ndarray, ...], places: list[int], size: int
) -> tuple[Tensor | None, ...]:
    """Gradient arrays as Tensors at their places in a tuple that is None elsewhere."""
    spread: list[Tensor | None] = [None] * size
    for i, grad in zip(places, grads, strict=True):
        spread[i] = Tensor._from_op(grad)
    return tuple(spread)


def _gather(
    spread: tuple[Tensor | None, ...], places: list[int], grads: tuple[np.ndarray, ...], name: str
) -> tuple[np.ndarray, ...]:
    """The arrays at `places`, checked against the gradients that hooks may have replaced.

    Raises: RuntimeError if a hook returned another number or shape of gradients.
    """
    if not places:
        return ()
    gathered = [spread[i] if i < len(spread) else None for i in places]
    shapes = [None if t is None else t.shape for t in gathered]
    expected = [g.shape for g in grads]
    if shapes != expected:
        raise RuntimeError(
            f"full backward hook: expected {name} with shapes {expected}, but a hook returned "
            f"{shapes}"
        )
    return tuple([np.asarray(t, g.dtype) for t, g in zip(gathered, grads, strict=True)])
