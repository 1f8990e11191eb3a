"""MultiheadAttention, and the encoder and decoder layers of the Transformer."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
from tinyvision import nn
from tinyvision.autograd import gradcheck


def test_attention_of_one_head_by_hand():
    layer = nn.MultiheadAttention(2, 1, bias=False)
    identity = tv.eye(2)
    layer.in_proj_weight.data = tv.cat([identity, identity, identity])
    layer.out_proj.weight.data = identity
    x = tv.tensor([[1.0, 0.0], [0.0, 1.0]])
    output, weights = layer(x, x, x)
    near = math.exp(1 / math.sqrt(2)) / (math.exp(1 / math.sqrt(2)) + 1)
    expected = [[near, 1 - near], [1 - near, near]]
    np.testing.assert_allclose(weights.detach(), expected, rtol=1e-6)
    np.testing.assert_allclose(output.detach(), expected, rtol=1e-6)
    faster, nothing = layer(x, x, x, need_weights=False)
    assert nothing is None
    np.testing.assert_allclose(faster.detach(), expected, rtol=1e-6)


def test_self_attention_copies_nothing_between_projection_and_attention():
    """Queries, keys and values are views of one product."""
    layer = nn.MultiheadAttention(6, 2, batch_first=True)
    x = tv.randn(3, 4, 6)
    q, k, v = layer._project(x, x, x, False)
    assert q.shape == k.shape == v.shape == (3, 2, 4, 3)
    bases = [part.numpy().base for part in (q.detach(), k.detach(), v.detach())]
    assert bases[0] is not None and bases[0] is bases[1] is bases[2]


@pytest.mark.parametrize("L, S", [(0, 3), (3, 0), (0, 0)])
def test_attention_of_empty_sequences_takes_a_mask_for_each_head(L, S):
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    query, key, mask = tv.randn(3, L, 4), tv.randn(3, S, 4), tv.zeros(6, L, S)
    output, weights = layer(query, key, key, attn_mask=mask, average_attn_weights=False)
    assert output.shape == (3, L, 4) and weights.shape == (3, 2, L, S)


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_gradient(need_weights):
    tv.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True).double()
    query, key = (tv.randn(n, 2, 4, dtype=tv.float64, requires_grad=True) for n in (3, 5))
    mask = tv.randn(3, 5, dtype=tv.float64, requires_grad=True)
    places = [(m, n) for m in layer.modules() for n, p in m._parameters.items() if p is not None]
    values = [module._parameters[name].detach().requires_grad_() for module, name in places]

    def output(query, key, mask, *parameters):
        for (module, name), value in zip(places, parameters, strict=True):
            module._parameters[name] = value
        return layer(query, key, key, attn_mask=mask, need_weights=need_weights)[0]

    assert gradcheck(output, [query, key, mask, *values])


def test_attention_dropout_is_of_the_weights_and_only_in_training():
    layer = nn.MultiheadAttention(4, 1, dropout=0.5)
    x = tv.randn(50, 1, 4)
    _, weights = layer(x, x, x)
    assert 0.3 < (weights == 0).float().mean().item() < 0.7
    tv.manual_seed(3)
    first, _ = layer(x, x, x, need_weights=False)
    second, _ = layer(x, x, x, need_weights=False)
    assert not tv.equal(first, second)
    tv.manual_seed(3)
    assert tv.equal(layer(x, x, x, need_weights=False)[0], first)
    layer.eval()
    np.testing.assert_allclose(layer(x, x, x)[1].sum(-1).detach(), np.ones((1, 50)), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, x: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads"),
        (lambda m, x: nn.MultiheadAttention(0, 2), ValueError, "greater than 0"),
        (lambda m, x: m(x[0, 0], x, x), AssertionError, "expected three tensors of 3 dims"),
        (lambda m, x: m(x[..., :2], x, x), AssertionError, "embedding dimensions of 4, 4 and 4"),
        (lambda m, x: m(x, x, x[:2]), AssertionError, "key and value differ"),
        (lambda m, x: m(x, x[:, :1], x[:, :1]), RuntimeError, "batch sizes differ"),
        (lambda m, x: m(x, x, x, is_causal=True), RuntimeError, "needs an attn_mask"),
        (lambda m, x: m(x, x, x, attn_mask=tv.ones(2, 2)), RuntimeError, r"\(3, 3\) or \(4, 3, 3"),
        (lambda m, x: m(x, x, x, tv.ones(3, 2).bool()), AssertionError, r"have shape \(2, 3\)"),
        (
            lambda m, x: m(x, x, x, attn_mask=tv.ones(3, 3).long()),
            AssertionError,
            "bools or floats",
        ),
        (lambda m, x: nn.TransformerEncoderLayer(4, 2, activation="r"), RuntimeError, "relu/gelu"),
    ],
)
def test_attention_refuses_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(nn.MultiheadAttention(4, 2), tv.ones(3, 2, 4))


# ------------------------------------------------------------------ PyTorch


def same_weights(ours, theirs):
    torch = pytest.importorskip("torch")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    state = {n: 0.3 * rng.standard_normal(v.shape) for n, v in theirs.state_dict().items()}
    ours.load_state_dict({n: tv.tensor(v).float() for n, v in state.items()})
    theirs.load_state_dict({n: torch.tensor(v).float() for n, v in state.items()})


def assert_same_results(ours, theirs, inputs, call, torch):
    """Equal outputs and gradients of inputs and parameters."""
    x = [tv.tensor(a, requires_grad=True) for a in inputs]
    y = [torch.tensor(a, requires_grad=True) for a in inputs]
    results = [r for r in call(ours, tv, *x) if r is not None]
    expected = [r for r in call(theirs, torch, *y) if r is not None]
    for one, other in zip(results, expected, strict=True):
        assert tuple(one.shape) == tuple(other.shape)
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=2e-5, atol=2e-6)
    sum((r * r.sin()).sum() for r in results).backward()
    sum((r * r.sin()).sum() for r in expected).backward()
    pairs = [*zip(x, y, strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    for one, other in pairs:
        if other.grad is not None:
            np.testing.assert_allclose(one.grad, other.grad, rtol=1e-4, atol=2e-5)


@pytest.mark.parity
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_attention_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    choose = lambda *options: data.draw(st.sampled_from(options))  # noqa: E731
    H, D, L, N = choose(1, 2, 3), choose(1, 4, 5), choose(1, 3, 6), choose(1, 2)
    S = choose(L, 1, 4)
    itself, batched, batch_first = choose(True, False), choose(True, False), choose(True, False)
    kdim, vdim = (None, None) if itself else (choose(None, 7), choose(None, 3))
    options = dict(
        bias=choose(True, False), add_bias_kv=choose(True, False),
        add_zero_attn=choose(True, False), kdim=kdim, vdim=vdim, batch_first=batch_first,
    )  # fmt: skip
    ours = nn.MultiheadAttention(H * D, H, **options)
    theirs = torch.nn.MultiheadAttention(H * D, H, **options)
    same_weights(ours, theirs)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    def sequence(length, width):
        shape = ((N, length) if batch_first else (length, N)) if batched else (length,)
        return rng.standard_normal((*shape, width)).astype(np.float32)

    inputs = [sequence(L, H * D)]
    if not itself:
        inputs += [sequence(S, kdim or H * D), sequence(S, vdim or H * D)]
    S = L if itself else S
    masks = {"need_weights": choose(True, False), "average_attn_weights": choose(True, False)}
    arrays = {}
    kind = choose(None, "bool", "float", "heads")
    if kind is not None:
        shape = (H * (N if batched else 1), L, S) if kind == "heads" else (L, S)
        arrays["attn_mask"] = rng.standard_normal(shape).astype(np.float32)
        if kind == "bool":
            arrays["attn_mask"] = arrays["attn_mask"] > 0.5
            arrays["attn_mask"][:, 0] = False  # every query sees something
    if choose(True, False) and kind != "bool":
        padding = np.zeros((N, S) if batched else (S,), np.float32)
        padding[..., S // 2 + 1 :] = -np.inf
        arrays["key_padding_mask"] = padding

    def call(layer, library, query, key=None, value=None):
        given = {name: library.tensor(array) for name, array in arrays.items()}
        key, value = (query, query) if itself else (key, value)
        return layer(query, key, value, **masks, **given)

    assert_same_results(ours, theirs, inputs, call, torch)


@pytest.mark.parity
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_and_decoder_equal_pytorch(norm_first, batch_first, activation):
    torch = pytest.importorskip("torch")
    options = dict(
        dim_feedforward=12, dropout=0.0, activation=activation, batch_first=batch_first,
        norm_first=norm_first, layer_norm_eps=1e-3, bias=activation == "relu",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    src, tgt = rng.standard_normal((2, 5, 5, 8)).astype(np.float32)

    def build(nn):
        parts = {
            "encoder": nn.TransformerEncoder(
                nn.TransformerEncoderLayer(8, 2, **options), 2, nn.LayerNorm(8),
                enable_nested_tensor=False,
            ),
            "decoder": nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, **options), 2),
        }  # fmt: skip
        return nn.ModuleDict(parts)

    def call(model, library, src, tgt):
        causal = library.tensor(np.triu(np.full((5, 5), -np.inf, np.float32), 1))
        padding = library.tensor(np.arange(5)[None] >= np.array([[5], [4], [3], [2], [1]]))
        padding = library.zeros(5, 5).masked_fill(padding, -math.inf)
        memory = model["encoder"](src, mask=causal)
        padded = model["encoder"](src, src_key_padding_mask=padding)
        return memory, padded, model["decoder"](tgt, memory, tgt_mask=causal)

    ours, theirs = build(nn), build(torch.nn)
    text = repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    assert repr(ours) == text
    same_weights(ours, theirs)
    assert_same_results(ours, theirs, [src, tgt], call, torch)
