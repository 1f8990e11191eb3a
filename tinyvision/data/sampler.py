"""Samplers: the order in which a DataLoader visits a dataset.

A sampler is an iterable of indices, a batch sampler an iterable of lists of indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized

import numpy as np

from tinyvision.creation import as_tensor
from tinyvision.random import Generator, stream


class Sampler:
    """Base class: iterating yields dataset indices; `len`, where known, tells how many."""

    def __iter__(self) -> Iterator:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class SequentialSampler(Sampler):
    """0, 1, 2, ... in order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in random order, or drawn with replacement.

    Without replacement, more than `len(data_source)` samples are several permutations in a row.
    All draws of an epoch are made when its first index is asked for; with `generator=None` they
    come from a private stream seeded by one draw from the default generator.

    Raises: TypeError if `replacement` is not a bool, ValueError for a bad `num_samples`.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(
                f"RandomSampler: replacement should be a bool, got replacement={replacement!r}"
            )
        if num_samples is not None and not _is_count(num_samples, at_least=0):
            raise ValueError(
                "RandomSampler: num_samples should be a non-negative integer, "
                f"got num_samples={num_samples!r}"
            )
        stream(generator)  # refuses what is not a Generator now rather than mid-training
        self.data_source = data_source
        self.replacement = replacement
        self.generator = generator
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        # Not fixed in __init__: the dataset may grow between epochs.
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        draw = stream(self.generator)
        if self.generator is None:
            draw = np.random.Generator(np.random.PCG64(int(draw.integers(2**63))))
        n, remaining = len(self.data_source), self.num_samples
        if n == 0 or remaining == 0:
            return
        if self.replacement:
            yield from draw.integers(n, size=remaining).tolist()
            return
        rounds = -(-remaining // n)
        for permutation in [draw.permutation(n) for _ in range(rounds)]:
            yield from permutation[:remaining].tolist()
            remaining -= n

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order, a new one every epoch."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        stream(generator)
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in stream(self.generator).permutation(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` draws of index i with a probability proportional to weights[i].

    Rare classes are seen as often as others if weights[i] is 1 / (samples in the class of i).
    Without replacement no index is drawn twice.

    Raises: ValueError for bad arguments; RuntimeError, when iterating, for weights that are no
    probabilities or too few.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not _is_count(num_samples, at_least=1):
            raise ValueError(
                "num_samples should be a positive integer value, but got "
                f"num_samples={num_samples!r}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement!r}"
            )
        self.weights = as_tensor(weights, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{tuple(self.weights.shape)}"
            )
        stream(generator)
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        yield from self.weights.multinomial(
            self.num_samples, self.replacement, generator=self.generator
        ).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Groups another sampler's indices into lists of `batch_size`.

    With `drop_last` a shorter last list is left out.

    Raises: ValueError for a bad `batch_size` or `drop_last`.
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not _is_count(batch_size, at_least=1):
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size!r}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(
                f"drop_last should be a boolean value, but got drop_last={drop_last!r}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]  # TypeError if the sampler has no length
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def _is_count(value: object, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least
