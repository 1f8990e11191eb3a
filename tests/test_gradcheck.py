"""The checker itself: it must catch planted errors, and say where."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.autograd import GradcheckError, gradcheck
from tinyvision.engine.op import Op


class Faulty(Op):
    """y = 3 x with a gradient that is wrong where `mask` says so."""

    @staticmethod
    def forward(ctx, x, *, factor):
        ctx.factor = factor
        return x * 3

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.factor


def doubles(*shape):
    return tv.randn(*shape, dtype=tv.float64, requires_grad=True)


def test_gradcheck_accepts_a_right_gradient():
    assert gradcheck(lambda x: Faulty.apply(x, factor=3.0), doubles(2, 3))


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck_catches_one_wrong_element(fast_mode):
    factor = np.full((4, 5), 3.0)
    factor[2, 1] = 3.1
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: Faulty.apply(x, factor=factor), doubles(4, 5), fast_mode=fast_mode)


def test_gradcheck_names_the_worst_element():
    factor = np.full((4, 5), 3.0)
    factor[2, 1], factor[0, 0] = 4.0, 3.1
    message = r"output element \(2, 1\) and input element \(2, 1\): analytic 4, numerical 3"
    with pytest.raises(GradcheckError, match=message):
        gradcheck(lambda x: Faulty.apply(x, factor=factor), doubles(4, 5))


def test_gradcheck_uses_random_projections_for_large_inputs():
    x = doubles(40, 50)
    assert gradcheck(lambda x: Faulty.apply(x, factor=3.0), x)
    factor = np.full((40, 50), 3.0)
    factor[17, 23] = 3.5
    with pytest.raises(GradcheckError, match="random projection"):
        gradcheck(lambda x: Faulty.apply(x, factor=factor), x)


def test_gradcheck_catches_what_uniform_cotangents_cannot_see():
    def centered(x):  # sum(centered(x)) is always 0: its gradient for a uniform cotangent too
        return Faulty.apply(x - x.mean(), factor=2.0)

    with pytest.raises(GradcheckError):
        gradcheck(centered, doubles(6))


def test_gradcheck_checks_every_input_and_output():
    def two(x, y):
        return x * y, Faulty.apply(y, factor=2.0)

    message = "output 1 with respect to input 1"
    with pytest.raises(GradcheckError, match=message):
        gradcheck(two, (doubles(2), doubles(2)))


def test_gradcheck_finds_a_gradient_that_is_missing():
    def cut(x):
        return x.detach() * x

    with pytest.raises(GradcheckError):
        gradcheck(cut, doubles(3))


def test_gradcheck_finds_randomness():
    def noisy(x):
        return Faulty.apply(x, factor=3.0 + 1e-9 * np.random.default_rng().random())

    class Noisy(Faulty):
        @staticmethod
        def backward(ctx, grad_output):
            return grad_output * (3.0 + 1e-7 * np.random.default_rng().random())

    with pytest.raises(GradcheckError, match="not deterministic"):
        gradcheck(lambda x: Noisy.apply(x, factor=3.0), doubles(3))


def test_gradcheck_returns_false_instead_of_raising_when_asked():
    wrong = gradcheck(lambda x: Faulty.apply(x, factor=2.0), doubles(2), raise_exception=False)
    assert wrong is False


def test_gradcheck_refuses_what_it_cannot_check():
    with pytest.raises(ValueError, match="require gradient"):
        gradcheck(lambda x: x * 2, tv.ones(2, dtype=tv.float64))
    with pytest.raises(ValueError, match="float64"):
        gradcheck(lambda x: x * 2, tv.ones(2, requires_grad=True))


def test_gradcheck_accepts_empty_inputs_and_outputs():
    assert gradcheck(lambda x: x * 2, doubles(0, 3))
    assert gradcheck(lambda x: x.sum(), doubles(0, 3))
    assert gradcheck(lambda x: x[:0] * 2, doubles(2, 3))
