"""Checkpoints: save(obj, f) and load(f), as in PyTorch, but without pickle.

Unpickling a file runs whatever code its author put there. A checkpoint here is a zip archive
that holds data only, and that anyone can read with a zip tool and NumPy:

    checkpoint.json   the structure: {"format": ..., "version": 1, "checkpoint": <node>}
    arrays/0.npy      the arrays, one file each, in NumPy's own format

A node is plain JSON where JSON has the type: null, true, a string, a list, a finite float, an
integer up to 2**53. Everything else is an object with a "type":

    {"type": "int", "hex": "0x20000000000001"}      an integer that JSON readers would round
    {"type": "float", "value": "inf"}               or "-inf" or "nan"
    {"type": "tuple", "items": [<node>, ...]}
    {"type": "dict", "items": [[<key>, <node>], ...]}             or "OrderedDict"
    {"type": "tensor", "member": "arrays/0.npy", "requires_grad": false}   or "parameter"
    {"type": "ndarray", "member": "arrays/1.npy"}                 or "scalar" or "bytes"

so one weight, without this package, is
    archive = zipfile.ZipFile("model.tv")
    nodes = dict(json.loads(archive.read("checkpoint.json"))["checkpoint"]["items"])
    weight = np.load(archive.open(nodes["0.weight"]["member"]), allow_pickle=False)

Members are stored uncompressed: weights are noise to a compressor, and a file can then never
unfold into more memory than it has bytes. The checksums of the zip format find altered bytes.

The same tensor met twice (same memory, shape and strides: tied weights) is written once and
comes back as one. Other overlapping views, and lists or dicts met twice, come back independent,
where PyTorch keeps the sharing. Gradients, hooks, history and own attributes are not saved.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from tinyvision.creation import from_numpy
from tinyvision.devices import device
from tinyvision.dtypes import SUPPORTED
from tinyvision.files import named_errors, replace_file, write_array
from tinyvision.nn.parameter import Parameter
from tinyvision.tensor import Tensor

FORMAT = "tinyvision checkpoint"
VERSION = 1
MAX_DEPTH = 100  # levels of nesting; far below Python's recursion limit
MAX_STRUCTURE_BYTES = 2**24  # of checkpoint.json, because parsed JSON takes much more memory

_STRUCTURE = "checkpoint.json"
_MEMBER = re.compile(r"checkpoint\.json|arrays/\d+\.npy")
_LARGEST_JSON_INT = 2**53  # many JSON readers hold numbers as float64
_DICTS = {"dict": dict, "OrderedDict": OrderedDict}
_DTYPE_CHARS = "?bBhHiIlLqQefdFD"  # bool, integers, float16 to float64, complex


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: Any = None) -> None:
    """Write `obj` to `f`, a path or a binary file object (it need not be seekable).

    obj: tensors, Parameters, NumPy arrays and scalars, None, bool, int, float, str, bytes, and
    list, tuple, dict and OrderedDict (keys str or int) of these; a state_dict is one.

    A path is replaced in one step once the new file is complete, so after any failure it holds
    what it held before; only a killed process leaves a `.tinyvision-*.tmp` file beside it. It
    keeps its permissions; a symbolic link stays one. A file object gives no such promise.

    Raises: TypeError, before anything is written, for anything else in obj, saying where it is;
        ValueError for nesting beyond MAX_DEPTH; RuntimeError if the directory does not exist.
    """
    if pickle_module is not None or pickle_protocol is not None:
        raise NotImplementedError(
            "save: pickle_module and pickle_protocol are not supported; nothing is pickled here"
        )
    encoder = _Encoder()
    document = {"format": FORMAT, "version": VERSION, "checkpoint": encoder.encode(obj, ())}
    structure = json.dumps(document, allow_nan=False).encode("ascii")
    if len(structure) > MAX_STRUCTURE_BYTES:
        raise ValueError(
            f"save: the structure around the arrays takes {len(structure)} bytes of JSON, more "
            f"than {MAX_STRUCTURE_BYTES}; put long lists of numbers into arrays"
        )
    write = partial(_write_archive, structure=structure, arrays=encoder.arrays)
    if isinstance(f, (str, os.PathLike)):
        replace_file(Path(f), write, "save")
    else:
        _check_binary_file(f, "save", "write")
        write(f)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read back what save wrote to `f`, a path or a seekable binary file object.

    Everything comes back on the CPU, whatever a map_location would do for other devices;
    weights_only is always in effect; mmap and pickle_module are not supported.

    Raises: RuntimeError, naming the file and the problem, for a file that is damaged, altered
        or no checkpoint; FileNotFoundError for a missing one.
    """
    if isinstance(map_location, (str, device)) and str(map_location) != "cpu":
        raise NotImplementedError(f"load: map_location={map_location!r}; there is only 'cpu'")
    if pickle_module is not None:
        raise NotImplementedError("load: pickle_module is not supported; nothing is pickled here")
    if mmap:
        raise NotImplementedError("load: mmap=True is not supported; arrays are read into memory")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as stream:
            return _load_stream(stream, os.fspath(f))
    _check_binary_file(f, "load", "read")
    return _load_stream(f, getattr(f, "name", f"<{type(f).__name__}>"))


