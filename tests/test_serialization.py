"""save and load: round trips, interrupted writes, and files that are not what they seem."""

import io
import json
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyvision.creation import from_numpy
from tinyvision.nn.parameter import Parameter
from tinyvision.serialization import MAX_DEPTH, load, save
from tinyvision.tensor import Tensor

TENSOR_DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
ARRAY_DTYPES = [*TENSOR_DTYPES, "uint16", ">i4", ">f4", ">f8", "float16", "complex64"]


def make_tensor(values, dtype=np.float32, requires_grad=False):
    return from_numpy(np.array(values, dtype=dtype)).requires_grad_(requires_grad)


def round_trip(obj):
    stream = io.BytesIO()
    save(obj, stream)
    return load(stream)


def same(a, b):
    """Whether two checkpoints agree in types, order, flags and every bit of every number."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.requires_grad == b.requires_grad and same(a.detach().numpy(), b.detach().numpy())
    if isinstance(a, (np.ndarray, np.generic)):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


# ---------------------------------------------------------------------- round trips


def test_save_then_load_returns_a_checkpoint_with_all_kinds_of_contents(tmp_path):
    checkpoint = {
        "model": OrderedDict(
            [
                ("0.weight", make_tensor([[1.5, -2.0], [np.nan, np.inf]])),
                ("0.bias", Parameter(make_tensor([0.25]))),
                ("frozen", Parameter(make_tensor([0.25]), requires_grad=False)),
                ("bn.num_batches_tracked", make_tensor(7, np.int64)),
            ]
        ),
        "optimizer": {"state": {0: {"step": 3}, -1: {}}, "param_groups": [{"betas": (0.9, 0.99)}]},
        "leaf": make_tensor([1.0], np.float64, requires_grad=True),
        "numpy": [np.arange(3, dtype=np.uint16), np.float64(0.1), np.bool_(True), np.array(2.0)],
        "numbers": [True, 2**53, 2**53 + 1, -(10**5000), 0.1, -0.0, 5e-324, 1e308],
        "special": [float("nan"), float("inf"), -float("inf"), None],
        "text": ["", 'a "quoted" \\ line\n', "\u00e9\u4e2d\U0001f600\x00", "\ud800"],
        "bytes": [b"", b"\x00\xff"],
        "empty": [[], (), {}, OrderedDict(), make_tensor(np.zeros((0, 3)))],
    }
    path = tmp_path / "checkpoint.tv"
    save(checkpoint, path)
    assert same(load(path), checkpoint)
    assert same(load(str(path)), checkpoint)
    with open(path, "rb") as stream:
        assert same(load(stream), checkpoint)


def test_load_gives_arrays_that_can_be_written_to():
    array, tensor = round_trip([np.zeros(3), make_tensor([0.0, 0.0])])
    array[0] = 1
    tensor.numpy()[0] = 1
    assert array.sum() == tensor.numpy().sum() == 1


def test_save_writes_a_tensor_met_twice_once():
    tied = make_tensor(np.zeros(1000))
    stream = io.BytesIO()
    save({"a": tied, "b": tied, "c": tied.detach(), "part": from_numpy(tied.numpy()[:2])}, stream)
    assert zipfile.ZipFile(stream).namelist() == ["arrays/0.npy", "arrays/1.npy", "checkpoint.json"]
    loaded = load(stream)
    assert loaded["a"] is loaded["b"] is loaded["c"]
    loaded["a"].numpy()[:] = 1
    assert loaded["part"].numpy().sum() == 0


def test_save_tells_apart_views_that_start_at_the_same_place():
    base = np.arange(4, dtype=np.int32).reshape(2, 2)
    views = [base, base.T, base.ravel(), base[:1], base.view(np.float32), base.view(">i4")]
    assert same(round_trip(views), views)
    # An array made on the way must not be taken for an earlier one whose memory it got.
    scalars = [np.float32(i) for i in range(100)]
    assert same(round_trip(scalars), scalars)


def test_save_writes_equal_checkpoints_as_equal_bytes():
    first, second = io.BytesIO(), io.BytesIO()
    save({"w": make_tensor([1.0])}, first)
    save({"w": make_tensor([1.0])}, second)
    assert first.getvalue() == second.getvalue()
    # Also at another time: the archive holds none.
    dates = {info.date_time for info in zipfile.ZipFile(first).infolist()}
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_checkpoint_can_be_read_with_numpy_and_zipfile_alone(tmp_path):
    path = tmp_path / "model.tv"
    save(OrderedDict({"0.weight": make_tensor([[1.0, 2.0]])}), path)
    archive = zipfile.ZipFile(path)
    nodes = dict(json.loads(archive.read("checkpoint.json"))["checkpoint"]["items"])
    with archive, archive.open(nodes["0.weight"]["member"]) as member:
        weight = np.load(member, allow_pickle=False)
    assert weight.dtype == np.float32 and weight.tolist() == [[1.0, 2.0]]


NUMBERS = st.integers(-(2**70), 2**70) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.binary(max_size=5)


@st.composite
def arrays(draw, dtypes):
    """Arrays in every memory layout: C, Fortran, transposed, strided, reversed, swapped."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    array = draw(hnp.arrays(draw(st.sampled_from(dtypes)), shape))
    layout = draw(st.sampled_from(["C", "F", "transposed", "strided", "reversed"]))
    if layout == "transposed":
        return array.T
    if layout == "strided" and array.ndim:
        return np.repeat(array, 2, axis=0)[::2]
    if layout == "reversed" and array.ndim:
        return array[::-1]
    return np.array(array, order="F" if layout == "F" else "C")


