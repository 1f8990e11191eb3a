"""DataLoader: a dataset's samples in batches, in the order of a sampler, prepared ahead.

Randomness. When an epoch starts, `iter(loader)` draws everything it needs from `generator`: one
seed for the epoch, then the sampler's order. Batch number i runs its transforms with its own
generator, seeded from the epoch's seed and i. An epoch, augmentation included, is therefore a
function of the generator's state at its start, whatever `num_workers` is and wherever it resumes.

Workers are threads, not processes: nothing is pickled or copied, and an exception arrives as it
was raised. They help because NumPy lets go of the interpreter lock while it gathers and computes.
They only run NumPy code, never compiled kernels, so they cannot disturb the training threads.

Resuming. `loader.state_dict()`, taken between two batches or two epochs, says where an epoch is;
after `load_state_dict` on an equal loader the next `iter` goes on there, without preparing the
batches before, and later epochs are the ones that would have followed. (The names are those of
torchdata's StatefulDataLoader.)
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from tinyvision import random
from tinyvision.data.collate import default_collate, default_convert
from tinyvision.data.dataset import fetch_batch, fetch_samples
from tinyvision.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler


@dataclass
class _Progress:
    """How far the epoch started last has come."""

    start_state: np.ndarray  # of the generator, before the epoch's draws
    batches_done: int
    finished: bool = False


class DataLoader:
    """Iterate over a dataset in batches: `for images, labels in DataLoader(dataset, 128): ...`

    batch_size: None gives single samples instead, and "batch" means one of them below.
    shuffle: a new order every epoch. sampler, batch_sampler: an order of your own instead.
    num_workers: threads that prepare batches ahead, `prefetch_factor` (2) each; 0 prepares every
    batch when it is asked for. Batches come in the same order either way.
    worker_init_fn: called with 0, 1, ... in the worker of that number when it starts, which is
    at every epoch's first batch, or only once with persistent_workers.
    collate_fn: makes a batch of a list of samples; default_collate if None. For a single sample,
    default_convert.
    generator: source of all randomness here; the default generator if None.

    pin_memory and pin_memory_device change nothing, as there is no accelerator to copy to. The
    other arguments are there for their names: anything but their defaults is refused.

    Raises: ValueError for arguments that exclude each other or are out of range,
    NotImplementedError for what only PyTorch has.
    """

    _workers: ThreadPoolExecutor | None = None  # those that persist
    _progress: _Progress | None = None
    _resume_from: _Progress | None = None

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: random.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_unsupported(pin_memory, timeout, multiprocessing_context, in_order)
        _check_workers(num_workers, prefetch_factor, persistent_workers)
        _check_order_arguments(batch_size, shuffle, sampler, batch_sampler, drop_last)
        random.stream(generator)  # refuses what is not a Generator
        self.dataset, self.generator = dataset, generator
        self.sampler = _sampler(dataset, shuffle, generator) if sampler is None else sampler
        self.batch_size, self.batch_sampler = batch_size, batch_sampler
        if batch_sampler is not None:
            self.batch_size = None  # unknown
        elif batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.drop_last = drop_last
        default = default_convert if self.batch_sampler is None else default_collate
        self.collate_fn = default if collate_fn is None else collate_fn
        self.num_workers, self.worker_init_fn = num_workers, worker_init_fn
        self.prefetch_factor = prefetch_factor or (2 if num_workers else None)
        self.persistent_workers = persistent_workers

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        """Start an epoch, or go on with the one that `load_state_dict` told of."""
        generator = self._source()
        resume, self._resume_from = self._resume_from, None
        live_state = generator.get_state()
        if resume is None:
            progress = _Progress(live_state, batches_done=0)
        else:
            progress = resume
            generator.set_state(resume.start_state)
        epoch_seed = int(generator.numpy.integers(2**63))
        left = islice(enumerate(self._order), progress.batches_done, None)
        # Asking for the first indices makes the sampler draw its whole order now.
        first = list(islice(left, 1))
        if resume is not None:
            generator.set_state(live_state)  # which was already past these draws
        self._progress = progress
        return self._counted(self._batches(epoch_seed, chain(first, left)), progress)

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch started last is: arrays and an int, as `tinyvision.save` can write.

        Raises: RuntimeError if the sampler draws from another generator than the loader's.
        """
        self._check_sampler_generator()
        state = self._source().get_state()
        progress = self._resume_from or self._progress
        if progress is None or progress.finished:
            return {"generator": state, "epoch_start": state, "batches_done": 0}
        if progress.batches_done == 0:
            state = progress.start_state
        return {
            "generator": state,
            "epoch_start": progress.start_state,
            "batches_done": progress.batches_done,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the generator, and make the next `iter` go on where `state_dict` was taken.

        Raises: KeyError if an entry is missing, ValueError if the epoch has fewer batches.
        """
        self._check_sampler_generator()
        batches_done = int(state_dict["batches_done"])
        if not 0 <= batches_done <= len(self):
            raise ValueError(
                f"DataLoader.load_state_dict: {batches_done} batches were done, but an epoch of "
                f"this loader has {len(self)}"
            )
        start_state = np.asarray(state_dict["epoch_start"])
        self._source().set_state(np.asarray(state_dict["generator"]))
        self._progress = None
        self._resume_from = _Progress(start_state, batches_done) if batches_done else None

    @property
    def _order(self) -> Any:
        """What each batch is made of: lists of indices, or indices if there are no batches."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _source(self) -> random.Generator:
        return random.default_generator if self.generator is None else self.generator

    def _check_sampler_generator(self) -> None:
        inner = getattr(self._order, "sampler", self._order)
        # A sampler without randomness has no such attribute; None means the default generator.
        other = getattr(inner, "generator", self.generator) or random.default_generator
        if other is not self._source():
            raise RuntimeError(
                "DataLoader: the sampler draws from a generator of its own, so the loader cannot "
                "repeat its order; pass the same generator to the DataLoader"
            )

    def _batches(self, epoch_seed: int, batches: Iterable[tuple[int, Any]]) -> Iterator[Any]:
        """The batches for numbered lists of indices, one after the other or prefetched."""

        def prepare(number: int, indices: Any) -> Any:
            with random.use_generator(_batch_generator(epoch_seed, number)):
                return self._prepare(indices)

        if self.num_workers == 0:
            return (prepare(number, indices) for number, indices in batches)
        return self._prefetched(prepare, batches)

    def _prepare(self, indices: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[indices])
        if self.collate_fn is default_collate:
            batch = fetch_batch(self.dataset, indices)
            if batch is not None:
                return batch
        return self.collate_fn(fetch_samples(self.dataset, indices))

    def _prefetched(
        self, prepare: Callable[[int, Any], Any], batches: Iterable[tuple[int, Any]]
    ) -> Iterator[Any]:
        """The prepared batches in order, while threads prepare the next ones.

        The queue of futures keeps the order; `result()` raises what the worker raised. Leaving
        the generator in any way, also by being thrown away half-used, ends what is going on.
        """
        pool = self._workers or _start_workers(self.num_workers, self.worker_init_fn)
        if self.persistent_workers:
            self._workers = pool
        queue: deque[Future] = deque()
        ahead = self.num_workers * (self.prefetch_factor or 0)
        try:
            for number, indices in batches:
                queue.append(pool.submit(prepare, number, indices))
                if len(queue) > ahead:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:
            for unwanted in queue:
                unwanted.cancel()
            if not self.persistent_workers:
                pool.shutdown()

    def _counted(self, batches: Iterator[Any], progress: _Progress) -> Iterator[Any]:
        # A batch counts as done when it is handed over: what was only prefetched does not.
        for batch in batches:
            progress.batches_done += 1
            yield batch
        progress.finished = True


def _start_workers(num_workers: int, init: Callable[[int], None] | None) -> ThreadPoolExecutor:
    """Threads, in each of which init(number) has run."""
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="tinyvision-DataLoader")
    if init is None:
        return pool
    together = threading.Barrier(num_workers)

    def start(number: int) -> None:
        together.wait()  # for all the others, so that no thread runs this twice
        init(number)

    try:
        list(pool.map(start, range(num_workers)))
    except BaseException:
        pool.shutdown()
        raise
    return pool


