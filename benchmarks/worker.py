"""The process in which one library is measured.

    python benchmarks/worker.py pytorch 2

reads commands from standard input and answers on standard output, both as a line of JSON:
`{"do": "prepare", "row": "GELU 8320×256, forward", "smoke": false, "folder": "/tmp"}`, then
`{"do": "block", "seconds": 0.05}`. `sides.py` starts it and talks to it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import harness
import libraries
import numpy as np
import tables


class Worker:
    """Carries out commands; the job of the row that was prepared last is kept between them."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.job: Any = None
        self.timer: Any = None

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """The reply to a command; what goes wrong becomes a reason."""
        try:
            return getattr(self, "do_" + command.pop("do"))(**command)
        except Exception as error:
            missing = isinstance(error, (NotImplementedError, AttributeError))
            text = str(error).strip().partition("\n")[0]
            return {"reason": f"{type(error).__name__}: {text}"[:300], "missing": missing}

    def do_prepare(self, row: str, smoke: bool, folder: str) -> dict[str, Any]:
        """Build a row and write what it computes to a file."""
        self.job = self._job(row, smoke)
        results = f"{folder}/{os.getpid()}.npz"
        with self.job.context():
            np.savez(results, **self.job.results())
        self.timer = harness.Timer(self.job.call)
        return {"operations": self.job.operations, "results": results}

    def do_block(self, seconds: float) -> dict[str, Any]:
        """Time a block of calls."""
        with self.job.context():
            return {"samples": self.timer.block(seconds)}

    def do_release(self) -> dict[str, Any]:
        """Forget the row."""
        self.job = self.timer = None
        self.library.reset()
        return {}

    def do_first(self, row: str, smoke: bool) -> dict[str, Any]:
        """How long a row takes to build, and its first call."""
        start = time.perf_counter()
        self.job = self._job(row, smoke)
        built = time.perf_counter()
        with self.job.context():
            self.job.call()
        return {"build": built - start, "first": time.perf_counter() - built}

    def do_memory(self, row: str, smoke: bool) -> dict[str, Any]:
        """The resident memory: after a tiny run, which loads code, and the peak of some calls.

        What warming up needed and freed again (a compiler's memory, say) is not counted.
        """
        self._call(self._job(row, smoke=True))
        self.library.reset()
        gc.collect()
        _give_back_memory()
        before = _memory("VmRSS")
        job = self._job(row, smoke)
        self._call(job)
        _give_back_memory()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use now
        self._call(job)
        peak = _memory("VmHWM")
        return {"process": peak, "step": peak - before}

    def _call(self, job: Any) -> None:
        with job.context():
            for _ in range(3):
                job.call()

    def _job(self, row: str, smoke: bool) -> Any:
        found = tables.find(row)
        return self.library.job(found.tiny() if smoke else found)


def keep_freed_memory() -> bool:
    """Make the C library keep the memory that is freed, instead of giving it back.

    Memory fresh from the operating system is cleared page by page as it is touched, which can
    take as long as computing what is put there. Returns whether the C library knows how.
    """
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def _give_back_memory() -> None:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass  # not glibc: then freed memory counts as used


def _memory(name: str) -> int:
    """A line of this process's status, in bytes. Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise NotImplementedError(f"the operating system does not tell {name}")


def main() -> None:
    side, threads = sys.argv[1], int(sys.argv[2])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    kept = "--keep-memory" in sys.argv and keep_freed_memory()
    worker = Worker(libraries.load(side, threads))
    print(json.dumps({"ready": side, "keeps_memory": kept}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
