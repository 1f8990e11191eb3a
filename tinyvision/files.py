"""Writing a file so that nothing is lost if that fails; reading one that may be damaged."""

from __future__ import annotations

import os
import secrets
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib import format as npy


def replace_file(path: Path, write: Callable[[Any], None], name: str) -> None:
    """Have write(stream) fill a new file, then put that in the place of `path` in one step.

    Raises: RuntimeError if the directory does not exist, PermissionError for a protected file;
        whatever `write` raises. `path` then holds what it held before.
    """
    if path.exists() and not path.is_file():
        # A device or pipe is written to, not replaced; and it only pretends that it can seek.
        with open(path, "wb") as stream:
            write(SimpleNamespace(write=stream.write, flush=stream.flush))
        return
    target = path.resolve()
    if not target.parent.is_dir():
        raise RuntimeError(f"{name}: parent directory {target.parent} does not exist")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{name}: {target} is write-protected")
    temporary = target.with_name(f".tinyvision-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            write(stream)
            # Otherwise a power cut could leave the new name with none of the new bytes.
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_array(archive: zipfile.ZipFile, member: str, array: np.ndarray) -> None:
    """Add an array to an archive, in NumPy's format."""
    # zip64, because an array may have more than 2 GiB.
    with archive.open(member, "w", force_zip64=True) as stream:
        npy.write_array(stream, array, version=(1, 0), allow_pickle=False)


@contextmanager
def named_errors(prefix: str) -> Iterator[None]:
    """Make what goes wrong inside, but for a lack of memory, a RuntimeError with this prefix.

    zipfile, json, pickletools and the .npy reader meet hostile bytes with a dozen exception types.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise RuntimeError(f"{prefix}: {error}") from error
