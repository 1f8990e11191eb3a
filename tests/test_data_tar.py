"""Unpacking archives, friendly and hostile."""

import io
import tarfile

import numpy as np
import pytest

from tinyvision.data.download import extract_tar


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def tar_of(path, *members):
    """A .tar.gz of (name, content) or ready TarInfo."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 4
    return info


def test_extract_writes_only_what_is_expected(tmp_path):
    out = tmp_path / "out"
    archive = tar_of(
        tmp_path / "a.tar.gz",
        ("../evil", b"x"),
        ("/tmp/evil-absolute", b"x"),
        ("d/readme", b"x"),
        ("d/one", b"1111"),
        link("d/link", "/etc/passwd", tarfile.SYMTYPE),
        ("d/two", b"22"),
    )
    extract_tar(archive, {"d/one": 4, "d/two": 2}, out)
    assert files_in(out) == ["d"] and files_in(out / "d") == ["one", "two"]
    assert (out / "d" / "one").read_bytes() == b"1111"
    assert files_in(tmp_path) == ["a.tar.gz", "out"]


@pytest.mark.parametrize(
    "member",
    [
        ("d/one", b"11111"),
        ("d/one", b""),
        ("d/two", b"1111"),
        link("d/one", "/etc/passwd", tarfile.SYMTYPE),
        link("d/one", "d/two", tarfile.LNKTYPE),
        link("d/one", "", tarfile.DIRTYPE),
        link("d/one", "", tarfile.FIFOTYPE),
    ],
    ids=["longer", "empty", "missing", "symlink", "hardlink", "directory", "fifo"],
)
def test_extract_refuses_members_that_are_not_as_expected(tmp_path, member):
    archive = tar_of(tmp_path / "a.tar.gz", member)
    with pytest.raises(RuntimeError, match=r"a.tar.gz: has no regular files \{'d/one': 4\}"):
        extract_tar(archive, {"d/one": 4}, tmp_path / "out")
    assert files_in(tmp_path / "out") == []


def test_extract_refuses_damaged_archives_and_leaves_no_part(tmp_path):
    content = np.random.default_rng(0).bytes(100_000)
    archive = tar_of(tmp_path / "a.tar.gz", ("d/one", content))
    whole = archive.read_bytes()
    for damaged in (whole[:50_000], b"no archive", b"", whole[:20] + b"\0" * 100 + whole[120:]):
        archive.write_bytes(damaged)
        with pytest.raises(RuntimeError, match="a.tar.gz"):
            extract_tar(archive, {"d/one": 100_000}, tmp_path / "out")
        assert files_in(tmp_path / "out" / "d") == []
