"""Activations and softmax: values, gradients, in-place, and PyTorch's behaviour."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=10, deadline=None)

ACTIVATIONS = {
    "relu": lambda F, x: F.relu(x),
    "relu6": lambda F, x: F.relu6(x),
    "hardtanh": lambda F, x: F.hardtanh(x),
    "hardtanh wide": lambda F, x: F.hardtanh(x, -2, 2.5),
    "leaky_relu": lambda F, x: F.leaky_relu(x),
    "leaky_relu steep": lambda F, x: F.leaky_relu(x, 3.0),
    "leaky_relu rising": lambda F, x: F.leaky_relu(x, -0.5),
    "elu": lambda F, x: F.elu(x),
    "elu large": lambda F, x: F.elu(x, 2.5),
    "gelu": lambda F, x: F.gelu(x),
    "gelu tanh": lambda F, x: F.gelu(x, approximate="tanh"),
    "silu": lambda F, x: F.silu(x),
    "selu": lambda F, x: F.selu(x),
    "hardsigmoid": lambda F, x: F.hardsigmoid(x),
    "hardswish": lambda F, x: F.hardswish(x),
    "mish": lambda F, x: F.mish(x),
    "sigmoid": lambda F, x: F.sigmoid(x),
    "tanh": lambda F, x: F.tanh(x),
    "softplus": lambda F, x: F.softplus(x),
    "softplus steep": lambda F, x: F.softplus(x, 3, threshold=4),
    "logsigmoid": lambda F, x: F.logsigmoid(x),
    "softmax": lambda F, x: F.softmax(x, 0),
    "softmax last": lambda F, x: F.softmax(x, -1),
    "softmin": lambda F, x: F.softmin(x, 0),
    "log_softmax": lambda F, x: F.log_softmax(x, -1),
}

# Where a function has a kink, finite differences disagree with any gradient.
KINKS = (-3, -2, -1, 0, 1, 4 / 3, 2.5, 3, 6)


def values(fn, *xs):
    return [round(v, 4) for v in fn(tv.tensor(list(xs))).tolist()]


def test_activation_values_by_hand():
    assert values(F.relu, -1.0, 0.0, 2.0) == [0, 0, 2]
    assert values(F.relu6, -1.0, 5.0, 7.0) == [0, 5, 6]
    assert values(F.hardtanh, -3.0, 0.5, 3.0) == [-1, 0.5, 1]
    assert values(F.leaky_relu, -2.0, 2.0) == [-0.02, 2]
    assert values(F.elu, -1.0, 2.0) == [round(math.exp(-1) - 1, 4), 2]
    assert values(F.gelu, -1.0, 0.0, 1.0) == [-0.1587, 0, 0.8413]  # x times P(X <= x)
    assert values(lambda x: F.gelu(x, approximate="tanh"), 1.0) == [0.8412]
    assert values(F.silu, 0.0, 1.0) == [0, round(1 / (1 + math.exp(-1)), 4)]
    assert values(F.sigmoid, 0.0) == [0.5]
    assert values(F.selu, -1.0, 1.0) == [-1.1113, 1.0507]
    assert values(F.hardsigmoid, -4.0, 0.0, 1.5, 4.0) == [0, 0.5, 0.75, 1]
    assert values(F.hardswish, -4.0, 1.5, 4.0) == [0, 1.125, 4]
    assert values(F.mish, 0.0, 1.0) == [0, 0.8651]
    assert values(F.glu, 2.0, 3.0, 0.0, 0.0) == [1, 1.5]
    assert values(lambda x: F.prelu(x, tv.tensor([0.5])), -1.0, 3.0) == [-0.5, 3]
    assert values(F.tanh, 0.5) == [round(math.tanh(0.5), 4)]
    assert values(F.softplus, 0.0, 30.0) == [round(math.log(2), 4), 30]
    assert values(F.logsigmoid, 0.0) == [round(-math.log(2), 4)]
    assert values(lambda x: F.softmax(x, 0), 0.0, math.log(3)) == [0.25, 0.75]
    assert values(lambda x: F.softmin(x, 0), 0.0, math.log(3)) == [0.75, 0.25]
    assert values(lambda x: F.log_softmax(x, 0), 0.0, 0.0) == [-0.6931, -0.6931]


@pytest.mark.parametrize("name", ["silu", "softplus", "logsigmoid", "elu", "gelu", "sigmoid"])
def test_activation_does_not_overflow(name):
    x = tv.tensor([-1e4, 1e4], requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()


def test_logsigmoid_keeps_its_digits_where_it_is_tiny():
    np.testing.assert_allclose(F.logsigmoid(tv.tensor([30.0])).item(), -math.exp(-30), rtol=1e-6)


def test_hardtanh_gradient_is_zero_at_both_ends():
    x = tv.tensor([-1.0, -0.5, 1.0], requires_grad=True)
    F.hardtanh(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if "soft" not in n])
def test_activation_of_a_scalar_keeps_shape_and_dtype(name):
    x = tv.tensor(0.7, requires_grad=True)
    y = ACTIVATIONS[name](F, x)
    y.backward()
    assert y.shape == x.grad.shape == ()
    assert y.dtype == x.grad.dtype == tv.float32


def test_activations_of_integers_stay_integers_where_pytorch_has_them():
    x = tv.tensor([-3, 2, 9])
    assert F.relu(x).tolist() == [0, 2, 9] and F.relu(x).dtype == tv.int64
    assert F.relu6(x).tolist() == [0, 2, 6] and F.relu6(x).dtype == tv.int64
    assert F.sigmoid(x).dtype == tv.float32


def test_activation_parameters_of_numpy_do_not_change_the_dtype():
    x = tv.ones(2)
    assert F.leaky_relu(x, np.float64(0.1)).dtype == tv.float32
    assert F.elu(x, np.float64(0.1)).dtype == tv.float32
    assert F.hardtanh(x, np.float64(0.1), np.float64(0.2)).dtype == tv.float32
    assert F.softplus(x, np.float64(0.1)).dtype == tv.float32


@pytest.mark.parametrize(
    "fn", [F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.elu, F.silu], ids=lambda f: f.__name__
)
def test_activation_inplace_changes_its_input_and_has_the_same_gradient(fn):
    start = tv.tensor([-2.0, -0.3, 0.4, 3.0], dtype=tv.float64, requires_grad=True)
    x = start * 1
    result = fn(x, inplace=True)
    assert result is x
    np.testing.assert_array_equal(x.detach(), fn(start).detach())
    assert gradcheck(lambda s: fn(s * 1, inplace=True), [start])


@pytest.mark.parametrize("name", ACTIVATIONS)
@few
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_activation_gradient(name, shape, seed):
    array = np.random.default_rng(seed).uniform(-7, 7, shape)
    for kink in KINKS:
        array[np.abs(array - kink) < 1e-3] += 0.01
    assert gradcheck(lambda x: ACTIVATIONS[name](F, x), [tv.tensor(array, requires_grad=True)])


@few
@given(
    N=st.integers(0, 3), C=st.integers(1, 4), rest=st.lists(st.integers(1, 3), max_size=2),
    shared=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_prelu_and_glu_gradients(N, C, rest, shared, seed):
    rng = np.random.default_rng(seed)
    x = tv.tensor(rng.uniform(-7, 7, (N, C, *rest)), requires_grad=True)
    weight = tv.tensor(rng.uniform(-1, 1, 1 if shared else C), requires_grad=True)
    assert gradcheck(F.prelu, [x, weight])
    pairs = tv.tensor(rng.normal(size=(N, 2 * C, *rest)), requires_grad=True)
    assert gradcheck(lambda x: F.glu(x, 1), [pairs])


@pytest.mark.parity
def test_prelu_and_glu_like_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    weight = np.array([0.1, -2, 0, 3], np.float32)
    for ours, theirs in [
        (F.prelu(tv.tensor(x), tv.tensor(weight)), torch.prelu(*map(torch.tensor, (x, weight)))),
        (F.glu(tv.tensor(x)), torch.nn.functional.glu(torch.tensor(x))),
        (F.glu(tv.tensor(x), 1), torch.nn.functional.glu(torch.tensor(x), 1)),
    ]:
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_prelu_and_glu_refuse_sizes_that_do_not_fit():
    with pytest.raises(RuntimeError, match="weight must have one element or one per channel"):
        F.prelu(tv.ones(2, 3), tv.ones(2))
    with pytest.raises(RuntimeError, match="must be even"):
        F.glu(tv.ones(2, 3))


def test_softmax_without_dim_warns_and_takes_pytorchs():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        y = F.softmax(tv.ones(2, 4))
    assert y.tolist() == [[0.25] * 4] * 2
    with pytest.warns(UserWarning, match="Implicit dimension choice for log_softmax"):
        assert F.log_softmax(tv.ones(1, 2, 3)).tolist() == [[[0] * 3] * 2]


def test_softmax_computes_in_the_dtype_asked_for():
    assert F.softmax(tv.tensor([1, 2]), 0, dtype=tv.float64).dtype == tv.float64
    x = tv.ones(2, requires_grad=True)
    F.log_softmax(x, 0, dtype=tv.float64).sum().backward()
    assert x.grad.dtype == tv.float32


# ------------------------------------------------------------------ PyTorch

SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.7, -3.7, 6.0, 25.0, -25.0, 100.0, -100.0]


@pytest.mark.parity
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activation_equals_pytorch(name, dtype):
    torch = pytest.importorskip("torch")
    array = np.concatenate([SPECIAL, np.linspace(-9, 9, 84)]).astype(dtype).reshape(97, 1)
    ours, theirs = tv.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    y = ACTIVATIONS[name](F, ours)
    z = ACTIVATIONS[name](torch.nn.functional, theirs)
    assert str(y.dtype) == str(z.dtype).removeprefix("torch.")
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
    seed = np.linspace(1, 2, array.size).astype(dtype).reshape(array.shape)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    if name == "hardsigmoid":  # PyTorch has 1 / 6 in float32, for float64 too
        tolerance = 3e-6
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=2 * tolerance, atol=2 * tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "leaky_relu", "elu", "silu"])
def test_activation_of_infinities_and_nan_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    array = np.array([np.inf, -np.inf, np.nan], np.float32)
    ours = getattr(F, name)(tv.tensor(array))
    theirs = getattr(torch.nn.functional, name)(torch.tensor(array))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parity
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_softmax_implicit_dim_equals_pytorch(name, ndim):
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).standard_normal((2, 3, 4, 5)[:ndim])
    with pytest.warns(UserWarning, match="Implicit dimension"):
        ours = getattr(F, name)(tv.tensor(array))
    with pytest.warns(UserWarning, match="Implicit dimension"):
        theirs = getattr(torch.nn.functional, name)(torch.tensor(array))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
