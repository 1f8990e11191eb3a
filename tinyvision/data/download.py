"""Fetching public data files: several mirrors, resumed after a break, checked before use.

A file grows under the name `<name>.part` and gets its own name only when size and SHA-256 are
the published ones, so a file that is there is complete. A part is kept after a break and goes on
where it stopped, from any mirror; a part with wrong content is deleted.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK = 1 << 18
_ATTEMPTS = 5  # per mirror, as long as each brings it further


@dataclass(frozen=True)
class RemoteFile:
    """A file as its mirrors publish it: base URLs ending in "/", exact size, SHA-256 in hex."""

    name: str
    mirrors: tuple[str, ...]
    size: int
    sha256: str


class _Rejected(Exception):
    """A mirror's answer that trying again would not change."""


def fetch(file: RemoteFile, folder: Path, timeout: float = 30.0) -> Path:
    """Fetch `file` into `folder` unless it is there already, and return its path.

    timeout: seconds without a byte before a mirror is given up.

    Raises: RuntimeError if no mirror delivers the file, listing what each said.
    """
    path = folder / file.name
    if path.is_file() and _sha256(path) == file.sha256:
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeError(f"cannot create {folder} to download {file.name}: {error}") from error
    reasons = []
    for mirror in file.mirrors:
        url = mirror + file.name
        try:
            part = _fetch_from(url, file, folder, timeout)
            os.replace(part, path)
            return path
        except (OSError, http.client.HTTPException, _Rejected) as error:
            reasons.append(f"  {url}: {_describe(error)}")
    raise RuntimeError(
        f"could not download {file.name}:\n" + "\n".join(reasons) + "\n"
        f"To go on without, put the file (sha256 {file.sha256}) into {folder} by hand."
    )


def extract_tar(archive: Path, members: dict[str, int], folder: Path) -> None:
    """Unpack the regular files `members` (name -> size) of a .tar.gz into `folder`.

    Only these names are ever written, whatever the archive holds; each appears complete or not.

    Raises: RuntimeError if the archive is damaged, or lacks a member of that size.
    """
    missing = dict(members)
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                if missing.get(member.name) == member.size and member.isreg():
                    _write_member(tar, member, folder / member.name)
                    del missing[member.name]
                if not missing:
                    return  # what may follow is not even decompressed
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise RuntimeError(f"{archive}: cannot be unpacked: {error}") from error
    raise RuntimeError(f"{archive}: has no regular files {missing} (name: size)")


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None  # it is a regular file
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as out:
            while chunk := source.read(_CHUNK):
                out.write(chunk)
            written = out.tell()
        if written != member.size:
            raise EOFError(f"{member.name} is truncated")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _fetch_from(url: str, file: RemoteFile, folder: Path, timeout: float) -> Path:
    """The complete and checked .part file, by one mirror in a few attempts."""
    part = folder / (file.name + ".part")
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            if before < file.size:
                _receive(url, file, part, timeout)
            _check(part, file)
            break
        except _Rejected:
            part.unlink(missing_ok=True)
            if before == 0 or attempt == _ATTEMPTS:
                raise  # else the old beginning may be what was wrong: once more from scratch
        except (OSError, http.client.HTTPException):
            if _size(part) <= before or attempt == _ATTEMPTS:
                raise
    return part


def _receive(url: str, file: RemoteFile, part: Path, timeout: float) -> None:
    """Add to `part` what is missing of the file.

    Raises: _Rejected if the answer cannot be the file, OSError or HTTPException if it breaks off.
    """
    have = _size(part)
    headers = {"User-Agent": "tinyvision", "Accept-Encoding": "identity"}
    if have > 0:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the server's file ends before our part does
            raise _Rejected(f"HTTP 416 for the range from byte {have}") from error
        raise
    with response:
        if not _continues(response, have):
            have = 0  # a server that ignores Range sends everything
        with open(part, "r+b" if have > 0 else "wb") as out:
            out.seek(have)
            _copy(response, out, have, file)


def _continues(response: Any, have: int) -> bool:
    """Whether the answer starts at byte `have` (else it starts at 0)."""
    if response.status != 206:
        return False
    content_range = response.headers.get("Content-Range", "")
    if not content_range.startswith(f"bytes {have}-"):
        raise _Rejected(f"asked for bytes from {have}, got Content-Range {content_range!r}")
    return True


def _copy(response: Any, out: Any, have: int, file: RemoteFile) -> None:
    announced = response.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and have + int(announced) > file.size:
        raise _Rejected(f"announces {have + int(announced)} bytes, expected {file.size}")
    with _progress_bar(file, have) as advance:
        while chunk := response.read(_CHUNK):
            have += len(chunk)
            if have > file.size:
                raise _Rejected(f"sends more than the {file.size} bytes expected")
            out.write(chunk)
            advance(len(chunk))
    if have < file.size:
        raise ConnectionError(f"broke off after {have} of {file.size} bytes")


@contextmanager
def _progress_bar(file: RemoteFile, have: int) -> Iterator[Any]:
    """A function to report bytes to: tqdm's bar where it is installed, else nothing."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda count: None
        return
    # disable=None: no bar where the output is not a terminal
    with tqdm(
        total=file.size, initial=have, unit="B", unit_scale=True, desc=file.name, disable=None
    ) as bar:
        yield bar.update


def _check(part: Path, file: RemoteFile) -> None:
    if _size(part) != file.size:
        raise _Rejected(f"has {_size(part)} bytes, expected {file.size}")
    found = _sha256(part)
    if found != file.sha256:
        raise _Rejected(f"has sha256 {found}, expected {file.sha256}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        return str(error.reason)
    return str(error) or type(error).__name__
