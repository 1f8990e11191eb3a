"""Methods that are compositions of others, written as such, and other names for some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tinyvision.checks import either, fitting, normalize_dim, sizes_from
from tinyvision.devices import require_cpu
from tinyvision.dtypes import as_dtype, require_kind, result_type
from tinyvision.ops.elementwise import Clone
from tinyvision.ops.shape import Cat, Unfold
from tinyvision.tensor.arithmetic import Arithmetic
from tinyvision.tensor.base import check_tensor
from tinyvision.tensor.comparison import Comparison
from tinyvision.tensor.indexing import Indexing
from tinyvision.tensor.linalg import LinearAlgebra
from tinyvision.tensor.pointwise import Pointwise
from tinyvision.tensor.reductions import Reductions
from tinyvision.tensor.shaping import Shaping


class Compositions(Pointwise, Comparison, Reductions, Shaping, Indexing, LinearAlgebra):
    """Methods that need no formula of their own."""

    absolute = Pointwise.abs
    negative = Pointwise.neg
    arccos, arcsin, arctan = Pointwise.acos, Pointwise.asin, Pointwise.atan
    arctan2 = Arithmetic.atan2
    multiply = Arithmetic.mul
    subtract = Arithmetic.sub
    divide = true_divide = Arithmetic.div
    less, less_equal = Comparison.lt, Comparison.le
    greater, greater_equal = Comparison.gt, Comparison.ge
    not_equal = Comparison.ne
    moveaxis = Shaping.movedim
    argwhere = Indexing.nonzero

    def clamp_min(self, min: Any) -> Self:
        """max(x, min)."""
        return self.clamp(min=min)

    def clamp_max(self, max: Any) -> Self:
        """min(x, max)."""
        return self.clamp(max=max)

    def unfold(self, dimension: int, size: int, step: int) -> Self:
        """A view of all windows of `size` along a dim, `step` apart, which are its last dim."""
        dim = normalize_dim(dimension, self._data.ndim, "unfold")
        n = self._data.shape[dim] if self._data.ndim else 1
        if not 0 <= size <= n or step < 1:
            raise RuntimeError(f"unfold: no windows of size {size} with step {step} in {n} values")
        if not self._data.ndim:
            return self.reshape(1).narrow(0, 0, size)
        return Unfold.apply(self, dim=dim, size=size, step=step)

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Self:
        """self + value * tensor1 * tensor2."""
        a, b = self._in_common_dtype("addcmul", tensor1, tensor2)
        return self + value * a * b

    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Self:
        """self + value * tensor1 / tensor2."""
        a, b = self._in_common_dtype("addcdiv", tensor1, tensor2)
        if "f" not in (tensor1._data.dtype.kind, tensor2._data.dtype.kind):
            raise RuntimeError("Integer division with addcdiv is no longer supported")
        return self + value * a / b

    def _in_common_dtype(self, name: str, tensor1: Any, tensor2: Any) -> list[Any]:
        tensors = check_tensor(name, "tensor1", tensor1), check_tensor(name, "tensor2", tensor2)
        dtype = result_type(self._data, *[t._data for t in tensors])
        return [t._to_dtype(dtype) for t in tensors]

    def nan_to_num(
        self, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
    ) -> Self:
        """NaN as `nan`, infinities as `posinf` and `neginf`, or the dtype's extreme values."""
        if self._data.dtype.kind != "f":
            return Clone.apply(self)
        limits = np.finfo(self._data.dtype)
        high = float(limits.max) if posinf is None else posinf
        low = float(limits.min) if neginf is None else neginf
        finite = self.masked_fill(self.eq(np.inf), high).masked_fill(self.eq(-np.inf), low)
        return finite.masked_fill(self.isnan(), 0.0 if nan is None else nan)

    def ravel(self) -> Self:
        """All values as one dim; a view if possible."""
        return self.reshape(-1)

    def flipud(self) -> Self:
        """Rows from last to first."""
        return self._with_dims("flipud", 1).flip(0)

    def fliplr(self) -> Self:
        """Columns from last to first."""
        return self._with_dims("fliplr", 2).flip(1)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Self:
        """Turned k times by 90 degrees in the plane of two dims, from the first to the second."""
        ndim = self._with_dims("rot90", 2)._data.ndim
        if len(dims) != 2:
            raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
        a, b = (normalize_dim(dim, ndim, "rot90") for dim in dims)
        if a == b:
            raise RuntimeError(f"rot90: expected two different dims, but got {tuple(dims)}")
        turns = k % 4
        if turns == 2:
            return self.flip(a, b)
        turned = self.transpose(a, b) if turns else Clone.apply(self)
        return turned.flip(a) if turns == 1 else turned.flip(b) if turns else turned

    def _with_dims(self, name: str, at_least: int) -> Self:
        if self._data.ndim < at_least:
            raise RuntimeError(f"{name}: expected a tensor of {at_least} dims or more")
        return self

    def trace(self) -> Self:
        """The sum of a matrix's diagonal."""
        require_kind("trace", self._data.dtype, "iuf")
        if self._data.ndim != 2:
            raise RuntimeError(f"trace: expected a matrix, got {self._data.ndim} dims")
        return self.diagonal().sum()

    def diff(
        self, n: int = 1, dim: int = -1, prepend: Self | None = None, append: Self | None = None
    ) -> Self:
        """Differences of neighbours along dim, taken n times, of what is joined with the others."""
        x = self._with_dims("diff", 1)
        if n < 0:
            raise RuntimeError(f"diff: order must be non-negative but got {n}")
        joined = [part for part in (prepend, self, append) if part is not None]
        if len(joined) > 1 and n > 0:
            x = Cat.apply(*joined, dim=normalize_dim(dim, self._data.ndim, "diff"))
        for _ in range(n):
            size = x._data.shape[normalize_dim(dim, x._data.ndim, "diff")]
            short = min(size, 1)
            later, earlier = (x.narrow(dim, start, size - short) for start in (short, 0))
            x = later.logical_xor(earlier) if x._data.dtype.kind == "b" else later - earlier
        return x

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None) -> Self:
        """`data` as a tensor of the same dtype."""
        return self._new(np.array(data), dtype, device)

    def new_zeros(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None
    ) -> Self:
        """All 0, of the same dtype."""
        return self._new(np.zeros(sizes_from(either(sizes, size), "new_zeros")), dtype, device)

    def new_ones(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None
    ) -> Self:
        """All 1, of the same dtype."""
        return self._new(np.ones(sizes_from(either(sizes, size), "new_ones")), dtype, device)

    def new_full(
        self, size: Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None
    ) -> Self:
        """All `fill_value`, of the same dtype."""
        dtype = self._data.dtype if dtype is None else as_dtype(dtype)
        return self._new(np.full(tuple(size), fitting(fill_value, dtype)), dtype, device)

    def new_empty(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None
    ) -> Self:
        """Of any values, of the same dtype."""
        return self._new(np.empty(sizes_from(either(sizes, size), "new_empty")), dtype, device)

    def _new(self, array: np.ndarray, dtype: Any, device: Any) -> Self:
        require_cpu(device)
        return self._plain(array.astype(self._data.dtype if dtype is None else as_dtype(dtype)))
