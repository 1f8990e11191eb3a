"""How many threads the kernels use, and how they are started.

A kernel is a function `work(chunk, *arrays)` that does one chunk of a job, and no kernel's result
depends, bit for bit, on the number of chunks. `launch` has them done: the first by the thread it is
called in, the others by workers. These are Python threads, which can work at the same time because
kernels run without Python's global lock.

Why not Numba's own parallel loops? Each kernel would have to be compiled twice, and compiling is
what the first run waits for. Its threads also abort a process in which two Python threads start a
loop at once, or that was forked. To hand over a chunk takes about as long here, 3 microseconds.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numba
import numpy as np

from tinyvision.kernels.signals import give_and_spin, new_chunk, new_signal, signal_to, spin

_config: Any = numba.config
_num_threads: int = _config.NUMBA_NUM_THREADS  # one per CPU
_team: "_Team | None" = None
# Held by the thread whose job the team works on; that thread may take it again, should a Ctrl-C
# have kept it from giving it back.
_team_lock = threading.RLock()
# Nanoseconds of work per chunk that are worth handing over to workers, and worth waking them up.
HAND_OVER, WAKE_UP = 20_000, 60_000
# So much work done alone, in jobs so close to each other, also makes it worth it: there is more.
MISSED, PAUSE = 240_000, 300_000
_missed, _last_missed = 0, 0
_whole = new_chunk(0, 1)


def set_num_threads(n: int) -> None:
    """Use n threads in the kernels from now on, in all Python threads.

    At first it is one per CPU, or as many as the environment variable NUMBA_NUM_THREADS says.

    Raises:
        TypeError: n is not an int.
        RuntimeError: n < 1.
    """
    global _num_threads
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads: expected an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads: expected a positive number, but got {n}")
    _num_threads = n


def get_num_threads() -> int:
    """The number of threads the kernels use."""
    return _num_threads


def count_chunks(items: int, nanoseconds: int) -> int:
    """Into how many chunks to split a job of so many items, which takes one thread about so long.

    One per thread; but no chunk that is done as fast as it is handed over. Callers estimate the
    time from what there is to compute and how much of that a core was measured to do in 1 ns.
    """
    chunks = min(_num_threads, items, nanoseconds // HAND_OVER)
    if chunks <= 1:
        return 1
    team_is_awake = _team is not None and not _team.workers[0].is_asleep
    if team_is_awake or nanoseconds >= 2 * WAKE_UP or _has_missed_much(nanoseconds):
        return chunks
    return 1


def _has_missed_much(nanoseconds: int) -> bool:
    """Whether the workers would have been of use in many small jobs of late."""
    global _missed, _last_missed
    now = time.perf_counter_ns()
    if now - _last_missed > PAUSE:
        _missed = 0
    _missed, _last_missed = _missed + nanoseconds, now
    if _missed < MISSED:
        return False
    _missed = 0
    return True


def launch(work: Callable, chunks: int, *arrays: Any) -> None:
    """Run work(chunk, *arrays) for each chunk of a job, on several threads if they are free.

    They are not if another Python thread has them work on its own job.
    """
    if chunks == 1:
        work(_whole, *arrays)
    elif chunks <= _num_threads and _team_lock.acquire(blocking=False):
        try:
            _team_of(chunks).run(work, chunks, arrays)
        finally:
            _team_lock.release()
    else:
        for number in range(chunks):
            work(new_chunk(number, chunks), *arrays)


def _team_of(size: int) -> "_Team":
    global _team
    if _team is None or len(_team.workers) < size - 1:
        _stop_team()
        _team = _Team(_num_threads)
    return _team


class _Team:
    """Threads that do a job together: the one that `launch` is called in, and workers."""

    def __init__(self, size: int) -> None:
        self.chunk = new_chunk(0, size, workers=size - 1)
        self.workers = [_Worker(i, signal_to(i, self.chunk)) for i in range(1, size)]

    def run(self, work: Callable, chunks: int, arrays: tuple) -> None:
        workers = self.workers[: chunks - 1]
        self.chunk[1:3] = chunks, chunks - 1
        for worker in workers:
            worker.begin(work, chunks, arrays)
        try:
            work(self.chunk, *arrays)
        finally:
            for worker in workers:
                worker.finish()
        for worker in workers:
            worker.raise_error()


class _Worker(threading.Thread):
    """A thread that waits for jobs, spinning at first, then asleep.

    `begun` and `finished` count jobs. A thread that wants Python's global lock while another has it
    is put to sleep as well, and sleep takes longer than many kernels. So the worker begins when the
    first thread lets go of the lock, inside the kernel (`begin` in signals.py), and says that it
    has finished when it has let go itself.
    """

    def __init__(self, number: int, begun: np.ndarray) -> None:
        super().__init__(name=f"tinyvision-{number}", daemon=True)
        self.begun, self.finished = begun, new_signal()
        self.chunk = new_chunk(number, number + 1)
        self.jobs = 0
        self.work: Callable | None = None
        self.arrays: tuple = ()
        self.error: BaseException | None = None
        self.is_asleep = False
        self.alarm: SimpleQueue[None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        done = 0
        while True:
            if not give_and_spin(self.finished, self.begun, done + 1):
                self.is_asleep = True
                # Looked at after that, as `begin` counts a job and then wakes only who is asleep.
                while self.jobs == done:
                    self.alarm.get()
                self.is_asleep = False
            if self.work is None:
                return
            try:
                self.work(self.chunk, *self.arrays)
            except BaseException as error:
                self.error = error
            done += 1

    def begin(self, work: Callable | None, chunks: int = 1, arrays: tuple = ()) -> None:
        """Do work(chunk, *arrays) as soon as the first thread does; without work, stop."""
        if self.finished[0] < self.jobs:  # after a Ctrl-C
            self.finish()
        self.work, self.arrays = work, arrays
        self.chunk[1] = chunks
        self.jobs += 1
        self.begun[1] = self.jobs
        if self.is_asleep:
            self.alarm.put(None)

    def finish(self) -> None:
        """Wait until the worker has done all its jobs."""
        while not spin(self.finished, self.jobs):
            if self.is_asleep:  # a Ctrl-C came between the lines of `begin`
                self.alarm.put(None)
            time.sleep(50e-6)
        self.arrays = ()  # their memory may be used again

    def raise_error(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


def _stop_team() -> None:
    global _team
    if _team is not None:
        for worker in _team.workers:
            worker.begin(None)
            worker.join()
    _team = None


def _forget_team() -> None:
    """A forked child has none of its parent's threads, and starts its own."""
    global _team, _team_lock
    _team, _team_lock = None, threading.RLock()


atexit.register(_stop_team)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
