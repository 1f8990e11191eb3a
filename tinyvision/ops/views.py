"""In-place changes to a view, seen from its base, the tensor whose memory it shows.

When a view is changed, so is the base: from then on it is "what it was, but with these values in
that part of its memory" (`CopySlices`), and the view is "that part of the base" (`AsStrided`),
whatever it was made by before. Other views of the base follow when they are next used.

The part is described as memory is: by an offset and strides, for any chain of views alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinyvision.engine.op import Node, Op
from tinyvision.strides import may_overlap


class Layout(NamedTuple):
    """Where in a piece of memory the elements of an array lie, in bytes."""

    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]

    def of(self, memory: np.ndarray) -> np.ndarray:
        """The array in this memory."""
        return np.ndarray(self.shape, memory.dtype, memory, self.offset, self.strides)


class Part(NamedTuple):
    """A view's place in its base."""

    size: int  # of the memory, in elements
    base: Layout
    view: Layout

    def spread(self, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A copy of an array like the base in new memory, and its part."""
        memory = np.zeros(self.size, base.dtype)
        whole = self.base.of(memory)
        whole[...] = base
        return whole, self.view.of(memory)


def part_of(base: np.ndarray, view: np.ndarray) -> Part:
    """Where the view lies in the base; both share memory."""
    low, high = byte_bounds(base)
    layouts = [Layout(a.shape, a.ctypes.data - low, a.strides) for a in (base, view)]
    return Part((high - low) // base.itemsize, *layouts)


class AsStrided(Op):
    """y = the part of the base.

    Gradient: dbase = g in the part, else 0; an element that the view repeats gets the sum.
    """

    is_view = True

    @staticmethod
    def forward(ctx: Node, base: np.ndarray, *, view: np.ndarray) -> np.ndarray:
        ctx.part = part_of(base, view)
        return view

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> np.ndarray:
        size, base, view = ctx.part
        memory = np.zeros(size, grad_output.dtype)
        if may_overlap(view.of(memory)):
            numbers = np.arange(size, dtype=f"i{memory.itemsize}")  # of the elements in memory
            np.add.at(memory, view.of(numbers), grad_output)
        else:
            view.of(memory)[...] = grad_output
        return base.of(memory)


class CopySlices(Op):
    """y = base, with `values` in the part. The memory has been written to already.

    Gradients: dbase = g, but 0 in the part; dvalues = g in the part.
    """

    @staticmethod
    def forward(ctx: Node, base: np.ndarray, values: np.ndarray, *, view: np.ndarray) -> np.ndarray:
        ctx.part = part_of(base, view)
        return base

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grad_base, part = ctx.part.spread(grad_output)
        grad_values = part.copy()
        part[...] = 0
        return grad_base, grad_values
