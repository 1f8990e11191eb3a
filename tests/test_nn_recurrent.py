"""RNN, LSTM and GRU, their cells, and PyTorch's."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
from tinyvision import nn
from tinyvision.autograd import gradcheck

KINDS = ["RNN", "LSTM", "GRU"]


def fill(layer, value):
    for parameter in layer.parameters():
        parameter.data.fill_(value)
    return layer


def test_rnn_by_hand():
    layer = fill(nn.RNN(1, 1, bias=False), 1.0)
    output, h = layer(tv.tensor([[1.0], [0.0]]))
    expected = [math.tanh(1), math.tanh(math.tanh(1))]
    np.testing.assert_allclose(output.detach().flatten(), expected, rtol=1e-6)
    np.testing.assert_allclose(h.detach(), [[expected[-1]]], rtol=1e-6)


def test_lstm_cell_by_hand():
    cell = fill(nn.LSTMCell(1, 1, bias=False), 1.0)
    h, c = cell(tv.tensor([[1.0]]), (tv.tensor([[1.0]]), tv.tensor([[3.0]])))
    gate, new = 1 / (1 + math.exp(-2)), math.tanh(2)
    memory = gate * 3 + gate * new
    np.testing.assert_allclose(c.detach(), [[memory]], rtol=1e-6)
    np.testing.assert_allclose(h.detach(), [[gate * math.tanh(memory)]], rtol=1e-6)


def test_gru_cell_by_hand():
    cell = fill(nn.GRUCell(1, 1, bias=False), 1.0)
    h = cell(tv.tensor([1.0]), tv.tensor([0.5]))
    gate = 1 / (1 + math.exp(-1.5))
    new = math.tanh(1 + gate * 0.5)
    np.testing.assert_allclose(h.detach(), [(1 - gate) * new + gate * 0.5], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_gradient(kind):
    tv.manual_seed(0)
    layer = getattr(nn, kind)(3, 2, num_layers=2, bidirectional=True).double()
    x = tv.randn(4, 2, 3, dtype=tv.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]
    values = [p.detach().requires_grad_() for p in layer.parameters()]

    def run(x, *parameters):
        layer._parameters.update(zip(names, parameters, strict=True))
        output, state = layer(x)
        return (output, *state) if kind == "LSTM" else (output, state)

    assert gradcheck(run, [x, *values])


def test_recurrent_dropout_is_between_layers_in_training():
    layer = nn.GRU(3, 8, num_layers=2, dropout=0.5)
    x = tv.randn(5, 2, 3)
    assert not tv.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert tv.equal(layer(x)[0], layer(x)[0])
    with pytest.warns(UserWarning, match="between layers"):
        nn.GRU(3, 8, dropout=0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nn.LSTM(3, 4)(x[..., :2]), RuntimeError, "Expected 3, got 2"),
        (lambda x: nn.LSTM(3, 4)(x[0, 0]), ValueError, "2D or 3D, got 1D"),
        (lambda x: nn.RNN(3, 4)(x[:0]), RuntimeError, "sequence length"),
        (lambda x: nn.RNN(3, 4)(x.double()), ValueError, "does not match weight dtype"),
        (lambda x: nn.RNN(3, 4)(x, tv.ones(2, 2, 4)), RuntimeError, r"size \(1, 2, 4\), got"),
        (lambda x: nn.RNN(3, 4)(x[:, 0], tv.ones(1, 1, 4)), RuntimeError, "should be 2-D too"),
        (lambda x: nn.RNN(3, 4, 0), ValueError, "num_layers"),
        (lambda x: nn.RNN(3, 0), ValueError, "hidden_size"),
        (lambda x: nn.RNN(3, 4, nonlinearity="x"), ValueError, "Unknown nonlinearity 'x'"),
        (lambda x: nn.LSTM(3, 4, dropout=2), ValueError, r"range \[0, 1\]"),
        (lambda x: nn.LSTM(3, 4, proj_size=2), NotImplementedError, "proj_size"),
        (lambda x: nn.LSTM(3, "4"), TypeError, "hidden_size must be an int"),
        (lambda x: nn.LSTM(0, 4), ValueError, "input_size must be greater than zero"),
        (lambda x: nn.GRU(3, 4, 2, 0.5), TypeError, "'bias' must be bool, not float"),
        (lambda x: nn.LSTM(3, 4, batch_first=1), TypeError, "'batch_first' must be bool"),
        (lambda x: nn.RNN(3, 4, bidirectional=2), TypeError, "'bidirectional' must be bool"),
        (lambda x: nn.LSTMCell(3, 4)(x), ValueError, "1D or 2D, got 3D"),
        (lambda x: nn.LSTMCell(2, 4)(x[0]), RuntimeError, "got 3, expected 2"),
        (lambda x: nn.GRUCell(3, 4)(x[0], tv.ones(2, 5)), RuntimeError, r"got .*\[2, 5\]"),
    ],
)
def test_recurrent_refuses_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.ones(5, 2, 3))


@pytest.mark.parity
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_recurrent_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    choose = lambda *options: data.draw(st.sampled_from(options))  # noqa: E731
    kind, L, N = choose(*KINDS), choose(1, 4), choose(0, 1, 3)
    options = dict(
        num_layers=choose(1, 2), bias=choose(True, False), batch_first=choose(True, False),
        bidirectional=choose(True, False),
    )  # fmt: skip
    if kind == "RNN":
        options["nonlinearity"] = choose("tanh", "relu")
    batched, with_state = choose(True, False), choose(True, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (getattr(n, kind)(3, 4, **options) for n in (nn, torch.nn))
    assert repr(ours) == repr(theirs) and ours.mode == theirs.mode
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({n: tv.tensor(v.numpy()) for n, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    shape = ((N, L) if options["batch_first"] else (L, N)) if batched else (L,)
    rows = options["num_layers"] * (2 if options["bidirectional"] else 1)
    state_shape = (rows, N, 4) if batched else (rows, 4)
    arrays = [rng.standard_normal((*shape, 3)).astype(np.float32)]
    if with_state:
        parts = 2 if kind == "LSTM" else 1
        arrays += [rng.standard_normal(state_shape).astype(np.float32) for _ in range(parts)]

    def run(layer, library):
        x, *state = [library.tensor(a, requires_grad=True) for a in arrays]
        hx = None if not state else tuple(state) if kind == "LSTM" else state[0]
        output, last = layer(x, hx)
        results = [output, *(last if kind == "LSTM" else [last])]
        sum((r * r.sin()).sum() for r in results).backward()
        return results, [x.grad, *(s.grad for s in state), *(p.grad for p in layer.parameters())]

    for one, other in zip(run(ours, tv), run(theirs, torch), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_cells_equal_pytorch(kind, lead):
    torch = pytest.importorskip("torch")
    ours, theirs = (getattr(n, kind)(3, 4) for n in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({n: tv.tensor(v.numpy()) for n, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((*lead, 3)).astype(np.float32)
    one, other = ours(tv.tensor(x)), theirs(torch.tensor(x))
    if kind == "LSTMCell":
        one, other = one[1], other[1]
    np.testing.assert_allclose(one.detach(), other.detach(), rtol=1e-5, atol=1e-6)
