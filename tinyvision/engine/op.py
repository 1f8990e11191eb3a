"""Recording: what an operation leaves behind so that its gradient can be computed later.

An operation is a class with two static functions on plain arrays, side by side:

    class Mul(Op):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad_output):
            a, b = ctx.saved
            return grad_output * b, grad_output * a

`Mul.apply(x, y)` on tensors runs forward and, if an input needs a gradient, leaves a Node: the
`ctx` that forward filled, with edges to where the inputs came from. Nodes and edges are the
graph that `backward.py` walks.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyvision.engine.modes import modes

# A node is made after the nodes of its inputs, so creation order is a topological order.
_creation_order = itertools.count()


class Node:
    """One recorded call of an Op: the context of its forward and a node of the graph.

    op: the Op class.
    edges: per input None, or (Node or leaf tensor, which output of it the input was).
    outputs: (shape, dtype) per output, where there are several.
    Forward may set further attributes (shapes, axes) for backward to read.
    """

    # Defaults that most nodes never change stay on the class, so that recording is cheap.
    op_name: str | None = None  # what to print instead of the op's own name
    outputs: Sequence[Any] = (None,)
    hooks: dict[int, dict[int, Any]] | None = None  # output number -> hooks on its gradient
    retain: dict[int, Any] | None = None  # output number -> what keeps its gradient
    materialize_grads = True  # an output nothing used gets zeros, else None
    called_at: str | None = None  # where, when anomalies are being detected
    _saved: tuple[np.ndarray | None, ...] | None = ()
    _watched: Sequence[tuple[Any, int, tuple[int, ...]]] = ()
    _non_differentiable: tuple[np.ndarray, ...] = ()

    def __init__(self, op: type[Op], edges: list[tuple[Any, int] | None]) -> None:
        self.op = op
        self.edges = edges
        self.order = next(_creation_order)

    if TYPE_CHECKING:  # forward may set any attribute

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """A bool per input; backward may return None where it is False."""
        return tuple([edge is not None for edge in self.edges])

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The edges for whoever walks the graph; a leaf stands for PyTorch's AccumulateGrad."""
        return tuple([(None, 0) if edge is None else edge for edge in self.edges])

    def name(self) -> str:
        """The name PyTorch would print, such as `MulBackward0`."""
        return f"{self.op_name or self.op.__name__}{self.op.suffix}"

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    def save_for_backward(self, *arrays: np.ndarray | None) -> None:
        """Keep exactly the arrays backward will read: inputs, outputs or arrays made in between."""
        self._saved = arrays

    def mark_non_differentiable(self, *arrays: np.ndarray) -> None:
        """Name outputs, such as indices, that have no gradient."""
        self._non_differentiable = arrays

    @property
    def saved(self) -> tuple[Any, ...]:
        """The arrays of save_for_backward.

        Raises: RuntimeError if they were released by an earlier backward pass, or if one was
        changed in place since.
        """
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Saved intermediate values of the "
                f"graph are freed when you call .backward() or autograd.grad(); {self.name()} "
                "needs them. Specify retain_graph=True if you need to backward through the graph "
                "a second time."
            )
        for version, expected, shape in self._watched:
            if version.count != expected:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: a tensor of shape {shape} that {self.name()} needs is at "
                    f"version {version.count}; expected version {expected} instead."
                )
        return self._saved

    def release(self) -> None:
        """Let go of the saved arrays."""
        self._saved = None
        self._watched = ()

    def _watch(self, tensors: tuple[Any, ...]) -> None:
        """Note the versions of the saved arrays that a user can still change in place."""
        watched = []
        for array in self._saved or ():
            for tensor in tensors:
                if tensor is None or array is not tensor._data:
                    continue
                if tensor._version is None:
                    raise RuntimeError(
                        f"Inference tensors cannot be saved for backward ({self.name()}). "
                        "To work around you can make a clone to get a normal tensor."
                    )
                watched.append((tensor._version, tensor._version.count, array.shape))
                break
        self._watched = watched


class Op:
    """Base of all differentiable operations; see the module's docstring.

    is_view: forward may return a view of its first input, which then shares its memory and
    version counter.
    suffix: what the name of its nodes ends in.
    """

    is_view = False
    suffix = "Backward0"

    @staticmethod
    def forward(ctx: Node, *arrays: Any, **params: Any) -> Any:
        """Compute the output array, or a tuple of them, from the input arrays."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Node, *grad_outputs: Any) -> Any:
        """Compute the gradient of each input (an array or None) from those of the outputs."""
        raise NotImplementedError

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Any:
        """Run forward on tensors (or None) and record the call if a gradient will be needed.

        Knows a tensor by its `_data`, its place in the graph, its version and `_from_op`, so that
        operations never import the Tensor class.
        """
        record = modes.grad
        arrays: list[np.ndarray | None] = []
        edges: list[tuple[Any, int] | None] = []
        for tensor in inputs:
            arrays.append(None if tensor is None else tensor._data)
            edges.append(_edge_to(tensor) if record and tensor is not None else None)
        node = Node(cls, edges)
        result = cls.forward(node, *arrays, **params)
        recorded = node if edges.count(None) < len(edges) else None
        outputs: tuple[Any, ...]
        if type(result) is tuple:
            outputs = tuple([cls._wrap(inputs[0], a, recorded, i) for i, a in enumerate(result)])
            node.outputs = [(t._data.shape, t._data.dtype) for t in outputs]
        else:  # written out for speed
            outputs = (cls._wrap(inputs[0], result, recorded, 0),)
        if recorded:
            if node._saved:
                node._watch(inputs + outputs)
            if modes.anomaly:
                node.called_at = "".join(traceback.format_stack()[:-1])
        return outputs if type(result) is tuple else outputs[0]

    @classmethod
    def _wrap(cls, first: Any, array: Any, node: Node | None, number: int) -> Any:
        """A tensor around one result of forward, made by `node` if that is recorded."""
        if type(array) is not np.ndarray:
            array = np.asarray(array)  # NumPy turns zero-dimensional results into scalars
        if node is not None:
            without = node._non_differentiable
            if array.dtype.kind != "f" or (without and any(array is a for a in without)):
                node = None
        base = first if cls.is_view and _is_view_of(array, first._data) else None
        return first._from_op(array, node, number, base)


def _is_view_of(array: np.ndarray, data: np.ndarray) -> bool:
    """Whether NumPy made `array`, a result of a view operation, without copying `data`.

    Views know whose memory they look at; np.may_share_memory takes as long as an operation.
    """
    owner = array.base
    if owner is None:
        return array is data
    if owner is data or owner is data.base or array is data:
        return True
    return getattr(owner, "base", None) is data  # np.lib.stride_tricks put something in between


def _edge_to(tensor: Any) -> tuple[Any, int] | None:
    """Where a gradient of this input goes, if it needs one."""
    if tensor._base is not None:
        tensor._follow_base()
    if not tensor._requires_grad:
        return None
    return (tensor, 0) if tensor.grad_fn is None else (tensor.grad_fn, tensor._output_nr)
