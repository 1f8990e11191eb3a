"""Winograd convolution: its matrices, values, gradients and errors, and when it is used."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision.kernels import conv, get_num_threads, set_num_threads, winograd
from tinyvision.kernels.conv_plan import Geometry, Shape
from tinyvision.kernels.winograd_transforms import (
    B_T,
    POINTS,
    A,
    G,
    factors,
    matrices,
    transposed,
    transposed_factors,
)

CUSTOMARY = [Fraction(p) for p in (0, 1, -1, 2, -2)]


def _array(matrix):
    return np.array(matrix, np.float64)


# ------------------------------------------------------------------ the matrices


def test_winograd_matrices_of_two_outputs_by_hand():
    """Those of Lavin and Gray's F(2, 3), but for some signs."""
    A, B_T, G = matrices([Fraction(p) for p in (0, 1, -1)], 2, 3)
    assert A == [[1, 0], [1, 1], [1, -1], [0, 1]]
    assert B_T == [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]
    half = Fraction(1, 2)
    assert G == [[-1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]]


@pytest.mark.parametrize("points, m, r", [([0, 1, -1], 2, 3), (POINTS, 4, 3), ([0, 1, 3, 7], 3, 3)])
def test_winograd_matrices_filter_exactly(points, m, r):
    A, B_T, G = (np.array(x) for x in matrices([Fraction(p) for p in points], m, r))
    rng = np.random.default_rng(0)
    d, g = (np.array([Fraction(int(x)) for x in rng.integers(-9, 9, n)]) for n in (m + r - 1, r))
    outputs = A.T @ ((G @ g) * (B_T @ d))
    assert list(outputs) == [sum(d[i + k] * g[k] for k in range(r)) for i in range(m)]


@pytest.mark.parametrize("matrix", [A, B_T, G])
def test_winograd_factors_multiply_to_their_matrix(matrix):
    first, second = factors(matrix)
    assert (np.array(second) @ np.array(first)).tolist() == matrix
    first, second = transposed_factors(matrix)
    assert (np.array(second) @ np.array(first)).tolist() == transposed(matrix)


def _error_growth(points):
    """The formula of winograd_transforms.py: one factor for each of the 4 outputs of a tile."""
    A, B_T, G = (_array(x) for x in matrices(points, 4, 3))
    return (A**2 * ((G**2).sum(1) * (B_T**2).sum(1))[:, None]).sum(0) / 3


def test_winograd_points_let_errors_grow_as_little_as_the_docstring_says():
    chosen, customary = _error_growth(POINTS), _error_growth(CUSTOMARY)
    np.testing.assert_allclose([chosen.mean(), chosen.max()], [4.8, 7.1], rtol=0.01)
    np.testing.assert_allclose([customary.mean(), customary.max()], [10.8, 31], rtol=0.02)
    np.testing.assert_allclose(chosen, chosen[::-1])  # both ends of the tile
    steps = [Fraction(n, 12) for n in range(5, 22)]
    others = [_error_growth([0, p, -p, q, -q]).mean() for p in steps for q in steps if p < q]
    assert len(others) > 100 and min(others) > 0.99 * chosen.mean()


# ------------------------------------------------------------------ values and gradients


def test_winograd_reference_of_a_hand_computed_image():
    image = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 0, 0], weight[0, 0, 1, 2] = 10, 1  # ten times the pixel up left, and that right
    output = winograd.winograd_forward_reference(image, weight, np.array([0.5]), (1, 1))
    expected = [[1.5, 2.5, 0.5], [4.5, 5.5 + 0, 0.5 + 10], [7.5, 8.5 + 30, 0.5 + 40]]
    np.testing.assert_allclose(output[0, 0], expected, rtol=1e-13)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    output_size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_winograd_references_equal_direct_convolution(sizes, padding, output_size, seed):
    rng, (N, C_in, C_out) = np.random.default_rng(seed), sizes
    H, W = (max(1, n + 2 - 2 * p) for n, p in zip(output_size, padding, strict=True))
    if min(H + 2 * padding[0], W + 2 * padding[1]) < 3:
        return
    input, weight = rng.standard_normal((N, C_in, H, W)), rng.standard_normal((C_out, C_in, 3, 3))
    bias, geometry = rng.standard_normal(C_out), Geometry(padding=padding)
    expected = conv.conv2d_forward_reference(input, weight, bias, geometry)
    output = winograd.winograd_forward_reference(input, weight, bias, padding)
    np.testing.assert_allclose(output, expected, atol=1e-12)
    grad = rng.standard_normal(expected.shape)
    expected = conv.conv2d_backward_reference(grad, input, weight, geometry, (True, True, True))
    actual = (
        winograd.winograd_grad_input_reference(grad, weight, padding),
        *winograd.winograd_grad_weight_reference(grad, input, padding),
    )
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


# The fast versions are compared with these references in test_kernels.py.