class _Encoder:
    """Turns an object into JSON nodes and collects its arrays, copying none of them."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._members: dict[tuple, str] = {}

    def encode(self, obj: Any, path: tuple) -> Any:
        """The node for obj; `path` holds the keys and indices that lead to it."""
        if len(path) > MAX_DEPTH:
            raise ValueError(
                f"save: nested deeper than {MAX_DEPTH} levels, or containing itself, along "
                f"{_spell(path[:5])}..."
            )
        # Exact types: a subclass would come back as something else than it was.
        kind = type(obj)
        if obj is None or kind in (bool, str):
            return obj
        if kind is int:
            return obj if abs(obj) <= _LARGEST_JSON_INT else {"type": "int", "hex": hex(obj)}
        if kind is float:
            return obj if math.isfinite(obj) else {"type": "float", "value": str(obj)}
        if kind in (list, tuple):
            items = [self.encode(item, (*path, index)) for index, item in enumerate(obj)]
            return items if kind is list else {"type": "tuple", "items": items}
        if kind in (dict, OrderedDict):
            return {"type": kind.__name__, "items": self._encode_pairs(obj, path)}
        return self._encode_array(obj, path)

    def _encode_pairs(self, mapping: dict, path: tuple) -> list:
        for key in mapping:
            if type(key) not in (str, int):
                raise TypeError(
                    f"save: {_spell(path)} has the key {key!r} of type {type(key).__qualname__}; "
                    "keys must be str or int"
                )
        return [[self.encode(k, path), self.encode(v, (*path, k))] for k, v in mapping.items()]

    def _encode_array(self, obj: Any, path: tuple) -> dict:
        kind = type(obj)
        if kind is Tensor or kind is Parameter:
            node = {"type": "tensor" if kind is Tensor else "parameter"}
            node["member"] = self._add(obj.detach().numpy())
            return {**node, "requires_grad": obj.requires_grad}
        if kind is bytes:
            return {"type": "bytes", "member": self._add(np.frombuffer(obj, dtype=np.uint8))}
        is_scalar = isinstance(obj, np.generic)
        if (kind is np.ndarray or is_scalar) and obj.dtype.char in _DTYPE_CHARS:
            member = self._add(np.asarray(obj))
            return {"type": "scalar" if is_scalar else "ndarray", "member": member}
        of_dtype = f" of dtype {obj.dtype}" if kind is np.ndarray else ""
        raise TypeError(
            f"save: {_spell(path)} is a {kind.__qualname__}{of_dtype}; a checkpoint holds tensors, "
            "numeric arrays, None, bool, int, float, str, bytes and list, tuple, dict, OrderedDict "
            "of these (of a Module, save the state_dict())"
        )

    def _add(self, array: np.ndarray) -> str:
        """The member for this array; one that was met before keeps the member it has."""
        address = array.__array_interface__["data"][0]
        identity = (address, array.shape, array.strides, array.dtype.str)
        if identity not in self._members:
            self._members[identity] = f"arrays/{len(self.arrays)}.npy"
            # This reference also keeps the address from being used again.
            self.arrays.append(array)
        return self._members[identity]


def _spell(path: tuple) -> str:
    return "checkpoint" + "".join(f"[{key!r}]" for key in path)


def _write_archive(stream: Any, structure: bytes, arrays: list[np.ndarray]) -> None:
    """Arrays first: an archive without checkpoint.json is one whose writing was cut short."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for index, array in enumerate(arrays):
            write_array(archive, f"arrays/{index}.npy", array)
        # A ZipInfo has no time in it: equal checkpoints are equal files, byte for byte.
        archive.writestr(zipfile.ZipInfo(_STRUCTURE), structure)