def _batch_generator(epoch_seed: int, batch_number: int) -> random.Generator:
    """The generator of one batch; neighbouring seeds give unrelated streams."""
    return random.Generator().manual_seed((epoch_seed + batch_number) % 2**64)


def _sampler(dataset: Any, shuffle: bool | None, generator: random.Generator | None) -> Sampler:
    return RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)


def _check_unsupported(
    pin_memory: bool, timeout: float, multiprocessing_context: Any, in_order: bool
) -> None:
    if pin_memory:
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, then device pinned "
            "memory won't be used.",
            stacklevel=3,
        )
    is_set = {
        "timeout": timeout,
        "multiprocessing_context": multiprocessing_context is not None,
        "in_order": not in_order,
    }
    for name, value in is_set.items():
        if value:
            raise NotImplementedError(f"DataLoader: {name} is not supported with this value")


def _check_workers(num_workers: int, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(
            f"DataLoader: num_workers should be a non-negative integer, got {num_workers!r}; use "
            "num_workers=0 to disable prefetching"
        )
    if persistent_workers and num_workers == 0:
        raise ValueError("DataLoader: persistent_workers option needs num_workers > 0")
    if prefetch_factor is None:
        return
    if num_workers == 0:
        raise ValueError("DataLoader: prefetch_factor needs num_workers > 0")
    if not isinstance(prefetch_factor, int) or prefetch_factor < 1:
        raise ValueError(
            f"DataLoader: prefetch_factor should be a positive integer, got {prefetch_factor!r}"
        )


def _check_order_arguments(
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Iterable[int] | None,
    batch_sampler: Iterable[list[int]] | None,
    drop_last: bool,
) -> None:
    others_set = batch_size != 1 or shuffle or sampler is not None or drop_last
    if batch_sampler is not None and others_set:
        raise ValueError(
            "DataLoader: batch_sampler is mutually exclusive with batch_size, shuffle, sampler, "
            "and drop_last"
        )
    if batch_size is None and drop_last:
        raise ValueError("DataLoader: batch_size=None is mutually exclusive with drop_last")
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler is mutually exclusive with shuffle")
