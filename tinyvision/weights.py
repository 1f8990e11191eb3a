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

from tinyvision.creation import from_numpy
from tinyvision.dtypes import SUPPORTED
from tinyvision.files import named_errors, replace_file, write_array
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
    if _kind("save_weights", path) == ".npz":
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
    parse = _read_npz if kind == ".npz" else _safetensors().load
    with named_errors(f"load_weights: {os.fspath(path)}"):
        return OrderedDict((name, _tensor(array, name)) for name, array in parse(data).items())


def _write_npz(stream: Any, arrays: dict[str, np.ndarray]) -> None:
    # Not numpy.savez: it has arguments that a tensor may be called like.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            write_array(archive, f"{name}.npy", array)


def _read_npz(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


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
# here. `_Machine` steps through its instructions and knows those that plain containers need, which
# are in a table below; the only functions it can "call" are those in another, written here.

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
    with open(path, "rb") as stream, named_errors(f"load_torch: {os.fspath(path)}"):
        return _read_torch(stream)


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
    """What the instructions of a pickle work on: a stack of objects, above all."""

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
            if name not in _INSTRUCTIONS:
                raise ValueError(f"the pickle instruction {name} is not one of plain containers")
            _INSTRUCTIONS[name](self, argument)
        raise ValueError("the pickle has no end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """The last items, in the order in which they came."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def pop_group(self) -> list[Any]:
        """The items since the last mark."""
        return self.pop(len(self.stack) - self.marks.pop())

    def memoize(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def extend_list(self, items: list[Any]) -> None:
        _expect(self.stack[-1], list).extend(items)

    def extend_set(self, items: list[Any]) -> None:
        _expect(self.stack[-1], set).update(items)

    def extend_dict(self, items: list[Any]) -> None:
        _expect(self.stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))

    def push_global(self, names: list[Any]) -> None:
        module, name = names
        self.push(_Global(_expect(module, str), _expect(name, str)))

    def push_storage(self) -> None:
        kind, storage, key, _, _ = self.stack.pop()
        if kind != "storage":
            raise ValueError(f"it refers to {kind!r} outside of the pickle")
        self.push(self.archive.storage(_expect(storage, _Global), str(key)))

    def set_attributes(self) -> None:
        self.stack.pop()  # not done: those of a state_dict are its modules' version numbers
        _expect(self.stack[-1], OrderedDict)

    def call(self) -> None:
        function, arguments = self.pop(2)
        known: dict[tuple, Callable[..., Any]] = {
            ("collections", "OrderedDict"): lambda *pairs: OrderedDict(*pairs),
            ("builtins", "set"): lambda items=(): set(items),
            ("torch", "Size"): lambda sizes: tuple(sizes),
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: _expect(tensor, Tensor),
        }
        if _expect(function, _Global) not in known:
            raise _refusal(function)
        self.push(known[function](*_expect(arguments, tuple)))

    def refuse_object(self) -> None:
        raise _refusal(_expect(self.pop(2)[0], _Global))

    def tensor(
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
            steps = [s * numbers.itemsize for s in stride]
            view = np.lib.stride_tricks.as_strided(numbers[offset:], size, steps)
            array = view.astype(view.dtype.newbyteorder("="))
            self.tensors[place] = _tensor(array, f"storage {key}")
        return self.tensors[place]


_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_STRINGS = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")

# What each instruction does with the machine m and its own argument a.
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys((*_NUMBERS, *_STRINGS, *_BYTES), lambda m, a: m.push(a)),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_SET": lambda m, a: m.push(set()),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "MARK": lambda m, a: m.marks.append(len(m.stack)),
    "POP": lambda m, a: m.stack.pop(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda m, a: m.memoize(a)),
    "MEMOIZE": lambda m, a: m.memoize(len(m.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, a: m.push(m.memo[a])),
    "TUPLE": lambda m, a: m.push(tuple(m.pop_group())),
    "TUPLE1": lambda m, a: m.push(tuple(m.pop(1))),
    "TUPLE2": lambda m, a: m.push(tuple(m.pop(2))),
    "TUPLE3": lambda m, a: m.push(tuple(m.pop(3))),
    "APPEND": lambda m, a: m.extend_list(m.pop(1)),
    "APPENDS": lambda m, a: m.extend_list(m.pop_group()),
    "ADDITEMS": lambda m, a: m.extend_set(m.pop_group()),
    "SETITEM": lambda m, a: m.extend_dict(m.pop(2)),
    "SETITEMS": lambda m, a: m.extend_dict(m.pop_group()),
    "GLOBAL": lambda m, a: m.push_global(a.split(" ", 1)),
    "STACK_GLOBAL": lambda m, a: m.push_global(m.pop(2)),
    "BINPERSID": lambda m, a: m.push_storage(),
    "BUILD": lambda m, a: m.set_attributes(),
    "REDUCE": lambda m, a: m.call(),
    "NEWOBJ": lambda m, a: m.refuse_object(),
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
