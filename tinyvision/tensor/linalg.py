"""Methods for matrices: products, transposes, triangles and diagonals."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinyvision.checks import as_int, normalize_dim
from tinyvision.ops.diagonal import Diagonal, DiagonalMatrix, Triangle
from tinyvision.ops.elementwise import Clone, Mul
from tinyvision.ops.matmul import MatMul, check_matmul
from tinyvision.ops.shape import Permute, Reshape
from tinyvision.tensor.base import TensorBase, check_tensor


class LinearAlgebra(TensorBase):
    """Methods that treat the last dims of a Tensor as matrices."""

    # ---------------------------------------------------------------- products

    def matmul(self, other: Self) -> Self:
        """The matrix product.

        Shapes: two vectors give a number; matrices (n, k) and (k, m) give (n, m). A vector on
        the left is a row, on the right a column, and that dim is dropped from the result. Dims
        before the last two are batches and broadcast.

        Raises: RuntimeError if shapes or dtypes do not match.
        """
        check_tensor("matmul", "other", other)
        check_matmul(self._data, other._data)
        return MatMul.apply(self, other)

    def __matmul__(self, other: Any) -> Self:
        other = _operand(self, other)
        return NotImplemented if other is None else self.matmul(other)

    def __rmatmul__(self, other: Any) -> Self:
        other = _operand(self, other)
        return NotImplemented if other is None else other.matmul(self)

    def mm(self, mat2: Self) -> Self:
        """The product of two matrices."""
        _check_ndim("mm", "self", self, 2, "self must be a matrix")
        _check_ndim("mm", "mat2", mat2, 2, "mat2 must be a matrix")
        return self.matmul(mat2)

    def bmm(self, mat2: Self) -> Self:
        """The products of a batch of matrices with as many others: (B, n, k) and (B, k, m)."""
        _check_ndim("bmm", "self", self, 3, "batch1 must be a 3D tensor")
        _check_ndim("bmm", "mat2", mat2, 3, "batch2 must be a 3D tensor")
        batch, _, inner = self._data.shape
        if mat2._data.shape[:2] != (batch, inner):
            raise RuntimeError(
                "bmm: Expected size for first two dimensions of batch2 tensor to be: "
                f"[{batch}, {inner}] but got: {list(mat2._data.shape[:2])}."
            )
        return self.matmul(mat2)

    def mv(self, vec: Self) -> Self:
        """The product of a matrix and a vector."""
        _check_ndim("mv", "self", self, 2, "self must be a matrix")
        _check_ndim("mv", "vec", vec, 1, "vec must be a vector")
        if self._data.shape[1] != vec._data.shape[0]:
            raise RuntimeError(
                f"size mismatch, got mat ({self._data.shape[0]}x{self._data.shape[1]}), vec "
                f"({vec._data.shape[0]})"
            )
        return self.matmul(vec)

    def dot(self, tensor: Self) -> Self:
        """The sum of the products of two vectors' elements."""
        check_tensor("dot", "tensor", tensor)
        if (self._data.ndim, tensor._data.ndim) != (1, 1):
            raise RuntimeError(
                f"dot: 1D tensors expected, but got {self._data.ndim}D and {tensor._data.ndim}D "
                "tensors"
            )
        if self._data.size != tensor._data.size:
            raise RuntimeError(
                f"dot: inconsistent tensor size, expected tensor [{self._data.size}] and src "
                f"[{tensor._data.size}] to have the same number of elements"
            )
        return self.matmul(tensor)

    def addmm(self, mat1: Self, mat2: Self, *, beta: float = 1, alpha: float = 1) -> Self:
        """beta * self + alpha * (mat1 @ mat2); with beta = 0, self is not even looked at.

        Raises: RuntimeError for shapes or dtypes that do not fit together.
        """
        product = check_tensor("addmm", "mat1", mat1).mm(mat2)
        return _add_product("addmm", self, product, beta, alpha)

    def baddbmm(self, batch1: Self, batch2: Self, *, beta: float = 1, alpha: float = 1) -> Self:
        """beta * self + alpha * (batch1 @ batch2) for batches of matrices, see addmm."""
        product = check_tensor("baddbmm", "batch1", batch1).bmm(batch2)
        return _add_product("baddbmm", self, product, beta, alpha)

    def outer(self, vec2: Self) -> Self:
        """All products of the elements of two vectors: y[i, j] = self[i] * vec2[j]."""
        _check_ndim("outer", "self", self, 1, "Expected 1-D argument self")
        _check_ndim("outer", "vec2", vec2, 1, "Expected 1-D argument vec2")
        column = Reshape.apply(self, shape=(self._data.size, 1))
        return column._binary(vec2, Mul)

    # ---------------------------------------------------------------- transposes

    @property
    def T(self) -> Self:
        """All dims in reverse order: the transpose of a matrix."""
        return Permute.apply(self, dims=tuple(reversed(range(self._data.ndim))))

    @property
    def mT(self) -> Self:
        """The last two dims exchanged: the transpose of each matrix in a batch."""
        ndim = self._data.ndim
        if ndim < 2:
            raise RuntimeError(
                "tensor.mT is only supported on matrices or batches of matrices. Got "
                f"{ndim}-D tensor."
            )
        return Permute.apply(self, dims=(*range(ndim - 2), ndim - 1, ndim - 2))

    # ---------------------------------------------------------------- parts

    def tril(self, diagonal: int = 0) -> Self:
        """The lower triangle of each matrix: zeros above the given diagonal."""
        return _triangle("tril", self, diagonal, upper=False)

    def triu(self, diagonal: int = 0) -> Self:
        """The upper triangle of each matrix: zeros below the given diagonal."""
        return _triangle("triu", self, diagonal, upper=True)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Self:
        """One diagonal of the matrices in dim1 and dim2, as last dim; a view."""
        ndim = self._data.ndim
        first, second = normalize_dim(dim1, ndim, "diagonal"), normalize_dim(dim2, ndim, "diagonal")
        if first == second:
            raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
        offset = as_int(offset, "diagonal", "offset")
        return Diagonal.apply(self, offset=offset, dim1=first, dim2=second)

    def diag(self, diagonal: int = 0) -> Self:
        """A matrix with this vector on one diagonal, or a copy of that diagonal of this matrix."""
        if self._data.ndim not in (1, 2):
            raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {self._data.ndim}D")
        if self._data.ndim == 2:
            return Clone.apply(self.diagonal(diagonal))
        return DiagonalMatrix.apply(self, offset=as_int(diagonal, "diag", "diagonal"))


