"""Attention of large scores: in float32 as accurate as PyTorch's, output and gradients.

Large scores come from masks of large numbers and from large queries and keys. PyTorch is asked for
the formula, not for its own kernel: that one, as of version 2.13, is wrong for some of these masks.
"""

import numpy as np
import pytest

from tinyvision.kernels import attention
from tinyvision.kernels.attention import Settings

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

# As in test_accuracy_parity.py.
FACTOR, LAST_PLACE = 4, 2.0**-24

OFFSETS = [100.0, 1e5, -1e9, -3e38, -np.inf]
LENGTHS = [(0, 3), (3, 0), (1, 1), (1, 5), (70, 1), (3, 3), (70, 150)]
N, KEY_HEADS, E, E_V = 16, 2, 16, 8


def arrays(L, S, size=1.0, group=1):
    """grad_output, query, key, value; all scores are `size` squared times as large as usual."""
    rng = np.random.default_rng(0)
    H = KEY_HEADS * group
    shapes = [(H, L, E_V), (H, L, E), (KEY_HEADS, S, E), (KEY_HEADS, S, E_V)]
    grad, query, key, value = (rng.standard_normal((N, *s)).astype(np.float32) for s in shapes)
    return grad, query * np.float32(size), key * np.float32(size), value


def masks(L, S, offset):
    """The offset everywhere; here and there, and for some queries everywhere."""
    rng = np.random.default_rng(1)
    some = rng.random((1, KEY_HEADS, L, S)) < 0.3
    some[:, :, ::5] = True
    added = np.where(some, offset, rng.standard_normal(some.shape))
    return [np.full((1, 1, L, S), offset, np.float32), added.astype(np.float32)]


def ours(suffix, grad, query, key, value, mask, settings):
    forward = getattr(attention, f"attention_forward{suffix}")
    backward = getattr(attention, f"attention_backward{suffix}")
    results = forward(query, key, value, mask, settings)
    needs = (True, True, True, mask is not None)
    grads = backward(grad, query, key, value, mask, *results, settings, needs)
    return [results[0], *(g for g in grads if g is not None)]


def pytorchs(dtype, grad, query, key, value, mask, settings):
    inputs = [query, key, value] + ([] if mask is None else [mask])
    inputs = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in inputs]
    query, key, value = inputs[:3]
    group = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(group, 1) for x in (key, value))
    scores = settings.scale * (query @ key.transpose(2, 3))
    if mask is not None:
        scores = scores + inputs[3]
    if settings.causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[2:]).tril().bool(), -torch.inf)
    sees = (scores > -torch.inf).any(3, keepdim=True)
    weights = scores.where(sees, 0).softmax(3).where(sees, 0)
    weights = weights * torch.as_tensor(attention._dropout_factors(scores.shape, settings)).to(
        dtype
    )
    output = weights @ value
    output.backward(torch.tensor(grad, dtype=dtype))
    return [output.detach().numpy(), *(x.grad.numpy() for x in inputs)]


def assert_as_accurate(arrays, mask, settings):
    exact = pytorchs(torch.float64, *arrays, mask, settings)
    theirs = pytorchs(torch.float32, *arrays, mask, settings)
    for suffix in ("", "_reference"):
        own = ours(suffix, *arrays, mask, settings)
        for what, (right, x, other) in enumerate(zip(exact, own, theirs, strict=True)):
            if right.size > 0:
                error, others = (np.sqrt(np.mean((y - right) ** 2)) for y in (x, other))
                floor = LAST_PLACE * np.abs(right).max()
                assert error <= FACTOR * max(others, floor), (suffix, what, error, others, floor)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("dropout_p", [0.0, 0.25])
def test_attention_with_a_mask_of_large_numbers(offset, L, S, group, dropout_p):
    for mask in masks(L, S, offset):
        if mask.shape[1] > 1:
            mask = np.repeat(mask, group, axis=1)
        settings = Settings(False, E**-0.5, dropout_p, 3)
        assert_as_accurate(arrays(L, S, group=group), mask, settings)


@pytest.mark.parametrize("size", [1.0, 10.0, 100.0])
@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dropout_p", [0.0, 0.25])
def test_attention_of_large_queries_and_keys(size, L, S, group, causal, dropout_p):
    settings = Settings(causal, E**-0.5, dropout_p, 3)
    assert_as_accurate(arrays(L, S, size, group), None, settings)
