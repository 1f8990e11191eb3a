"""attention_rollout, by hand and on drawn weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyvision as tv
from tinyvision.models import attention_rollout


def test_rollout_of_two_layers_by_hand():
    first = tv.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])  # both tokens look at token 0
    second = tv.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])  # both at token 1
    # (first + 1) / 2 = [[1, 0], [1/2, 1/2]], (second + 1) / 2 = [[1/2, 1/2], [0, 1]]
    expected = [[[0.75, 0.25], [0.5, 0.5]]]
    np.testing.assert_array_equal(attention_rollout([first, second]), expected)


def test_rollout_takes_the_mean_of_the_heads():
    heads = tv.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]])
    np.testing.assert_array_equal(attention_rollout([heads]), [[[0.75, 0.25], [0.25, 0.75]]])


def test_rollout_ends_with_a_sequence_pooling():
    layer = tv.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    pooling = tv.tensor([[0.0, 1.0]])
    np.testing.assert_array_equal(attention_rollout([layer, pooling]), [[0.5, 0.5]])


@given(
    layers=st.integers(1, 4),
    sizes=st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 6)),
    dtype=st.sampled_from([tv.float32, tv.float64]),
)
def test_rollout_rows_are_shares(layers, sizes, dtype):
    N, heads, L = sizes
    weights = [tv.rand(N, heads, L, L, dtype=dtype).softmax(3) for _ in range(layers)]
    rollout = attention_rollout(weights)
    assert rollout.shape == (N, L, L) and rollout.dtype == dtype
    np.testing.assert_allclose(rollout.sum(dim=2), np.ones((N, L)), rtol=1e-5)
    assert (rollout >= 0).all()


def test_rollout_leaves_the_graph_behind():
    weights = tv.rand(1, 2, 3, 3, requires_grad=True)
    assert not attention_rollout([weights]).requires_grad


def test_rollout_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one layer"):
        attention_rollout([])
