"""In-place methods: names that end in `_`, operators like `+=`, and item assignment.

All do the same: compute the result as the out-of-place operation would, write it into the
tensor's memory, and, if it is being recorded, give the tensor the result's history.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinyvision.checks import as_int, expand_shape
from tinyvision.dtypes import TORCH_NAMES, can_cast, require_kind
from tinyvision.engine.modes import modes
from tinyvision.ops.indexing import SetItem, assign_item, convert_index
from tinyvision.ops.shape import Copy
from tinyvision.ops.views import CopySlices
from tinyvision.random import Generator, stream
from tinyvision.strides import may_overlap
from tinyvision.tensor.base import TensorBase, check_number
from tinyvision.tensor.compositions import Compositions as Out  # all methods that are out of place


def _variant(method: Callable) -> Callable:
    """The method that does the same in place; what it is given may need gradients too."""

    @functools.wraps(method)
    def in_place(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._in_place(lambda x: method(x, *args, **kwargs), *args, *kwargs.values())

    return _named_after(method, in_place)


def _view_variant(method: Callable) -> Callable:
    """The method, one that returns a view, such that self becomes the view."""

    @functools.wraps(method)
    def in_place(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._become_view(lambda x: method(x, *args, **kwargs))

    return _named_after(method, in_place)


def _named_after(method: Callable, in_place: Callable) -> Callable:
    name = method.__name__
    if name.startswith("__"):  # an operator: __add__ becomes __iadd__
        in_place.__name__ = f"__i{name[2:]}"
    else:
        in_place.__name__ = f"{name}_"
        in_place.__doc__ = f"The same as {name}, in place: {method.__doc__}"
    return in_place


def _variants(*methods: Callable) -> list[Callable]:
    return [_variant(method) for method in methods]


class InPlace(TensorBase):
    """Methods that change a Tensor's memory."""

    def _in_place(self, change: Callable[[Any], Any], *operands: Any) -> Self:
        """self <- change(self), recorded if self or one of `operands` needs gradients."""
        recorded = modes.grad and (self._needs_grad() or any(map(_requires_grad, operands)))
        self._check_writable(recorded)
        # The operation may save its input, which is about to change: it gets a copy.
        before = self._with_history(self._data.copy()) if recorded else self
        result = change(before)
        if result is NotImplemented:  # an operator leaves its turn to the other operand
            return result
        if result._data.shape != self._data.shape:
            raise RuntimeError(
                f"output with shape {self._data.shape} doesn't match the broadcast shape "
                f"{result._data.shape}"
            )
        result = self._in_own_dtype(result)
        if recorded and result.grad_fn is None:  # a constant, to which no gradient goes
            result = Copy.apply(before, result)
        self._data[...] = result._data
        self._bump_version()
        if result.grad_fn is not None and self._base is None:
            self._adopt_history(result)
        elif result.grad_fn is not None:
            base, whole = self._base, self._base._with_history(self._base._data)
            base._adopt_history(CopySlices.apply(whole, result, view=self._data))
            self._follow_base()
        return self

    def _become_view(self, view: Callable[[Any], Any]) -> Self:
        """self <- view(self): the memory stays as it is, shape and strides change."""
        self._check_writable(recorded=modes.grad and self._needs_grad())
        result = view(self._with_history(self._data))
        self._data = result._data
        self._bump_version()
        if result.grad_fn is not None:
            self._adopt_history(result)
        return self

    def _check_writable(self, recorded: bool) -> None:
        windows = recorded and self._base is not None and may_overlap(self._data)
        if windows or not self._data.flags.writeable:
            raise RuntimeError(
                "unsupported operation: the written-to tensor is read-only, or more than one of "
                "its elements refer to a single memory location. Please clone() the tensor before "
                "performing the operation."
            )
        if self._version is None and not modes.inference:
            raise RuntimeError("Inplace update to inference tensor outside InferenceMode.")
        if not recorded and not (modes.grad and self._base is not None):
            return
        kind = "a leaf Variable" if self._base is None else "a view of a leaf Variable"
        root = self if self._base is None else self._base
        if root._requires_grad and root.grad_fn is None:
            raise RuntimeError(f"{kind} that requires grad is being used in an in-place operation.")
        if root._requires_grad and not self._requires_grad:
            raise RuntimeError(
                "A view was created in no_grad mode and is being modified inplace with grad mode "
                "enabled. Take the view with grad mode enabled, or change it in no_grad mode."
            )

    def _with_history(self, array: np.ndarray) -> Self:
        """A tensor of other values (or the same) that stands where self does in the graph."""
        return self._from_op(array, self.grad_fn, self._output_nr)

    def _in_own_dtype(self, result: Any) -> Any:
        """`result` in self's dtype, if it can be cast."""
        have, want = result._data.dtype, self._data.dtype
        if not can_cast(have, want):
            raise RuntimeError(
                f"result type {TORCH_NAMES[have]} can't be cast to the desired output type "
                f"{TORCH_NAMES[want]}"
            )
        return result._to_dtype(want)

    # ---------------------------------------------------------------- arithmetic

    __iadd__, __isub__, __imul__ = _variants(Out.__add__, Out.__sub__, Out.__mul__)
    __itruediv__, __ipow__ = _variants(Out.__truediv__, Out.__pow__)
    __ifloordiv__, __imod__ = _variants(Out.__floordiv__, Out.__mod__)
    __iand__, __ior__, __ixor__ = _variants(Out.__and__, Out.__or__, Out.__xor__)
    __ilshift__, __irshift__ = _variants(Out.__lshift__, Out.__rshift__)

    def __setitem__(self, index: Any, value: Any) -> None:
        """self[index] = value, which broadcasts to the shape of self[index]."""
        place = convert_index(index, self._data.shape)
        source = check_number("__setitem__", value, self._tensor_like(self._own_number(value)))
        if place.advanced and source._data.dtype != self._data.dtype and source._data.size > 1:
            have, want = TORCH_NAMES[source._data.dtype], TORCH_NAMES[self._data.dtype]
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {want} for the "
                f"destination and {have} for the source."
            )
        source = source._to_dtype(self._data.dtype)
        if modes.grad and (self._needs_grad() or source._requires_grad):
            self._in_place(lambda x: SetItem.apply(x, source, index=place), source)
            return
        self._check_writable(recorded=False)
        assign_item(self._data, place, source._data)
        self._bump_version()

    add_, sub_, mul_, div_, pow_ = _variants(Out.add, Out.sub, Out.mul, Out.div, Out.pow)
    true_divide_, floor_divide_ = _variants(Out.true_divide, Out.floor_divide)
    remainder_, lerp_, square_ = _variants(Out.remainder, Out.lerp, Out.square)
    clamp_, clamp_min_, clamp_max_ = _variants(Out.clamp, Out.clamp_min, Out.clamp_max)
    clip_ = clamp_
    neg_, abs_, relu_, sigmoid_ = _variants(Out.neg, Out.abs, Out.relu, Out.sigmoid)
    floor_, ceil_, round_, trunc_ = _variants(Out.floor, Out.ceil, Out.round, Out.trunc)
    sign_, erf_, nan_to_num_ = _variants(Out.sign, Out.erf, Out.nan_to_num)
    exp_, expm1_, log_, log1p_ = _variants(Out.exp, Out.expm1, Out.log, Out.log1p)
    sqrt_, rsqrt_, reciprocal_ = _variants(Out.sqrt, Out.rsqrt, Out.reciprocal)
    sin_, cos_, tanh_, atan2_ = _variants(Out.sin, Out.cos, Out.tanh, Out.atan2)
    log2_, log10_ = _variants(Out.log2, Out.log10)
    eq_, ne_, lt_, le_ = _variants(Out.eq, Out.ne, Out.lt, Out.le)
    gt_, ge_, logical_not_ = _variants(Out.gt, Out.ge, Out.logical_not)
    logical_and_, logical_or_ = _variants(Out.logical_and, Out.logical_or)
    (logical_xor_,) = _variants(Out.logical_xor)
    addmm_, addcmul_, addcdiv_ = _variants(Out.addmm, Out.addcmul, Out.addcdiv)
    tril_, triu_, cumsum_ = _variants(Out.tril, Out.triu, Out.cumsum)
    index_add_, index_fill_, masked_fill_ = _variants(
        Out.index_add, Out.index_fill, Out.masked_fill
    )
    scatter_, scatter_add_ = _variants(Out.scatter, Out.scatter_add)
    squeeze_, unsqueeze_ = _view_variant(Out.squeeze), _view_variant(Out.unsqueeze)
    transpose_, t_ = _view_variant(Out.transpose), _view_variant(Out.t)

    # ---------------------------------------------------------------- new values

    def copy_(self, src: Any, non_blocking: bool = False) -> Self:
        """Take the values of src, which broadcasts, converted to self's dtype."""
        source = check_number("copy_", src, self._tensor_like(src))
        expand_shape(source._data.shape, self._data.shape, "copy_")
        return self._in_place(lambda x: Copy.apply(x, source), source)

    def fill_(self, value: Any) -> Self:
        """Set every element to one number, or a zero-dimensional tensor."""
        source = check_number("fill_", value, self._tensor_like(self._own_number(value)))
        if source._data.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{source._data.ndim} dimensions."
            )
        return self.copy_(source)

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Self:
        """Set x[i, i] of a matrix, for all i, to a number."""
        if wrap or self._data.ndim != 2:
            raise NotImplementedError("fill_diagonal_: only matrices, wrap=False are supported")
        self.diagonal().fill_(fill_value)  # type: ignore[attr-defined]
        return self

    def zero_(self) -> Self:
        """Set every element to 0."""
        return self.fill_(0)

    def normal_(
        self, mean: float = 0, std: float = 1, *, generator: Generator | None = None
    ) -> Self:
        """Draw from the normal distribution."""
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        require_kind("normal_", self._data.dtype, "f")
        number = self._data.dtype.type
        draws = stream(generator).standard_normal(self._data.shape, self._data.dtype)
        return self.copy_(self._plain(draws * number(std) + number(mean)))

    def uniform_(
        self, from_: float = 0, to: float = 1, *, generator: Generator | None = None
    ) -> Self:
        """Draw from the uniform distribution on [from_, to)."""
        if from_ > to:
            raise RuntimeError(
                f"uniform_ expects to return a [from, to) range, but found from={from_} > to={to}"
            )
        require_kind("uniform_", self._data.dtype, "f")
        draws = stream(generator).random(self._data.shape, self._data.dtype)
        return self.copy_(self._plain(draws * self._data.dtype.type(to - from_) + from_))

    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Self:
        """Draw 1 with probability p, or with those in a tensor p that broadcasts, else 0."""
        chances = np.asarray(p._data if isinstance(p, TensorBase) else p)
        if not ((chances >= 0) & (chances <= 1)).all():
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
        expand_shape(chances.shape, self._data.shape, "bernoulli_")
        return self.copy_(self._plain(stream(generator).random(self._data.shape) < chances))

    def random_(self, *limits: int, generator: Generator | None = None) -> Self:
        """Draw integers: random_(to) from 0 to to - 1, random_(from, to) from `from` on.

        Without limits, from 0 to the largest up to which the dtype has all integers.

        Raises: RuntimeError for limits that are none, or beyond the dtype.
        """
        least, most = _integers_in(self._data.dtype)
        low, high = (0, *(as_int(n, "random_", "a limit") for n in limits or (most + 1,)))[-2:]
        if low >= high:
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
            )
        if self._data.dtype.kind != "f" and not least <= low < high <= most + 1:
            raise RuntimeError(f"random_: from or to - 1 is out of bounds for {self._data.dtype}")
        draws = stream(generator).integers(low, high, self._data.shape)
        return self.copy_(self._plain(draws))


def _integers_in(dtype: np.dtype) -> tuple[int, int]:
    """The range in which a dtype has all integers."""
    if dtype.kind == "f":
        most = 2 ** (np.finfo(dtype).nmant + 1)
        return -most, most
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def _requires_grad(operand: Any) -> bool:
    return isinstance(operand, TensorBase) and operand._requires_grad
