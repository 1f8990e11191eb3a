"""stochastic_depth and its layers: what is dropped, how it is scaled, errors."""

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.autograd import gradcheck

LAYERS = [
    (lambda p: nn.StochasticDepth(p, "row"), 4 / 3),
    (lambda p: nn.DropPath(p), 4 / 3),
    (lambda p: nn.DropPath(p, scale_by_keep=False), 1),
]


@pytest.mark.parametrize(("make", "kept"), LAYERS)
def test_drop_path_drops_whole_examples_and_scales_the_rest(make, kept):
    y = make(0.25)(tv.ones(4000, 2, 3)).numpy()
    assert np.all(y == y[:, :1, :1])
    values, counts = np.unique(y[:, 0, 0], return_counts=True)
    np.testing.assert_allclose(values, [0, kept], rtol=1e-6)
    assert counts[0] / 4000 == pytest.approx(0.25, abs=0.03)


def test_stochastic_depth_of_a_batch_drops_all_or_nothing():
    x, layer = tv.ones(3, 2), nn.StochasticDepth(0.25, "batch")
    sums = [layer(x).sum().item() for _ in range(2000)]
    np.testing.assert_allclose(np.unique(sums), [0, 8])
    assert sums.count(0) / 2000 == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("make", [make for make, _ in LAYERS])
def test_drop_path_edges(make):
    x = tv.randn(3, 2)
    assert make(0.5).eval()(x) is x
    assert make(0.0)(x) is x
    assert not make(1.0)(x).any()
    assert make(0.5)(tv.zeros(0, 3)).shape == (0, 3)
    assert make(0.5)(x.double()).dtype == tv.float64


@pytest.mark.parametrize("make", [make for make, _ in LAYERS])
def test_drop_path_gradient(make):
    layer = make(0.4)

    def drop(x):
        tv.manual_seed(3)
        return layer(x)

    x = tv.randn(9, 2, dtype=tv.float64, requires_grad=True)
    assert 0 < (drop(x)[:, 0] == 0).sum().item() < 9
    assert gradcheck(drop, [x])


def test_drop_path_repr_is_that_of_timm_and_torchvision():
    assert repr(nn.DropPath(0.12345)) == "DropPath(drop_prob=0.123)"
    assert repr(nn.StochasticDepth(0.1, "row")) == "StochasticDepth(p=0.1, mode=row)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.stochastic_depth(x, 1.5, "row"), ValueError, "between 0 and 1, but got 1.5"),
        (lambda x: F.stochastic_depth(x, 0.5, "rows"), ValueError, "'batch' or 'row'.*rows"),
        (lambda x: F.stochastic_depth(x, "a", "row"), TypeError, "'p' must be float"),
        (lambda x: F.stochastic_depth([1], 0.5, "row"), TypeError, "must be Tensor, not list"),
    ],
)
def test_stochastic_depth_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.ones(2, 2))
