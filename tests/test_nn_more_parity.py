"""Activations and layers that are less often used, and Transformer, against PyTorch."""

import math

import numpy as np
import pytest

import tinyvision as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

nan, inf = math.nan, math.inf


def _outcome(lib, call, arrays):
    """dtypes, values and gradients of a call, or the type of its error."""
    floats = [np.asarray(a).dtype.kind == "f" for a in arrays]
    given = [lib.tensor(a, requires_grad=f) for a, f in zip(arrays, floats, strict=True)]
    try:
        result = call(lib, *given)
    except Exception as error:
        return type(error).__name__
    found = [result]
    if result.requires_grad:
        seed = np.random.default_rng(3).standard_normal(tuple(result.shape))
        result.backward(lib.tensor(seed, dtype=result.dtype))
        found += [t.grad for t in given if t.grad is not None]
    return [(str(t.dtype).removeprefix("torch."), t.detach().numpy()) for t in found]


def _compare(call, *arrays, rtol=1e-9, atol=1e-12):
    ours, theirs = (_outcome(lib, call, arrays) for lib in (tv, torch))
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs
        return
    assert [dtype for dtype, _ in ours] == [dtype for dtype, _ in theirs]
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


ACTIVATIONS = [
    lambda F, x: F.softsign(x),
    lambda F, x: F.channel_shuffle(x, 3),
    lambda F, x: F.channel_shuffle(x, 4),
    lambda F, x: F.channel_shuffle(x, 0),
]


@pytest.mark.parametrize("call", ACTIVATIONS)
@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(0).standard_normal((2, 6, 4, 3)),
        np.random.default_rng(1).standard_normal((2, 6, 5)).astype(np.float32),
        np.array([0.0, -0.0, 0.5, -0.5, 1.5, 40.0, -40.0, inf, -inf, nan]),
        np.arange(12).reshape(2, 6, 1),
        np.array([True, False]),
    ],
    ids=["images", "float32", "edges", "integers", "bools"],
)
def test_activations_are_pytorchs(call, x):
    tolerance = 1e-9 if x.dtype == np.float64 else 1e-5
    _compare(lambda lib, x: call(lib.nn.functional, x), x, rtol=tolerance, atol=tolerance / 100)


LAYERS = {
    "Softsign": [{}],
    "Softmax2d": [{}],
    "UpsamplingNearest2d": [{"scale_factor": 2}, {"size": (3, 7)}],
    "UpsamplingBilinear2d": [{"scale_factor": (2, 1.5)}, {"size": 5}],
    "CircularPad2d": [{"padding": 2}, {"padding": (1, 0, 2, 3)}],
    "ChannelShuffle": [{"groups": 2}],
}


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, many in LAYERS.items() for o in many])
def test_layers_are_pytorchs(name, options):
    def call(lib, x):
        layer = getattr(lib.nn, name)(**options).eval()
        y = layer(x * 1)
        assert list(layer.state_dict()) == []
        return y

    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6))
    _compare(call, x)
    assert repr(getattr(tv.nn, name)(**options)) == repr(getattr(torch.nn, name)(**options))
    if name == "Softmax2d":
        _compare(call, x[0]), _compare(call, x[0, 0])


def test_gumbel_softmax_draws_classes_with_their_probabilities():
    p = np.array([0.1, 0.2, 0.7])
    logits = tv.tensor(np.log(p)).expand(20000, 3)
    soft = tv.nn.functional.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-12)
    counts = np.bincount(soft.argmax(1), minlength=3) / 20000
    np.testing.assert_allclose(counts, p, atol=0.02)
    assert tv.nn.functional.gumbel_softmax(tv.tensor(2.0)).equal(tv.tensor(1.0))
    x = tv.randn(5, 4, requires_grad=True)
    hard = tv.nn.functional.gumbel_softmax(x, hard=True, dim=0)
    np.testing.assert_allclose(np.sort(hard.detach().numpy(), 0)[:-1], 0, atol=1e-6)
    np.testing.assert_allclose(hard.detach().sum(0), 1, rtol=1e-6)
    (hard * tv.randn(5, 4)).sum().backward()
    np.testing.assert_allclose(x.grad.sum(0), 0, atol=1e-6)
    assert x.grad.abs().min() > 0
    for wrong in (lambda lib: (lib.ones(2).long(),), lambda lib: (lib.ones(2), 1, False, 1e-10, 2)):
        _compare(lambda lib, a=wrong: lib.nn.functional.gumbel_softmax(*a(lib)))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer_is_pytorchs(batch_first, norm_first):
    options = {"dropout": 0.0, "activation": "gelu", "dtype": None, "bias": not norm_first}
    options |= {"batch_first": batch_first, "norm_first": norm_first}
    sizes = (8, 2, 2, 3, 12)
    theirs = torch.nn.Transformer(*sizes, **options | {"dtype": torch.float64})
    ours = tv.nn.Transformer(*sizes, **options | {"dtype": tv.float64})
    state = {name: t.numpy() for name, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({name: tv.from_numpy(a) for name, a in state.items()})
    rng = np.random.default_rng(0)
    src, tgt = rng.standard_normal((5, 5, 8)), rng.standard_normal((5, 5, 8))

    def call(lib, src, tgt):
        model = ours if lib is tv else theirs
        mask = model.generate_square_subsequent_mask(5, dtype=lib.float64)
        padding = lib.tensor(np.arange(25).reshape(5, 5) % 5 == 4)
        return model(src, tgt, tgt_mask=mask, src_key_padding_mask=padding)

    _compare(call, src, tgt)
    for (name, p), q in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-8, atol=1e-11, err_msg=name)
    (
        _compare(call, src, tgt[:4, :4]),
        _compare(call, src, tgt[..., :4]),
        _compare(call, src[0], tgt[0]),
    )


def test_transformer_of_other_parts_and_its_mask():
    class Twice(tv.nn.Module):
        def forward(self, x, *others):
            return 2 * x

    model = tv.nn.Transformer(4, 2, custom_encoder=Twice(), custom_decoder=Twice())
    x = tv.randn(3, 2, 4)
    assert model(x, x).equal(2 * x) and list(model.state_dict()) == []
    for lib in (tv, torch):
        mask = lib.nn.Transformer.generate_square_subsequent_mask(3)
        assert mask.tolist() == [[0, -inf, -inf], [0, 0, -inf], [0, 0, 0]]
        assert mask.dtype == lib.float32
    weights = [p for p in tv.nn.Transformer(8, 2, 1, 1, 16).parameters() if p.ndim > 1]
    assert all(p.abs().max() <= math.sqrt(6 / sum(p.shape)) for p in weights)
