"""scaled_dot_product_attention: values, gradients, masks, memory, errors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=25, deadline=None)
attention = F.scaled_dot_product_attention


def leaf(rng, *shape):
    return tv.tensor(rng.standard_normal(shape), requires_grad=True)


def test_attention_by_hand():
    query = tv.tensor([[1.0, 0.0]])
    key = tv.tensor([[math.log(3.0), 5.0], [0.0, 7.0]])  # scores log(3) and 0: weights 3/4 and 1/4
    value = tv.tensor([[4.0, 0.0, 8.0], [0.0, 4.0, 8.0]])
    np.testing.assert_allclose(attention(query, key, value, scale=1), [[3, 1, 8]], rtol=1e-6)
    query = tv.tensor([[2.0**0.5, 0.0]])  # the scale is 1 / sqrt(2) if not given
    np.testing.assert_allclose(attention(query, key, value), [[3, 1, 8]], rtol=1e-6)


def test_attention_causal_by_hand():
    query, key, value = tv.zeros(3, 1), tv.zeros(2, 1), tv.tensor([[2.0], [4.0]])
    assert attention(query, key, value, is_causal=True).tolist() == [[2], [3], [3]]
    query, key, value = tv.zeros(1, 1), tv.zeros(3, 1), tv.tensor([[2.0], [4.0], [5.0]])
    assert attention(query, key, value, is_causal=True).tolist() == [[2]]


def test_attention_mask_by_hand():
    query, key, value = tv.zeros(2, 1), tv.zeros(3, 1), tv.tensor([[1.0], [3.0], [8.0]])
    bools = tv.tensor([[True, True, False], [False, False, True]])
    assert attention(query, key, value, bools).tolist() == [[2], [8]]
    added = tv.tensor([[0.0, math.log(3.0), -np.inf]])
    np.testing.assert_allclose(attention(query, key, value, added), [[2.5], [2.5]], rtol=1e-6)


@pytest.mark.parametrize("kind", ["bools", "floats"])
def test_attention_of_a_query_that_sees_no_key_is_zero(kind):
    rng = np.random.default_rng(0)
    query, key, value = leaf(rng, 2, 3), leaf(rng, 4, 3), leaf(rng, 4, 5)
    seen = np.array([[False], [True]])
    mask = tv.tensor(seen if kind == "bools" else np.where(seen, 0, -np.inf))
    output = attention(query, key, value, mask)
    assert output[0].tolist() == [0] * 5 and np.all(output[1].detach().numpy() != 0)
    output.sum().backward()
    assert query.grad[0].tolist() == [0] * 3
    alone = [query[1:].detach(), key.detach().requires_grad_(), value.detach().requires_grad_()]
    attention(*alone).sum().backward()
    np.testing.assert_allclose(key.grad, alone[1].grad, rtol=1e-12)
    np.testing.assert_allclose(value.grad, alone[2].grad, rtol=1e-12)


@pytest.mark.parametrize("dtype", [tv.float32, tv.float64])
@pytest.mark.parametrize("offset", [1e30, -1e20, -3e38])
@pytest.mark.parametrize("S", [3, 300])
def test_attention_adds_a_mask_so_large_that_all_scores_are_equal(dtype, offset, S):
    rng = np.random.default_rng(0)
    shapes = (2, 4), (S, 4), (S, 4)
    query, key, value = (tv.tensor(rng.random(s), dtype=dtype, requires_grad=True) for s in shapes)
    output = attention(query, key, value, tv.full((2, S), offset, dtype=dtype))
    np.testing.assert_allclose(output.detach(), value.detach().mean(0).expand(2, 4), rtol=1e-5)
    output[1].sum().backward()
    np.testing.assert_allclose(value.grad, np.full((S, 4), 1 / S), rtol=1e-5)
    scores_grad = (value.sum(1) - value.mean(0).sum()).detach() / S  # every weight is 1 / S
    expected = scores_grad @ key.detach() / 2
    np.testing.assert_allclose(query.grad[1], expected, rtol=1e-4, atol=1e-6)


def test_attention_of_one_key_far_ahead_has_no_gradient_but_that_of_its_value():
    for S in (3, 300):  # one block of keys, and several
        rng = np.random.default_rng(0)
        query = tv.tensor(rng.random((5, 7)) + 1, dtype=tv.float32, requires_grad=True)
        key = tv.tensor(rng.random((S, 7)), dtype=tv.float32)
        key[1] = 1000
        key.requires_grad_()
        value = tv.randn(S, 6, requires_grad=True)
        output = attention(query, key, value, dropout_p=0.0)
        assert np.array_equal(output.detach(), value.detach()[1:2].expand(5, 6))
        (output * tv.randn(5, 6)).sum().backward()
        assert not query.grad.any() and not key.grad.any() and value.grad[1].any()


def test_attention_grouped_queries_share_heads():
    rng = np.random.default_rng(0)
    query, key, value = leaf(rng, 2, 6, 4, 3), leaf(rng, 2, 3, 5, 3), leaf(rng, 2, 2, 5, 7)
    output = attention(query, key, value, enable_gqa=True)
    repeated = attention(query, key.repeat_interleave(2, 1), value.repeat_interleave(3, 1))
    np.testing.assert_allclose(output.detach(), repeated.detach(), rtol=1e-12)


def test_attention_keeps_dtype_and_takes_a_float32_mask_for_float64():
    for dtype in (tv.float32, tv.float64):
        x = tv.ones(2, 3, dtype=dtype)
        assert attention(x, x, x, tv.zeros(2, 2)).dtype == dtype


def test_attention_dropout_repeats_from_the_seed():
    query = key = tv.zeros(2, 300, 4)
    value = tv.eye(300).expand(2, 300, 300)  # the output is the weights
    tv.manual_seed(3)
    first, second = (attention(query, key, value, dropout_p=0.25).numpy() for _ in range(2))
    tv.manual_seed(3)
    np.testing.assert_array_equal(attention(query, key, value, dropout_p=0.25).numpy(), first)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert set(np.unique((first * 300 * 0.75).round(3))) == {0, 1}
    assert abs((first == 0).mean() - 0.25) < 0.005
    # Neither rows nor columns nor neighbours are alike: independent drops have correlation 0.
    dropped = first == 0
    for other in (np.roll(dropped, 1, 1), np.roll(dropped, 1, 2), dropped[::-1]):
        assert abs(np.corrcoef(dropped.ravel(), other.ravel())[0, 1]) < 0.01
    assert dropped.mean(axis=1).std() < 0.03 and dropped.mean(axis=2).std() < 0.03


def test_attention_without_dropout_draws_nothing():
    x = tv.ones(2, 2)
    tv.manual_seed(1)
    expected = tv.rand(3).tolist()
    tv.manual_seed(1)
    attention(x, x, x)
    assert tv.rand(3).tolist() == expected


def test_attention_dropout_of_everything_is_zero():
    x = tv.ones(3, 2, requires_grad=True)
    output = attention(x, x, x, dropout_p=1.0)
    output.sum().backward()
    assert output.tolist() == x.grad.tolist() == [[0, 0]] * 3


@few
@given(data=st.data())
def test_attention_gradient(data):
    def draw(*values):
        return data.draw(st.sampled_from(values))

    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    L, S = draw(0, 1, 2, 5), draw(1, 2, 7)
    E, E_v, heads, key_heads = draw(1, 3, 4), draw(1, 2, 5), 4, draw(1, 2, 4)
    query, key = leaf(rng, 2, heads, L, E), leaf(rng, 2, key_heads, S, E)
    value = leaf(rng, 2, key_heads, S, E_v)
    kind, mask = draw("none", "causal", "bools", "floats"), None
    mask_shape = draw((L, S), (1, S), (L, 1), (2, 1, L, S), (heads, 1, 1), (2, heads, L, S))
    if kind == "bools":
        mask = tv.tensor(rng.random(mask_shape) < 0.7)
    if kind == "floats":
        mask = leaf(rng, *mask_shape)
    dropout_p, scale = draw(0, 0.3), draw(None, 0.7)

    def function(query, key, value, mask):
        tv.manual_seed(5)
        return attention(
            query, key, value, mask, dropout_p, kind == "causal", scale=scale, enable_gqa=True
        )

    assert gradcheck(function, (query, key, value, mask))


@pytest.mark.parametrize("size", ["N", "H", "L", "S", "E", "E_v"])
def test_attention_of_empty_tensors(size):
    sizes = {"N": 2, "H": 3, "L": 4, "S": 5, "E": 6, "E_v": 7} | {size: 0}
    N, H, L, S, E, E_v = sizes.values()
    query = tv.zeros(N, H, L, E, requires_grad=True)
    key, value = tv.zeros(N, H, S, E, requires_grad=True), tv.ones(N, H, S, E_v, requires_grad=True)
    output = attention(query, key, value)
    output.sum().backward()
    np.testing.assert_allclose(output.detach(), np.full((N, H, L, E_v), S > 0), rtol=1e-6)
    for x in (query, key, value):
        assert x.grad.shape == x.shape
    np.testing.assert_allclose(value.grad, np.full(value.shape, L / S if S else 0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 2, 3, 5), (2, 1, 2, 3, 5)])
@pytest.mark.parametrize("mask_dims", [2, 3, 4, 5])
def test_attention_takes_any_leading_dims(shape, mask_dims):
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal(shape) for _ in range(3))
    mask = rng.standard_normal((*shape[:-1], shape[-2]))[(0,) * (len(shape) - mask_dims)]
    output = attention(*map(tv.tensor, (query, key, value, mask)))
    assert output.shape == shape
    full = np.broadcast_to(mask, (*shape[:-1], shape[-2]))
    for i in np.ndindex(shape[:-2]):
        alone = attention(*(tv.tensor(x[i]) for x in (query, key, value, full)))
        np.testing.assert_allclose(output[i], alone, rtol=1e-12)


def test_attention_broadcasts_leading_dims():
    rng = np.random.default_rng(0)
    query, key, value = leaf(rng, 1, 3, 4, 5), leaf(rng, 2, 1, 6, 5), leaf(rng, 3, 6, 7)
    assert attention(query, key, value).shape == (2, 3, 4, 7)
    assert gradcheck(attention, (query, key, value))
    mask = leaf(rng, 2, 1, 1, 4, 6)  # its dims and those of the batch are merged
    query, key, value = leaf(rng, 2, 3, 1, 4, 5), leaf(rng, 2, 3, 1, 6, 5), leaf(rng, 6, 2)
    assert gradcheck(attention, (query, key, value, mask))


def test_attention_detects_a_change_in_place():
    x, mask = tv.ones(2, 2, requires_grad=True), tv.zeros(2, 2)
    output = attention(x, x, x, mask)
    mask += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


# ------------------------------------------------------------------ errors


def _q(t, *shape):
    return t.zeros(*(shape or (2, 3, 4, 5)))


ERRORS = [
    (lambda f, t: f([1], _q(t), _q(t)), TypeError, "'query'.*must be Tensor, not list"),
    (lambda f, t: f(_q(t), _q(t), None), TypeError, "'value'.*must be Tensor, not NoneType"),
    (lambda f, t: f(_q(t), _q(t), _q(t), [1]), TypeError, "'attn_mask'.*must be Tensor, not list"),
    (lambda f, t: f(_q(t, 5), _q(t, 5), _q(t, 5)), RuntimeError, r"2 dimensional.*\[5\]"),
    (lambda f, t: f(_q(t, 4, 5), _q(t, 4, 6), _q(t, 4, 5)), RuntimeError, r"\[4, 6\]"),
    (lambda f, t: f(_q(t, 4, 5), _q(t, 4, 5), _q(t, 3, 5)), RuntimeError, r"\[3, 5\]"),
    (lambda f, t: f(_q(t), _q(t, 2, 2, 4, 5), _q(t)), RuntimeError, "must match"),
    (lambda f, t: f(*[_q(t).long()] * 3), RuntimeError, "Long"),
    (lambda f, t: f(_q(t), _q(t), _q(t).double()), RuntimeError, "same dtype.*Double"),
    (lambda f, t: f(*[_q(t)] * 3, t.ones(4, 4).long()), RuntimeError, "attn_mask dtype.*Long"),
    (lambda f, t: f(*[_q(t)] * 3, t.ones(4, 4).double()), RuntimeError, "attn_mask dtype.*Double"),
    (
        lambda f, t: f(_q(t), _q(t), t.ones(2, 3, 4, 7), t.ones(4, 4), is_causal=True),
        RuntimeError,
        "attn_mask.*causal",
    ),
    (lambda f, t: f(*[_q(t)] * 3, t.ones(4)), IndexError, "2 dims, but has 1"),
    (lambda f, t: f(*[_q(t)] * 3, t.ones(5, 4)), RuntimeError, r"\(5, 4\).*\(2, 3, 4, 4\)|match"),
    (lambda f, t: f(*[_q(t, 1, 4, 5)] * 3, t.ones(2, 4, 4)), RuntimeError, r"\[2, 4, 4\]"),
    (lambda f, t: f(*[_q(t)] * 3, t.ones(1, 1, 1, 4, 4)), RuntimeError, r"\[1, 1, 1, 4, 4\]"),
    (lambda f, t: f(*[_q(t)] * 3, dropout_p=1.1), RuntimeError, "between 0 and 1, but got 1.1"),
    (lambda f, t: f(*[_q(t)] * 3, dropout_p="a"), TypeError, "'dropout_p' must be float, not str"),
    (lambda f, t: f(*[_q(t)] * 3, scale="a"), TypeError, "'scale' must be float, not str"),
    (lambda f, t: f(*[_q(t)] * 3, None, 0.0, False, 1.0), TypeError, "positional arguments"),
    (lambda f, t: f(*[_q(t)] * 3, is_causal=1), TypeError, "'is_causal' must be bool, not int"),
    (lambda f, t: f(*[_q(t)] * 3, enable_gqa=1), TypeError, "'enable_gqa' must be bool, not int"),
    (lambda f, t: f(*[_q(t, 4, 5)] * 3, enable_gqa=True), IndexError, "heads"),
    (
        lambda f, t: f(_q(t, 4, 4, 5), _q(t), _q(t), enable_gqa=True),
        RuntimeError,
        r"must divide.*\[2, 3, 4, 5\]",
    ),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_attention_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(attention, tv)


@pytest.mark.parametrize("p", [-0.1, float("nan")])
def test_attention_refuses_a_probability_that_is_none(p):
    x = tv.ones(2, 2)
    with pytest.raises(RuntimeError, match="dropout probability"):
        attention(x, x, x, dropout_p=p)


@pytest.mark.parity
@pytest.mark.parametrize("call", [call for call, _, _ in ERRORS])
def test_attention_errors_are_pytorchs(call):
    torch = pytest.importorskip("torch")
    kinds = []
    for library, functional in ((tv, F), (torch, torch.nn.functional)):
        with pytest.raises(Exception) as caught:  # whichever it is, both are compared
            call(functional.scaled_dot_product_attention, library)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
