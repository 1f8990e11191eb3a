"""How jobs are shared out to threads: `launch` with kernels that are plain Python functions."""

import signal
import sys
import threading
import time

import numpy as np
import pytest

from tinyvision.kernels import threads
from tinyvision.kernels.jit import jit
from tinyvision.kernels.signals import begin


@pytest.fixture(autouse=True)
def four_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(4)
    yield
    threads.set_num_threads(before)


@jit
def _count(chunk, counts):
    first, last = begin(chunk, counts.size)
    for i in range(first, last):
        counts[i] += 1


@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("items", [0, 1, 3, 1000])
def test_launch_does_each_item_once(chunks, items):
    counts = np.zeros(items, np.int64)
    for _ in range(50):
        threads.launch(_count, chunks, counts)
    assert (counts == 50).all()


def test_launch_works_after_the_workers_fell_asleep():
    counts = np.zeros(1000, np.int64)
    for pause in (0, 0.02, 0.0003, 0.02, 0.0):
        time.sleep(pause)
        threads.launch(_count, 4, counts)
    assert (counts == 5).all()


def test_launch_uses_several_threads_at_once():
    barrier, names = threading.Barrier(3, timeout=60), set()

    def work(chunk):
        barrier.wait()  # passes when all three chunks are being worked on
        names.add(threading.current_thread().name)

    threads.launch(work, 3)
    assert len(names) == 3


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_launch_raises_what_a_chunk_raises_and_goes_on(failing):
    def work(chunk):
        if chunk[0] == failing:
            raise MemoryError(f"chunk {failing}")

    with pytest.raises(MemoryError, match=f"chunk {failing}"):
        threads.launch(work, 3)
    counts = np.zeros(1000, np.int64)
    threads.launch(_count, 3, counts)
    assert (counts == 1).all()


def test_launch_leaves_no_reference_to_the_arrays():
    array = np.zeros(10)
    before = sys.getrefcount(array)
    threads.launch(lambda chunk, array: None, 4, array)
    assert sys.getrefcount(array) == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_launch_survives_interruptions():
    counts, interruptions = np.zeros(100_000, np.int64), 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    end = time.monotonic() + 1
    try:
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0007)
                while True:
                    threads.launch(_count, 4, counts)
            except KeyboardInterrupt:
                interruptions += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interruptions > 10
    threads.launch(_count, 4, counts)  # waits for what an interruption left undone
    counts[:] = 0
    threads.launch(_count, 4, counts)
    assert (counts == 1).all()


def test_launch_from_several_threads_at_once():
    all_counts = [np.zeros(10_000, np.int64) for _ in range(6)]

    def many(counts):
        for _ in range(200):
            threads.launch(_count, 4, counts)

    users = [threading.Thread(target=many, args=(counts,)) for counts in all_counts]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert all((counts == 200).all() for counts in all_counts)


def test_count_shares_wakes_the_workers_for_many_small_jobs(monkeypatch):
    monkeypatch.setattr(threads, "_team", None)  # as if nothing had been shared yet
    monkeypatch.setattr(threads, "_missed", 0)
    small, large = threads.MISSED // 4, 2 * threads.WAKE_UP
    assert threads.count_chunks(100, large) == 4
    assert threads.count_chunks(1, large) == 1
    monkeypatch.setattr(threads, "PAUSE", 10**12)
    assert [threads.count_chunks(100, small) for _ in range(5)] == [1, 1, 1, 3, 1]
    monkeypatch.setattr(threads, "PAUSE", -1)  # too far from each other
    assert [threads.count_chunks(100, small) for _ in range(9)] == [1] * 9
    assert threads.count_chunks(100, threads.HAND_OVER) == 1
