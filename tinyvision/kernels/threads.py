"""How many threads the kernels use, and how they are started safely.

A kernel comes as a pair: `work(chunk, chunks, *arrays)`, which does one part of the job on one
thread, and `work_parallel(chunks, *arrays)`, a `prange` loop over the chunks. `launch` picks one.
No kernel's result depends on the number of chunks, bit for bit.

Why not always the parallel loop? Starting threads costs 2 to 100 microseconds, more than a small
job. With Numba's "workqueue" threads, two Python threads that start a loop at once abort the
process: hence the lock. And with GNU OpenMP, a process forked from one that has used threads is
killed when it starts a loop: hence a forked child stays on one thread.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

import numba

_launch_lock = threading.Lock()
_in_forked_child = False
_config: Any = numba.config
_num_threads = _config.NUMBA_NUM_THREADS


def set_num_threads(n: int) -> None:
    """Use n threads in the kernels from now on, in all Python threads.

    As in PyTorch any n >= 1 is allowed; but Numba starts its threads once, one per CPU unless
    NUMBA_NUM_THREADS says otherwise, so a larger n means all of those.

    Raises:
        TypeError: n is not an int.
        RuntimeError: n < 1.
    """
    global _num_threads
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads: expected an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads: expected a positive number, but got {n}")
    _num_threads = min(n, _config.NUMBA_NUM_THREADS)


def get_num_threads() -> int:
    """The number of threads the kernels use."""
    return 1 if _in_forked_child else _num_threads


def launch(work: Callable, work_parallel: Callable, chunks: int, *arguments) -> None:
    """Run work(chunk, chunks, *arguments) for each chunk, on several threads if that is safe."""
    if chunks == 1 or get_num_threads() == 1:
        for chunk in range(chunks):
            work(chunk, chunks, *arguments)
        return
    with _launch_lock:
        numba.set_num_threads(_num_threads)
        work_parallel(chunks, *arguments)


def count_chunks(items: int, operations: int) -> int:
    """Into how many chunks to split a job of so many items and arithmetic operations in all.

    One per thread; but no chunk of less than about 10 microseconds of work.
    """
    worthwhile = operations // 300_000
    return max(1, min(get_num_threads(), items, worthwhile))


def _note_fork() -> None:
    global _in_forked_child
    _in_forked_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
