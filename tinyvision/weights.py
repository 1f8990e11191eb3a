"""Weights of other programs: .safetensors, .npz, and what torch.save wrote.

`save` and `load` in serialization.py keep whole checkpoints; here are state_dicts, names and
tensors, in formats that others read. None of them runs code from a file.
"""

from __future__ import annotations

import io
import os
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from tinyvision.creation import from_numpy
from tinyvision.dtypes import SUPPORTED
from tinyvision.files import replace_file
from tinyvision.tensor import Tensor


def save_weights(state_dict: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a state_dict to a .safetensors or .npz file, replacing an older one in one step.

    Raises: TypeError for anything but tensors under strings; ValueError for another suffix;
        ImportError for .safetensors without the library of that name.
    """
    arrays = {}
    for name, value in state_dict.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise TypeError(
                f"save_weights: expected tensors under strings, but got {type(value).__name__} "
                f"under {name!r}"
            )
        arrays[name] = np.ascontiguousarray(value._data).reshape(value._data.shape)
    kind = _kind("save_weights", path)
    if kind == ".npz":
        replace_file(Path(path), lambda stream: _write_npz(stream, arrays), "save_weights")
    else:
        data = _safetensors().save(arrays)
        replace_file(Path(path), lambda stream: stream.write(data), "save_weights")


def load_weights(path: str | os.PathLike) -> OrderedDict[str, Tensor]:
    """The state_dict in a .safetensors or .npz file.

    Raises: RuntimeError, naming the file, for one that is damaged or holds something else;
        FileNotFoundError; ValueError for another suffix; ImportError for .safetensors without
        the library of that name.
    """
    kind, data = _kind("load_weights", path), Path(path).read_bytes()
    try:
        if kind == ".npz":
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        else:
            arrays = _safetensors().load(data)
    except ImportError:
        raise
    except Exception as error:  # of a dozen types, for bytes that are not what they should be
        raise RuntimeError(f"load_weights: {os.fspath(path)}: {error}") from error
    return OrderedDict((name, _tensor(array, name)) for name, array in arrays.items())


def _write_npz(stream: Any, arrays: dict[str, np.ndarray]) -> None:
    # Not numpy.savez: it has arguments that a tensor may be called like.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, version=(1, 0), allow_pickle=False)


def _kind(name: str, path: str | os.PathLike) -> str:
    suffix = Path(path).suffix
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(
            f"{name}: {os.fspath(path)}: expected a name that ends in .safetensors or .npz; "
            "tinyvision.save and load are for checkpoints, load_torch for PyTorch's files"
        )
    return suffix


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "for .safetensors files, install the library: pip install safetensors"
        ) from error
    return safetensors.numpy


def _tensor(array: np.ndarray, name: str) -> Tensor:
    if array.dtype == np.float16:  # exact; there is no arithmetic in it here
        array = array.astype(np.float32)
    if array.dtype not in SUPPORTED:
        raise RuntimeError(f"{name!r} has dtype {array.dtype}, which is not supported")
    return from_numpy(np.array(array))


# ------------------------------------------------------------------ PyTorch's files

# What torch.save writes is a zip archive: the numbers of each tensor's storage in a file of its
# own, and a pickle, which is a little program that builds the objects around them. It is not run
# here. `_Machine` steps through its instructions and knows those that plain containers need; the
# only functions it can "call" are the ones listed below, and they are written here.

_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def load_torch(path: str | os.PathLike) -> Any:
    """What torch.save wrote to a .pt or .pth file: tensors in plain containers, as a state_dict is.

    The containers are dict, OrderedDict, list, tuple and set, with strings, numbers, bools and
    None. Half precision becomes float32. No code from the file runs.

    Raises: RuntimeError, naming the file, for one that is damaged, that PyTorch before 1.6 wrote,
        or that holds other objects, as a whole model; FileNotFoundError for a missing one.
    """
    with open(path, "rb") as stream:
        try:
            return _read_torch(stream)
        except MemoryError:
            raise
        except Exception as error:  # zipfile and pickletools raise a dozen types
            raise RuntimeError(f"load_torch: {os.fspath(path)}: {error}") from error


def _read_torch(stream: Any) -> Any:
    if not zipfile.is_zipfile(stream):
        raise ValueError(
            "not a zip archive, or cut short; files of PyTorch before 1.6 have to be loaded and "
            "saved again there"
        )
    with zipfile.ZipFile(stream) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl, so torch.save did not write it")
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename!r} is compressed, as torch.save never does")
        return _Machine(_Archive(archive, pickles[0].removesuffix("data.pkl"))).run()


class _Storage(NamedTuple):
    """The numbers that tensors are views of."""

    key: str
    numbers: np.ndarray


class _Global(NamedTuple):
    """The name of something in PyTorch or Python that the pickle refers to."""

    module: str
    name: str


class _Archive:
    """The files in what torch.save wrote."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        self.archive, self.prefix = archive, prefix
        names = archive.namelist()
        order = archive.read(prefix + "byteorder") if prefix + "byteorder" in names else b"little"
        self.order = ">" if order == b"big" else "<"
        self.storages: dict[str, _Storage] = {}

    def instructions(self) -> Iterator[tuple[str, Any]]:
        for opcode, argument, _ in pickletools.genops(self.archive.read(self.prefix + "data.pkl")):
            yield opcode.name, argument

    def storage(self, kind: _Global, key: str) -> _Storage:
        """Raises: ValueError for a kind of numbers that there is not here."""
        if kind.module != "torch" or kind.name not in _STORAGES:
            raise ValueError(f"{kind.module}.{kind.name} is not supported")
        if key not in self.storages:
            data, dtype = self.archive.read(f"{self.prefix}data/{key}"), _STORAGES[kind.name]
            if dtype == "bfloat16":  # the upper half of a float32
                halves = np.frombuffer(data, self.order + "u2").astype(np.uint32)
                numbers = (halves << 16).view(np.float32)
            else:
                numbers = np.frombuffer(data, self.order + dtype)
            self.storages[key] = _Storage(key, numbers)
        return self.storages[key]


class _Machine:
    """The instructions of a pickle that make plain containers. They work on a stack."""

    def __init__(self, archive: _Archive) -> None:
        self.archive = archive
        self.stack: list[Any] = []
        self.marks: list[int] = []  # where on the stack a group of items begins
        self.memo: dict[int, Any] = {}
        self.tensors: dict[tuple, Tensor] = {}

    def run(self) -> Any:
        for name, argument in self.archive.instructions():
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name in _LITERALS:
                self.stack.append(argument)
            elif hasattr(self, f"_do_{name.lower()}"):
                getattr(self, f"_do_{name.lower()}")(argument)
            else:
                raise ValueError(f"the pickle instruction {name} is not one of plain containers")
        raise ValueError("the pickle has no end")

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _do_proto(self, version: int) -> None:
        pass

    def _do_frame(self, size: int) -> None:
        pass

    def _do_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def _do_pop(self, _: None) -> None:
        self.stack.pop()

    def _do_put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _do_get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _do_binget = _do_long_binget = _do_get

    def _do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple_of(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def _do_tuple1(self, _: None) -> None:
        self._tuple_of(1)

    def _do_tuple2(self, _: None) -> None:
        self._tuple_of(2)

    def _do_tuple3(self, _: None) -> None:
        self._tuple_of(3)

    def _do_append(self, _: None) -> None:
        item = self.stack.pop()
        _expect(self.stack[-1], list).append(item)

    def _do_appends(self, _: None) -> None:
        items = self._since_mark()
        _expect(self.stack[-1], list).extend(items)

    def _do_additems(self, _: None) -> None:
        items = self._since_mark()
        _expect(self.stack[-1], set).update(items)

    def _do_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _expect(self.stack[-1], dict)[key] = value

    def _do_setitems(self, _: None) -> None:
        items = self._since_mark()
        _expect(self.stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))

    def _do_global(self, names: str) -> None:
        module, name = names.split(" ", 1)
        self.stack.append(_Global(module, name))

    def _do_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_Global(_expect(module, str), _expect(name, str)))

    def _do_build(self, _: None) -> None:
        self.stack.pop()  # attributes: those of a state_dict are its modules' version numbers
        _expect(self.stack[-1], OrderedDict)

    def _do_binpersid(self, _: None) -> None:
        kind, storage, key, _, _ = self.stack.pop()
        if kind != "storage":
            raise ValueError(f"it refers to {kind!r} outside of the pickle")
        self.stack.append(self.archive.storage(_expect(storage, _Global), str(key)))

    def _do_reduce(self, _: None) -> None:
        """What is a call of a function in a pickle."""
        arguments, function = self.stack.pop(), _expect(self.stack.pop(), _Global)
        known: dict[tuple, Callable[..., Any]] = {
            ("collections", "OrderedDict"): lambda *pairs: OrderedDict(*pairs),
            ("builtins", "set"): lambda items=(): set(items),
            ("torch", "Size"): lambda sizes: tuple(sizes),
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: _expect(tensor, Tensor),
        }
        if function not in known:
            raise _refusal(function)
        self.stack.append(known[function](*_expect(arguments, tuple)))

    def _do_newobj(self, _: None) -> None:
        self.stack.pop()
        raise _refusal(_expect(self.stack.pop(), _Global))

    def _tensor(
        self, storage: _Storage, offset: int, size: tuple, stride: tuple, *_others: Any
    ) -> Tensor:
        key, numbers = _expect(storage, _Storage)
        size, stride = tuple(map(int, size)), tuple(map(int, stride))
        reach = [(n - 1) * s for n, s in zip(size, stride, strict=True)]
        if min((offset, *size, *stride)) < 0 or np.prod([*size, 1.0]) > numbers.size:
            raise ValueError(f"tensor {size} does not fit its {numbers.size} numbers")
        if 0 not in size and offset + sum(reach) >= numbers.size:
            raise ValueError(f"tensor {size} reaches beyond its {numbers.size} numbers")
        place = key, offset, size, stride
        if place not in self.tensors:  # tied weights stay tied
            itemsize = numbers.itemsize
            view = np.lib.stride_tricks.as_strided(
                numbers[offset:], size, [s * itemsize for s in stride]
            )
            array = view.astype(view.dtype.newbyteorder("="))
            self.tensors[place] = _tensor(array, f"storage {key}")
        return self.tensors[place]


_CONSTANTS: dict[str, Any] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}


def _refusal(thing: _Global) -> ValueError:
    return ValueError(
        f"it holds {thing.module}.{thing.name}, and only tensors in plain containers can be read; "
        "of a model, save model.state_dict()"
    )


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, but the pickle has {type(value).__name__}")
    return value
