"""Compiling kernels, and keeping the compiled code on disk.

Compiling a kernel takes seconds, loading it milliseconds, so compiled code is kept: beside the
package, in `kernels/__pycache__`, or, where that cannot be written, in the user's cache
directory; NUMBA_CACHE_DIR overrides both. If nothing can be written, a warning says that kernels
will be compiled anew in each process.

Numba itself notices a change in the file a kernel stands in, but not in other files that it takes
code from. So the directory is named after a digest of them all: after an edit it is a new one.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event

# Numba describes neither its settings nor all options of njit to type checkers.
config: Any = numba.config
njit: Any = numba.njit
F = TypeVar("F", bound=Callable)

_choice = os.environ.get("TINYVISION_KERNELS", "fast")
if _choice not in ("fast", "reference"):
    raise ValueError(f"TINYVISION_KERNELS must be 'fast' or 'reference', but is {_choice!r}")
# Vector code exists only when compiled, so without a compiler there are only the references.
USE_REFERENCES = _choice == "reference" or config.DISABLE_JIT

PACKAGE = Path(__file__).parent
PREFIX = "compiled-"


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _candidates() -> list[Path]:
    """Where compiled code may be kept, the best place first."""
    if config.CACHE_DIR:
        return [Path(config.CACHE_DIR)]
    user_cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    # Not a shared temporary directory: what is found there, any user may have written.
    return [PACKAGE / "__pycache__", user_cache / "tinyvision"]


def _cache_directory() -> Path | None:
    for parent in _candidates():
        directory = parent / f"{PREFIX}{_sources_digest()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError:
            continue
        return directory
    warnings.warn(
        "tinyvision: no directory is writable for compiled kernels; they will be compiled again "
        "in each process. Set NUMBA_CACHE_DIR to a directory that can be written.",
        stacklevel=2,
    )
    return None


def _remove_outdated(directory: Path) -> None:
    """Delete what earlier versions of the sources left beside the package."""
    if directory.parent == PACKAGE / "__pycache__":
        for old in directory.parent.glob(f"{PREFIX}*"):
            if old != directory:
                shutil.rmtree(old, ignore_errors=True)


DIRECTORY = _cache_directory()
if DIRECTORY is not None:
    _remove_outdated(DIRECTORY)


class _Announcement(event.Listener):
    """Says, once, that kernels are being compiled: a program's first step seems to hang."""

    said = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if module.startswith("tinyvision.") and not self.said:
            self.said = True
            how_often = "in each process" if DIRECTORY is None else "once"
            print(
                f"tinyvision: compiling the kernels that are used, {how_often}; "
                "that takes up to half a minute",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Announcement())


def _compile(function: Callable, **options: Any) -> Any:
    """numba.njit that keeps the code in DIRECTORY; Numba reads CACHE_DIR only while decorating."""
    if DIRECTORY is None:
        return njit(function, **options)
    users_directory = config.CACHE_DIR
    config.CACHE_DIR = str(DIRECTORY)
    try:
        return njit(function, cache=True, **options)
    finally:
        config.CACHE_DIR = users_directory


def jit(function: Callable) -> Any:
    """Compile a kernel; it runs without Python's global lock."""
    return _compile(function, nogil=True, error_model="numpy")


def jit_part(function: Callable) -> Any:
    """Compile a part of kernels, which allocates no arrays.

    It need not count references to the arrays it gets, which would cost more than a short run of
    pixels does. Its code is kept with the kernels that call it.
    """
    return njit(function, nogil=True, error_model="numpy", _nrt=False)


def jit_inline(function: Callable) -> Any:
    """Compile a part of kernels that is so small that even a call of it would cost too much."""
    return njit(function, nogil=True, error_model="numpy", _nrt=False, forceinline=True)


def twin_of(reference: F) -> Callable[[F], F]:
    """Marks the fast twin of a plain function; where plain ones are chosen, it becomes that one."""

    def choose(fast: F) -> F:
        return reference if USE_REFERENCES else fast

    return choose


def flat(array: np.ndarray) -> np.ndarray:
    """The array as the 1-d array that kernels take, copied only if its layout requires it.

    A read-only or misaligned array is copied too: for Numba it has another type, and each kernel
    would be compiled once more for it.
    """
    if not array.flags.carray:
        array = np.array(array, order="C")
    return array.reshape(-1)


class _Memory:
    """For numpy.asarray: `count` values from the first of an array on, however it lies."""

    def __init__(self, array: np.ndarray, count: int) -> None:
        data = array.__array_interface__["data"][0], False  # not read-only
        self.array = array  # whose memory must live as long
        self.__array_interface__ = {
            "data": data, "shape": (count,), "typestr": array.dtype.str, "version": 3
        }  # fmt: skip


def strided(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """The memory of an array, of two dims or more, as a 1-d array for kernels, and its strides.

    These are counted in elements, and 0 along dims of size 1, which may be broadcast. The array is
    copied only if it lies backwards or misaligned.
    """
    size, shape = array.itemsize, array.shape
    strides = tuple([s // size for s in array.strides])
    if 1 in shape:
        strides = tuple([s if n > 1 else 0 for n, s in zip(shape, strides, strict=True)])
    if array.flags.carray:
        return array.reshape(-1), strides
    if (transposed := array.swapaxes(-1, -2)).flags.carray:
        return transposed.reshape(-1), strides
    if not array.flags.aligned or min(strides) < 0:
        return strided(np.array(array, order="C"))
    count = array.size and 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])
    return np.asarray(_Memory(array, count)), strides
