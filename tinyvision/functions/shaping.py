"""`tv.flatten(x)` for `x.flatten()`, and so on: shape methods of Tensor spelled as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyvision.tensor import Tensor
from tinyvision.tensor.base import require_tensor


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims from start_dim to end_dim joined into one."""
    return require_tensor(input, "flatten").flatten(start_dim, end_dim)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dim split into `sizes`, one of which may be -1."""
    return require_tensor(input, "unflatten").unflatten(dim, sizes)


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without dims of size 1: all of them, or those of `dim` that have size 1."""
    return require_tensor(input, "squeeze").squeeze(dim)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dim of size 1 at `dim`."""
    return require_tensor(input, "unsqueeze").unsqueeze(dim)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dims exchanged."""
    return require_tensor(input, "transpose").transpose(dim0, dim1)


def t(input: Tensor) -> Tensor:
    """The transpose of a tensor of at most two dims."""
    return require_tensor(input, "t").t()


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dims `source` moved to `destination`, the others keeping their order."""
    return require_tensor(input, "movedim").movedim(source, destination)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expanded to the given shape."""
    return require_tensor(input, "broadcast_to").broadcast_to(size)


def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each slice along dim (by default each value) repeated in place."""
    return require_tensor(input, "repeat_interleave").repeat_interleave(repeats, dim)


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive views of split_size (the last may be smaller), or of the given sizes."""
    return require_tensor(input, "split").split(split_size, dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size, the last perhaps smaller."""
    return require_tensor(input, "chunk").chunk(chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along dim, as views."""
    return require_tensor(input, "unbind").unbind(dim)


def roll(
    input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Tensor:
    """Values moved by shifts along dims, or along the flattened tensor."""
    return require_tensor(input, "roll").roll(shifts, dims)


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same values in another shape, one size of which may be -1."""
    return require_tensor(input, "reshape").reshape(tuple(shape))


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Dims in the given order."""
    return require_tensor(input, "permute").permute(tuple(dims))


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The whole tensor tiled."""
    return require_tensor(input, "tile").tile(tuple(dims))


def flip(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Reversed along dims."""
    return require_tensor(input, "flip").flip(tuple(dims))