def _add_product(name: str, tensor: Any, product: Any, beta: Any, alpha: Any) -> Any:
    dtype = product._data.dtype
    if tensor._data.dtype != dtype:
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got {tensor._data.dtype} and "
            f"{dtype}"
        )
    if dtype.kind != "f":  # as PyTorch does
        beta, alpha = int(beta), int(alpha)
    tensor = tensor.expand(product._data.shape)  # it may be broadcast, the product not
    if beta == 0:  # not even NaN is looked at
        tensor = tensor.masked_fill(tensor._plain(np.ones((), bool)), 0)
    return (tensor if beta in (0, 1) else tensor * beta) + (
        product if alpha == 1 else product * alpha
    )


def _operand(tensor: Any, other: Any) -> Any:
    """`other` as a tensor, or None if it is neither tensor nor array."""
    if isinstance(other, np.ndarray):
        return tensor._plain(other)
    return other if isinstance(other, TensorBase) else None


def _check_ndim(name: str, argument: str, tensor: Any, ndim: int, message: str) -> None:
    if check_tensor(name, argument, tensor)._data.ndim != ndim:
        raise RuntimeError(f"{name}: {message}, but got {tensor._data.ndim}-D")


def _triangle(name: str, tensor: Any, diagonal: int, upper: bool) -> Any:
    if tensor._data.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    return Triangle.apply(tensor, diagonal=as_int(diagonal, name, "diagonal"), upper=upper)
