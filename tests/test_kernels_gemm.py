"""Products of matrices, one and many, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvision.kernels import gemm

# Around the sizes of vectors, slabs, panels and blocks, and beside them.
SIZES = st.one_of(
    st.integers(0, 5), st.sampled_from([7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 129, 383, 385, 800])
)


@st.composite
def _strided(draw, shape, dtype, seed):
    """A matrix or a batch of them with a drawn layout in memory."""
    rng = np.random.default_rng(seed)
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 1, 2, 3, -1])) for _ in shape]
    padded = [n * abs(step) for n, step in zip(shape, steps, strict=True)]
    room = rng.standard_normal([padded[i] for i in order]).astype(dtype)
    array = room.transpose(np.argsort(order))
    array = array[tuple([slice(None, None, step) for step in steps])]
    return array[tuple([slice(n) for n in shape])]


@st.composite
def _factors(draw):
    R, S, Q = draw(SIZES), draw(SIZES), draw(SIZES)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    batch = draw(st.lists(st.integers(0, 4), max_size=2)) if max(R, S, Q) < 150 else []
    one = [draw(st.sampled_from([n, n, 1])) for n in batch]
    other = [
        n if m == 1 else draw(st.sampled_from([n, 1])) for n, m in zip(batch, one, strict=True)
    ]
    other = other[draw(st.integers(0, len(other))) if draw(st.booleans()) else 0 :]
    A = draw(_strided((*one, R, S), dtype, 0))
    B = draw(_strided((*other, S, Q), dtype, 1))
    return A, B


@given(_factors())
def test_matmul_is_numpys(factors):
    A, B = factors
    expected = gemm.matmul_reference(A.astype(np.float64), B.astype(np.float64))
    actual = gemm.matmul(A, B)
    assert actual.dtype == A.dtype
    bound = np.abs(A).astype(np.float64) @ np.abs(B).astype(np.float64)
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= 8 * np.finfo(A.dtype).eps * bound).all()


def test_matmul_of_read_only_and_misaligned_arrays():
    A = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    read_only = A.copy()
    read_only.flags.writeable = False
    misaligned = np.zeros(A.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(A.shape)
    misaligned[...] = A
    for B in (read_only, misaligned, A.astype(">f4").astype(np.float32)):
        np.testing.assert_allclose(gemm.matmul(B, B.T), A @ A.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shapes", [((3, 70, 90), (90, 65)), ((5, 1, 33, 40), (2, 40, 50))])
def test_matmul_gives_equal_bits_for_any_division_of_the_work(shapes, monkeypatch):
    rng, digests = np.random.default_rng(0), set()
    A, B = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for chunks in (1, 2, 3, 7, 100):
        monkeypatch.setattr(gemm, "count_chunks", lambda items, _, n=chunks: min(n, items))
        digests.add(gemm.matmul(A, B).tobytes())
    assert len(digests) == 1


def test_matmul_of_integers_is_exact():
    A = np.arange(10000).reshape(100, 100) + 2**40
    np.testing.assert_array_equal(gemm.matmul(A, A), A @ A)
