"""`tv.gather(x, ...)` for `x.gather(...)`, and so on: indexing methods and matrix products."""

from __future__ import annotations

from typing import Any

from tinyvision.tensor import Tensor
from tinyvision.tensor.base import require_tensor


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice number `index` along dim, without that dim; a view."""
    return require_tensor(input, "select").select(dim, index)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The `length` slices along dim from number `start` on; a view."""
    return require_tensor(input, "narrow").narrow(dim, start, length)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along dim that a vector of indices names, in its order."""
    return require_tensor(input, "index_select").index_select(dim, index)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Values picked along dim: for dim 1 of three, y[i, j, k] = x[i, index[i, j, k], k]."""
    return require_tensor(input, "gather").gather(dim, index)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Like gather, for indices that broadcast with self in all other dims."""
    return require_tensor(input, "take_along_dim").take_along_dim(indices, dim)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None
) -> Tensor:
    """A copy with src written where gather would read: y[i, index[i, j, k], k] = src[i, j, k]."""
    return require_tensor(input, "scatter").scatter(dim, index, src, value=value)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Like scatter, but src is added, and places named several times receive all of it."""
    return require_tensor(input, "scatter_add").scatter_add(dim, index, src)


def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """A copy with alpha * source[i] added to the slice number index[i] along dim."""
    return require_tensor(input, "index_add").index_add(dim, index, source, alpha=alpha)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with value, a number or zero-dimensional tensor, wherever mask holds."""
    return require_tensor(input, "masked_fill").masked_fill(mask, value)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The values where mask holds, as a vector; self and mask broadcast."""
    return require_tensor(input, "masked_select").masked_select(mask)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of all values that are not zero: a row of indices for each."""
    return require_tensor(input, "nonzero").nonzero(as_tuple=as_tuple)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product."""
    return require_tensor(input, "matmul").matmul(other)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    return require_tensor(input, "mm").mm(mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of a batch of matrices with as many others: (B, n, k) and (B, k, m)."""
    return require_tensor(input, "bmm").bmm(mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    return require_tensor(input, "mv").mv(vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors' elements."""
    return require_tensor(input, "dot").dot(tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of the elements of two vectors: y[i, j] = self[i] * vec2[j]."""
    return require_tensor(input, "outer").outer(vec2)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix: zeros above the given diagonal."""
    return require_tensor(input, "tril").tril(diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix: zeros below the given diagonal."""
    return require_tensor(input, "triu").triu(diagonal)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """One diagonal of the matrices in dim1 and dim2, as last dim; a view."""
    return require_tensor(input, "diagonal").diagonal(offset, dim1, dim2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with this vector on one diagonal, or a copy of that diagonal of this matrix."""
    return require_tensor(input, "diag").diag(diagonal)
