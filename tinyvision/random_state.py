"""The place of the default generator as a Tensor; random.py, which must not know Tensors, has it
as an array."""

from __future__ import annotations

import numpy as np

from tinyvision.random import default_generator
from tinyvision.tensor import Tensor


def get_rng_state() -> Tensor:
    """The place of the default generator, for `set_rng_state`."""
    return Tensor._from_op(default_generator.get_state())


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator where `get_rng_state` found it."""
    default_generator.set_state(np.asarray(new_state))