def _check_binary_file(f: Any, name: str, method: str) -> None:
    if not hasattr(f, method) or isinstance(f, io.TextIOBase):
        raise TypeError(
            f"{name}: f must be a path or a file object in binary mode, not {type(f).__qualname__}"
        )


def _load_stream(stream: Any, name: Any) -> Any:
    if not (hasattr(stream, "seekable") and stream.seekable()):
        raise io.UnsupportedOperation(f"load: {name}: not seekable; read it into an io.BytesIO")
    with named_errors(f"load: {name}"):
        return _read_checkpoint(stream)


def _read_checkpoint(stream: Any) -> Any:
    """Raises: some exception that says what is wrong with the file."""
    size = stream.seek(0, os.SEEK_END)
    if size == 0:
        raise ValueError("the file is empty")
    if not zipfile.is_zipfile(stream):
        raise ValueError("not a checkpoint, or cut short")
    with zipfile.ZipFile(stream) as archive:
        _check_members(archive, size)
        decoder = _Decoder(archive)
        checkpoint = decoder.decode(_read_structure(archive), 0)
        if decoder.unread:
            raise ValueError(f"unexpected member {min(decoder.unread)!r}")
        return checkpoint


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse archives that save cannot have written, above all those larger than their file."""
    infos = archive.infolist()
    names = {info.filename for info in infos}
    if any(name.endswith("data.pkl") for name in names):
        raise ValueError(
            "this is a PyTorch file, which is pickled; tinyvision.load_torch reads state_dicts"
        )
    if _STRUCTURE not in names:
        raise ValueError(f"not a checkpoint, or its writing was cut short (no {_STRUCTURE})")
    if len(names) < len(infos):
        raise ValueError("a member appears twice")
    for info in infos:
        if not _MEMBER.fullmatch(info.filename):
            raise ValueError(f"unexpected member {info.filename!r}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"{info.filename} is compressed, which save never does")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("the members claim to be larger than the file")


def _read_structure(archive: zipfile.ZipFile) -> Any:
    """The root node, from a document of our format and version."""
    size = archive.getinfo(_STRUCTURE).file_size
    if size > MAX_STRUCTURE_BYTES:
        raise ValueError(f"{_STRUCTURE} has {size} bytes, more than {MAX_STRUCTURE_BYTES}")
    document = json.loads(archive.read(_STRUCTURE))
    if type(document) is not dict or document.get("format") != FORMAT:
        raise ValueError(f"{_STRUCTURE} does not say that its format is {FORMAT!r}")
    version = document.get("version")
    if version != VERSION:
        raise ValueError(f"format version {version!r}; this tinyvision reads version {VERSION}")
    return _field(document, "checkpoint", object)


class _Decoder:
    """Turns JSON nodes into objects, reading each array when a node asks for it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.unread = set(archive.namelist()) - {_STRUCTURE}
        self._archive = archive
        self._decoded: dict[tuple, Any] = {}

    def decode(self, node: Any, depth: int) -> Any:
        """The object that a node stands for."""
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if type(node) is list:
            return [self.decode(item, depth + 1) for item in node]
        if type(node) is not dict:
            return node
        kind = _field(node, "type", str)
        if kind == "int":
            return int(_field(node, "hex", str), 16)
        if kind == "float":
            return float(_field(node, "value", str))
        if kind == "tuple":
            return tuple([self.decode(item, depth + 1) for item in _field(node, "items", list)])
        if kind in _DICTS:
            return self._decode_dict(_DICTS[kind], _field(node, "items", list), depth)
        return self._decode_array(kind, node)

    def _decode_dict(self, kind: type, items: list, depth: int) -> Any:
        decoded = kind((self.decode(k, depth), self.decode(v, depth + 1)) for k, v in items)
        if len(decoded) < len(items) or any(type(key) not in (str, int) for key in decoded):
            raise ValueError("a dict has a key twice, or a key that is neither str nor int")
        return decoded

    def _decode_array(self, kind: str, node: dict) -> Any:
        """Nodes that say the same are the same object, as they were when they were saved."""
        member = _field(node, "member", str)
        requires_grad = kind in ("tensor", "parameter") and _field(node, "requires_grad", bool)
        identity = (kind, member, requires_grad)
        if identity not in self._decoded:
            array = self._read_array(member)
            self._decoded[identity] = _rebuild(kind, array, requires_grad)
        return self._decoded[identity]

    def _read_array(self, member: str) -> np.ndarray:
        """One .npy member, read once its header is known to promise what is there."""
        info = self._archive.getinfo(member)
        with self._archive.open(info) as stream:
            shape, dtype = _read_npy_header(stream, member)
            needed = stream.tell() + math.prod(shape) * dtype.itemsize
        if needed != info.file_size:
            raise ValueError(f"{member} has {info.file_size} bytes; {shape} {dtype} needs {needed}")
        self.unread.discard(member)
        with self._archive.open(info) as stream:
            return npy.read_array(stream, allow_pickle=False)


