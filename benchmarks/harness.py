"""What an honest measurement is.

Each library runs in a process of its own (see `worker.py`), in its best settings, and no library's
settings touch another's. The processes take turns: a round gives each one a block of calls of
about 50 ms, in an order that moves on by one from round to round, so that a machine that grows
slower or faster meets all alike. Before each block is a pause of 50 ms, for the threads of the
library that had its turn before keep spinning for a while in the hope of more work.

A block consists of samples: so many calls, timed together, that they last at least a
millisecond. If the operating system took the processor away from the process in the middle of a
sample (an involuntary context switch), the sample says nothing about the library and is thrown
away; but a quarter of them is always kept, or a busy machine would leave none. The median of
those kept is the result, their quartiles the spread.

Before anything is timed, the results are compared: what computes different things is not timed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

SECONDS_PER_SAMPLE = 1e-3
SECONDS_PER_BLOCK = 0.05
PAUSE = 0.05


class Sample(NamedTuple):
    """Some calls: seconds, and per call what the operating system counted meanwhile."""

    seconds: float
    switches: int
    faults: float


class Summary(NamedTuple):
    """What the samples of one library say about one row; times are in seconds per call."""

    median: float
    q1: float
    q3: float
    samples: int
    discarded: int
    faults: float


class Counters(NamedTuple):
    """Involuntary context switches and page faults of this process so far."""

    switches: int
    faults: int


def counters() -> Counters:
    """Zeros where the operating system does not count."""
    try:
        import resource
    except ImportError:
        return Counters(0, 0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Counters(usage.ru_nivcsw, usage.ru_minflt)


class Timer:
    """Times one callable, in blocks. The clock and the counters can be replaced, for tests."""

    def __init__(
        self,
        call: Callable[[], object],
        clock: Callable[[], float] = time.perf_counter,
        count: Callable[[], Counters] = counters,
    ) -> None:
        self.call, self.clock, self.count = call, clock, count
        self.calls = 0  # per sample; found by the first block

    def block(self, seconds: float) -> list[Sample]:
        """Samples that together last that long; at least one."""
        if self.calls == 0:
            self._calibrate()
        if self.calls > 1:
            self.call()  # wakes the library's threads; to a long call that makes no difference
        samples = [self._sample()]
        end = self.clock() + seconds - samples[0].seconds * self.calls
        while self.clock() < end:
            samples.append(self._sample())
        return samples

    def _calibrate(self) -> None:
        """Double the calls per sample until a sample lasts long enough."""
        self.calls = 1
        while self._sample().seconds * self.calls < SECONDS_PER_SAMPLE:
            self.calls *= 2

    def _sample(self) -> Sample:
        before, start = self.count(), self.clock()
        for _ in range(self.calls):
            self.call()
        seconds, after = self.clock() - start, self.count()
        faults = (after.faults - before.faults) / self.calls
        return Sample(seconds / self.calls, after.switches - before.switches, faults)


def undisturbed(samples: list[Sample]) -> list[Sample]:
    """The samples without context switches; at least a quarter or three, those with the fewest."""
    quiet = [sample for sample in samples if sample.switches == 0]
    at_least = min(len(samples), max(3, math.ceil(len(samples) / 4)))
    if len(quiet) >= at_least:
        return quiet
    return sorted(samples, key=lambda sample: sample.switches)[:at_least]


def summarise(samples: list[Sample]) -> Summary:
    """Median and quartiles of the undisturbed samples."""
    kept = undisturbed(samples)
    seconds = [sample.seconds for sample in kept]
    q1, median, q3 = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
    faults = statistics.median(sample.faults for sample in kept)
    return Summary(median, q1, q3, len(kept), len(samples) - len(kept), faults)


def geometric_mean(ratios: Iterable[float]) -> float:
    """The fair mean of ratios: that of the inverses is its inverse. NaN if there are none."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(statistics.fmean(logs)) if logs else math.nan


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest expected magnitude."""
    if actual.shape != expected.shape:
        return math.inf
    if expected.size == 0:
        return 0.0
    scale = max(float(np.abs(expected).max()), 1e-30)
    largest = float(np.abs(actual.astype(np.float64) - expected).max()) / scale
    return largest if math.isfinite(largest) else math.inf


class Plan(NamedTuple):
    """How long to measure: rounds of blocks, as far as a library's seconds per row allow."""

    rounds: int = 12
    budget: float = 4.0
    at_least: int = 2  # blocks, whatever they cost
    block: float = SECONDS_PER_BLOCK
    pause: float = PAUSE


class Side(Protocol):
    """One contestant, as `interleave` sees it."""

    def block(self, seconds: float) -> list[Sample]: ...


def turns(names: list[str], round: int) -> list[str]:
    """The order of a round: each time another one begins."""
    first = round % len(names)
    return names[first:] + names[:first]


def interleave(
    sides: dict[str, Side],
    plan: Plan,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[Sample]]:
    """All sides' samples, taken in turns."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    spent = dict.fromkeys(sides, 0.0)
    for round in range(plan.rounds):
        for name in turns(list(sides), round):
            if round >= plan.at_least and spent[name] > plan.budget:
                continue
            sleep(plan.pause)
            start = clock()
            samples[name] += sides[name].block(plan.block)
            spent[name] += clock() - start
    return samples


@dataclass
class Row:
    """One line of a table: for each side a Summary, or the reason why there is none."""

    name: str
    group: str
    family: str
    operations: float | None = None
    results: dict[str, Summary] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)  # of results, from PyTorch's
    failed: bool = False  # a result was wrong, or a library broke down: not just missing

    def ratio(self, side: str, base: str = "tinyvision") -> float | None:
        """How many times as long that side takes as the base."""
        if side not in self.results or base not in self.results:
            return None
        return self.results[side].median / self.results[base].median

    def rate(self, side: str) -> float | None:
        """Arithmetic operations per second."""
        if side not in self.results or not self.operations:
            return None
        return self.operations / self.results[side].median

    def as_json(self) -> dict[str, Any]:
        """For the JSON file: everything, the summaries as dicts."""
        results = {side: summary._asdict() for side, summary in self.results.items()}
        return {**vars(self), "results": results}
