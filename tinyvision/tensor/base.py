"""What a Tensor is made of: an array, its gradient, and its place in the graph."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinyvision.checks import broadcast_shape, fitting
from tinyvision.dtypes import float32, result_type, with_number
from tinyvision.engine.modes import enable_grad, modes
from tinyvision.engine.op import Node, Op
from tinyvision.ops.elementwise import Cast
from tinyvision.ops.views import AsStrided


class Version:
    """Counts the in-place changes to one piece of memory; all views of it share the object."""

    count = 0


class TensorBase:
    """The state of a tensor, and how operations make one.

    _data: the values. _grad: the accumulated gradient of a leaf. grad_fn: the Node that made
    it, whose output number `_output_nr` it is; None for a leaf. _base: the tensor it is a view
    of, and _base_grad_fn the history that base had when the view was taken.
    """

    # NumPy arrays leave `array + tensor` to the tensor.
    __array_priority__ = 1000

    # Defaults that most tensors never change stay on the class, so that making one is cheap.
    _data: np.ndarray
    _version: Version | None
    _requires_grad = False
    _grad: Any = None
    grad_fn: Node | None = None
    _output_nr = 0
    _base: Any = None
    _base_grad_fn: Node | None = None
    _hooks: dict[int, Any] | None = None
    _retains_grad = False

    @classmethod
    def _from_op(
        cls, array: np.ndarray, grad_fn: Node | None = None, output_nr: int = 0, base: Any = None
    ) -> Any:
        """A tensor around the result of an operation; every tensor is made here."""
        raise NotImplementedError  # Tensor, the one concrete class, defines it

    def _init(self, array: np.ndarray, grad_fn: Node | None, output_nr: int, base: Any) -> None:
        self._data = array
        if grad_fn is not None:
            self.grad_fn = grad_fn
            self._requires_grad = True
            if output_nr:
                self._output_nr = output_nr
        if base is None:
            self._version = None if modes.inference else Version()
        else:
            self._version = base._version
            self._base = base if base._base is None else base._base
            self._base_grad_fn = self._base.grad_fn

    def _needs_grad(self) -> bool:
        """requires_grad, for a view as of its base's last change."""
        if self._base is not None:
            self._follow_base()
        return self._requires_grad

    def _follow_base(self) -> None:
        """Give a view a new history if its base got one, by an in-place change."""
        if self._base.grad_fn is not self._base_grad_fn:
            self._base_grad_fn = self._base.grad_fn
            with enable_grad():  # the change was recorded, so this is
                self._adopt_history(AsStrided.apply(self._base, view=self._data))

    def _adopt_history(self, result: Any) -> None:
        """Be, for gradients, what an operation just gave."""
        retained = self._retains_grad
        self.grad_fn, self._output_nr = result.grad_fn, result._output_nr
        self._requires_grad = result._requires_grad
        if retained:
            self._keep_grad()

    def _to_dtype(self, dtype: np.dtype) -> Self:
        """Self in another dtype; self itself if it has it."""
        return self if self._data.dtype == dtype else Cast.apply(self, dtype=dtype)

    def _as_float(self) -> Self:
        """Self, integers and bools converted to the default float dtype."""
        return self if self._data.dtype.kind == "f" else self._to_dtype(float32)

    def _tensor_like(self, other: Any, wrap: bool = False) -> Any:
        """`other` as a tensor to combine with self, or None if it is nothing of the kind.

        A Python number becomes zero-dimensional, in the dtype the result will have. wrap: an
        integer that does not fit is taken modulo 2^bits, as in PyTorch's arithmetic, not refused.
        """
        if isinstance(other, TensorBase):
            return other
        if isinstance(other, (bool, int, float, np.generic)):
            dtype = with_number(self._data.dtype, other)
            if wrap and dtype.kind in "iu":
                return self._from_op(np.array(other).astype(dtype))
            return self._from_op(fitting(other, dtype))
        if isinstance(other, np.ndarray):
            return self._from_op(other)
        return None

    def _own_number(self, value: Any) -> Any:
        """A number to be stored in self, as a tensor of its dtype; anything else as it is.

        Raises: RuntimeError if the number does not fit the dtype.
        """
        if isinstance(value, (bool, int, float, np.generic)):
            return self._from_op(fitting(value, self._data.dtype))
        return value

    def _promoted(self, other: Any) -> tuple[Any, Any] | None:
        """Self and `other` in their common dtype, checked to broadcast; None if not a number.

        Raises: RuntimeError if the shapes do not broadcast.
        """
        if not isinstance(other, TensorBase):
            other = self._tensor_like(other, wrap=True)
            if other is None:
                return None
        a, b = self._data, other._data
        if a.shape != b.shape and b.ndim:
            broadcast_shape(a.shape, b.shape)
        if a.dtype == b.dtype:
            return self, other
        dtype = result_type(a, b)
        return self._to_dtype(dtype), other._to_dtype(dtype)

    def _binary(self, other: Any, op: type[Op], swap: bool = False) -> Any:
        """`op` on self and other after promotion; NotImplemented lets Python try the other side."""
        operands = self._promoted(other)
        if operands is None:
            return NotImplemented
        a, b = operands
        return op.apply(b, a) if swap else op.apply(a, b)

    def _plain(self, array: Any) -> Any:
        """A tensor without history around an array or NumPy scalar."""
        return self._from_op(np.asarray(array))

    # ---------------------------------------------------------------- gradients

    def _accumulate_grad(self, grad: np.ndarray) -> None:
        """Add to `.grad`."""
        if self._grad is None:
            # A copy, because backward functions may hand the same array to several inputs.
            self._grad = self._from_op(np.array(grad, order="C"))
        else:
            self._grad._data += grad
            self._grad._bump_version()

    def _run_grad_hooks(self, grad: np.ndarray) -> np.ndarray:
        for hook in list((self._hooks or {}).values()):
            grad = hook(grad)
        return grad

    def _bump_version(self) -> None:
        """Note that the memory was changed in place."""
        if self._version is not None:
            self._version.count += 1

    def _keep_grad(self) -> None:
        """Make the node that produced self store the gradient it receives for it in `.grad`."""
        assert self.grad_fn is not None
        reference = weakref.ref(self)  # the node must not keep its own output alive

        def keep(grad: np.ndarray) -> None:
            tensor = reference()
            if tensor is not None:
                tensor._accumulate_grad(grad)

        self.grad_fn.retain = {**(self.grad_fn.retain or {}), self._output_nr: keep}
        self._retains_grad = True


def check_number(name: str, other: Any, result: Any) -> Any:
    """`result`, unless `other` was nothing to calculate with.

    Raises: TypeError naming what came instead of a number.
    """
    if result is None or result is NotImplemented:
        raise TypeError(f"{name}(): expected a Tensor or a number, not {type(other).__name__}")
    return result


def check_tensor(name: str, argument: str, value: Any, optional: bool = False) -> Any:
    """`value`, if it is a tensor, or None where that is allowed.

    Raises: TypeError otherwise.
    """
    if isinstance(value, TensorBase) or (optional and value is None):
        return value
    raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}")


def with_numpy_names(method: Callable) -> Callable:
    """The method with `axis` and `keepdims` for `dim` and `keepdim`, as PyTorch takes them too."""

    @functools.wraps(method)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        if "keepdims" in kwargs:
            kwargs["keepdim"] = kwargs.pop("keepdims")
        return method(*args, **kwargs)

    return renamed
