"""Memory of large arrays is used again, but never while somebody looks at it."""

import threading

import numpy as np
import pytest

from tinyvision.kernels import memory

SHAPE = (memory.LARGE_BYTES // 4 + 3, 2)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_when_nothing_refers_to_it():
    first = memory.empty(SHAPE, np.float32)
    place = address(first)
    del first
    assert address(memory.empty(SHAPE, np.float32)) == place


@pytest.mark.parametrize(
    "look",
    [
        lambda a: a,
        lambda a: a[1:5],
        lambda a: a.T.reshape(-1)[::2],
        lambda a: a.view(np.int32)[0],
        lambda a: memoryview(a),
        lambda a: np.broadcast_to(a[0], (3, 2)),
    ],
)
def test_memory_in_view_is_never_handed_out(look):
    array = memory.empty(SHAPE, np.float32)
    array[:] = 7
    view = look(array)
    before = np.array(view).copy()
    del array
    for _ in range(5):
        memory.empty(SHAPE, np.float32)[:] = -1
    assert np.array_equal(np.array(view), before)


def test_memory_of_live_arrays_does_not_overlap():
    arrays = [memory.empty(SHAPE, np.float32) for _ in range(6)]
    for i, array in enumerate(arrays):
        array[:] = i
    assert [set(np.unique(a)) for a in arrays] == [{i} for i in range(6)]


def test_memory_serves_threads_at_once():
    wrong = []

    def work(number):
        for _ in range(200):
            array = memory.empty(SHAPE, np.float32)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_unused_is_given_back_above_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "MAX_UNUSED_BYTES", 0)
    first = memory.empty(SHAPE, np.float32)
    size = first.nbytes
    del first
    other = memory.empty((SHAPE[0] + 1, 2), np.float32)
    assert memory._buffers[size] == []
    assert len(memory._buffers[other.nbytes]) == 1


def test_memory_small_arrays_are_plain():
    assert memory.empty((3, 4), np.float64).base is None
    assert memory.empty((0, 4), np.float64).shape == (0, 4)
