"""The functions of vectors, against higher precision and at the ends of their range."""

import math

import numba
import numpy as np
import pytest

from tinyvision.kernels import vector_math
from tinyvision.kernels.simd import lanes_of, load_first, store_first

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="vectors exist only compiled")


@numba.njit
def exp_of(x, result):
    for i in range(0, x.size, lanes_of(x)):
        store_first(result, i, vector_math.exp(load_first(x, i, x.size - i)), x.size - i)


@numba.njit
def exp_of_negative_of(x, result):
    for i in range(0, x.size, lanes_of(x)):
        part = load_first(x, i, x.size - i)
        store_first(result, i, vector_math.exp_of_negative(part), x.size - i)


@numba.njit
def exp2_of(x, result):
    for i in range(0, x.size, lanes_of(x)):
        store_first(result, i, vector_math.exp2(load_first(x, i, x.size - i)), x.size - i)


@numba.njit
def erf_of(x, result):
    for i in range(0, x.size, lanes_of(x)):
        store_first(result, i, vector_math.erf(load_first(x, i, x.size - i)), x.size - i)


@numba.njit
def normal_distribution_of(x, result):
    for i in range(0, x.size, lanes_of(x)):
        part = load_first(x, i, x.size - i)
        part = vector_math.normal_distribution(part, vector_math.normal_bell(part))
        store_first(result, i, part, x.size - i)


def apply(function, x):
    result = np.empty_like(x)
    function(x, result)
    return result


FUNCTIONS = [(exp_of, np.exp, 80), (exp2_of, np.exp2, 120), (erf_of, np.vectorize(math.erf), 7)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function, exact, bound", FUNCTIONS, ids=["exp", "exp2", "erf"])
def test_vector_functions_are_within_two_units_in_the_last_place(function, exact, bound, dtype):
    random = np.random.default_rng(0)
    x = np.concatenate([random.uniform(-bound, bound, 2001), random.uniform(-1, 1, 500)])
    x = x.astype(dtype)
    # float32 is compared with float64; float64 with what NumPy or the C library have, both good
    # to a unit.
    expected = exact(x.astype(np.float64))
    error = np.abs(apply(function, x) - expected) / np.abs(expected)
    assert error.max() < 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function, exact, _", FUNCTIONS, ids=["exp", "exp2", "erf"])
def test_vector_functions_at_the_ends_of_the_range(function, exact, _, dtype):
    x = np.array([0, 1, -np.inf, np.inf, np.nan, 1e30, -1e30, 89, -104, 128, -150, 1025, -1080])
    x = x.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        expected = exact(x).astype(dtype)
    np.testing.assert_allclose(apply(function, x), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_underflows_gradually(dtype):
    x = np.array([np.log(np.finfo(dtype).tiny) - 3], dtype)
    assert 0 < apply(exp_of, x)[0] < np.finfo(dtype).tiny


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_of_negative_is_within_a_last_place_of_one(dtype):
    x = np.concatenate([np.linspace(-80, 0, 5001), np.linspace(-1, 0, 500)]).astype(dtype)
    error = np.abs(apply(exp_of_negative_of, x) - np.exp(x.astype(np.float64)))
    eps = np.finfo(dtype).eps
    assert error.max() < eps
    assert np.max(error / np.exp(x.astype(np.float64))) < 16 * eps
    ends = np.array([0, -np.inf, -3e38, -1e30, np.nan, np.log(np.finfo(dtype).tiny) - 2], dtype)
    np.testing.assert_array_equal(apply(exp_of_negative_of, ends), [1, 0, 0, 0, np.nan, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_distribution_is_within_two_last_places_of_one(dtype):
    x = np.concatenate([np.linspace(-9, 9, 5001), [-40, 40, -np.inf, np.inf, 1e30, -1e30]])
    x = x.astype(dtype)
    expected = [math.erfc(-v * math.sqrt(0.5)) / 2 for v in x.astype(np.float64)]
    result = apply(normal_distribution_of, x)
    assert np.abs(result - expected).max() < 2 * np.finfo(dtype).eps
    assert np.isnan(apply(normal_distribution_of, np.array([np.nan], dtype))[0])
