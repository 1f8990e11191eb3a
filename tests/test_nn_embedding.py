"""embedding and its layer: values, gradients, errors, PyTorch's behaviour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tests.compare import outcome
from tinyvision import nn
from tinyvision.autograd import gradcheck

few = settings(max_examples=25, deadline=None)


def test_embedding_by_hand():
    weight = tv.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    y = F.embedding(tv.tensor([[2, 0], [2, 2]]), weight)
    assert y.tolist() == [[[5, 6], [1, 2]], [[5, 6], [5, 6]]]
    y.backward(tv.tensor([[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0], [4.0, 40.0]]]))
    assert weight.grad.tolist() == [[2, 20], [0, 0], [8, 80]]


def test_embedding_padding_row_gets_no_gradient():
    weight = tv.ones(3, 1, requires_grad=True)
    F.embedding(tv.tensor([0, 2, 2]), weight, padding_idx=-1).sum().backward()
    assert weight.grad.tolist() == [[1], [0], [0]]


def test_embedding_gradient_scaled_by_frequency():
    weight = tv.ones(3, 1, requires_grad=True)
    y = F.embedding(tv.tensor([0, 2, 2]), weight, scale_grad_by_freq=True)
    y.backward(tv.tensor([[3.0], [4.0], [6.0]]))
    assert weight.grad.tolist() == [[3], [0], [5]]


def test_embedding_max_norm_shortens_the_rows_it_reads():
    weight = tv.tensor([[3.0, 4.0], [30.0, 40.0], [0.3, 0.4]])
    y = F.embedding(tv.tensor([0, 2, 0]), weight, max_norm=1.0)
    np.testing.assert_allclose(y, [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(weight, [[0.6, 0.8], [30, 40], [0.3, 0.4]], rtol=1e-6)
    F.embedding(tv.tensor(1), weight, max_norm=7.0, norm_type=1.0)
    np.testing.assert_allclose(weight[1], [3, 4], rtol=1e-6)


def test_embedding_max_norm_is_noticed_by_graphs_that_need_the_weight():
    weight = tv.ones(2, 2, requires_grad=True)
    y = weight * weight
    F.embedding(tv.tensor([0]), weight, max_norm=0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_embedding_backward_uses_the_indices_of_forward():
    weight, index = tv.ones(2, 1, requires_grad=True), tv.tensor([0])
    y = F.embedding(index, weight)
    index.fill_(1)
    y.sum().backward()
    assert weight.grad.tolist() == [[1], [0]]


@few
@given(
    shape=st.lists(st.integers(0, 4), max_size=3), E=st.integers(0, 3), V=st.integers(1, 4),
    dtype=st.sampled_from([tv.int32, tv.int64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_embedding_gradient(shape, E, V, dtype, seed):
    rng = np.random.default_rng(seed)
    index = tv.tensor(rng.integers(0, V, shape), dtype=dtype)
    weight = tv.tensor(rng.standard_normal((V, E)), requires_grad=True)
    assert gradcheck(lambda w: F.embedding(index, w), [weight])


def test_embedding_layer_starts_with_zeros_for_padding():
    layer = nn.Embedding(500, 40, padding_idx=-500)
    assert layer.padding_idx == 0
    assert not layer.weight[0].any() and layer.weight[1:].all()
    assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
    assert layer(tv.tensor([[1, 2]])).shape == (1, 2, 40)


def test_embedding_from_pretrained_shares_memory_and_is_frozen():
    table = tv.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    table[1] = 7
    assert layer(tv.tensor([1])).tolist() == [[7, 7]]
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


# ------------------------------------------------------------------ errors, PyTorch

ERRORS = [
    (lambda n, f, t: f.embedding(t.tensor([3]), t.ones(3, 2)), IndexError, "index 3.*size 3"),
    (lambda n, f, t: f.embedding(t.tensor([-1]), t.ones(3, 2)), IndexError, "index -1"),
    (lambda n, f, t: f.embedding(t.tensor([1.0]), t.ones(3, 2)), RuntimeError, "Long, Int.*Float"),
    (lambda n, f, t: f.embedding(t.tensor([1]).to(t.uint8), t.ones(3, 2)), RuntimeError, "Byte"),
    (lambda n, f, t: f.embedding(t.tensor([1]), t.ones(3)), RuntimeError, r"2-D.*\[3\]"),
    (lambda n, f, t: f.embedding([1], t.ones(3, 2)), TypeError, "must be Tensor, not list"),
    (lambda n, f, t: f.embedding(t.tensor([1]), t.ones(3, 2), 3), AssertionError, "got 3 and 3"),
    (lambda n, f, t: f.embedding(t.tensor([1]), t.ones(3, 2), -4), AssertionError, "got -4 and 3"),
    (lambda n, f, t: f.embedding(t.tensor([1]), t.ones(3, 2), 1.0), TypeError, "padding_idx"),
    (lambda n, f, t: f.embedding(t.tensor([1]), t.ones(3, 2), None, "a"), TypeError, "max_norm"),
    (lambda n, f, t: n.Embedding(3, 2, 3), AssertionError, "got 3 and 3"),
    (lambda n, f, t: n.Embedding(-3, 2), RuntimeError, "negative"),
    (lambda n, f, t: n.Embedding(3.0, 2), TypeError, "num_embeddings must be an int"),
    (lambda n, f, t: n.Embedding(3, 2, _weight=t.ones(3)), AssertionError, "Shape of weight"),
    (lambda n, f, t: n.Embedding.from_pretrained(t.ones(3)), AssertionError, "2-dimensional"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_embedding_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(nn, F, tv)


@pytest.mark.parity
@pytest.mark.parametrize("call", [call for call, _, _ in ERRORS])
def test_embedding_errors_are_pytorchs(call):
    torch = pytest.importorskip("torch")
    ours = outcome(lambda: call(nn, F, tv))
    assert isinstance(ours, str)
    assert ours == outcome(lambda: call(torch.nn, torch.nn.functional, torch))


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.embedding(tv.tensor([0]), tv.ones(2, 2), sparse=True),
        lambda: nn.Embedding(2, 2, sparse=True),
    ],
)
def test_embedding_refuses_sparse_gradients(call):
    with pytest.raises(NotImplementedError, match="sparse=True"):
        call()


LAYERS = [
    lambda n: n.Embedding(5, 3),
    lambda n: n.Embedding(5, 3, 1, scale_grad_by_freq=True),
    lambda n: n.Embedding(5, 3, max_norm=1.5),
    lambda n: n.Embedding(5, 3, -2, max_norm=2.0, norm_type=1.0),
    lambda n: n.Embedding(5, 3, norm_type=float("inf"), max_norm=0.9),
]


@pytest.mark.parity
@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_embedding_layer_equals_pytorchs(make, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    table = rng.standard_normal((5, 3)).astype(dtype)
    ours, theirs = (ours.double(), theirs.double()) if dtype == "float64" else (ours, theirs)
    ours.weight.data, theirs.weight.data = tv.tensor(table), torch.tensor(table)
    index, g = rng.integers(0, 5, (4, 3)), rng.standard_normal((4, 3, 3)).astype(dtype)
    y, z = ours(tv.tensor(index)), theirs(torch.tensor(index))
    y.backward(tv.tensor(g))
    z.backward(torch.tensor(g))
    for a, b in ((y, z), (ours.weight, theirs.weight)):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-6)
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-5, atol=1e-6)
