"""state_dict and load_state_dict: a module's tensors by dotted name, out and in again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tinyvision.engine.modes import no_grad
from tinyvision.nn.parameter import Parameter
from tinyvision.nn.tree import ModuleTree, join_names
from tinyvision.tensor import Tensor


class _IncompatibleKeys(NamedTuple):
    """What load_state_dict returns: names it looked for in vain, and names it has no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def collect_state(
    module: ModuleTree, destination: dict[str, Any] | None, prefix: str, keep_vars: bool
) -> dict[str, Any]:
    """All parameters and persistent buffers by name; they share the module's memory."""
    result = OrderedDict() if destination is None else destination
    for name, _, _, tensor in _state_members(module):
        result[prefix + name] = tensor if keep_vars else tensor.detach()
    return result


def load_state(
    module: ModuleTree, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> _IncompatibleKeys:
    """Copy the tensors of `state_dict` into the module, or put them in its place (`assign`).

    Everything is checked first: a state that does not fit changes nothing.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    members = list(_state_members(module))
    names = {name for name, _, _, _ in members}
    missing = [
        name
        for name, owner, attribute, _ in members
        if name not in state_dict and attribute not in owner._optional_state
    ]
    unexpected = [name for name in state_dict if name not in names]
    found = [(*m, state_dict[m[0]]) for m in members if m[0] in state_dict]
    problems = [p for p in (_problem(name, t, value) for name, _, _, t, value in found) if p]
    if strict:
        problems = _key_problems(missing, unexpected) + problems
    if problems:
        listed = "\n\t".join(problems)
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{listed}"
        )
    for _, owner, attribute, tensor, value in found:
        _load_one(owner, attribute, tensor, value, assign)
    return _IncompatibleKeys(missing, unexpected)


def _state_members(module: ModuleTree) -> Iterator[tuple[str, ModuleTree, str, Tensor]]:
    """(dotted name, owner, attribute, tensor) of all that a state_dict holds.

    A shared tensor occurs under every name it has, as in PyTorch.
    """
    for path, owner in module.named_modules(remove_duplicate=False):
        for attribute, parameter in owner._parameters.items():
            if parameter is not None:
                yield join_names(path, attribute), owner, attribute, parameter
        for attribute, buffer in owner._buffers.items():
            if buffer is not None and attribute not in owner._non_persistent_buffers:
                yield join_names(path, attribute), owner, attribute, buffer


def _problem(name: str, tensor: Tensor, value: Any) -> str | None:
    """Why `value` cannot be loaded into `tensor`, or None."""
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{name}", expected a Tensor from checkpoint but '
            f"received {type(value)}"
        )
    if value.shape != tensor.shape:
        return (
            f"size mismatch for {name}: copying a param with shape {value.shape} from "
            f"checkpoint, the shape in current model is {tensor.shape}."
        )
    return None


def _key_problems(missing: list[str], unexpected: list[str]) -> list[str]:
    problems = []
    for kind, names in (("Missing", missing), ("Unexpected", unexpected)):
        if names:
            quoted = ", ".join([f'"{name}"' for name in names])
            problems.append(f"{kind} key(s) in state_dict: {quoted}. ")
    return problems


def _load_one(
    owner: ModuleTree, attribute: str, tensor: Tensor, value: Tensor, assign: bool
) -> None:
    if not assign:
        with no_grad():
            tensor.copy_(value)
    elif not isinstance(tensor, Parameter):
        setattr(owner, attribute, value)
    elif isinstance(value, Parameter):
        setattr(owner, attribute, value.requires_grad_(tensor.requires_grad))
    else:
        setattr(owner, attribute, Parameter(value, tensor.requires_grad))