def _case(N, C_in, C_out, size, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (N, C_in, *size), (C_out, C_in, 3, 3), (C_out,), (N, C_out, *size)
    input, weight, bias, grad = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    return input, weight / np.sqrt(9 * C_in, dtype=np.float32), bias, grad


def _winograd(input, weight, bias, grad, padding=(1, 1)):
    return (
        winograd.winograd_forward(input, weight, bias, padding),
        winograd.winograd_grad_input(grad, weight, padding),
        *winograd.winograd_grad_weight(grad, input, padding),
    )


@pytest.mark.parametrize(
    "N, C_in, C_out, size",
    [(1, 64, 64, (40, 37)), (3, 100, 20, (9, 6)), (40, 16, 48, (8, 8)), (1, 33, 16, (5, 300))],
)
def test_winograd_of_many_blocks_and_parts_is_the_same_on_any_number_of_threads(
    N, C_in, C_out, size
):
    case = _case(N, C_in, C_out, size)
    threads = get_num_threads()
    try:
        set_num_threads(1)
        expected = _winograd(*case)
        set_num_threads(threads)
        actual = _winograd(*case)
    finally:
        set_num_threads(threads)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    input, weight, bias, grad = case
    geometry = Geometry(padding=(1, 1))
    output = conv.conv2d_forward_reference(input, weight, bias, geometry)
    gradients = conv.conv2d_backward_reference(grad, input, weight, geometry, (True, True, True))
    for a, b in zip(actual, (output, *gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * abs(b).max())


def test_winograd_keeps_nan_within_the_tiles_that_read_it():
    input, weight, bias, _ = _case(2, 16, 16, (16, 16))
    expected = winograd.winograd_forward(input, weight, bias, (1, 1))
    input[1, 3, 5, 5] = np.nan  # in the tile of rows and columns 4 ... 7, and next to no other
    output = winograd.winograd_forward(input, weight, bias, (1, 1))
    assert np.isnan(output[1, :, 4:8, 4:8]).all()
    output[1, :, 4:8, 4:8] = expected[1, :, 4:8, 4:8]
    np.testing.assert_array_equal(output, expected)


# ------------------------------------------------------------------ accuracy


def _inputs(kind, shape):
    x = np.random.default_rng(1).standard_normal(shape)
    return (np.maximum(x, 0) if kind == "relu" else x + {"normal": 0, "mean 10": 10}[kind]).astype(
        np.float32
    )


def _relative_errors(actual, exact):
    """Root mean square and maximum of the errors, relative to the values' root mean square."""
    error, scale = actual - exact, np.sqrt((exact**2).mean())
    return np.array([np.sqrt((error**2).mean()), abs(error).max()]) / scale


@pytest.mark.parametrize("kind", ["normal", "relu", "mean 10"])
@pytest.mark.parametrize("channels, size", [(16, 32), (64, 16), (256, 8)])
def test_winograd_errors_stay_below_a_millionth(channels, size, kind):
    _, weight, bias, grad = _case(2, channels, channels, (size, size))
    input, geometry = _inputs(kind, grad.shape), Geometry(padding=(1, 1))
    exact = [x.astype(np.float64) for x in (input, weight, bias, grad)]
    output = conv.conv2d_forward_reference(*exact[:3], geometry)
    gradients = conv.conv2d_backward_reference(exact[3], *exact[:2], geometry, (True, True, True))
    actual, limits = _winograd(input, weight, bias, grad), (7e-7, 7e-7, 1e-6, 1e-6)
    for a, b, limit in zip(actual, (output, *gradients), limits, strict=True):
        error, largest = _relative_errors(a, b)
        assert error < limit and largest < 10 * limit


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["normal", "relu", "mean 10"])
@pytest.mark.parametrize("channels, size", [(16, 32), (64, 16), (256, 8)])
def test_winograd_errors_are_within_four_times_those_of_pytorch(channels, size, kind):
    torch = pytest.importorskip("torch")
    input, weight, bias, grad = _case(4, channels, channels, (size, size))
    input = _inputs(kind, input.shape)

    def gradients(dtype):
        tensors = [torch.from_numpy(x).to(dtype) for x in (input, weight, bias)]
        leaves = [x.requires_grad_() for x in tensors]
        output = torch.conv2d(*leaves, padding=1)
        output.backward(torch.from_numpy(grad).to(dtype))
        return [output.detach().numpy(), *(x.grad.numpy() for x in leaves)]

    results = zip(
        _winograd(input, weight, bias, grad),
        gradients(torch.float32),
        gradients(torch.float64),
        strict=True,
    )
    for ours, theirs, exact in results:
        assert (_relative_errors(ours, exact) <= 4 * _relative_errors(theirs, exact)).all()


# ------------------------------------------------------------------ the choice


def _shape(**changes):
    shape = Shape(16, 16, 4, 4, 16, 3, 3, 4, 4, (1, 1), (1, 1), (1, 1), 1, itemsize=4)
    return shape._replace(**changes)


def test_winograd_is_chosen_where_it_can_be_done_and_pays():
    assert winograd.suits_winograd(_shape())
    for change in [
        {"N": 15},
        {"C_in": 15},
        {"C_out": 15},
        {"kH": 5},
        {"stride": (1, 2)},
        {"dilation": (2, 1)},
        {"padding": (3, 1)},
        {"groups": 2},
        {"itemsize": 8},
    ]:
        assert not winograd.suits_winograd(_shape(**change)), change


@pytest.mark.parametrize("padding", [(0, 1), (2, 0)])
def test_conv2d_goes_by_winograd_with_equal_results(padding):
    input, weight, bias, _ = _case(5, 17, 19, (7, 10))
    geometry = Geometry(padding=padding)
    expected = conv.conv2d_forward_reference(input, weight, bias, geometry)
    output = conv.conv2d_forward(input, weight, bias, geometry)
    np.testing.assert_array_equal(output, winograd.winograd_forward(input, weight, bias, padding))
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
    expected = conv.conv2d_backward_reference(output, input, weight, geometry, (True, True, True))
    actual = conv.conv2d_backward(output, input, weight, geometry, (True, True, True))
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * abs(b).max())
    assert (
        conv.conv2d_backward(output, input, weight, geometry, (False, False, True))[:2]
        == (None,) * 2
    )
