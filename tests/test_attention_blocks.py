"""The tiled attention kernel where its blocks begin and end, in memory, threads and range."""

import subprocess
import sys

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck
from tinyvision.kernels import attention
from tinyvision.kernels.attention import MAX_QUERIES, Settings
from tinyvision.kernels.attention_tiles import KEYS

ALL = (True, True, True, True)
# Below, at and above a block of queries, a block of keys, and a vector; and several blocks.
LENGTHS = [
    (1, 1),
    (17, KEYS - 1),
    (MAX_QUERIES - 1, KEYS),
    (MAX_QUERIES, KEYS + 1),
    (MAX_QUERIES + 1, 15),
    (2 * MAX_QUERIES + 1, 2 * KEYS + 1),
]


def arrays(seed, L, S, E, E_v, dtype=np.float64, heads=(2, 2)):
    rng = np.random.default_rng(seed)
    shapes = [(2, heads[0], L, E), (2, heads[1], S, E), (2, heads[1], S, E_v)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def both(query, key, value, mask, settings):
    """(output, peaks, totals, gradients) of the compiled kernel and of its plain twin."""
    grad = np.random.default_rng(9).standard_normal((*query.shape[:3], value.shape[3]))
    grad = grad.astype(query.dtype)
    results = []
    for suffix in ("", "_reference"):
        forward = getattr(attention, f"attention_forward{suffix}")
        backward = getattr(attention, f"attention_backward{suffix}")
        output, peaks, totals = forward(query, key, value, mask, settings)
        grads = backward(
            grad, query, key, value, mask, output, peaks, totals, settings,
            (*ALL[:3], mask is not None and mask.dtype != bool),
        )  # fmt: skip
        results.append([output, peaks, totals, *(g for g in grads if g is not None)])
    return zip(*results, strict=True)


@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize(("E", "E_v"), [(1, 5), (16, 16), (7, 33)])
@pytest.mark.parametrize("kind", ["plain", "causal", "bools", "floats"])
def test_attention_blocks_equal_the_plain_twin(L, S, E, E_v, kind):
    rng = np.random.default_rng(1)
    mask = {"bools": rng.random((1, 2, L, S)) < 0.7, "floats": rng.standard_normal((2, 1, L, S))}
    settings = Settings(kind == "causal", 1 / np.sqrt(E))
    for fast, plain in both(*arrays(0, L, S, E, E_v), mask.get(kind), settings):
        np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [50.0, 1e4])
def test_attention_of_large_scores_neither_overflows_nor_loses_digits(dtype, largest):
    query, key, value = arrays(2, 40, KEYS + 3, 4, 8, dtype)
    query[0, 0, :, 0] *= 1e-3
    scale = largest / np.abs(query @ key.swapaxes(2, 3)).max()
    exact = both(*(a.astype(np.float64) for a in (query, key, value)), None, Settings(False, scale))
    fast = both(query, key, value, None, Settings(False, scale))
    # A score of s is known to s times the precision of the type, and so is the exponent.
    tolerance = 40 * largest * np.finfo(dtype).eps
    for (ours, _), (_, plain) in zip(fast, exact, strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(
            ours, plain, rtol=tolerance, atol=tolerance * np.abs(plain).max()
        )


@pytest.mark.parametrize("causal", [False, True])
def test_attention_gradient_across_blocks(causal):
    inputs = [tv.tensor(a[:1], requires_grad=True) for a in arrays(3, 98, KEYS + 2, 3, 2)]
    assert gradcheck(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, None, 0, causal), inputs
    )


def test_attention_gradient_with_dropout_is_that_of_the_weights_kept():
    inputs = [tv.tensor(a[:1], requires_grad=True) for a in arrays(4, 5, 20, 3, 2)]

    def attend(query, key, value):
        tv.manual_seed(7)
        return F.scaled_dot_product_attention(query, key, value, dropout_p=0.4)

    assert gradcheck(attend, inputs)


def test_attention_dropout_keeps_the_mean_and_the_share():
    tv.manual_seed(0)
    query, key = tv.zeros(1, 4, 300, 2), tv.zeros(1, 4, 400, 2)
    output = F.scaled_dot_product_attention(query, key, tv.ones(1, 4, 400, 1), dropout_p=0.25)
    kept = output.numpy() * 0.75  # the share of 400 equal weights that is left
    assert abs(kept.mean() - 0.75) < 0.005
    assert 0.5 < kept.std() / np.sqrt(0.75 * 0.25 / 400) < 2  # as of independent draws


def test_attention_reads_views_of_a_joint_projection_where_they_are():
    joint = np.random.default_rng(5).standard_normal((2, 50, 3, 4, 8)).astype(np.float32)
    views = [joint[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]  # (N, H, L, E)
    for view in views:
        flat, strides = attention._flat(view)
        assert np.shares_memory(flat, joint) and flat[0] == view[0, 0, 0, 0]
        assert strides == tuple(step // 4 for step in view.strides)
    settings = Settings(True, 0.3)
    copies = [np.ascontiguousarray(view) for view in views]
    for ours, other in zip(
        both(*views, None, settings), both(*copies, None, settings), strict=True
    ):
        np.testing.assert_array_equal(ours[0], other[0])


def test_attention_gives_the_same_bits_on_any_number_of_threads():
    inputs = arrays(6, 150, 300, 8, 8, np.float32, heads=(4, 2))
    mask = np.random.default_rng(7).standard_normal((1, 1, 150, 300)).astype(np.float32)
    results, threads = [], tv.get_num_threads()
    try:
        for n in (1, 2, 4):
            tv.set_num_threads(n)
            settings = Settings(False, 0.5, 0.2, 11)
            results.append([fast.tobytes() for fast, _ in both(*inputs, mask, settings)])
    finally:
        tv.set_num_threads(threads)
    assert results[0] == results[1] == results[2]


def test_attention_memory_grows_with_the_length_and_not_with_its_square():
    pytest.importorskip("resource")
    script = """
import resource, sys
import tinyvision as tv, tinyvision.nn.functional as F
tv.set_num_threads(1)
def step(T):
    x = [tv.randn(1, 1, T, 8, requires_grad=True) for _ in range(3)]
    F.scaled_dot_product_attention(*x, is_causal=True).sum().backward()
step(64)  # compiles
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step(8192)  # one matrix of scores would take 268 MB
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(kilobytes // (1024 if sys.platform == "darwin" else 1))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 30_000


@pytest.mark.parity
@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize("kind", ["plain", "causal", "bools", "floats", "grouped"])
def test_attention_equals_pytorch(L, S, kind):
    torch = pytest.importorskip("torch")
    heads = (4, 2) if kind == "grouped" else (2, 2)
    inputs = arrays(8, L, S, 20, 24, np.float32, heads)
    rng = np.random.default_rng(10)
    mask = {"bools": rng.random((L, S)) < 0.8, "floats": rng.standard_normal((2, 1, L, S))}.get(
        kind
    )
    if kind == "bools":
        mask[:, 0] = True  # every query sees a key
    if kind == "floats":
        mask = mask.astype(np.float32)
    results = []
    for library, functional in ((tv, F), (torch, torch.nn.functional)):
        x = [library.tensor(a, requires_grad=True) for a in inputs]
        attn_mask = None if mask is None else library.tensor(mask)
        output = functional.scaled_dot_product_attention(
            *x, attn_mask, is_causal=kind == "causal", enable_gqa=kind == "grouped"
        )
        (output * output.sin()).sum().backward()
        results.append([output.detach().numpy(), *(t.grad.numpy() for t in x)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)
