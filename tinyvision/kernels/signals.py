"""Numbers through which threads tell each other that something is done, and waiting for one.

A thread that is put to sleep takes some 20 to 50 microseconds to wake up, longer than many kernels
run. So for a short while a thread looks at the number over and over instead, without Python's
global lock, so that others can run: it spins. Only then should it go to sleep.
"""

import platform

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyvision.kernels.jit import jit, jit_part
from tinyvision.kernels.vectors import INT, element_pointer

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
# About 300 microseconds.
SPINS = 12_000 if _IS_X86 else 300_000
# Where cores exchange 64 or 128 bytes at a time, each signal has as many for itself.
SIGNAL_SIZE = 16


def new_signal() -> np.ndarray:
    """A number that counts up from 0."""
    return np.zeros(SIGNAL_SIZE, np.int64)


def new_chunk(number: int, chunks: int, workers: int = 0) -> np.ndarray:
    """What a kernel gets told: its chunk of a job, and how many workers to let begin theirs."""
    chunk = np.zeros((1 + workers) * SIGNAL_SIZE, np.int64)
    chunk[:3] = number, chunks, workers
    return chunk


def signal_to(worker: int, chunk: np.ndarray) -> np.ndarray:
    """The signal by which a chunk lets worker 1, 2, ... begin, and what to set it to."""
    return chunk[worker * SIGNAL_SIZE :]


@intrinsic
def _read(typing_context, signal):
    """The number, and with it all that the thread that wrote it had written before."""

    def emit(context, builder, signature, arguments):
        place = element_pointer(
            context, builder, signature.args[0], *arguments, ir.Constant(INT, 0)
        )
        return builder.load_atomic(place, "acquire", 8, typ=INT)

    return types.int64(signal), emit


@intrinsic
def _write(typing_context, signals, i, number):
    """signals[i] = number, after all that this thread has written before."""

    def emit(context, builder, signature, arguments):
        place = element_pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(signals, types.int64, types.int64), emit


@intrinsic
def _pause(typing_context):
    """Let the CPU know that this loop only waits."""

    def emit(context, builder, signature, arguments):
        if _IS_X86:
            name, kind = "llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])
            known = builder.module.globals.get(name)
            builder.call(known or ir.Function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), emit


@jit
def spin(signal, number):
    """Wait for a short while until the signal is `number` or more; False if it still is not."""
    for _ in range(SPINS):
        if _read(signal) >= number:
            return True
        _pause()
    return False


@jit
def give_and_spin(given, signal, number):
    """Set the signal `given` to number - 1, then wait for `signal` like `spin`.

    One function, so that whoever waits for `given` finds Python's global lock free.
    """
    _write(given, 0, number - 1)
    return spin(signal, number)


@jit_part
def begin(chunk, items):
    """Which of a job's items to do in this call of a kernel: (first, last + 1).

    This also lets the workers begin: now that a kernel runs here, Python's global lock is free.
    """
    number, chunks, workers = chunk[0], chunk[1], chunk[2]
    for worker in range(1, workers + 1):
        signal = worker * SIGNAL_SIZE
        _write(chunk, signal, chunk[signal + 1])
    return items * number // chunks, items * (number + 1) // chunks
