"""Random numbers: a Generator is a seeded stream, and one default stream serves everyone else.

Every random function takes `generator=None`, meaning the current one. That is the default
generator, so that a program that calls `tv.manual_seed(0)` first repeats itself exactly; inside
`use_generator(g)` it is g. A DataLoader uses that to give each batch a generator of its own: what
happens to a batch then depends neither on the batches before it nor on which thread prepares it.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

# PCG64 holds two 128-bit integers and a cached half of a 64-bit draw; after them the seed.
_STATE = struct.Struct("<16s16sBIQ")


class Generator:
    """A seeded stream of random numbers (NumPy's PCG64).

    The stream is PyTorch's in API, not in its numbers: the same seed draws other values there.
    `generator.numpy` is the underlying `numpy.random.Generator`.
    """

    def __init__(self, device: str = "cpu") -> None:
        if str(device) != "cpu":
            raise RuntimeError(f"Generator: expected device 'cpu', got {device!r}")
        self.manual_seed(67280421310721)  # PyTorch's default seed too: programs repeat unseeded

    def manual_seed(self, seed: int) -> Generator:
        """Restart the stream from `seed`, any integer from -2**63 to 2**64 - 1."""
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed: expected an int, got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed: {seed} does not fit in 64 bits")
        self._seed = int(seed) % 2**64
        self.numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self

    def seed(self) -> int:
        """Restart from a seed the operating system draws, and return that seed."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed the stream was started from."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The stream's place, as a uint8 array for `set_state`."""
        state = self.numpy.bit_generator.state
        integers = [state["state"][name].to_bytes(16, "little") for name in ("state", "inc")]
        packed = _STATE.pack(*integers, state["has_uint32"], state["uinteger"], self._seed)
        return np.frombuffer(packed, np.uint8).copy()

    def set_state(self, new_state: np.ndarray) -> None:
        """Go to a place that `get_state` told; the draws from there repeat."""
        raw = np.asarray(new_state)
        if raw.dtype != np.uint8 or raw.shape != (_STATE.size,):
            raise RuntimeError(
                f"set_state: expected uint8 of shape ({_STATE.size},) from get_state, got "
                f"{raw.dtype} {raw.shape}"
            )
        *integers, has_uint32, uinteger, seed = _STATE.unpack(raw.tobytes())
        state, inc = (int.from_bytes(integer, "little") for integer in integers)
        self.manual_seed(seed)
        self.numpy.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Restart the default stream from `seed` and return it."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed the default stream was started from."""
    return default_generator.initial_seed()


# A context variable is private to its thread: two workers never see each other's generator.
_chosen: ContextVar[Generator | None] = ContextVar("current generator", default=None)


def current_generator() -> Generator:
    """The generator that random functions and transforms draw from here and now."""
    return _chosen.get() or default_generator


@contextmanager
def use_generator(generator: Generator) -> Iterator[Generator]:
    """Make `generator` the current one, of this thread, inside the with block.

    Raises: TypeError if it is not a Generator.
    """
    stream(generator)
    token = _chosen.set(generator)
    try:
        yield generator
    finally:
        _chosen.reset(token)


def stream(generator: Generator | None) -> np.random.Generator:
    """The NumPy generator behind `generator`, or behind the current one for None."""
    chosen = current_generator() if generator is None else generator
    if not isinstance(chosen, Generator):
        raise TypeError(f"generator: expected a tinyvision.Generator, got {type(chosen).__name__}")
    return chosen.numpy
