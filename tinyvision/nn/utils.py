"""Work on all gradients or parameters of a model at once: torch.nn.utils."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tinyvision import missing
from tinyvision.devices import module
from tinyvision.engine.modes import no_grad
from tinyvision.functions.joining import cat
from tinyvision.tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients down, if need be, so that their common norm is at most max_norm.

    total_norm = norm of all gradients as one vector
    grad *= min(1, max_norm / (total_norm + 1e-6))

    Returns the total norm before clipping.

    Raises: RuntimeError if error_if_nonfinite and the norm is inf or NaN.
    """
    _check_foreach(foreach, "clip_grad_norm_")
    grads = _grads(parameters)
    total_norm = _total_norm(grads, float(norm_type))
    if error_if_nonfinite and not math.isfinite(total_norm):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    # np.minimum lets a NaN through, as PyTorch does; Python's min would not.
    factor = np.minimum(1.0, max_norm / (total_norm + 1e-6))
    for grad in grads:
        with np.errstate(all="ignore"):  # inf * 0 is a silent NaN here
            grad._data *= grad.dtype.type(factor)
        grad._bump_version()
    return Tensor._from_op(np.asarray(total_norm, grads[0].dtype if grads else np.float32))


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clip every element of all gradients to [-clip_value, clip_value]."""
    _check_foreach(foreach, "clip_grad_value_")
    bound = float(clip_value)
    for grad in _grads(parameters):
        np.clip(grad._data, -bound, bound, out=grad._data)
        grad._bump_version()


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened and joined into one vector; gradients flow through it."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the parts of a vector, as made by parameters_to_vector, into the parameters.

    Raises: TypeError if vec is no Tensor, RuntimeError if it is no vector or too short.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    listed = list(parameters)
    sizes = [p.numel() for p in listed]
    if vec.ndim != 1 or len(vec) < sum(sizes):
        raise RuntimeError(
            f"vector_to_parameters: expected a vector of {sum(sizes)} elements, got {vec.shape}"
        )
    parts = np.split(vec._data, np.cumsum(sizes))[:-1]  # the last is what is left over
    with no_grad():
        for parameter, part in zip(listed, parts, strict=True):
            parameter.copy_(part.reshape(parameter.shape))


def _check_foreach(foreach: bool | None, name: str) -> None:
    if foreach:
        raise NotImplementedError(f"{name}: foreach=True is not supported")


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in listed if p.grad is not None]


def _total_norm(grads: list[Tensor], norm_type: float) -> float:
    """The norm of the norms, which is the norm of all elements together."""
    with np.errstate(all="ignore"):
        norms = [np.linalg.norm(g._data.reshape(-1), norm_type) for g in grads]
        return float(np.linalg.norm(np.array(norms, np.float64), norm_type)) if norms else 0.0


# Programs import it; of what is in it, nothing is here.
rnn = module("nn.utils.rnn", __getattr__=missing.names("tinyvision.nn.utils.rnn"))

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.nn.utils")
