"""The autograd side of a Tensor: requires_grad, backward, hooks, detach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np

from tinyvision.engine.backward import compute_grads, run_backward
from tinyvision.engine.modes import modes
from tinyvision.hooks import RemovableHandle
from tinyvision.tensor.base import TensorBase


class Gradients(TensorBase):
    """Methods about gradients."""

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted for this tensor."""
        return self._needs_grad()

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not value and self.grad_fn is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if value and self._data.dtype.kind != "f":
            raise RuntimeError(
                "only Tensors of floating point dtype can require gradients, "
                f"not {self._data.dtype}"
            )
        if value and self._version is None and not modes.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor is not allowed.")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set requires_grad in place and return self."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Any:
        """The gradient accumulated by backward passes so far, a Tensor, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._grad = None
            return
        if not isinstance(value, TensorBase):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value)}")
        have, want = value._data, self._data
        if have.shape != want.shape or have.dtype != want.dtype:
            raise RuntimeError(
                f"assigned grad has data of shape {have.shape} and dtype {have.dtype}; the tensor "
                f"has shape {want.shape} and dtype {want.dtype}"
            )
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        """True for a tensor no recorded operation made; only leaves keep `.grad` by default."""
        return self.grad_fn is None

    @property
    def retains_grad(self) -> bool:
        """Whether a tensor that is not a leaf will keep its gradient."""
        return self._retains_grad

    def retain_grad(self) -> None:
        """Keep `.grad` for this tensor although it is not a leaf."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.grad_fn is not None and not self._retains_grad:
            self._keep_grad()

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None,
        create_graph: bool = False, inputs: Any = None,
    ) -> None:  # fmt: skip
        """Add d(self)/d(leaf) to `.grad` of every leaf the graph leads to.

        gradient: the gradient with respect to self; may be left out for a single element (1).
        retain_graph: keep what the graph saved, so that it can be walked again.
        inputs: accumulate into these tensors only.
        """
        backward_from([self], [gradient], retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(grad)` when the gradient of self is computed; it may return another one."""
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            if self.grad_fn.hooks is None:
                self.grad_fn.hooks = {}
            hooks = self.grad_fn.hooks.setdefault(self._output_nr, {})
        else:
            if self._hooks is None:
                self._hooks = {}
            hooks = self._hooks
        return RemovableHandle(hooks, _on_arrays(hook, self._from_op))

    def detach(self) -> Self:
        """The same memory without the history; in-place changes to either show in both."""
        result = self._from_op(self._data)
        result._version = self._version
        return result

    def detach_(self) -> Self:
        """Cut self off from its history, in place."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self.grad_fn, self._output_nr = None, 0
        self._requires_grad = self._retains_grad = False
        return self

    def is_inference(self) -> bool:
        """Whether self was made in `inference_mode`."""
        return self._version is None


def _on_arrays(hook: Callable[[Any], Any], wrap: Callable[[np.ndarray], Any]) -> Callable:
    """`hook`, made to take and return arrays, as the engine does."""

    def on_array(grad: np.ndarray) -> np.ndarray:
        result = hook(wrap(grad))
        if result is None:
            return grad
        if not isinstance(result, TensorBase):
            raise TypeError(f"a tensor hook must return a Tensor or None, got {type(result)}")
        if result._data.shape != grad.shape:
            raise RuntimeError(
                f"hook has changed the size of value: {grad.shape} to {result._data.shape}"
            )
        return result._data

    return on_array


def zero_gradients(tensors: Iterable[Any], set_to_none: bool) -> None:
    """Forget the gradients of tensors, or set those that are there to zero."""
    for tensor in tensors:
        if set_to_none:
            tensor.grad = None
        elif tensor.grad is not None:
            tensor.grad.detach_().zero_()


def backward_from(
    tensors: Sequence[Any], gradients: Sequence[Any], retain_graph: bool | None,
    create_graph: bool, inputs: Any = None,
) -> None:  # fmt: skip
    """Accumulate gradients of all leaves, or of `inputs` only."""
    roots = root_gradients(tensors, gradients)
    retain = check_graph_flags(retain_graph, create_graph)
    if inputs is None:
        run_backward(roots, retain)
        return
    wanted = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    if not wanted:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    for tensor, grad in zip(wanted, compute_grads(roots, wanted, retain), strict=True):
        if grad is not None:
            tensor._accumulate_grad(grad)


def check_graph_flags(retain_graph: bool | None, create_graph: bool) -> bool:
    """Whether to keep the graph.

    Raises: NotImplementedError for create_graph: backward functions work on plain arrays, so
    their own derivatives are not recorded.
    """
    if create_graph:
        raise NotImplementedError(
            "create_graph=True (gradients of gradients) is not supported: backward functions "
            "work on arrays and are not recorded"
        )
    return bool(retain_graph)


def root_gradients(tensors: Sequence[Any], gradients: Sequence[Any]) -> list:
    """The (tensor, gradient array) pairs a backward pass starts from, checked.

    Raises: RuntimeError if a tensor has no history, or a gradient is missing or does not fit.
    """
    roots = []
    for i, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        if not tensor._requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        data = tensor._data
        if gradient is None:
            if data.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs, "
                    f"but output {i} has shape {data.shape}"
                )
            roots.append((tensor, np.ones_like(data)))
            continue
        if not isinstance(gradient, TensorBase):
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
            )
        if gradient._data.shape != data.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {gradient._data.shape} and "
                f"output[{i}] has a shape of {data.shape}."
            )
        roots.append((tensor, gradient._data.astype(data.dtype, copy=False)))
    return roots
