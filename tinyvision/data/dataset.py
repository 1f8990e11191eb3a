"""Datasets: things with a length whose samples are reached by index.

Two optional methods let a dataset hand out many samples at once:

- `__getitems__(indices)`, PyTorch's protocol, returns a list of samples, collated afterwards;
- `get_batch(indices)` returns the finished batch, or None where it cannot be made that way.
  Datasets that hold arrays use it: one indexing operation replaces a loop over samples, their
  transforms and the stacking, which is most of what a small image costs.
"""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.random import Generator, stream
from tinyvision.tensor import Tensor

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base class of map-style datasets: define `__getitem__`, and `__len__` for the samplers."""

    def __getitem__(self, index: int) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is the tuple of the i-th entries of all tensors.

    Raises: AssertionError (PyTorch's type here) if the tensors differ in their first size.
    """

    def __init__(self, *tensors: Tensor) -> None:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            raise AssertionError(
                f"TensorDataset: size mismatch between tensors, first sizes of {shapes} differ"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def get_batch(self, indices: Sequence[int]) -> list[Tensor] | None:
        """All samples of `indices`, stacked; None if a graph would have to be recorded."""
        if any(tensor.requires_grad for tensor in self.tensors):
            return None
        picked = np.asarray(indices, np.intp)
        return [from_numpy(tensor.numpy()[picked]) for tensor in self.tensors]


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]  # type: ignore[index]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        return fetch_samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def get_batch(self, indices: Sequence[int]) -> Any:
        """The batch from the dataset below, or None if it makes none."""
        return fetch_batch(self.dataset, [self.indices[i] for i in indices])


class ConcatDataset(Dataset[T_co]):
    """Several datasets, one after the other.

    Raises: AssertionError (PyTorch's type here) if there is none.
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))  # type: ignore

    def __getitem__(self, index: int) -> T_co:
        n = len(self)
        if not -n <= index < n:
            raise (ValueError if index < 0 else IndexError)(
                f"ConcatDataset: index {index} is out of range for {n} samples"
            )
        index %= n
        number = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[number - 1] if number > 0 else 0
        return self.datasets[number][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(
    dataset: Dataset, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """Split a dataset at random into subsets of the given lengths, or fractions summing to 1.

    What fractions leave over by rounding down goes to the first subsets, one sample each.

    Raises: ValueError if the lengths do not sum to `len(dataset)` or a fraction is not in [0, 1].
    """
    n = len(dataset)  # type: ignore[arg-type]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        lengths = _lengths_of_fractions(n, lengths)
    if sum(lengths) != n:
        raise ValueError(
            f"random_split: sum of input lengths {sum(lengths)} does not equal the length of "
            f"the input dataset, {n}"
        )
    order = stream(generator).permutation(n).tolist()
    ends = list(accumulate(lengths))
    return [
        Subset(dataset, order[end - length : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


def _lengths_of_fractions(n: int, fractions: Sequence[float]) -> list[int]:
    for i, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"random_split: fraction {fraction} at {i} is not between 0 and 1")
    lengths = [math.floor(n * fraction) for fraction in fractions]
    for i in range(n - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"random_split: subset {i} is empty", stacklevel=3)
    return lengths


def fetch_samples(dataset: Any, indices: Sequence[int]) -> list:
    """The samples at `indices`, by the dataset's own `__getitems__` if it has one."""
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


def fetch_batch(dataset: Any, indices: Sequence[int]) -> Any:
    """The finished batch of `indices` from the dataset's `get_batch`, or None.

    A subclass that overrides how a sample is made, but not this, wants its own samples.
    """
    for cls in type(dataset).__mro__:
        if "get_batch" in vars(cls):
            return dataset.get_batch(indices)
        if "__getitem__" in vars(cls) or "__getitems__" in vars(cls):
            break
    return None
