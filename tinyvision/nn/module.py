"""Module: the base of all layers and models.

A module is state (a tree of parameters, buffers and child modules, see tree.py) plus `forward`,
which uses it. Everything else here is convenience: hooks, modes, conversions, saving, printing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from tinyvision.dtypes import Half, float32, float64
from tinyvision.hooks import RemovableHandle
from tinyvision.nn.backward_hooks import WatchedCall
from tinyvision.nn.state_dict import _IncompatibleKeys, collect_state, load_state
from tinyvision.nn.tree import ModuleTree
from tinyvision.strides import memory_format
from tinyvision.tensor.gradients import zero_gradients
from tinyvision.tensor.tensor import dtype_for_to


class Module(ModuleTree):
    """Base of all layers and models.

        class Classifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = nn.Linear(784, 10)

            def forward(self, images):
                return self.linear(images.flatten(1))

    Calling the module, `model(images)`, runs its hooks and `forward`.
    """

    training: bool
    _shown: ClassVar[tuple[str, ...]] = ()  # the attributes that repr shows

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._forward_pre_hooks: OrderedDict[int, tuple[Callable, bool]] = OrderedDict()
        self._forward_hooks: OrderedDict[int, tuple[Callable, bool]] = OrderedDict()
        self._backward_pre_hooks: OrderedDict[int, Callable] = OrderedDict()
        self._backward_hooks: OrderedDict[int, Callable] = OrderedDict()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (
            self._forward_pre_hooks
            or self._forward_hooks
            or self._backward_pre_hooks
            or self._backward_hooks
        ):
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------ hooks

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; it may return other args, or None.

        with_kwargs: call `hook(module, args, kwargs)`, which may return (args, kwargs).
        """
        return _register(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; it may return another output, or None.

        with_kwargs: call `hook(module, args, kwargs, output)`.
        """
        if always_call:
            raise NotImplementedError("register_forward_hook: always_call=True is not supported")
        return _register(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before gradients go back through the module.

        grad_output is a tuple; the hook may return another one.
        """
        return _register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the input gradients are known.

        Both are tuples, None where a positional argument or output has no gradient; the hook
        may return another grad_input. While there is such a hook, forward gets copies of its
        inputs, so what it does to them in place stays inside.
        """
        return _register(self._backward_hooks, hook, prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = self._run_forward_pre_hooks(args, kwargs)
        watched = None
        if self._backward_pre_hooks or self._backward_hooks:
            watched = WatchedCall(self)
            args = watched.watch_inputs(args)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self._forward_hooks.values()):
            given = (args, kwargs, output) if with_kwargs else (args, output)
            replaced = hook(self, *given)
            output = output if replaced is None else replaced
        return output if watched is None else watched.watch_output(output)

    def _run_forward_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook, with_kwargs in list(self._forward_pre_hooks.values()):
            replaced = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if replaced is None:
                continue
            if not with_kwargs:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
            elif isinstance(replaced, tuple) and len(replaced) == 2:
                args, kwargs = replaced
            else:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but "
                    f"got {replaced}."
                )
        return args, kwargs

    # ------------------------------------------------------------ modes and gradients

    def train(self, mode: bool = True) -> Self:
        """Set training mode in self and all modules inside: Dropout drops, BatchNorm learns."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)  # not `self.modules()`: a child may override train
        return self

    def eval(self) -> Self:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        zero_gradients(self.parameters(), set_to_none)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on all modules inside and then on self, e.g. to initialise weights."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------ conversions

    def to(
        self,
        *args: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
        memory_format: memory_format | None = None,
    ) -> Self:
        """Convert floating-point parameters and buffers to a dtype, in place.

        `to(dtype)`, `to("cpu")`, `to("cpu", dtype)` and `to(tensor)`, whose dtype is taken, work.
        non_blocking makes no difference where there is one device. memory_format: the order in
        memory of those with four dims.
        """
        wanted = dtype_for_to(args, dtype, device)
        if memory_format is not None:
            for tensor in (*self.parameters(), *self.buffers()):
                if tensor.ndim == 4:
                    tensor._data = tensor.detach().to(memory_format=memory_format)._data
        return self if wanted is None else self._convert(wanted)

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self._convert(float32)

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self._convert(float64)

    def half(self) -> Self:
        """Raises NotImplementedError: no tensor has half precision."""
        return self.to(Half.float16)

    def bfloat16(self) -> Self:
        """Raises NotImplementedError: no tensor has half precision."""
        return self.to(Half.bfloat16)

    def cpu(self) -> Self:
        """Self, which is already there."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raises NotImplementedError: there is no such device."""
        return self.to("cuda" if device is None else device)

    def _convert(self, dtype: np.dtype) -> Self:
        if dtype.kind != "f":
            raise TypeError(
                f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}"
            )
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                # The tensors stay the same objects: optimizers hold them.
                tensor._data = tensor._data.astype(dtype, copy=False)
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.to(dtype)
        return self

    # ------------------------------------------------------------ saving

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, detached, sharing memory.

        destination: a dict to add them to. keep_vars: the tensors themselves, not detached.
        """
        return collect_state(self, destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy tensors by name into the parameters and buffers; returns the names that differ.

        strict: raise if names differ. assign: use the given tensors themselves instead.

        Raises: RuntimeError listing what does not fit; then nothing has been changed.
        """
        return load_state(self, state_dict, strict, assign)

    # ------------------------------------------------------------ printing

    def extra_repr(self) -> str:
        """What stands between the parentheses of a layer's repr; by default `_shown` attributes."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)

    def _unusual(self, usual: dict[str, Any]) -> str:
        """ ", name=value" of the attributes that do not have their usual value, for extra_repr."""
        values = {name: getattr(self, name) for name in usual}
        return "".join(f", {n}={value}" for n, value in values.items() if value != usual[n])

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        return _repr_lines(type(self).__name__, extra_lines, self._child_lines())

    def _child_lines(self) -> Iterable[str]:
        return [f"({name}): {child!r}" for name, child in self._modules.items()]


def _register(hooks: OrderedDict[int, Any], entry: Any, prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks, entry)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _repr_lines(name: str, extra_lines: Iterable[str], child_lines: Iterable[str]) -> str:
    """`Name(...)` on one line if that is all, else a line for each item, indented by two."""
    extra, children = list(extra_lines), list(child_lines)
    if not children and len(extra) <= 1:
        return f"{name}({''.join(extra)})"
    items = extra + [child.replace("\n", "\n  ") for child in children]
    return "\n  ".join([f"{name}(", *items]) + "\n)"