@st.composite
def tensors(draw):
    array = draw(arrays(TENSOR_DTYPES))
    # from_numpy, as in PyTorch, may refuse negative strides.
    tensor = from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())
    requires_grad = array.dtype.kind == "f" and draw(st.booleans())
    if draw(st.booleans()):
        return Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


KEYS = st.text(max_size=4) | st.integers()
CHECKPOINTS = st.recursive(
    LEAVES | tensors() | arrays(ARRAY_DTYPES) | arrays(ARRAY_DTYPES).map(lambda a: a.sum()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(checkpoint=CHECKPOINTS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # sums of drawn arrays overflow
def test_save_then_load_returns_any_checkpoint_unchanged(checkpoint):
    assert same(round_trip(checkpoint), checkpoint)


# ---------------------------------------------------------------------- what save refuses

Point = namedtuple("Point", "x y")


class Scaled(float):
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (lambda x: x, "function"),
        ({1, 2}, "set"),
        (1j, "complex"),
        (Point(1, 2), "Point"),
        (Scaled(1.0), "Scaled"),
        (bytearray(b"a"), "bytearray"),
        (np.array([None]), "ndarray of dtype object"),
        (np.array(["text"]), "ndarray of dtype <U4"),
        (np.zeros(2, dtype=[("x", "f4")]), "ndarray of dtype"),
        (np.ma.zeros(2), "MaskedArray"),
        (np.datetime64("2020-01-01"), "datetime64"),
        (np.str_("text"), "str_"),
    ],
)
def test_save_refuses_other_types_and_says_where_they_are(value, named, tmp_path):
    path = tmp_path / "checkpoint.tv"
    path.write_bytes(b"before")
    with pytest.raises(TypeError) as caught:
        save({"model": [0, 1, 2, (value,)]}, path)
    assert f"checkpoint['model'][3][0] is a {named}" in str(caught.value)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["checkpoint.tv"]


@pytest.mark.parametrize("key", [1.5, None, (1, 2), True, b"k"])
def test_save_refuses_other_keys(key):
    with pytest.raises(TypeError, match=r"checkpoint\[0\]\['a'\] has the key .*must be str or int"):
        save([{"a": {key: 1}}], io.BytesIO())


def nested(depth):
    inner = 0
    for _ in range(depth):
        inner = {"k": inner}
    return inner


def test_save_refuses_deep_nesting_and_cycles():
    assert round_trip(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        save(nested(MAX_DEPTH + 1), io.BytesIO())
    cycle = [1]
    cycle.append(cycle)
    with pytest.raises(ValueError, match=r"containing itself, along checkpoint\[1\]\[1\]"):
        save(cycle, io.BytesIO())


def test_save_refuses_a_structure_that_load_would_refuse(monkeypatch):
    monkeypatch.setattr("tinyvision.serialization.MAX_STRUCTURE_BYTES", 200)
    save([0.5] * 20, io.BytesIO())
    with pytest.raises(ValueError, match="more than 200; put long lists"):
        save([0.5] * 200, io.BytesIO())


def test_save_refuses_what_is_not_a_binary_file():
    for wrong in (3, None, io.StringIO()):
        with pytest.raises(TypeError, match="save: f must be a path or a file object in binary"):
            save(1, wrong)
        with pytest.raises(TypeError, match="load: f must be a path or a file object in binary"):
            load(wrong)


def test_save_and_load_refuse_arguments_that_are_not_supported(tmp_path):
    path = tmp_path / "checkpoint.tv"
    with pytest.raises(NotImplementedError, match="pickle_protocol"):
        save(1, path, pickle_protocol=4)
    save(1, path)
    assert load(path, "cpu", weights_only=True, mmap=False) == 1
    assert load(path, lambda storage, place: storage, weights_only=False) == 1
    assert load(path, {"cuda:0": "cpu"}) == 1
    with pytest.raises(NotImplementedError, match="map_location"):
        load(path, "cuda")
    with pytest.raises(NotImplementedError, match="mmap"):
        load(path, mmap=True)
    with pytest.raises(NotImplementedError, match="pickle_module"):
        load(path, None, json)


# ---------------------------------------------------------------------- where save writes


class OneWayStream(io.RawIOBase):
    """A pipe, as far as the file interface goes: write only, no seek, no tell."""

    def __init__(self):
        self.received = b""

    def writable(self):
        return True

    def write(self, data):
        self.received += bytes(data)
        return len(data)


def test_save_writes_to_a_stream_that_cannot_seek():
    stream = OneWayStream()
    checkpoint = {"w": make_tensor([1.0, 2.0]), "empty": np.zeros(0)}
    save(checkpoint, stream)
    assert same(load(io.BytesIO(stream.received)), checkpoint)


def test_load_asks_for_a_stream_that_can_seek():
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as stream:
        with pytest.raises(io.UnsupportedOperation, match="BytesIO"):
            load(stream)


def test_save_keeps_the_permissions_of_a_replaced_file_and_obeys_umask(tmp_path):
    path = tmp_path / "checkpoint.tv"
    before = os.umask(0o027)
    try:
        save(1, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        save(2, path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert load(path) == 2


def test_save_refuses_a_write_protected_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.tv"
    save(1, path)
    # Stands for chmod, which does not bind the superuser.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match="write-protected"):
        save(2, path)
    assert load(path) == 1


def test_save_writes_through_a_symbolic_link(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "latest.tv", tmp_path / "there" / "epoch1.tv"
    link.symlink_to(target)
    save(1, link)
    save(2, link)
    assert link.is_symlink() and load(target) == 2
    assert os.listdir(tmp_path / "there") == ["epoch1.tv"]


def test_save_needs_an_existing_directory(tmp_path):
    with pytest.raises(RuntimeError, match="parent directory .*nowhere does not exist"):
        save(1, tmp_path / "nowhere" / "checkpoint.tv")
    with pytest.raises(IsADirectoryError):
        save(1, tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.tv")


def test_save_writes_into_a_pipe_instead_of_replacing_it(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opened so that neither side waits; a pipe holds the few bytes of a checkpoint.
    with open(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as reading:
        save({"w": make_tensor([1.0])}, pipe)
        received = reading.read(65536)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert same(load(io.BytesIO(received)), {"w": make_tensor([1.0])})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device /dev/full")
def test_save_writes_to_a_device_instead_of_replacing_it(monkeypatch):
    def refuse(*paths):
        raise AssertionError("a device was to be replaced")  # and a failing test must not do it

    monkeypatch.setattr(os, "replace", refuse)
    save(make_tensor([1.0]), os.devnull)
    with pytest.raises(OSError, match="No space left"):
        save(make_tensor(np.zeros(100_000)), "/dev/full")


def run_interrupted_save(path, interruption):
    """Save over `path` in a process of its own, after running the lines in `interruption`."""
    program = f"""
import os, resource, signal, sys
import numpy as np
from tinyvision import serialization
{interruption}
serialization.save({{"new": [np.zeros(100_000), np.ones(100_000)]}}, sys.argv[1])
"""
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_save_leaves_the_old_file_when_the_process_is_killed(tmp_path):
    path = tmp_path / "checkpoint.tv"
    save({"old": 1}, path)
    killed_at_the_second_array = """
write_array = serialization.npy.write_array
def write_then_die(member, array, **options):
    write_array(member, array, **options)
    if array[0] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
serialization.npy.write_array = write_then_die
"""
    done = run_interrupted_save(path, killed_at_the_second_array)
    assert done.returncode == -9
    assert load(path) == {"old": 1}
    # The one thing left behind holds the unfinished archive, which load recognises as such.
    (leftover,) = set(os.listdir(tmp_path)) - {"checkpoint.tv"}
    assert leftover.startswith(".tinyvision-") and leftover.endswith(".tmp")
    assert os.path.getsize(tmp_path / leftover) > 800_000
    with pytest.raises(RuntimeError, match="not a checkpoint, or cut short"):
        load(tmp_path / leftover)


def test_save_leaves_the_old_file_and_nothing_else_when_a_write_fails(tmp_path):
    path = tmp_path / "checkpoint.tv"
    save({"old": 1}, path)
    # As if the disk were full after 900,000 bytes: Python turns the limit into an OSError.
    done = run_interrupted_save(path, "resource.setrlimit(resource.RLIMIT_FSIZE, (900_000,) * 2)")
    assert done.returncode == 1 and "OSError" in done.stderr and "File too large" in done.stderr
    assert load(path) == {"old": 1} and os.listdir(tmp_path) == ["checkpoint.tv"]


def test_save_cleans_up_after_an_interrupt(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.tv"
    save({"old": 1}, path)

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save({"new": 1}, path)
    assert load(path) == {"old": 1} and os.listdir(tmp_path) == ["checkpoint.tv"]


# ---------------------------------------------------------------------- hostile files


def small_checkpoint():
    return {"w": make_tensor([[1.0, 2.0]]), "b": b"bytes", "n": [1, None, float("inf")]}


def saved_bytes(obj):
    stream = io.BytesIO()
    save(obj, stream)
    return stream.getvalue()


def load_bytes(data):
    return load(io.BytesIO(data))


def npy_bytes(header, data=b""):
    """A .npy file with a header of our own making."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive_bytes(node, members=(), version=1, compression=zipfile.ZIP_STORED):
    """A checkpoint whose parts need not fit together; node may be raw JSON text."""
    stream = io.BytesIO()
    text = node if isinstance(node, str) else json.dumps(node)
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
        document = f'{{"format": "tinyvision checkpoint", "version": {version}, "checkpoint": '
        archive.writestr("checkpoint.json", document + text + "}")
    return stream.getvalue()


def ndarray_at(member):
    return {"type": "ndarray", "member": member}


NODE = ndarray_at("arrays/0.npy")
ZEROS = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(8))


def test_load_accepts_the_hand_made_archive_that_the_hostile_ones_vary():
    loaded = load_bytes(archive_bytes(NODE, [("arrays/0.npy", ZEROS)]))
    assert loaded.dtype == np.float32 and loaded.tolist() == [0.0, 0.0]


def test_load_refuses_a_file_cut_short_anywhere(tmp_path):
    data = saved_bytes(small_checkpoint())
    for length in range(len(data)):
        with pytest.raises(RuntimeError, match="load: <BytesIO>: "):
            load_bytes(data[:length])
    path = tmp_path / "cut.tv"
    path.write_bytes(data[:-1])
    with pytest.raises(RuntimeError, match=re.escape(f"load: {path}: not a checkpoint, or cut")):
        load(path)


def test_load_never_returns_altered_values():
    expected = small_checkpoint()
    data = saved_bytes(expected)
    refused = 0
    for position in range(8 * len(data)):
        altered = bytearray(data)
        altered[position // 8] ^= 1 << position % 8
        try:
            # Some bits (dates, attributes) mean nothing to us; all others must be noticed.
            assert same(load_bytes(altered), expected)
        except RuntimeError as error:
            assert "load: <BytesIO>: " in str(error)
            refused += 1
    assert refused > 5 * len(data)


@settings(deadline=None)
@given(data=st.data())
def test_load_refuses_or_returns_but_never_breaks_on_spliced_files(data):
    original = saved_bytes(small_checkpoint())
    start, stop, target = (data.draw(st.integers(0, len(original))) for _ in range(3))
    spliced = original[:target] + original[start:stop] + original[target + 4 :]
    try:
        loaded = load_bytes(spliced)
    except RuntimeError:
        return
    assert same(loaded, small_checkpoint())


@pytest.mark.parametrize(
    ("descr", "shape", "problem"),
    [
        ("'<f4'", "(1,)", "arrays/0.npy has 76 bytes; .* needs 72"),
        ("'<f4'", "(3,)", "arrays/0.npy has 76 bytes; .* needs 80"),
        ("'<f4'", "(1000000000000,)", "needs 4000000000080"),
        ("'<f4'", "(10**12,)", "no valid .npy header: malformed"),
        ("'<f4'", "(-1, -2)", "no valid .npy header: negative shape"),
        ("'<f4'", "2", "no valid .npy header: shape is not valid"),
        ("'<f4'", "(1, " * 70 + "2" + ")" * 70, "no valid .npy header: shape is not valid"),
        ("'<f4'", "(" + "1, " * 70 + "2)", "dimension"),
        ("'|O'", "(1,)", "arrays/0.npy has dtype object"),
        ("'|V8'", "(1,)", "has dtype |V8"),
        ("'<U2'", "(1,)", "has dtype <U2"),
        ("'<M8[s]'", "(1,)", "has dtype datetime64"),
        ("[('x', '<f4')]", "(2,)", r"has dtype \[\('x', '<f4'\)\]"),
        ("'no'", "(2,)", "no valid .npy header: descr is not a valid dtype"),
    ],
)
def test_load_refuses_a_npy_header_that_does_not_fit(descr, shape, problem):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    archive = archive_bytes(NODE, [("arrays/0.npy", npy_bytes(f"{header:<57}", bytes(8)))])
    with pytest.raises(RuntimeError, match=problem):
        load_bytes(archive)


def test_load_refuses_an_empty_array_of_impossible_shape():
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807), }"
    archive = archive_bytes(NODE, [("arrays/0.npy", npy_bytes(header))])
    with pytest.raises(RuntimeError, match="array is too big|dimension"):
        load_bytes(archive)


@pytest.mark.parametrize(
    "header",
    ["", "3", "{}", "__import__('os').abort()", "(" * 5000, "{[]: 1}", "x" * 20_000, "'\0'"],
    ids=["nothing", "number", "dict", "call", "deep", "unhashable", "long", "null"],
)
def test_load_refuses_what_is_no_npy_header(header):
    for data in (npy_bytes(header), header.encode(), npy_bytes(header).replace(b"\x01", b"\x07")):
        with pytest.raises(RuntimeError, match="arrays/0.npy has no valid .npy header"):
            load_bytes(archive_bytes(NODE, [("arrays/0.npy", data)]))


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ({"type": "module", "member": "arrays/0.npy"}, "'module' cannot be made"),
        ({"type": "tensor", "member": "arrays/0.npy"}, "'requires_grad' is missing"),
        ({"type": "bytes", "member": "arrays/0.npy"}, "'bytes' cannot be made of float32"),
        ({"type": "scalar", "member": "arrays/0.npy"}, "'scalar' cannot be made of"),
        ({"type": "ndarray"}, "'member' is missing"),
        ({"type": "ndarray", "member": 0}, "'member' is missing or has a wrong type"),
        (ndarray_at("arrays/1.npy"), "no item named 'arrays/1.npy'"),
        (ndarray_at("checkpoint.json"), "checkpoint.json has no valid .npy header"),
        ({"member": "arrays/0.npy"}, "'type' is missing"),
        ({"type": "int", "hex": "zz"}, "invalid literal"),
        ({"type": "float", "value": "many"}, "could not convert"),
        ({"type": "tuple", "items": {}}, "'items' is missing or has a wrong type"),
        ({"type": "dict", "items": [["a", 1], ["a", 2]]}, "key twice"),
        ({"type": "dict", "items": [[1.5, 1]]}, "neither str nor int"),
        ({"type": "dict", "items": [[True, 1]]}, "neither str nor int"),
        ({"type": "dict", "items": [["a"]]}, "unpack"),
        ({"type": "dict", "items": [[[], 1]]}, "unhashable"),
        (3, "unexpected member 'arrays/0.npy'"),
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ("[" * 150 + "]" * 150, "nested deeper than 100"),
        ("1" * 5000, "integer string conversion"),
    ],
)
def test_load_refuses_a_structure_that_does_not_fit(node, problem):
    with pytest.raises(RuntimeError, match=problem):
        load_bytes(archive_bytes(node, [("arrays/0.npy", ZEROS)]))


def test_load_refuses_tensors_that_cannot_exist():
    swapped = npy_bytes("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", bytes(8))
    tensor = {"type": "tensor", "member": "arrays/0.npy", "requires_grad": False}
    with pytest.raises(RuntimeError, match="'tensor' cannot be made of >f4"):
        load_bytes(archive_bytes(tensor, [("arrays/0.npy", swapped)]))
    integers = npy_bytes("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", bytes(8))
    with pytest.raises(RuntimeError, match="<BytesIO>: "):
        node = {**tensor, "requires_grad": True}
        load_bytes(archive_bytes(node, [("arrays/0.npy", integers)]))


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "arrays/0.npy/", "README"])
def test_load_refuses_members_of_other_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="unexpected member"):
        load_bytes(archive_bytes(ndarray_at(name), [(name, ZEROS)]))
    assert os.listdir(tmp_path) == []


def test_load_refuses_a_member_that_appears_twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive_bytes(NODE, [("arrays/0.npy", ZEROS), ("arrays/0.npy", ZEROS)])
    with pytest.raises(RuntimeError, match="appears twice"):
        load_bytes(data)


def test_load_refuses_compressed_members():
    bomb = npy_bytes(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999,), }", bytes(9999999)
    )
    data = archive_bytes(NODE, [("arrays/0.npy", bomb)], compression=zipfile.ZIP_DEFLATED)
    assert len(data) < 20_000
    with pytest.raises(RuntimeError, match="arrays/0.npy is compressed"):
        load_bytes(data)


def test_load_refuses_members_that_share_their_bytes():
    stream = io.BytesIO()
    content = npy_bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (999,), }", bytes(999))
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("arrays/0.npy", content)
        archive.writestr("checkpoint.json", "{}")
        for index in range(1, 9):
            info = zipfile.ZipInfo(f"arrays/{index}.npy")
            real = archive.getinfo("arrays/0.npy")
            info.file_size = info.compress_size = real.file_size
            info.CRC, info.header_offset = real.CRC, real.header_offset
            archive.filelist.append(info)
    with pytest.raises(RuntimeError, match="claim to be larger than the file"):
        load_bytes(stream.getvalue())


def test_load_refuses_another_version_or_format():
    with pytest.raises(RuntimeError, match="version 2; this tinyvision reads version 1"):
        load_bytes(archive_bytes(3, version=2))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("checkpoint.json", '{"version": 1, "checkpoint": 3}')
    with pytest.raises(RuntimeError, match="its format is 'tinyvision checkpoint'"):
        load(stream)


def test_load_refuses_an_oversized_structure(monkeypatch):
    data = saved_bytes([0.5] * 200)
    monkeypatch.setattr("tinyvision.serialization.MAX_STRUCTURE_BYTES", 200)
    with pytest.raises(RuntimeError, match="checkpoint.json has .* bytes, more than 200"):
        load_bytes(data)


def test_load_recognises_files_of_other_programs(tmp_path):
    for content in (b"", b"\x80\x02}q\x00.", b"plain text", bytes(100_000)):
        path = tmp_path / "other.bin"
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match="other.bin: (not a checkpoint|the file is empty)"):
            load(path)
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with pytest.raises(RuntimeError, match="arrays.npz: not a checkpoint"):
        load(tmp_path / "arrays.npz")


@pytest.mark.parity
def test_load_says_what_a_pytorch_file_is(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(RuntimeError, match="model.pt: this is a PyTorch file.*load_torch"):
        load(tmp_path / "model.pt")
