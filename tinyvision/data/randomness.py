"""Where the random transforms get their numbers from.

A transform draws from the *current* generator. In a DataLoader that is a generator made for the
batch alone, seeded with the epoch's seed plus the batch's number: what happens to a batch then
depends neither on the batches before it nor on which thread prepares it. Elsewhere it is the
default generator, or the one chosen by `use_generator`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tinyvision import random

# A context variable is private to its thread: two workers never see each other's generator.
_current: ContextVar[random.Generator | None] = ContextVar("current generator", default=None)


def current_generator() -> random.Generator:
    """The generator that random transforms draw from here and now.

    Transforms of your own should use it too: `current_generator().numpy.random(...)`.
    """
    generator = _current.get()
    return random.default_generator if generator is None else generator


@contextmanager
def use_generator(generator: random.Generator) -> Iterator[random.Generator]:
    """Make `generator` the current one inside the with block.

    Raises: TypeError if it is not a tinyvision Generator.
    """
    random.stream(generator)
    token = _current.set(generator)
    try:
        yield generator
    finally:
        _current.reset(token)


def batch_generator(epoch_seed: int, batch_number: int) -> random.Generator:
    """The generator of one batch; neighbouring seeds give unrelated streams (SeedSequence)."""
    return random.Generator().manual_seed((epoch_seed + batch_number) % 2**64)
