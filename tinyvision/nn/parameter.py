"""Parameter: a tensor that a Module registers when it is assigned as an attribute."""

from __future__ import annotations

from typing import Any

from tinyvision.creation import empty
from tinyvision.devices import require_cpu
from tinyvision.tensor import Tensor


class Parameter(Tensor):
    """A tensor to be trained; it shares the memory of `data`.

    What is computed from a Parameter is a plain Tensor. Like all Tensors, Parameters may be given
    attributes of one's own (`p.is_bias = True`).

    Raises: TypeError if data is no Tensor, RuntimeError if its dtype cannot have gradients.
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor, got {type(data).__name__}")
        self._init(data._data, None, 0, None)
        # The same memory: a change through one must be noticed by graphs that hold the other.
        self._version = data._version
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict) -> Parameter:
        copy = type(self)(self.detach().clone(), self._requires_grad)
        memo[id(self)] = copy
        return copy


def new_parameter(*size: int, dtype: Any, device: Any) -> Parameter:
    """A Parameter of arbitrary values, for a layer to initialise.

    Raises: NotImplementedError for a device other than "cpu", RuntimeError for negative sizes.
    """
    require_cpu(device)
    return Parameter(empty(*size, dtype=dtype))
