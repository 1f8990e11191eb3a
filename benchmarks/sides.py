"""The contestants: which there are, and the processes in which they run."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness import Sample

HERE = Path(__file__).resolve().parent

# Names for the tables, by the names that --sides takes.
TITLES = {
    "tinyvision": "tinyvision",
    "pytorch": "PyTorch",
    "channels_last": "PyTorch, channels last",
    "compile": "torch.compile",
    "jax": "JAX jit",
    "numpy": "NumPy twins",
}


class Broken(Exception):
    """A worker ended before it answered."""


def unavailable(side: str) -> str | None:
    """Why a side cannot run here; None if it can."""
    package = {"jax": "jax", "tinyvision": "tinyvision", "numpy": "tinyvision"}.get(side, "torch")
    if package != "tinyvision" and importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    compilers = [os.environ.get("CXX", "g++"), "clang++"]
    if side == "compile" and not any(map(shutil.which, compilers)):
        return "torch.compile needs a C++ compiler, and there is none"
    return None


def environment(side: str, threads: int) -> dict[str, str]:
    """The variables of a side's process: as many threads for all, and this checkout first."""
    threads_of = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    changes = {f"{library}_NUM_THREADS": str(threads) for library in threads_of}
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    changes["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    changes["TINYVISION_KERNELS"] = "reference" if side == "numpy" else "fast"
    return {**os.environ, **changes}


class Worker:
    """The process of one side, seen from the benchmark.

    settings: further environment variables. keep_memory: avoid page faults, as `worker.py` says;
    for PyTorch and JAX only, since tinyvision is measured as anyone finds it.
    """

    def __init__(
        self,
        side: str,
        threads: int,
        keep_memory: bool = True,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.side = side
        self._messages = tempfile.TemporaryFile("w+")
        command = [sys.executable, str(HERE / "worker.py"), side, str(threads)]
        if keep_memory and side not in ("tinyvision", "numpy"):
            command.append("--keep-memory")
        self._process = subprocess.Popen(
            command,
            env=environment(side, threads) | (settings or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def send(self, **command: Any) -> None:
        """Give a command, without waiting for the answer."""
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # receive tells why

    def receive(self) -> dict[str, Any]:
        """The next answer. Raises Broken if there will be none."""
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._messages.seek(0)
        last = self._messages.read().strip().rpartition("\n")[2]
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise Broken(f"the process ended with {how}: {last}"[:300])

    def ask(self, **command: Any) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        self.send(**command)
        return self.receive()

    def block(self, seconds: float) -> list[Sample]:
        """Time a block of the row prepared last."""
        answer = self.ask(do="block", seconds=seconds)
        if "reason" in answer:
            raise Broken(answer["reason"])
        return [Sample(*sample) for sample in answer["samples"]]

    def stop(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._messages.close()


def read_results(path: Path) -> dict[str, np.ndarray]:
    """What a worker computed."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
