"""Class Tensor: the array side (shape, dtype, NumPy, printing), with all methods by topic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Number
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinyvision import devices, missing
from tinyvision.checks import normalize_dim, sizes_from
from tinyvision.dtypes import TORCH_NAMES, as_dtype, float32, is_floating_point
from tinyvision.engine.op import Node
from tinyvision.ops.elementwise import Clone
from tinyvision.printing import format_tensor
from tinyvision.strides import (
    check_memory_format,
    memory_format,
    preserve_format,
    suggested_format,
)
from tinyvision.tensor.base import with_numpy_names
from tinyvision.tensor.compositions import Compositions
from tinyvision.tensor.counting import Counting
from tinyvision.tensor.gradients import Gradients
from tinyvision.tensor.inplace import InPlace


class Size(tuple):
    """The sizes of all dims: a tuple that can multiply them, and prints as PyTorch's does."""

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)


class Tensor(Compositions, Counting, InPlace, Gradients):
    """An n-dimensional array that can remember how it was computed.

    Made by `tinyvision.tensor(...)` and its siblings. As in PyTorch, `Tensor(data)` is float32, and
    `Tensor(2, 3)` has these sizes and any values.
    """

    if not TYPE_CHECKING:
        __getattr__ = missing.names("tinyvision.Tensor")

    def __init__(self, *data: Any) -> None:
        if not data or isinstance(data[0], int):
            array = np.empty(sizes_from(data or (0,), "Tensor"), float32)
        elif len(data) == 1 and not isinstance(data[0], float):
            array = np.array(to_array(data[0]), float32)
        else:
            raise TypeError("Tensor(): data must be sizes, or one sequence, array or tensor")
        self._init(array, None, 0, None)

    @staticmethod
    def _from_op(
        array: np.ndarray, grad_fn: Node | None = None, output_nr: int = 0, base: Any = None
    ) -> Tensor:
        """A tensor around the result of an operation; every tensor is made here."""
        result = Tensor.__new__(Tensor)
        result._init(array, grad_fn, output_nr, base)
        return result

    # ---------------------------------------------------------------- what it is

    @property
    def shape(self) -> Size:
        """The sizes of all dims."""
        return Size(self._data.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return self._data.ndim

    @property
    def device(self) -> devices.device:
        """Always device("cpu")."""
        return devices.CPU

    @property
    def is_cuda(self) -> Any:
        """Always False."""
        return False

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.nbytes

    def size(self, dim: int | None = None) -> Any:
        """The sizes of all dims, or of one."""
        if dim is None:
            return self.shape
        return self._data.shape[normalize_dim(dim, self._data.ndim, "size")]

    def dim(self) -> int:
        """The number of dims."""
        return self._data.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """The distance in memory, in elements, between neighbours along every dim or one."""
        strides = tuple([s // self._data.itemsize for s in self._data.strides])
        return strides if dim is None else strides[normalize_dim(dim, len(strides), "stride")]

    def element_size(self) -> int:
        """Bytes per element."""
        return self._data.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._data.ctypes.data

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32 or float64."""
        return is_floating_point(self._data.dtype)

    # ---------------------------------------------------------------- conversions

    @property
    def data(self) -> Tensor:
        """The values without history; changes to it go unnoticed by autograd."""
        return Tensor._from_op(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if value._data.dtype != self._data.dtype:
            raise RuntimeError(
                f"data set to a tensor of dtype {value._data.dtype}; expected {self._data.dtype}"
            )
        self._data = value._data

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as an array that shares the tensor's memory.

        Raises: RuntimeError if the tensor requires grad, unless `force` detaches it.
        """
        if self._requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        return self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and dtype != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(
        self, array: np.ndarray, context: Any = None, return_scalar: Any = False
    ) -> Tensor:
        """What NumPy's functions make of a tensor is a tensor, without history."""
        return Tensor._from_op(np.asarray(array))

    def item(self) -> Any:
        """The one element as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar"
            )
        return self._data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: memory_format | None = None,
    ) -> Self:
        """Self in another dtype or order in memory; the only device is "cpu".

        `to(dtype)`, `to("cpu")`, `to("cpu", dtype)` and `to(other_tensor)` work, and non_blocking
        and copy may follow by position.
        """
        copy = copy or [a for a in args if isinstance(a, bool)][1:] == [True]
        wanted = dtype_for_to(args, dtype, device)
        order = check_memory_format("to", memory_format or preserve_format)
        result = self if wanted is None else self._to_dtype(wanted)
        if order not in (preserve_format, suggested_format(result._data)):
            return result.clone(memory_format=order)
        return result.clone() if copy and result is self else result

    def type(self, dtype: Any = None) -> Any:
        """Self in another dtype or, without one, the name that PyTorch has for self's type.

        dtype: also `LongTensor` and its siblings, or their names, such as "torch.LongTensor".
        """
        if dtype is None:
            return f"torch.{TORCH_NAMES[self._data.dtype]}Tensor"
        if isinstance(dtype, str):
            names: dict[str, Any] = {
                f"torch.{name}Tensor": known for known, name in TORCH_NAMES.items()
            }
            if dtype not in names:
                raise ValueError(f"invalid type: {dtype!r}")
            return self._to_dtype(names[dtype])
        if not isinstance(dtype, type) and callable(dtype):
            return self.type_as(dtype(0))
        return self._to_dtype(as_dtype(dtype))

    def type_as(self, other: Tensor) -> Self:
        """Self in the dtype of other."""
        return self._to_dtype(other._data.dtype)

    def float(self) -> Self:
        """Self as float32."""
        return self._to_dtype(float32)

    def double(self) -> Self:
        """Self as float64."""
        return self.to(np.float64)

    def long(self) -> Self:
        """Self as int64."""
        return self.to(np.int64)

    def int(self) -> Self:
        """Self as int32."""
        return self.to(np.int32)

    def bool(self) -> Self:
        """Self as bool: whether values are nonzero."""
        return self.to(np.bool_)

    def short(self) -> Self:
        """Self as int16."""
        return self.to(np.int16)

    def byte(self) -> Self:
        """Self as uint8."""
        return self.to(np.uint8)

    def cpu(self) -> Self:
        """Self, which is already there."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raises NotImplementedError: there is no such device."""
        return self.to("cuda" if device is None else device)

    def clone(self, *, memory_format: memory_format | None = None) -> Self:
        """A copy with its own memory, in the given order; gradients flow through it."""
        order = check_memory_format("clone", memory_format or preserve_format)
        return Clone.apply(self, order=order)

    # ---------------------------------------------------------------- Python's protocols

    def __len__(self) -> Any:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __iter__(self) -> Iterator[Self]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> Any:
        if not isinstance(element, (Tensor, Number)):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, got {type(element).__name__}"
            )
        return self.eq(element)._data.any().item()

    def __bool__(self) -> Any:
        if self._data.size != 1:
            count = "more than one value" if self._data.size else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
        return self._data.item() != 0

    def is_nonzero(self) -> Any:
        """Whether the one element is not zero: bool(self)."""
        return self.__bool__()

    def __float__(self) -> Any:
        return self._as_python().__float__()

    def __int__(self) -> Any:
        return self._as_python().__int__()

    def _as_python(self) -> Any:
        if self._data.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._data.item()

    def __index__(self) -> Any:
        if self._data.dtype.kind == "f" or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return self.item().__index__()

    def __repr__(self) -> str:
        return format_tensor(
            self._data,
            requires_grad=self._requires_grad,
            grad_fn_name=None if self.grad_fn is None else self.grad_fn.name(),
        )

    def __format__(self, spec: str) -> str:
        if self._data.ndim == 0:
            return format(self.item(), spec)
        if spec:
            raise TypeError("unsupported format string passed to Tensor.__format__")
        return repr(self)

    def __deepcopy__(self, memo: dict) -> Self:
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment."
            )
        copy = type(self).__new__(type(self))
        copy._init(self._data.copy("K"), None, 0, None)
        copy._requires_grad = self._requires_grad
        copy._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("Tensors cannot be pickled; use tinyvision.save and tinyvision.load")


def dtype_for_to(args: tuple[Any, ...], dtype: Any, device: Any) -> np.dtype | None:
    """The dtype that `to(*args, dtype=dtype, device=device)` asks for, None if for no other.

    Raises: NotImplementedError for a device other than the CPU, TypeError for what is no dtype.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg._data.dtype
        elif isinstance(arg, str | int | devices.device) and not isinstance(arg, bool):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    devices.require_cpu(device)
    return None if dtype is None else as_dtype(dtype)


for _name in (
    "sum mean prod var std max min amax amin argmax argmin median all any count_nonzero logsumexp "
    "softmax log_softmax cumsum cumprod sort argsort squeeze unsqueeze unbind"
).split():
    setattr(Tensor, _name, with_numpy_names(getattr(Tensor, _name)))


def to_array(data: Any) -> np.ndarray:
    """Numbers, nested sequences, arrays or tensors as an array of a supported dtype.

    Raises: ValueError for ragged sequences, TypeError for what is not numbers.
    """
    if isinstance(data, Tensor):
        return data._data
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"can't convert {type(data).__name__} of {array.dtype} to a Tensor")
    return array


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data._as_python()
    return [_without_tensors(d) for d in data] if isinstance(data, (list, tuple)) else data
