"""The steps of SGD and Adam on many tensors at once, against their plain versions."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyvision as tv
from tinyvision import optim
from tinyvision.kernels import optimizers

STEPS = {
    # name: fast, plain, lists of arrays besides parameters and gradients, numbers of options
    "sgd": (optimizers.sgd_step, optimizers.sgd_step_reference, 1, 6),
    "adam": (optimizers.adam_step, optimizers.adam_step_reference, 3, 9),
}


def _lists(rng, shapes, dtype, count):
    return [[rng.random(shape).astype(dtype) + 0.5 for shape in shapes] for _ in range(count)]


def _copies(lists):
    return [[np.array(array) for array in arrays] for arrays in lists]


@pytest.mark.parametrize("name", STEPS)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 5, 16, 100, 4097]), min_size=1, max_size=6),
    dtype=st.sampled_from([np.float32, np.float64]),
    with_last=st.booleans(),
    plain=st.booleans(),
)
def test_step_equals_its_reference(name, sizes, dtype, with_last, plain):
    step, reference, more, count = STEPS[name]
    rng = np.random.default_rng(0)
    lists = _lists(rng, [(n,) for n in sizes], dtype, 2 + more)
    if not with_last:
        lists[-1] = []
    options = rng.random((len(sizes), count))
    if plain:
        options[:, 1] = 0  # no weight decay
    expected = _copies(lists)
    step(*lists, options)
    reference(*expected, options)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for arrays, others in zip(lists, expected, strict=True):
        for array, other in zip(arrays, others, strict=True):
            np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", STEPS)
def test_step_of_several_dtypes_and_layouts(name):
    step, reference, more, count = STEPS[name]
    rng = np.random.default_rng(0)
    lists = _lists(rng, [(6, 8), (8, 6)], np.float32, 2 + more)
    for arrays in lists:
        arrays[0], arrays[1] = arrays[0].T, arrays[1].astype(np.float64)
    options = rng.random((2, count))
    expected = _copies(lists)
    step(*lists, options)
    reference(*expected, options)
    np.testing.assert_allclose(lists[0][0], expected[0][0], rtol=1e-6)
    np.testing.assert_allclose(lists[0][1], expected[0][1], rtol=1e-12)


@pytest.mark.parametrize("name", STEPS)
def test_step_gives_equal_bits_for_any_division_of_the_work(name, monkeypatch):
    step, _, more, count = STEPS[name]
    digests = set()
    for chunks in (1, 2, 3, 7):
        rng = np.random.default_rng(0)
        lists = _lists(rng, [(1000,), (3,), (517,), (2000,)], np.float32, 2 + more)
        monkeypatch.setattr(optimizers, "count_chunks", lambda items, _, n=chunks: n)
        step(*lists, rng.random((4, count)))
        digests.add(b"".join([array.tobytes() for arrays in lists for array in arrays]))
    assert len(digests) == 1


@pytest.mark.parametrize("name", STEPS)
def test_step_with_known_addresses_notices_other_arrays(name):
    step, reference, more, count = STEPS[name]
    rng = np.random.default_rng(0)
    lists = _lists(rng, [(6,), (0,), (8, 3)], np.float32, 2 + more)
    options, known = rng.random((3, count)), optimizers.KnownAddresses()
    expected = _copies(lists)
    for changed in (None, 0, 1, 2):
        if changed is not None:
            lists[changed][2] = lists[changed][2].copy()
        step(*lists, options, known)
        reference(*expected, options)
    for arrays, others in zip(lists, expected, strict=True):
        for array, other in zip(arrays, others, strict=True):
            np.testing.assert_allclose(array, other, rtol=1e-5)
    assert optimizers.GRADS not in known and copy.deepcopy(known) == {}


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_step_of_a_copied_optimizer_leaves_the_original_alone(kind):
    weight = tv.ones(5, requires_grad=True)
    weight.grad = tv.ones(5)
    options = {"momentum": 0.9} if kind is optim.SGD else {}
    optimizer = kind([weight], lr=0.1, **options)
    optimizer.step()
    before = weight.detach().clone()
    twin = copy.deepcopy(optimizer)
    twin.param_groups[0]["params"][0].grad = tv.ones(5)
    twin.step()
    assert tv.equal(weight.detach(), before)
    assert not tv.equal(twin.param_groups[0]["params"][0].detach(), before)
