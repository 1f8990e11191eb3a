"""Optimizer: what all optimizers share. A new one defines `_update`, the step of one
parameter, or `_update_all`."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyvision import missing
from tinyvision.engine.modes import enable_grad, no_grad
from tinyvision.kernels import KnownAddresses
from tinyvision.tensor import Tensor
from tinyvision.tensor.gradients import zero_gradients

# Elements per block, see `blocks`: 128 kB of float32, so that half a dozen fit into an L2 cache.
BLOCK_SIZE = 32768

# `foreach` and `fused` choose between PyTorch's ways to compute the same step; here is but one.
_UNSUPPORTED = ("capturable", "differentiable")


class Optimizer:
    """Base of all optimizers.

    params: tensors, (name, tensor) pairs as of `model.named_parameters()`, or dicts, for groups.
    param_groups: dicts; "params" is a list of tensors and the other entries are their options,
    such as "lr", taken from `defaults` where a group does not give them. A learning-rate
    scheduler changes them between steps.
    state: per parameter, a dict of what the optimizer remembers of it.
    """

    _opt_called = False

    if not TYPE_CHECKING:
        __getattr__ = missing.names("tinyvision.optim.Optimizer")

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                "dicts, but got Tensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        # Of the tensors that are changed together, by the first of them.
        self._known: defaultdict[int, KnownAddresses] = defaultdict(KnownAddresses)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own, e.g. `{"params": head.parameters(), "lr": 1}`.

        Raises: TypeError for what is no tensor, ValueError for a non-leaf or one already here.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**param_group, **_params_and_names(_as_list(param_group["params"]))}
        for param in group["params"]:
            _check_param(param)
        if len(set(group["params"])) != len(group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters, which are "
                "updated more than once in a step",
                stacklevel=3,
            )
        if any(("param_names" in g) != ("param_names" in group) for g in self.param_groups):
            raise ValueError("all optimizer param groups should be with/without names")
        known = {param for g in self.param_groups for param in g["params"]}
        if not known.isdisjoint(group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(self._completed(group))

    def _completed(self, group: dict[str, Any]) -> dict[str, Any]:
        """A group with the defaults for the options it does not give."""
        completed = {**self.defaults, **group}
        for name in _UNSUPPORTED:
            if completed.get(name):
                raise NotImplementedError(f"{type(self).__name__}: {name}=True is not supported")
        return completed

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient by one step of the method.

        closure: computes the loss again, gradients included; its result is returned.
        """
        self._opt_called = True
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        # Weights that overflow become inf without a warning, as everywhere.
        with no_grad(), np.errstate(all="ignore"):
            for group in self.param_groups:
                params = [param for param in group["params"] if param.grad is not None]
                for param in params:
                    if param._grad._data.shape != param._data.shape:
                        raise _grad_error(param)
                if len({id(param) for param in params}) == len(params) > 0:
                    self._update_all(params, group)
                else:  # one that is there twice makes two steps, one after the other
                    for param in params:
                        self._update_all([param], group)
                for param in params:
                    # Graphs that still need the old values must notice the change.
                    param._bump_version()
        return loss

    def _has_stepped(self) -> bool:
        """For schedulers to warn; a subclass whose own `step` does not call this one is trusted."""
        return self._opt_called or type(self).step is not Optimizer.step

    def _update_all(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Change the tensors in place; they have gradients."""
        for param in params:
            self._update(param, group)

    def _update(self, param: Tensor, group: dict[str, Any]) -> None:
        """Change `param`, whose gradient is `param.grad`, in place."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero.

        Without a gradient a parameter is left alone by step; a zero still moves it by momentum.
        """
        for group in self.param_groups:
            zero_gradients(group["params"], set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later: {"state": ..., "param_groups": ...}.

        Parameters are replaced by their numbers in the order of the groups. The tensors are
        those the optimizer works with: save or copy them before the next step.
        """
        params = [param for group in self.param_groups for param in group["params"]]
        numbers = {param: i for i, param in enumerate(dict.fromkeys(params))}
        groups = [{**g, "params": [numbers[p] for p in g["params"]]} for g in self.param_groups]
        state = {numbers[param]: dict(values) for param, values in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; its tensors are copied.

        Raises: ValueError if its groups or state do not fit the parameters; then nothing has
            been changed.
        """
        saved_groups = state_dict["param_groups"]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved_groups, strict=True))
        if any(len(own["params"]) != len(saved["params"]) for own, saved in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        by_number: dict[Any, Tensor] = {}
        for own, saved in pairs:
            by_number.update(zip(saved["params"], own["params"], strict=True))
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(f"loaded state dict has state for parameter {number}, not a group")
            param = by_number[number]
            state[param] = {k: _fitted(k, value, param) for k, value in values.items()}
        groups = []
        for own, saved in pairs:
            names = {"param_names": own["param_names"]} if "param_names" in own else {}
            groups.append(self._completed({**names, **deepcopy(saved), "params": own["params"]}))
        self.state, self.param_groups = state, groups

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            options = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            text += "".join(options)
        return text + ")"


def blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The same short stretch of several arrays of one shape, then the next, to the end.

    A step's formula goes over its arrays many times. Block by block, only the first time comes
    from memory and the rest from the cache; temporary results are small and stay there too.
    """
    if not all(a.flags.c_contiguous for a in arrays):
        yield arrays  # flattening would copy, and changes to a copy would be lost
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, BLOCK_SIZE):
        yield tuple([a[start : start + BLOCK_SIZE] for a in flat])


def descent_direction(p: np.ndarray, grad: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """The gradient of what is minimised: the loss plus weight_decay / 2 * |p|^2."""
    if group["maximize"]:
        grad = -grad
    return grad + group["weight_decay"] * p if group["weight_decay"] != 0 else grad


def group_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Of a constructor's arguments, its `locals()` at the start, those that groups can set."""
    others = ("self", "__class__", "params")  # __class__ is there for super()
    return {name: value for name, value in arguments.items() if name not in others}


def check_options(options: dict[str, Any], *names: str) -> None:
    """check_option for each of the named options."""
    texts = {"lr": "learning rate", "eps": "epsilon value"}
    for name in names:
        check_option(options[name], texts.get(name, f"{name} value"))


def check_option(value: Any, text: str, below: float | None = None) -> None:
    """Require 0 <= value, and value < below if that is given.

    Raises: ValueError in PyTorch's words if not; NotImplementedError for a Tensor.
    """
    if isinstance(value, Tensor):
        raise NotImplementedError(f"a Tensor as {text} is not supported; pass a number")
    if not 0.0 <= value or not (below is None or value < below):
        raise ValueError(f"Invalid {text}: {value}")


def _as_list(params: Any) -> list[Any]:
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering "
            "of tensors in sets will change between runs. Please use a list instead."
        )
    return list(params)


def _params_and_names(params: list[Any]) -> dict[str, list[Any]]:
    """A group's entries for parameters, or for (name, parameter) pairs."""
    pairs = [item for item in params if isinstance(item, tuple)]
    if not pairs:
        return {"params": params}
    if len(pairs) < len(params):
        raise ValueError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    return {"params": [p for _, p in pairs], "param_names": [name for name, _ in pairs]}


def _check_param(param: Any) -> None:
    if not isinstance(param, Tensor):
        raise TypeError(
            f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}"
        )
    if not (param.is_leaf or param.retains_grad):
        raise ValueError("can't optimize a non-leaf Tensor")


def _grad_error(param: Tensor) -> RuntimeError:
    return RuntimeError(
        f"optimizer: the gradient has shape {param.grad.shape}, but the parameter {param.shape}"
    )


def _fitted(name: str, value: Any, param: Tensor) -> Any:
    """A copy of one piece of saved state, in the parameter's dtype unless it is the step count."""
    if not isinstance(value, Tensor):
        return deepcopy(value)
    if value.ndim and value.shape != param.shape:
        raise ValueError(
            f"loaded state dict has {name} of shape {value.shape} for a parameter of shape "
            f"{param.shape}"
        )
    return value.detach().to(value.dtype if name == "step" else param.dtype, copy=True)
