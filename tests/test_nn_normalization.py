"""layer_norm, rms_norm and group_norm, and their layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.autograd import gradcheck

few = settings(max_examples=20, deadline=None)


def leaf(rng, *shape):
    return tv.tensor(rng.standard_normal(shape), requires_grad=True)


def test_layer_norm_by_hand():
    x = tv.tensor([[1.0, 3.0], [5.0, 5.0]])  # mean 2, var 1; mean 5, var 0
    y = F.layer_norm(x, (2,), tv.tensor([2.0, 10.0]), tv.tensor([0.0, 1.0]))
    np.testing.assert_allclose(y, [[-2, 11], [0, 1]], atol=1e-4)


def test_rms_norm_by_hand():
    y = F.rms_norm(tv.tensor([3.0, -3.0, 3.0, 3.0]), (4,), tv.tensor([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(y, [1, -2, 3, 4], rtol=1e-6)


def test_group_norm_by_hand():
    x = tv.tensor([[[1.0, 3.0], [1.0, 3.0], [0.0, 0.0], [4.0, 4.0]]])  # groups (0, 1) and (2, 3)
    y = F.group_norm(x, 2, bias=tv.tensor([0.0, 0.0, 5.0, 5.0]))
    np.testing.assert_allclose(y, [[[-1, 1], [-1, 1], [4, 4], [6, 6]]], atol=1e-4)


def test_layer_norm_of_a_large_offset_keeps_its_digits():
    x = np.random.default_rng(0).standard_normal((5, 100)).astype(np.float32) + 5000
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    np.testing.assert_allclose(F.layer_norm(tv.tensor(x), (100,), eps=0.0), exact, atol=2e-5)


@few
@given(
    lead=st.lists(st.integers(0, 3), max_size=2), shape=st.lists(st.integers(1, 4), min_size=1,
    max_size=2), affine=st.sampled_from(["", "weight", "both"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_layer_norm_and_rms_norm_gradients(lead, shape, affine, seed):
    rng = np.random.default_rng(seed)
    x = leaf(rng, *lead, *shape)
    weight = leaf(rng, *shape) if affine else None
    bias = leaf(rng, *shape) if affine == "both" else None
    assert gradcheck(lambda x, w, b: F.layer_norm(x, shape, w, b, 0.1), [x, weight, bias])
    assert gradcheck(lambda x, w: F.rms_norm(x, shape, w, 0.1), [x, weight])


@few
@given(
    N=st.integers(1, 3), per_group=st.integers(1, 3), groups=st.integers(1, 3),
    rest=st.lists(st.integers(2, 4), min_size=1, max_size=2), affine=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_group_norm_gradient(N, per_group, groups, rest, affine, seed):
    rng = np.random.default_rng(seed)
    x, (weight, bias) = leaf(rng, N, groups * per_group, *rest), (None, None)
    if affine:
        weight, bias = leaf(rng, groups * per_group), leaf(rng, groups * per_group)
    assert gradcheck(lambda x, w, b: F.group_norm(x, groups, w, b, 0.1), [x, weight, bias])


def test_layer_norm_gives_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, w = tv.tensor(rng.standard_normal((5000, 70)).astype(np.float32), requires_grad=True), tv
    results, threads = [], tv.get_num_threads()
    w = tv.ones(70, requires_grad=True)
    try:
        for n in (1, 2, 4):
            tv.set_num_threads(n)
            x.grad = w.grad = None
            F.layer_norm(x, (70,), w).sin().sum().backward()
            results.append(x.grad.numpy().tobytes() + w.grad.numpy().tobytes())
    finally:
        tv.set_num_threads(threads)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.layer_norm(x, (5,)), RuntimeError, r"input with shape \[\*, 5\]"),
        (lambda x: F.layer_norm(x, 4), TypeError, "must be tuple of ints, not int"),
        (lambda x: F.layer_norm(x, ()), RuntimeError, "at least one element"),
        (lambda x: F.layer_norm(x, (4,), tv.ones(3)), RuntimeError, r"weight of shape \[3\]"),
        (lambda x: F.layer_norm(x, (4,), tv.ones(4).double()), RuntimeError, "dtype"),
        (lambda x: F.layer_norm(x.long(), (4,)), NotImplementedError, "layer_norm"),
        (lambda x: F.layer_norm(x, (4,), eps="a"), TypeError, "eps"),
        (lambda x: F.rms_norm(x, (4,), tv.ones(3)), RuntimeError, r"weight of shape \[3\]"),
        (lambda x: F.group_norm(x, 2), RuntimeError, "divisible by num_groups"),
        (lambda x: F.group_norm(x, 0), RuntimeError, "divisible by num_groups"),
        (lambda x: F.group_norm(x, 3, tv.ones(4)), RuntimeError, "weight should contain 3"),
        (lambda x: F.group_norm(tv.ones(3), 1), RuntimeError, "expected input of shape"),
        (lambda x: F.group_norm(tv.ones(1, 4), 4), ValueError, "more than 1 value"),
        (lambda x: nn.GroupNorm(3, 4), ValueError, "must be divisible by num_groups"),
        (lambda x: nn.LayerNorm(4.0), TypeError, "must be an int, got float"),
        (lambda x: nn.LayerNorm(4, device="cuda"), NotImplementedError, "device"),
    ],
)
def test_normalization_refuses_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.ones(2, 3, 4))


LAYERS = [
    (lambda n: n.LayerNorm(4), (2, 3, 4)),
    (lambda n: n.LayerNorm([3, 4], 1e-3), (2, 3, 4)),
    (lambda n: n.LayerNorm((4,), bias=False), (0, 4)),
    (lambda n: n.LayerNorm(4, elementwise_affine=False), (4,)),
    (lambda n: n.RMSNorm(4), (2, 3, 4)),
    (lambda n: n.RMSNorm([3, 4], 1e-3, elementwise_affine=False), (2, 3, 4)),
    (lambda n: n.GroupNorm(2, 6), (2, 6, 3, 3)),
    (lambda n: n.GroupNorm(3, 6, 1e-3, affine=False), (2, 6, 2)),
    (lambda n: n.GroupNorm(2, 6, bias=False), (0, 6, 3)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_normalization_layers_equal_pytorchs(make, shape):
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.tolist() == other.tolist()
        values = rng.standard_normal(mine.shape).astype(np.float32)
        mine.data, other.data = tv.tensor(values), torch.tensor(values)
    x, g = rng.standard_normal((2, *shape)).astype(np.float32)
    x = x + np.float32(3)
    a, b = tv.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    y.backward(tv.tensor(g))
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-5, atol=5e-6)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad, other.grad, rtol=1e-5, atol=5e-6)
