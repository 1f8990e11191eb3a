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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.dtypes import SUPPORTED
from tinyvision.files import named_errors, replace_file, write_array
from tinyvision.tensor import Tensor

BFLOAT16 = "V2"  # NumPy has no name for it: two bytes
_SAFETENSORS_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": BFLOAT16, "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def save_weights(state_dict: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a state_dict to a .safetensors or .npz file, replacing an older one in one step.

    Raises: TypeError for anything but tensors under strings; ValueError for another suffix, or a
        name that .safetensors files cannot have; ImportError for these without their library.
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
    if kind == ".safetensors" and "__metadata__" in arrays:
        raise ValueError("save_weights: '__metadata__' cannot be a name in .safetensors files")
    if kind == ".npz":
        replace_file(Path(path), lambda stream: _write_npz(stream, arrays), "save_weights")
    else:
        data = _safetensors().numpy.save(arrays)
        replace_file(Path(path), lambda stream: stream.write(data), "save_weights")


def load_weights(path: str | os.PathLike) -> OrderedDict[str, Tensor]:
    """The state_dict in a .safetensors or .npz file; half precision becomes float32.

    Raises: RuntimeError, naming the file, for one that is damaged or holds something else;
        FileNotFoundError; ValueError for another suffix; ImportError for .safetensors without
        the library of that name.
    """
    kind, data = _kind("load_weights", path), Path(path).read_bytes()
    parse = _read_npz if kind == ".npz" else _read_safetensors
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


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    arrays = {}
    for name, entry in _safetensors().deserialize(data):
        if entry["dtype"] not in _SAFETENSORS_DTYPES:
            raise ValueError(f"{name!r} has dtype {entry['dtype']}, which is not supported")
        numbers = _decode(entry["data"], _SAFETENSORS_DTYPES[entry["dtype"]])
        arrays[name] = numbers.reshape(entry["shape"])
    return arrays


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
    return safetensors


def _tensor(array: np.ndarray, name: str) -> Tensor:
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype.newbyteorder("=")
    if dtype not in SUPPORTED:
        raise RuntimeError(f"{name!r} has dtype {array.dtype}, which is not supported")
    return from_numpy(array.astype(dtype))


def _decode(data: bytes, code: str, order: str = "<") -> np.ndarray:
    """A new array of the numbers in `data`, of a NumPy type in a byte order.

    Those of half precision become float32, which is exact; there is no arithmetic in them here.
    """
    if code == BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(data, order + "u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, order + code).astype("f4" if code == "f2" else code)


# ------------------------------------------------------------------ PyTorch's files

# What torch.save writes is a zip archive: the numbers of each tensor's storage in a file of its
# own, and a pickle, which is a little program that builds the objects around them. It is not run
# here. `_Machine` steps through its instructions and knows those that plain containers need, which
# are in a table below; the only functions it can "call" are those in another, written here.

_STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
# Before version 1.6, pickles and numbers came one after another. The first is of one number:
_OLD_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def load_torch(path: str | os.PathLike) -> Any:
    """What torch.save wrote to a .pt or .pth file: tensors in plain containers, as a state_dict is.

    The containers are dict, OrderedDict, list, tuple and set, with strings, bytes, numbers, bools
    and None; Counter and defaultdict become dicts. Half precision becomes float32. Tensors share
    memory as they did when they were saved. No code from the file runs.

    Raises: RuntimeError, naming the file, for one that is damaged or holds other objects, as a
        whole model; FileNotFoundError for a missing one.
    """
    with open(path, "rb") as stream, named_errors(f"load_torch: {os.fspath(path)}"):
        size = stream.seek(0, os.SEEK_END)
        read = _read_archive if zipfile.is_zipfile(stream) else _read_old
        return _plain(read(stream, size))


def _read_archive(stream: Any, size: int) -> Any:
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl, so torch.save did not write it")
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename!r} is compressed, as torch.save never does")
        prefix = pickles[0].removesuffix("data.pkl")
        order = archive.read(prefix + "byteorder") if prefix + "byteorder" in names else b"little"
        machine = _Machine(archive.read(pickles[0]), size)
        value = machine.run()
        for key, storage in machine.storages.items():
            storage.fill(archive.read(f"{prefix}data/{key}"), ">" if order == b"big" else "<")
        return value


def _read_old(stream: Any, size: int) -> Any:
    stream.seek(0)
    if stream.read(len(_OLD_START)) != _OLD_START:
        raise ValueError("torch.save did not write it, or it is cut short")
    for _ in ("version", "machine"):
        _Machine(stream, size).run()
    machine = _Machine(stream, size)
    value = machine.run()
    keys = _Machine(stream, size).run()
    if sorted(keys) != sorted(machine.storages):
        raise ValueError("the storages in it are not those of its tensors")
    for key in keys:
        storage = machine.storages[key]
        stream.seek(8, os.SEEK_CUR)  # how many numbers: known
        storage.fill(stream.read(storage.bytes), "<")
    return value


def _plain(value: Any) -> Any:
    """`value`, unless something in it has a meaning only to the machine."""
    waiting, seen = [value], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, (_Storage, _Global)):
            raise _refusal(item)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set)):
            waiting += item
    return value


