"""Functions that make matrices out of several: joined, side by side, or compared row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyvision.checks import as_int
from tinyvision.devices import require_cpu
from tinyvision.dtypes import TORCH_NAMES, as_dtype, int64
from tinyvision.functions.joining import cat
from tinyvision.ops.shape import Pad
from tinyvision.tensor import Tensor
from tinyvision.tensor.base import check_tensor

_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = _COMPUTE_MODES[0]) -> Tensor:
    """The p-norms of the differences between each row of x1 and each of x2.

    compute_mode chooses between ways to the same result in PyTorch; there is one way here.

    Shapes: x1 (..., P, M), x2 (..., R, M), result (..., P, R); the dims in front broadcast.
    Raises: RuntimeError for shapes or dtypes that do not fit together.
    """
    if compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, x in (("x1", x1), ("x2", x2)):
        if check_tensor("cdist", name, x).ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            "cdist: x1 and x2 must have the same number of columns, but got shapes "
            f"{tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    if not x1.is_floating_point() or x1.dtype != x2.dtype:
        raise RuntimeError(f"cdist: expected one float dtype, but got {x1.dtype} and {x2.dtype}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    # (..., P, 1, M) - (..., 1, R, M)
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal, and zeros elsewhere; vectors are rows."""
    rows, before = [], 0
    for i, t in enumerate(tensors):
        if check_tensor("block_diag", f"tensors[{i}]", t).ndim > 2:
            raise RuntimeError(
                "block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {t.ndim} dimensions"
            )
        rows.append(t if t.ndim == 2 else t.reshape(1, -1))
    total = sum(t.shape[1] for t in rows)
    for i, t in enumerate(rows):
        after = total - before - t.shape[1]
        rows[i] = Pad.apply(t, widths=[(0, 0), (before, after)], value=0)
        before += t.shape[1]
    return cat(rows) if rows else Tensor(1, 0)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Tensor:
    """Where the lower triangle of a (row, col) matrix is: row numbers above column numbers.

    offset: the last diagonal that belongs to it, 0 being the main one. Shape: (2, count).
    """
    return _indices("tril_indices", np.tri(*_checked(row, col), offset), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Tensor:
    """Where the upper triangle of a (row, col) matrix is; see tril_indices."""
    return _indices("triu_indices", 1 - np.tri(*_checked(row, col), offset - 1), dtype, device)


def _checked(row: int, col: int) -> tuple[int, int]:
    for name, n in (("row", row), ("col", col)):
        if as_int(n, "triangle", name) < 0:
            raise RuntimeError(f"{name} must be non-negative, got {n}")
    return row, col


def _indices(name: str, is_inside: np.ndarray, dtype: Any, device: Any) -> Tensor:
    require_cpu(device)
    wanted = as_dtype(dtype)
    if wanted not in (np.int32, np.int64):
        raise NotImplementedError(f'"{name}" not implemented for {TORCH_NAMES[wanted]!r}')
    return Tensor._from_op(np.array(np.nonzero(is_inside), wanted))
