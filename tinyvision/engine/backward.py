"""The backward pass: from the gradient of a result to the gradients of everything before it.

Chain rule, one node at a time: a node is visited when the gradients of all its uses have
arrived and been added up; its Op's backward turns them into gradients of its inputs, which are
delivered along the edges. Going through the nodes by falling creation number guarantees that
order, because whatever uses a result was recorded after it. A heap holds the nodes to visit, so
depth is not limited by Python's recursion.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision.engine.modes import modes, no_grad
from tinyvision.engine.op import Node

Roots = Sequence[tuple[Any, np.ndarray]]
"""Where a pass starts: tensors and their gradients."""


class _Pass:
    """The gradients under way in one backward pass."""

    def __init__(self, roots: Roots) -> None:
        self.pending: dict[Node, list[Any]] = {}  # node -> gradients of its outputs so far
        self.heap: list[tuple[int, Node]] = []
        self.leaves: dict[Any, Any] = {}  # leaf tensor -> its gradient so far
        for tensor, grad in roots:
            self.deliver(*_origin(tensor), grad)

    def deliver(self, target: Any, number: int, grad: Any) -> None:
        """Add `grad` to the gradient of output `number` of a node, or of a leaf tensor.

        Sums are out of place: the arrays may be shared, with other inputs or with the user.
        """
        if not isinstance(target, Node):
            held = self.leaves.get(target)
            self.leaves[target] = grad if held is None else held + grad
            return
        grads = self.pending.get(target)
        if grads is None:
            grads = self.pending[target] = [None] * len(target.outputs)
            heapq.heappush(self.heap, (-target.order, target))
        grads[number] = grad if grads[number] is None else grads[number] + grad

    def next_node(self) -> tuple[Node, list[Any]]:
        """The most recently recorded node left, with its gradients after hooks."""
        node = heapq.heappop(self.heap)[1]
        grads = self.pending.pop(node)
        for number, grad in enumerate(grads):
            if grad is not None:
                grads[number] = _run_hooks(node, number, grad)
        return node, grads


def run_backward(roots: Roots, retain_graph: bool) -> None:
    """Add the gradients of `roots` with respect to all leaf tensors to their `.grad`."""
    state = _Pass(roots)
    with no_grad(), np.errstate(all="ignore"):  # NaN and inf pass silently, as in PyTorch
        while state.heap:
            node, grads = state.next_node()
            _visit(node, grads, state, retain_graph)
        for leaf, grad in state.leaves.items():
            leaf._accumulate_grad(leaf._run_grad_hooks(grad))


def compute_grads(
    roots: Roots, inputs: Sequence[Any], retain_graph: bool
) -> list[np.ndarray | None]:
    """The gradients of `roots` with respect to `inputs`, None where no path leads there.

    Only the nodes on such paths are visited, and nothing accumulates.
    """
    wanted: dict[tuple[Any, int], Any] = {_origin(t): None for t in inputs}
    on_path = _leading_to(wanted, [t for t, _ in roots])
    state = _Pass(roots)
    with no_grad(), np.errstate(all="ignore"):
        while state.heap:
            node, grads = state.next_node()
            wanted.update({(node, i): g for i, g in enumerate(grads) if (node, i) in wanted})
            if node in on_path:
                _visit(node, grads, state, retain_graph)
        for leaf, grad in state.leaves.items():
            if (leaf, 0) in wanted:
                wanted[leaf, 0] = leaf._run_grad_hooks(grad)
    return [wanted[_origin(t)] for t in inputs]


def _visit(node: Node, grads: list[Any], state: _Pass, retain_graph: bool) -> None:
    """Run one node's backward and deliver what it returns."""
    if node.materialize_grads:
        for number, grad in enumerate(grads):
            if grad is None:  # nothing used this output
                grads[number] = np.zeros(*node.outputs[number])
    grad_inputs = node.op.backward(node, *grads)
    if type(grad_inputs) is not tuple:
        grad_inputs = (grad_inputs,)
    if modes.anomaly:
        _check_for_nan(node, grad_inputs)
    for edge, grad in zip(node.edges, grad_inputs, strict=True):
        if edge is not None and grad is not None:
            state.deliver(*edge, grad if type(grad) is np.ndarray else np.asarray(grad))
    if not retain_graph:
        node.release()


def _origin(tensor: Any) -> tuple[Any, int]:
    """Where the gradient of a tensor is delivered to: (its node or, for a leaf, itself, number)."""
    if tensor._base is not None:
        tensor._follow_base()
    return (tensor, 0) if tensor.grad_fn is None else (tensor.grad_fn, tensor._output_nr)


def _run_hooks(node: Node, number: int, grad: np.ndarray) -> np.ndarray:
    """Pass the gradient of one output through its hooks, then keep it if that was asked for."""
    for hook in list((node.hooks or {}).get(number, {}).values()):
        grad = hook(grad)
    if node.retain and number in node.retain:
        node.retain[number](grad)
    return grad


def _leading_to(wanted: dict[tuple[Any, int], Any], roots: Sequence[Any]) -> set[Node]:
    """The nodes whose backward is needed to reach one of `wanted`."""
    reachable: set[Node] = set()
    stack = [r.grad_fn for r in roots if r.grad_fn is not None]
    while stack:
        node = stack.pop()
        if node not in reachable:
            reachable.add(node)
            stack += [e[0] for e in node.edges if e is not None and isinstance(e[0], Node)]
    leading: set[Node] = set()
    for node in sorted(reachable, key=lambda n: n.order):  # inputs before what uses them
        edges = [e for e in node.edges if e is not None]
        if any(e in wanted or e[0] in leading for e in edges):
            leading.add(node)
    return leading


def _check_for_nan(node: Node, grad_inputs: Sequence[Any]) -> None:
    """Raise at the first NaN, telling which call of which operation it came from."""
    for number, grad in enumerate(grad_inputs):
        if grad is not None and np.isnan(grad).any():
            where = node.called_at or "(recorded outside of detect_anomaly)\n"
            raise RuntimeError(
                f"Function '{node.name()}' returned nan values in its {number}th output.\n"
                f"Traceback of the forward call that caused the error:\n{where}"
            )