def _read_npy_header(stream: Any, member: str) -> tuple[tuple[int, ...], np.dtype]:
    try:
        if npy.read_magic(stream) != (1, 0):
            raise ValueError("unknown .npy version")
        shape, _, dtype = npy.read_array_header_1_0(stream)
        if min(shape, default=0) < 0:
            raise ValueError(f"negative shape {shape}")
    except Exception as error:
        raise ValueError(f"{member} has no valid .npy header: {error}") from error
    if dtype.char not in _DTYPE_CHARS:
        raise ValueError(f"{member} has dtype {dtype}, which save never writes")
    return shape, dtype


def _field(node: dict, name: str, kind: type) -> Any:
    """node[name], which must be there and of this type."""
    if name not in node or not isinstance(node[name], kind):
        raise ValueError(f"{_STRUCTURE}: {name!r} is missing or has a wrong type in {node!r:.80}")
    return node[name]


def _rebuild(kind: str, array: np.ndarray, requires_grad: bool) -> Any:
    """The saved object, around the array that holds its values."""
    if kind == "ndarray":
        return array
    if kind == "scalar" and array.ndim == 0:
        return array[()]
    if kind == "bytes" and array.ndim == 1 and array.dtype == np.uint8:
        return array.tobytes()
    if kind in ("tensor", "parameter") and array.dtype in SUPPORTED:
        tensor = from_numpy(array)
        if kind == "parameter":
            return Parameter(tensor, requires_grad=requires_grad)
        return tensor.requires_grad_(requires_grad)
    raise ValueError(f"type {kind!r} cannot be made of {array.dtype} values of shape {array.shape}")
