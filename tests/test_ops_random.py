"""Draws: multinomial and normal have the distributions they are asked for, and repeat."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.autograd import gradcheck


def test_multinomial_draws_in_proportion():
    weights = tv.tensor([[1.0, 0.0, 3.0, 4.0], [2.0, 2.0, 0.0, 0.0]])
    draws = tv.multinomial(weights, 4000, replacement=True).numpy()
    for row, expected in zip(draws, ([1 / 8, 0, 3 / 8, 1 / 2], [0.5, 0.5, 0, 0]), strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=4) / 4000, expected, atol=0.04)


def test_multinomial_without_replacement_repeats_nothing():
    weights = tv.tensor([1.0, 5.0, 0.0, 2.0])
    draws = np.array([tv.multinomial(weights, 3).numpy() for _ in range(2000)])
    assert all(sorted(draw) == [0, 1, 3] for draw in draws.tolist())
    np.testing.assert_allclose(np.bincount(draws[:, 0]) / 2000, [1 / 8, 5 / 8, 0, 1 / 4], atol=0.04)
    second = draws[draws[:, 0] == 1][:, 1]  # after 1 was drawn, 0 and 3 are left
    assert np.mean(second == 3) == pytest.approx(2 / 3, abs=0.05)


def test_normal_has_its_mean_and_deviation():
    mean, std = tv.tensor([0.0, 10.0]), tv.tensor([1.0, 0.1])
    draws = tv.normal(mean.expand(5000, 2), std).numpy()
    np.testing.assert_allclose(draws.mean(0), [0, 10], atol=0.06)
    np.testing.assert_allclose(draws.std(0), [1, 0.1], rtol=0.05)
    assert tv.normal(3.0, 0.0, (2,)).tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match="'size' is needed"):
        tv.normal(0.0, 1.0)


@pytest.mark.parametrize(
    "draw", [lambda: tv.multinomial(tv.ones(50), 20), lambda: tv.normal(0.0, 1.0, (20,))]
)
def test_draws_repeat_with_the_seed(draw):
    tv.manual_seed(3)
    first = draw()
    tv.manual_seed(3)
    assert first.equal(draw())
    assert not first.equal(draw())


def test_unique_and_bincount_by_hand():
    values, inverse, counts = tv.unique(
        tv.tensor([3, 1, 3]), return_inverse=True, return_counts=True
    )
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [1, 0, 1], [1, 2])
    assert tv.bincount(tv.tensor([1, 3]), tv.tensor([0.5, 2.0])).tolist() == [0, 0.5, 0, 2]


def test_cumprod_gradient_where_values_are_zero():
    x = tv.tensor([[2.0, 0.0, 3.0, 0.0], [1.0, -2.0, 0.5, 4.0]], dtype=tv.float64)
    assert gradcheck(lambda x: x.cumprod(1), (x.requires_grad_(),))
    assert gradcheck(lambda x: x.cumprod(0), (x,))


def test_addmm_gradient():
    values = [tv.randn(*s, dtype=tv.float64) for s in [(3,), (2, 4), (4, 3)]]
    tensors = [value.requires_grad_() for value in values]
    assert gradcheck(lambda s, a, b: tv.addmm(s, a, b, beta=0.5, alpha=2), tensors)
