"""Weights in .safetensors and .npz files, and files of torch.save, harmful ones included."""

import json
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn

SUFFIXES = [".npz", ".safetensors"]


def _path(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"weights{suffix}"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_come_back(tmp_path, suffix):
    path = _path(tmp_path, suffix)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    tv.save_weights(model.state_dict(), path)
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    other.load_state_dict(tv.load_weights(path))
    for name, value in model.state_dict().items():
        assert value.equal(other.state_dict()[name]), name
    assert other[1].num_batches_tracked.dtype == tv.int64


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_of_unusual_names_and_shapes_come_back(tmp_path, suffix):
    path = _path(tmp_path, suffix)
    weights = {
        "file": tv.tensor(3.0),
        "a/b.c": tv.zeros(0, 2),
        "allow_pickle": tv.arange(6).reshape(2, 3).T,
        "flags": tv.tensor([True, False]),
    }
    tv.save_weights(weights, path)
    loaded = tv.load_weights(path)
    assert set(loaded) == set(weights)
    for name, value in weights.items():
        assert loaded[name].dtype == value.dtype and loaded[name].equal(value)
    loaded["file"].add_(1)  # not read-only


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_of_a_damaged_file_raise(tmp_path, suffix):
    path = _path(tmp_path, suffix)
    tv.save_weights({"w": tv.ones(100)}, path)
    data = path.read_bytes()
    for damaged in (b"", b"nonsense", data[: len(data) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(RuntimeError, match="load_weights: .*weights"):
            tv.load_weights(path)


def test_weights_that_cannot_be_saved_leave_the_file(tmp_path):
    path = tmp_path / "weights.npz"
    tv.save_weights({"w": tv.ones(2)}, path)
    with pytest.raises(TypeError, match="expected tensors under strings, but got int under 'step'"):
        tv.save_weights({"w": tv.zeros(2), "step": 3}, path)
    assert tv.load_weights(path)["w"].tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"ends in .safetensors or .npz"):
        tv.save_weights({}, tmp_path / "weights.pt")
    with pytest.raises(FileNotFoundError):
        tv.load_weights(tmp_path / "missing.npz")


def test_weights_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", w=np.array([{}], dtype=object))
    with pytest.raises(RuntimeError, match="allow_pickle=False"):
        tv.load_weights(tmp_path / "objects.npz")


def test_weights_in_the_other_byte_order_are_read(tmp_path):
    np.savez(tmp_path / "big.npz", w=np.array([1, 2], ">f4"), n=np.array(3, ">i8"))
    loaded = tv.load_weights(tmp_path / "big.npz")
    assert loaded["w"].dtype == tv.float32 and loaded["w"].tolist() == [1, 2]
    assert loaded["n"].item() == 3


def test_weights_in_half_precision_become_float32(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "half.safetensors"
    half, brain = np.array([0.5, 65504], np.float16), np.array([0x3F80, 0xC040], np.uint16)
    for kind in ("BF16", "U16"):
        entries = {
            "half": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]},
            "brain": {"dtype": kind, "shape": [2], "data_offsets": [4, 8]},
        }
        header = json.dumps(entries).encode()
        data = header + half.tobytes() + brain.tobytes()
        path.write_bytes(struct.pack("<Q", len(header)) + data)
        if kind == "BF16":
            loaded = tv.load_weights(path)
            assert loaded["half"].tolist() == [[0.5], [65504]]
            assert loaded["brain"].tolist() == [1, -3]
            assert loaded["brain"].dtype == loaded["half"].dtype == tv.float32
    with pytest.raises(RuntimeError, match="'brain' has dtype U16, which is not supported"):
        tv.load_weights(path)


def test_weights_under_a_name_the_format_needs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'__metadata__' cannot be a name in .safetensors"):
        tv.save_weights({"__metadata__": tv.ones(1)}, tmp_path / "x.safetensors")
    tv.save_weights({"__metadata__": tv.ones(1)}, tmp_path / "x.npz")
    assert list(tv.load_weights(tmp_path / "x.npz")) == ["__metadata__"]


# ------------------------------------------------------------------ files of torch.save


def _file(path, items, storages, order="little"):
    """What torch.save would write, from instructions that are put together by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", items)
        archive.writestr("archive/byteorder", order)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", numbers.tobytes())


def _text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _numbers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def _storage(kind, key, count):
    storage = b"(" + _text("storage") + b"ctorch\n" + kind.encode() + b"\n" + _text(key)
    return storage + _text("cpu") + b"J" + struct.pack("<i", count) + b"tQ"


def _tensor(kind, key, count, offset, size, stride, metadata=b""):
    storage = _storage(kind, key, count)
    rest = b"J" + struct.pack("<i", offset) + _numbers(size) + _numbers(stride) + b"\x89"
    rest += b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + metadata + b"tR"


def _state_dict(**tensors):
    pairs = b"".join(_text(name) + tensor for name, tensor in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + pairs + b"u}b."


def test_load_torch_by_hand(tmp_path):
    path = tmp_path / "model.pt"
    numbers = np.arange(8, dtype=np.float32)
    items = _state_dict(
        whole=_tensor("FloatStorage", "0", 8, 0, (2, 4), (4, 1)),
        turned=_tensor("FloatStorage", "0", 8, 1, (3, 2), (1, 4)),
        count=_tensor("LongStorage", "1", 1, 0, (), ()),
        half=_tensor("HalfStorage", "2", 2, 0, (2,), (1,)),
        brain=_tensor("BFloat16Storage", "3", 2, 0, (2,), (1,)),
    )
    storages = {
        "0": numbers,
        "1": np.array([5]),
        "2": np.array([0.5, 65504], np.float16),
        "3": np.array([0x3F80, 0xC040], np.uint16),
    }
    _file(path, items, storages)
    loaded = tv.load_torch(path)
    assert isinstance(loaded, OrderedDict) and list(loaded) == [
        *("whole", "turned", "count", "half", "brain")
    ]
    assert loaded["whole"].tolist() == numbers.reshape(2, 4).tolist()
    assert loaded["turned"].tolist() == [[1, 5], [2, 6], [3, 7]]
    assert loaded["count"].item() == 5 and loaded["count"].dtype == tv.int64
    assert loaded["half"].tolist() == [0.5, 65504] and loaded["half"].dtype == tv.float32
    assert loaded["brain"].tolist() == [1, -3]


def test_load_torch_of_big_endian_machines(tmp_path):
    path = tmp_path / "model.pt"
    items = _state_dict(w=_tensor("FloatStorage", "0", 2, 0, (2,), (1,)))
    _file(path, items, {"0": np.array([1, 2], ">f4")}, order="big")
    assert tv.load_torch(path)["w"].tolist() == [1, 2]


class _Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file ran')",)


@pytest.mark.parametrize("protocol", range(6))
def test_load_torch_runs_no_code(tmp_path, protocol):
    path = tmp_path / "model.pt"
    _file(path, pickle.dumps({"w": _Harmful()}, protocol), {})
    with pytest.raises(RuntimeError, match=r"it holds \w+.exec|instruction \w+ is not one of"):
        tv.load_torch(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_load_torch_reads_plain_containers(tmp_path, protocol):
    path = tmp_path / "plain.pt"
    value = {
        "epoch": 3, "large": 2**70, "rate": 0.1, "names": ["a", ("b", None, True)],
        "set": {1, 2}, "bytes": b"xy", "nested": OrderedDict(a={}), 5: [[], ()],
    }  # fmt: skip
    value.update(empty=b"", counts=Counter("aab"), lists=defaultdict(list, a=[1]))
    value["itself"] = [value["names"]]
    value["names"].append(value["itself"])
    _file(path, pickle.dumps(value, protocol), {})
    loaded = tv.load_torch(path)
    assert loaded.pop("itself") is loaded["names"].pop()
    assert loaded == {k: v for k, v in value.items() if k != "itself"} | {
        "names": ["a", ("b", None, True)]
    }
    assert type(loaded["counts"]) is type(loaded["lists"]) is dict


@pytest.mark.parametrize(
    "tensor, message",
    [
        (_tensor("FloatStorage", "0", 4, 1, (4,), (1,)), "reaches beyond its 4 numbers"),
        (_tensor("FloatStorage", "0", 4, 0, (2, 2), (3, 1)), "reaches beyond its 4 numbers"),
        (_tensor("FloatStorage", "0", 4, -1, (2,), (1,)), "negative"),
        (_tensor("FloatStorage", "0", 4, 0, (2,), (-1,)), "negative"),
        (_tensor("FloatStorage", "0", 4, 0, (2**31 - 1,) * 3, (0,) * 3), "too big|too large"),
        (_tensor("FloatStorage", "0", 2_000_000_000, 0, (2,), (1,)), "too short for a storage"),
        (_tensor("FloatStorage", "0", -4, 0, (2,), (1,)), "too short for a storage"),
        (_tensor("FloatStorage", "0", 3, 0, (2,), (1,)), "has 16 bytes, and not 12"),
        (_tensor("FloatStorage", "9", 4, 0, (2,), (1,)), "archive/data/9"),
        (_tensor("ComplexFloatStorage", "0", 4, 0, (2,), (1,)), "ComplexFloatStorage is not supp"),
        (_tensor("FloatStorage", "0", 4, 0, (2,), (1, 1)), "zip"),
    ],
)
def test_load_torch_of_tensors_that_cannot_be_raises(tmp_path, tensor, message):
    path = tmp_path / "model.pt"
    _file(path, _state_dict(w=tensor), {"0": np.zeros(4, np.float32)})
    with pytest.raises(RuntimeError, match=message) as error:
        tv.load_torch(path)
    assert "model.pt" in str(error.value)


@pytest.mark.parametrize(
    "held, message",
    [
        (b"ctorch\nfloat32\n", "it holds torch.float32, and only"),
        (b"](ctorch.nn.functional\nrelu\ne", "it holds torch.nn.functional.relu, and only"),
        (b"}K\x01ctorch.nn\nLinear\n\x85s", "it holds torch.nn.Linear, and only"),
        (_storage("FloatStorage", "0", 4), "holds a storage without a tensor"),
        (b"(" + _text("module") + b"ctorch.nn\nLinear\nNNtQ", "it holds a module, and only"),
        (_tensor("FloatStorage", "0", 4, 0, (2,), (1,), b"}X\x03\0\0\0neg\x88s"), "resolve_neg"),
    ],
)
def test_load_torch_of_what_is_no_plain_container_raises(tmp_path, held, message):
    path = tmp_path / "model.pt"
    for program in (held, b"}" + _text("key") + held + b"s"):
        _file(path, b"\x80\x02" + program + b".", {"0": np.zeros(4, np.float32)})
        with pytest.raises(RuntimeError, match=message):
            tv.load_torch(path)


def test_load_torch_gives_views_of_one_storage_the_same_memory(tmp_path):
    path = tmp_path / "model.pt"
    items = _state_dict(
        whole=_tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1)),
        row=_tensor("FloatStorage", "0", 6, 3, (3,), (1,)),
        expanded=_tensor("FloatStorage", "0", 6, 0, (2_000_000_000, 3), (0, 1)),
    )
    _file(path, items, {"0": np.arange(6, dtype=np.float32)})
    loaded = tv.load_torch(path)
    loaded["row"].mul_(10)
    assert loaded["whole"].tolist() == [[0, 1, 2], [30, 40, 50]]
    assert loaded["expanded"].stride() == (0, 1) and loaded["expanded"][-1].tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="single memory location"):
        loaded["expanded"].add_(1)


def _old_file(state_dict, storages):
    """What PyTorch before 1.6 wrote with Python 2, whose strings are other instructions."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, facts)]
    parts.append(state_dict.replace(_text("storage"), b"U\x07storage").replace(b"tQ", b"NtQ"))
    parts.append(pickle.dumps(list(storages), 2))
    for numbers in storages.values():
        parts.append(struct.pack("<q", numbers.size) + numbers.tobytes())
    return b"".join(parts)


def test_load_torch_of_files_before_zip(tmp_path):
    path = tmp_path / "model.pth"
    items = _state_dict(
        w=_tensor("FloatStorage", "94", 4, 0, (2, 2), (2, 1)),
        row=_tensor("FloatStorage", "94", 4, 2, (2,), (1,)),
        n=_tensor("LongStorage", "95", 1, 0, (), ()),
    )
    data = _old_file(items, {"95": np.array([7]), "94": np.arange(4, dtype=np.float32)})
    path.write_bytes(data)
    loaded = tv.load_torch(path)
    assert list(loaded) == ["w", "row", "n"] and loaded["n"].item() == 7
    loaded["row"].add_(1)
    assert loaded["w"].tolist() == [[0, 1], [3, 4]]
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises(RuntimeError, match=r"load_torch: .*model\.pth"):
            tv.load_torch(path)
    path.write_bytes(_old_file(items, {"94": np.arange(4, dtype=np.float32)}))
    with pytest.raises(RuntimeError, match="storages in it are not those of its tensors"):
        tv.load_torch(path)
    path.write_bytes(_old_file(pickle.dumps(_Harmful(), 2), {}))
    with pytest.raises(RuntimeError, match=r"it holds \w+.exec"):
        tv.load_torch(path)


def test_load_torch_of_other_files_raises(tmp_path):
    path = tmp_path / "model.pt"
    for data in (b"", pickle.dumps({})):
        path.write_bytes(data)
        with pytest.raises(RuntimeError, match="torch.save did not write it"):
            tv.load_torch(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something", "else")
    with pytest.raises(RuntimeError, match="no data.pkl"):
        tv.load_torch(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(RuntimeError, match="is compressed"):
        tv.load_torch(path)
    with pytest.raises(FileNotFoundError):
        tv.load_torch(tmp_path / "missing.pt")
    for items in (b"", b"\x80\x02", b"\x80\x02t.", b"\x80\x02h\x05.", b"\x80\x02}K\x01e."):
        _file(path, items, {})
        with pytest.raises(RuntimeError, match="load_torch: "):
            tv.load_torch(path)


def test_load_torch_of_altered_bytes_raises_or_reads(tmp_path):
    """Whatever byte is changed, there is no crash, and no other kind of error."""
    path, rng = tmp_path / "model.pt", np.random.default_rng(0)
    items = _state_dict(w=_tensor("FloatStorage", "0", 4, 0, (2, 2), (2, 1)))
    _file(path, items, {"0": np.zeros(4, np.float32)})
    original = path.read_bytes()
    for _ in range(400):
        data = bytearray(original)
        data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data)
        try:
            tv.load_torch(path)
        except RuntimeError as error:
            assert "model.pt" in str(error)


@pytest.mark.parity
def test_load_torch_reads_what_pytorch_wrote(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pth"
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
    )
    torch.save(theirs.state_dict(), path)
    ours = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    ours.load_state_dict(tv.load_torch(path))
    images = np.random.default_rng(0).standard_normal((5, 2, 4, 4)).astype(np.float32)
    expected = theirs(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(ours(tv.tensor(images)).detach().numpy(), expected, atol=1e-5)

    weight = torch.arange(12.0).reshape(3, 4)
    optimizer = torch.optim.Adam([torch.nn.Parameter(weight)])
    checkpoint = {
        "tied": [weight, weight], "view": weight.T[1:], "parameter": torch.nn.Parameter(weight),
        "optimizer": optimizer.state_dict(), "size": weight.size(), "epoch": 3,
        **{str(d): torch.tensor([1, 0, 1]).to(d)
           for d in (torch.bfloat16, torch.half, torch.bool, torch.uint8, torch.int16)},
    }  # fmt: skip
    torch.save(checkpoint, path)
    loaded = tv.load_torch(path)
    assert loaded["tied"][0] is loaded["tied"][1]
    assert loaded["view"].tolist() == weight.T[1:].tolist()
    assert loaded["parameter"].tolist() == weight.tolist()
    assert loaded["size"] == (3, 4) and loaded["optimizer"]["param_groups"][0]["lr"] == 1e-3
    for name, value in checkpoint.items():
        if name.startswith("torch."):
            assert loaded[name].tolist() == value.tolist()
    for new in (True, False):
        torch.save(theirs, path, _use_new_zipfile_serialization=new)
        with pytest.raises(RuntimeError, match=r"of a model, save\s+model.state_dict\(\)"):
            tv.load_torch(path)


@pytest.mark.parity
@pytest.mark.parametrize("new", [True, False])
def test_load_torch_shares_memory_as_pytorch_does(tmp_path, new):
    torch = pytest.importorskip("torch")
    path, a = tmp_path / "model.pth", torch.arange(12.0).reshape(3, 4)
    half = a.bfloat16()
    views = {"a": a, "t": a.t(), "row": a[1], "column": a[:, 1], "steps": a[::2], "half": half[1],
             "inner": a[1:, 1:3], "halves": half, "more": torch.ones(1, 3).expand(4, 3),
             "set": {1, 2}, "bytes": b"x", "counts": Counter("aab"), "none": torch.ones(0, 3),
             "steps_done": torch.optim.lr_scheduler.MultiStepLR(
                 torch.optim.SGD([a], 0.1), [2, 2, 3]).state_dict()}  # fmt: skip
    torch.save(views, path, _use_new_zipfile_serialization=new)
    ours, theirs = tv.load_torch(path), torch.load(path)
    assert list(ours) == list(theirs) and ours["steps_done"] == theirs["steps_done"]
    for loaded in (ours, theirs):
        loaded["row"].mul_(100)
        loaded["halves"][1, 1] = 7
    for name, value in theirs.items():
        if isinstance(value, torch.Tensor):
            assert ours[name].tolist() == value.tolist() and ours[name].stride() == value.stride()
    torch.save(torch.complex(a, a).conj().imag, path, _use_new_zipfile_serialization=new)
    with pytest.raises(RuntimeError, match="resolve_neg|is not supported"):
        tv.load_torch(path)


@pytest.mark.parity
def test_weights_are_read_by_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    model = nn.Linear(3, 2)
    tv.save_weights(model.state_dict(), tmp_path / "model.safetensors")
    theirs = torch.nn.Linear(3, 2)
    theirs.load_state_dict(safetensors.load_file(tmp_path / "model.safetensors"))
    assert theirs.weight.tolist() == model.weight.tolist()
    safetensors.save_file(theirs.state_dict(), tmp_path / "back.safetensors")
    assert tv.load_weights(tmp_path / "back.safetensors")["bias"].equal(model.bias)
