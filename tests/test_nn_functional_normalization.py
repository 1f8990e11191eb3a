"""batch_norm, normalize, dropout, pad and one_hot: values, gradients, PyTorch's behaviour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=20, deadline=None)


def leaf(rng, *shape):
    return tv.tensor(rng.standard_normal(shape), requires_grad=True)


# ------------------------------------------------------------------ batch_norm


def test_batch_norm_in_training_by_hand():
    x = tv.tensor([[1.0, 5.0], [3.0, 5.0]])  # channel 0: mean 2, var 1; channel 1: mean 5, var 0
    mean, var = tv.zeros(2), tv.ones(2)
    y = F.batch_norm(x, mean, var, tv.tensor([2.0, 2.0]), tv.tensor([10.0, 20.0]), training=True)
    np.testing.assert_allclose(y, [[8, 20], [12, 20]], atol=1e-4)
    np.testing.assert_allclose(mean, [0.2, 0.5], rtol=1e-6)  # 0.9 * 0 + 0.1 * batch mean
    np.testing.assert_allclose(var, [0.9 + 0.1 * 2, 0.9], rtol=1e-6)  # unbiased: 2 / (2 - 1)


def test_batch_norm_in_evaluation_by_hand():
    x = tv.tensor([[1.0], [3.0]])
    mean, var = tv.tensor([1.0]), tv.tensor([4.0])
    y = F.batch_norm(x, mean, var, tv.tensor([2.0]), tv.tensor([1.0]), eps=0.0)
    assert y.tolist() == [[1], [3]]
    assert mean.tolist() == [1] and var.tolist() == [4]
    assert F.batch_norm(x, mean, var, eps=0).tolist() == [[0], [1]]


def test_batch_norm_momentum_one_forgets_the_past():
    x = tv.randn(6, 2, 3)
    mean, var = tv.zeros(2), tv.ones(2)
    F.batch_norm(x, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean, x.numpy().mean((0, 2)), atol=1e-6)
    np.testing.assert_allclose(var, x.numpy().var((0, 2), ddof=1), rtol=1e-5)


def test_batch_norm_of_an_empty_batch_leaves_the_statistics():
    mean, var = tv.zeros(3), tv.ones(3)
    assert F.batch_norm(tv.zeros(0, 3, 2, 2), mean, var, training=True).shape == (0, 3, 2, 2)
    assert mean.tolist() == [0] * 3 and var.tolist() == [1] * 3


def test_batch_norm_running_statistics_carry_no_history():
    x = tv.randn(4, 2, requires_grad=True)
    mean, var = tv.zeros(2), tv.ones(2)
    F.batch_norm(x, mean, var, training=True)
    assert mean.grad_fn is None and not var.requires_grad


@few
@given(
    shape=st.tuples(st.integers(2, 4), st.integers(1, 3)),
    extra=st.lists(st.integers(1, 3), max_size=2),
    affine=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_batch_norm_gradient(shape, extra, affine, training, seed):
    rng = np.random.default_rng(seed)
    C = shape[1]
    inputs = [leaf(rng, *shape, *extra)] + ([leaf(rng, C), leaf(rng, C)] if affine else [])
    mean, var = rng.standard_normal(C), rng.uniform(0.5, 2, C)

    def normalize(x, weight=None, bias=None):
        statistics = tv.tensor(mean), tv.tensor(var)
        return F.batch_norm(x, *statistics, weight, bias, training=training, eps=0.1)

    assert gradcheck(normalize, inputs)


# ------------------------------------------------------------------ normalize


def test_normalize_by_hand():
    x = tv.tensor([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(F.normalize(x), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(F.normalize(x, p=1.0), [[3 / 7, 4 / 7], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(F.normalize(x, dim=0), [[1, 1], [0, 0]])


@few
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    p=st.sampled_from([1.0, 2.0, 3.5]),
    seed=st.integers(0, 99),
)
def test_normalize_gradient(shape, p, seed):
    x = leaf(np.random.default_rng(seed), *shape)
    assert gradcheck(lambda x: F.normalize(x, p, dim=1), [x])


# ------------------------------------------------------------------ dropout


def test_dropout_zeroes_or_scales():
    y = F.dropout(tv.ones(10000), 0.25)
    assert sorted(set(y.tolist())) == [0, pytest.approx(4 / 3)]
    assert y.mean().item() == pytest.approx(1, abs=0.03)


def test_dropout_is_deterministic_from_the_seed():
    x = tv.ones(100)
    tv.manual_seed(3)
    first, second = F.dropout(x), F.dropout(x)
    tv.manual_seed(3)
    assert F.dropout(x).tolist() == first.tolist() != second.tolist()


def test_dropout_gradient_passes_where_the_value_did():
    x = tv.ones(50, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.backward(tv.ones(50) * 3)
    assert x.grad.tolist() == (y * 3).tolist()


@pytest.mark.parametrize("dropout", [F.dropout, F.dropout2d])
def test_dropout_edges(dropout):
    x = tv.randn(2, 3, 4, 4)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0) is x
    assert not dropout(x, 1.0).any()
    assert dropout(x.double()).dtype == tv.float64
    assert dropout(tv.zeros(0, 3, 2, 2)).shape == (0, 3, 2, 2)


@pytest.mark.parametrize("dropout", [F.dropout, F.dropout2d])
@few
@given(shape=st.tuples(*[st.integers(1, 3)] * 4), p=st.floats(0, 1), seed=st.integers(0, 99))
def test_dropout_gradient(dropout, shape, p, seed):
    def dropped(x):
        tv.manual_seed(seed)
        return dropout(x, p)

    assert gradcheck(dropped, [leaf(np.random.default_rng(seed), *shape)])


def test_dropout_inplace_changes_its_input():
    x = tv.ones(100)
    assert F.dropout(x, 0.5, inplace=True) is x
    assert set(x.tolist()) == {0, 2}


def test_dropout2d_drops_whole_channels():
    y = F.dropout2d(tv.ones(20, 10, 3, 3))
    per_channel = y.sum((2, 3))
    assert set(per_channel.flatten().tolist()) == {0, 18}


def test_dropout2d_warns_about_other_shapes():
    with pytest.warns(UserWarning, match="Received a 3D input"):
        y = F.dropout2d(tv.ones(20, 10, 3))
    assert set(y.sum(2).flatten().tolist()) == {0, 6}
    with pytest.warns(UserWarning, match="Received a 2-D input"):
        F.dropout2d(tv.ones(20, 10))


# ------------------------------------------------------------------ pad


def test_pad_by_hand():
    x = tv.tensor([[1, 2, 3]])
    assert F.pad(x, (1, 2)).tolist() == [[0, 1, 2, 3, 0, 0]]
    assert F.pad(x, (0, 0, 1, 0), value=9).tolist() == [[9, 9, 9], [1, 2, 3]]
    assert F.pad(x, (-1, 1)).tolist() == [[2, 3, 0]]
    assert F.pad(x, (2, 1), mode="reflect").tolist() == [[3, 2, 1, 2, 3, 2]]
    assert F.pad(x, (2, 1), mode="replicate").tolist() == [[1, 1, 1, 2, 3, 3]]
    assert F.pad(x, (2, 1), mode="circular").tolist() == [[2, 3, 1, 2, 3, 1]]
    assert F.pad(x, (-1, 1), mode="replicate").tolist() == [[2, 3, 3]]
    assert F.pad(x, (-1, 2), mode="circular").tolist() == [[2, 3, 2, 3]]  # the 1 is gone
    assert F.pad(x, ()).tolist() == x.tolist()
    assert F.pad(x.to(tv.uint8), (0, -1), value=300).tolist() == [[1, 2]]  # 300 is not needed


def test_pad_circular_refuses_more_than_a_crop_leaves():
    with pytest.raises(RuntimeError, match="at most 1 fits"):
        F.pad(tv.ones(2, 3), (3, -2), mode="circular")


@few
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    widths=st.lists(st.integers(-1, 2), min_size=2, max_size=4),
    value=st.floats(-2, 2),
    seed=st.integers(0, 99),
)
def test_pad_constant_gradient(shape, widths, value, seed):
    widths = widths[: len(widths) // 2 * 2]
    shape = [n + 1 for n in shape]  # two crops of one leave something
    x = leaf(np.random.default_rng(seed), *shape)
    assert gradcheck(lambda x: F.pad(x, tuple(widths), value=value) * 1, [x])


@few
@given(
    shape=st.tuples(*[st.integers(3, 4)] * 4),
    widths=st.tuples(*[st.integers(-1, 1)] * 4),
    mode=st.sampled_from(["reflect", "replicate", "circular"]),
    seed=st.integers(0, 99),
)
def test_pad_modes_gradient(shape, widths, mode, seed):
    x = leaf(np.random.default_rng(seed), *shape)
    assert gradcheck(lambda x: F.pad(x, widths, mode) * 1, [x])


# ------------------------------------------------------------------ one_hot


def test_one_hot_by_hand():
    y = F.one_hot(tv.tensor([[0, 2]]))
    assert y.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert y.dtype == tv.int64
    assert F.one_hot(tv.tensor(1), 4).tolist() == [0, 1, 0, 0]
    assert F.one_hot(tv.zeros(0, dtype=tv.int64), 3).shape == (0, 3)


# ------------------------------------------------------------------ PyTorch


def compare(call, arrays, tolerance=1e-12):
    """Values, dtypes and all gradients of call(F, library, *tensors), here and in PyTorch."""
    torch = pytest.importorskip("torch")
    ours = [tv.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = call(F, tv, *ours), call(torch.nn.functional, torch, *theirs)
    assert (y.shape, str(y.dtype)) == (tuple(z.shape), str(z.dtype).removeprefix("torch."))
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
    seed = np.random.default_rng(1).standard_normal(y.shape).astype(arrays[0].dtype)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 1, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_equals_pytorch(training, shape, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * 3 + 5).astype(dtype)
    weight, bias = rng.standard_normal((2, 3)).astype(dtype)
    mean, var = rng.standard_normal(3).astype(dtype), rng.uniform(0.5, 2, 3).astype(dtype)
    kept = []

    def normalize(F, library, x, weight, bias):
        statistics = library.tensor(mean), library.tensor(var)
        kept.append(statistics)
        return F.batch_norm(x, *statistics, weight, bias, training, 0.3, 1e-3)

    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    compare(normalize, [x, weight, bias], tolerance)
    for ours, theirs in zip(*kept, strict=True):
        assert isinstance(theirs, torch.Tensor)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 1)])
def test_normalize_equals_pytorch(p, dim):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    compare(lambda F, _, x: F.normalize(x, p, dim), [x])


@pytest.mark.parity
@pytest.mark.parametrize(
    ("shape", "widths"),
    [
        ((2, 3), (1, 2)),
        ((2, 3, 4), (3, 0)),
        ((2, 3, 4), (1, 3, 2, 1)),
        ((2, 3, 4, 5), (4, 1, 0, 2)),
        ((1, 2, 3, 4, 5), (2, 1, 1, 0, 2, 2)),
        ((2, 3, 4), (-1, 2, 1, -1)),
        ((0, 3, 4, 5), (1, 2, 3, 0)),
    ],
)
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_equals_pytorch(shape, widths, mode):
    x = np.random.default_rng(0).standard_normal(shape)
    compare(lambda F, _, x: F.pad(x, widths, mode), [x])


@pytest.mark.parity
@pytest.mark.parametrize("widths", [(-1, 2), (2, -1, -1, -1), (-2, -2, 0, 1), (0, 0, -3, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_pad_with_a_value_equals_pytorch(widths, dtype):
    torch = pytest.importorskip("torch")
    x = np.arange(12).reshape(3, 4).astype(dtype)
    ours = F.pad(tv.tensor(x), widths, value=1.5)
    theirs = torch.nn.functional.pad(torch.tensor(x), widths, value=1.5)
    np.testing.assert_array_equal(ours, theirs)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
