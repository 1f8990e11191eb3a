"""Checking a gradient against finite differences.

For y = f(x) and a random cotangent v, backward computes the row v J of the Jacobian J = dy/dx.
Central differences compute its columns: J e = (f(x + h e) - f(x - h e)) / 2h. For small inputs
every entry of J is compared; for large ones the two meet in random projections: v (J u) = (v J) u.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyvision.autograd.gradients import grad
from tinyvision.engine.modes import no_grad
from tinyvision.random import Generator
from tinyvision.tensor import Tensor

# Up to this many entries the whole Jacobian is compared.
_FULL_JACOBIAN = 4096
_PROJECTIONS = 8


class GradcheckError(RuntimeError):
    """The gradient differs from finite differences; the message names the worst element."""


def gradcheck(
    func: Callable[..., Any], inputs: Tensor | Sequence[Any],
    *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True,
    nondet_tol: float = 0.0, fast_mode: bool | None = None, generator: Generator | None = None,
) -> bool:  # fmt: skip
    """Whether the gradients of `func(*inputs)` agree with central differences.

    Checked are all float64 inputs that require grad, for every float output: the full Jacobian
    if it is small, random projections if it is large; `fast_mode` forces either. Agreement
    means |analytic - numerical| <= atol + rtol * |numerical|; also, running backward twice must
    give gradients that differ by at most nondet_tol.

    Raises: GradcheckError on disagreement (with raise_exception=False: returns False);
    ValueError if no input can be checked.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, t in enumerate(args) if isinstance(t, Tensor) and t.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor to require gradient")
    for i in checked:
        if args[i].dtype != np.float64:
            raise ValueError(
                f"gradcheck: input {i} is {args[i].dtype}; finite differences need float64"
            )
    rng = np.random.default_rng(0) if generator is None else generator.numpy
    try:
        for output in range(len(_outputs(func, args))):
            for i in checked:
                _check_pair(func, args, i, output, (eps, atol, rtol, nondet_tol), fast_mode, rng)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _outputs(func: Callable, args: tuple) -> list[Tensor]:
    """The float outputs of a call."""
    result = func(*args)
    listed = [result] if isinstance(result, Tensor) else list(result)
    return [t for t in listed if isinstance(t, Tensor) and t.is_floating_point()]


def _check_pair(
    func: Callable, args: tuple, index: int, output: int,
    tolerances: tuple[float, float, float, float], fast_mode: bool | None,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Compare d(output)/d(args[index])."""
    eps, atol, rtol, nondet_tol = tolerances
    x, y = args[index], _outputs(func, args)[output]
    fast = x.numel() * y.numel() > _FULL_JACOBIAN if fast_mode is None else fast_mode
    if fast:
        # Rows of random signs and sizes: uniform ones would cancel in, say, a normalisation.
        cotangents = rng.standard_normal((_PROJECTIONS, y.numel()))
        directions = rng.standard_normal((_PROJECTIONS, x.numel()))
    else:
        cotangents, directions = np.eye(y.numel()), np.eye(x.numel())
    rows = _vector_jacobian(func, args, index, output, cotangents)
    again = _vector_jacobian(func, args, index, output, cotangents[:1])
    if rows.size and np.abs(again - rows[:1]).max() > nondet_tol:
        raise GradcheckError(f"gradient of output {output} for input {index} is not deterministic")
    columns = _jacobian_vector(func, args, index, output, directions, eps)
    _compare(rows @ directions.T, cotangents @ columns, atol, rtol, (index, output, fast, x, y))


def _vector_jacobian(
    func: Callable, args: tuple, index: int, output: int, cotangents: np.ndarray
) -> np.ndarray:
    """v J for every row v of cotangents, by backward."""
    rows = np.zeros((len(cotangents), args[index].numel()))
    y = _outputs(func, args)[output]
    if not y.requires_grad:
        return rows
    for row, v in zip(rows, cotangents, strict=True):
        seed = Tensor._from_op(v.reshape(y.shape).astype(y.dtype))
        (found,) = grad(y, args[index], seed, retain_graph=True, allow_unused=True)
        if found is not None:
            row[:] = found.numpy().ravel()
    return rows


def _jacobian_vector(
    func: Callable, args: tuple, index: int, output: int, directions: np.ndarray, eps: float
) -> np.ndarray:
    """J u for every row u of directions, by central differences; the columns of the result."""
    x = args[index]._data
    columns = np.zeros((_outputs(func, args)[output].numel(), len(directions)))
    for column, u in enumerate(directions):
        step = eps * u.reshape(x.shape)
        ends = []
        for moved in (x + step, x - step):
            probe = Tensor._from_op(moved)
            with no_grad():
                outputs = _outputs(func, (*args[:index], probe, *args[index + 1 :]))
            ends.append(outputs[output].numpy().astype(np.float64).ravel())
        columns[:, column] = (ends[0] - ends[1]) / (2 * eps)
    return columns


def _compare(
    analytic: np.ndarray, numerical: np.ndarray, atol: float, rtol: float, about: tuple
) -> None:
    """Raise, naming the worst element, if two Jacobians (outputs by inputs) disagree."""
    index, output, fast, x, y = about
    if analytic.size == 0:
        return
    excess = np.abs(analytic - numerical) - (atol + rtol * np.abs(numerical))
    excess = np.where(np.isnan(analytic) != np.isnan(numerical), np.inf, excess)
    worst = np.unravel_index(
        np.nanargmax(np.where(np.isnan(excess), -np.inf, excess)), excess.shape
    )
    if not excess[worst] > 0:
        return
    row, column = (int(i) for i in worst)
    if fast:
        where = f"in random projection {row} of the output and {column} of the input"
    else:
        at_y = tuple(int(i) for i in np.unravel_index(row, y.shape))
        at_x = tuple(int(i) for i in np.unravel_index(column, x.shape))
        where = f"for output element {at_y} and input element {at_x}"
    raise GradcheckError(
        f"Jacobian mismatch for output {output} with respect to input {index}: worst {where}: "
        f"analytic {analytic[worst]:.8g}, numerical {numerical[worst]:.8g}; "
        f"{int((excess > 0).sum())} of {excess.size} entries differ"
    )