class _Storage:
    """The numbers that tensors are views of; they are read after the tensors are made."""

    def __init__(self, code: str, count: int) -> None:
        self.code, self.bytes = code, count * np.dtype(code).itemsize
        self.numbers = np.empty(count, _decode(b"", code).dtype)

    def fill(self, data: bytes, order: str) -> None:
        """Raises: ValueError if there are more or fewer than expected."""
        if len(data) != self.bytes:
            raise ValueError(f"a storage has {len(data)} bytes, and not {self.bytes}")
        self.numbers[:] = _decode(data, self.code, order)

    def __str__(self) -> str:
        return "a storage without a tensor"


class _Global(NamedTuple):
    """The name of something in PyTorch or Python that the pickle refers to."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Machine:
    """What the instructions of a pickle work on: a stack of objects, above all.

    room: the bytes that all storages may have together.
    """

    def __init__(self, program: Any, room: int) -> None:
        self.program, self.room = program, room
        self.storages: dict[str, _Storage] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []  # where on the stack a group of items begins
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for opcode, argument, _ in pickletools.genops(self.program):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name not in _INSTRUCTIONS:
                raise ValueError(f"the instruction {opcode.name} is not one of plain containers")
            _INSTRUCTIONS[opcode.name](self, argument)

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
        kind, *description = _expect(self.stack.pop(), tuple)
        if kind != "storage":
            raise _refusal(f"a {kind}")
        type_, key, _, count, *view = description
        if _expect(type_, _Global).module != "torch" or type_.name not in _STORAGES or any(view):
            raise ValueError(f"{type_} is not supported, or not as a part of another storage")
        if key not in self.storages:
            code = _STORAGES[type_.name]
            self.room -= count * np.dtype(code).itemsize
            if count < 0 or self.room < 0:
                raise ValueError(f"it is too short for a storage of {count} numbers")
            self.storages[key] = _Storage(code, count)
        self.push(self.storages[key])

    def set_attributes(self) -> None:
        self.stack.pop()  # not done: those of a state_dict are its modules' version numbers
        _expect(self.stack[-1], OrderedDict)

    def call(self) -> None:
        function, arguments = self.pop(2)
        known: dict[tuple, Callable[..., Any]] = {
            ("collections", "OrderedDict"): lambda *pairs: OrderedDict(*pairs),
            ("collections", "Counter"): lambda *counts: dict(*counts),
            ("collections", "defaultdict"): lambda *_factory: {},
            ("builtins", "set"): lambda items=(): set(items),
            ("builtins", "bytes"): lambda: b"",
            ("_codecs", "encode"): lambda text, _latin1: _expect(text, str).encode("latin1"),
            ("torch", "Size"): lambda sizes: tuple(sizes),
            ("torch._utils", "_rebuild_tensor"): self.tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: _expect(tensor, Tensor),
        }
        module, name = _expect(function, _Global)
        module = "builtins" if module == "__builtin__" else module  # of Python 2
        if (module, name) not in known:
            raise _refusal(function)
        self.push(known[module, name](*_expect(arguments, tuple)))

    def refuse_object(self) -> None:
        raise _refusal(_expect(self.pop(2)[0], _Global))

    def tensor(
        self, storage: _Storage, offset: int, size: tuple, stride: tuple,
        _requires_grad: Any = False, _hooks: Any = None, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        if metadata:
            raise ValueError(f"a tensor has {metadata}: apply resolve_neg() before saving")
        numbers = _expect(storage, _Storage).numbers
        size, stride = tuple(map(int, size)), tuple(map(int, stride))
        reach = [(n - 1) * s for n, s in zip(size, stride, strict=True)]
        if min((offset, *size, *stride)) < 0:
            raise ValueError(f"tensor {size} has a negative size, stride or offset")
        if 0 not in size and offset + sum(reach) >= numbers.size:
            raise ValueError(f"tensor {size} reaches beyond its {numbers.size} numbers")
        steps = [s * numbers.itemsize for s in stride]
        repeats = any(n > 1 and s == 0 for n, s in zip(size, stride, strict=True))
        view = np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=not repeats)
        return from_numpy(view)


_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_STRINGS = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_STRINGS_OF_PYTHON_2 = ("SHORT_BINSTRING", "BINSTRING")
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
_CONSTANTS = (*_NUMBERS, *_STRINGS, *_STRINGS_OF_PYTHON_2, *_BYTES)

# What each instruction does with the machine m and its own argument a.
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(_CONSTANTS, lambda m, a: m.push(a)),
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


def _refusal(thing: Any) -> ValueError:
    return ValueError(
        f"it holds {thing}, and only tensors in plain containers can be read; of a model, save "
        "model.state_dict()"
    )


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, but the pickle has {type(value).__name__}")
    return value
