"""`grad` and `backward` for several tensors at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyvision.creation import zeros_like
from tinyvision.engine.backward import compute_grads
from tinyvision.tensor import Tensor
from tinyvision.tensor.gradients import backward_from, check_graph_flags, root_gradients

Tensors = Tensor | Sequence[Tensor]


def backward(
    tensors: Tensors, grad_tensors: Any = None, retain_graph: bool | None = None,
    create_graph: bool = False, inputs: Any = None,
) -> None:  # fmt: skip
    """Add the gradients of `tensors` to `.grad` of the leaves; see Tensor.backward."""
    outputs = _listed(tensors)
    backward_from(outputs, _gradients(grad_tensors, outputs), retain_graph, create_graph, inputs)


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:  # noqa: N802 - PyTorch's name
    """The tensor without its history: what programs for early versions wrapped tensors in."""
    return data.detach().requires_grad_(requires_grad)


def grad(
    outputs: Tensors, inputs: Tensors, grad_outputs: Any = None,
    retain_graph: bool | None = None, create_graph: bool = False, only_inputs: bool = True,
    allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of the sum of `outputs` with respect to `inputs`, leaving `.grad` alone.

    grad_outputs weighs the outputs; it may be left out for those of a single element.

    Raises: RuntimeError if an input was not used in the graph, unless allow_unused (then None)
    or materialize_grads (then zeros).
    """
    if not only_inputs:
        raise NotImplementedError("grad: only_inputs=False is not supported; see backward")
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not supported")
    sources, wanted = _listed(outputs), _listed(inputs)
    for tensor in wanted:
        if not tensor._requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    roots = root_gradients(sources, _gradients(grad_outputs, sources))
    found = compute_grads(roots, wanted, check_graph_flags(retain_graph, create_graph))
    results: list[Any] = []
    for tensor, array in zip(wanted, found, strict=True):
        if array is not None:
            results.append(Tensor._from_op(array.copy()))
        elif materialize_grads:
            results.append(zeros_like(tensor))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    return tuple(results)


def _listed(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(given: Any, outputs: list[Tensor]) -> list[Any]:
    """One gradient, or None, per output."""
    gradients = [None] * len(outputs) if given is None else _listed(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(
            f"got {len(outputs)} tensors and {len(gradients)} gradients: they must be as many"
        )
    return gradients
