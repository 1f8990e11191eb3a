"""Pooling: values, indices, gradients, and PyTorch's behaviour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=25, deadline=None)


def distinct(seed, *shape):
    """Values in random order, so far apart that finite differences change no maximum."""
    order = np.random.default_rng(seed).permutation(int(np.prod(shape)))
    return tv.tensor(order.reshape(shape) / 8.0, requires_grad=True)


def ramp(*shape):
    return tv.arange(int(np.prod(shape))).float().reshape(shape)


# ------------------------------------------------------------------ by hand


def test_max_pool2d_by_hand():
    x = ramp(1, 1, 4, 4).requires_grad_()
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[[5, 7], [13, 15]]]]
    assert indices.tolist() == [[[[5, 7], [13, 15]]]]
    assert indices.dtype == tv.int64 and not indices.requires_grad
    y.backward(tv.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert x.grad[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 0], [0, 3, 0, 4]]


def test_max_pool2d_overlapping_windows_add_up_gradients():
    x = tv.tensor([[[[0.0, 9.0, 1.0]]]], requires_grad=True)
    F.max_pool2d(x, (1, 2), stride=1).sum().backward()
    assert x.grad.tolist() == [[[[0, 2, 0]]]]


def test_max_pool2d_padding_never_wins():
    x = tv.full((1, 1, 2, 2), -5.0)
    y, indices = F.max_pool2d(x, 2, padding=1, return_indices=True)
    assert y.tolist() == [[[[-5, -5], [-5, -5]]]]
    assert indices.tolist() == [[[[0, 1], [2, 3]]]]


def test_max_pool2d_ceil_mode_keeps_windows_that_start_inside():
    x = ramp(1, 1, 1, 5)
    assert F.max_pool2d(x, (1, 2)).tolist() == [[[[1, 3]]]]
    assert F.max_pool2d(x, (1, 2), ceil_mode=True).tolist() == [[[[1, 3, 4]]]]
    # With stride 4, a second window of one column would start in the right padding: it is dropped.
    assert F.max_pool2d(ramp(1, 1, 1, 3), (1, 3), 4, (0, 1), ceil_mode=True).shape == (1, 1, 1, 1)


def test_max_pool2d_nan_wins():
    x = tv.tensor([[[[1.0, float("nan"), 3.0, 2.0]]]])
    assert np.isnan(F.max_pool2d(x, (1, 4)).numpy()).all()


def test_max_pool2d_indices_can_be_overwritten_without_harm():
    for pool in (lambda x: F.max_pool2d(x, 2, return_indices=True),
                 lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True)):  # fmt: skip
        x = ramp(1, 1, 4, 4).requires_grad_()
        y, indices = pool(x)
        indices.numpy()[...] = 10**12
        y.sum().backward()
        assert x.grad.sum().item() == 4


def test_avg_pool2d_by_hand():
    x = ramp(1, 1, 2, 4).requires_grad_()
    y = F.avg_pool2d(x, 2)
    assert y.tolist() == [[[[2.5, 4.5]]]]
    y.backward(tv.tensor([[[[4.0, 8.0]]]]))
    assert x.grad.tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_avg_pool2d_divisors():
    x = tv.ones(1, 1, 2, 2)
    assert F.avg_pool2d(x, 2, padding=1).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    counted = F.avg_pool2d(x, 2, padding=1, count_include_pad=False)
    assert counted.tolist() == [[[[1, 1], [1, 1]]]]
    assert F.avg_pool2d(x, 2, divisor_override=3).item() == pytest.approx(4 / 3)
    # The second window hangs over the edge: what lies outside even the padding does not count.
    assert F.avg_pool2d(tv.ones(1, 1, 1, 3), (1, 2), ceil_mode=True).tolist() == [[[[1, 1]]]]


def test_adaptive_pools_by_hand():
    x = ramp(1, 1, 1, 5)
    # cells 0..1, 1..3 and 3..4: floor(i * 5 / 3) to ceil((i + 1) * 5 / 3) - 1
    assert F.adaptive_avg_pool2d(x, (1, 3)).tolist() == [[[[0.5, 2, 3.5]]]]
    y, indices = F.adaptive_max_pool2d(x, (1, 3), return_indices=True)
    assert y.tolist() == [[[[1, 3, 4]]]] and indices.tolist() == [[[[1, 3, 4]]]]
    assert F.adaptive_avg_pool2d(ramp(2, 3, 4), (None, 1)).shape == (2, 3, 1)
    assert F.adaptive_avg_pool2d(ramp(1, 2, 3, 4), 1).tolist() == [[[[5.5]], [[17.5]]]]
    assert F.adaptive_avg_pool2d(ramp(1, 1, 2, 2), (3, 3)).shape == (1, 1, 3, 3)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_max_pool2d(x, 2),
    ],
)
def test_pooling_unbatched_and_empty(pool):
    x = distinct(0, 2, 4, 5)
    np.testing.assert_array_equal(pool(x).detach(), pool(x.unsqueeze(0)).squeeze(0).detach())
    assert gradcheck(pool, [x])
    empty = tv.zeros(0, 2, 4, 5, requires_grad=True)
    assert pool(empty).shape == (0, 2, 2, 2)
    pool(empty).sum().backward()
    assert empty.grad.shape == empty.shape


# ------------------------------------------------------------------ gradients


@st.composite
def windows(draw, dilate):
    """(H, W) and the arguments of a pool that fits."""
    size, kernel, stride, padding, dilation = [], [], [], [], []
    for _ in range(2):
        kernel.append(draw(st.integers(1, 3)))
        stride.append(draw(st.integers(1, 3)))
        padding.append(draw(st.integers(0, kernel[-1] // 2)))
        dilation.append(draw(st.integers(1, 2)) if dilate else 1)
        span = dilation[-1] * (kernel[-1] - 1) + 1
        size.append(max(1, span - 2 * padding[-1]) + draw(st.integers(0, 4)))
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding}
    arguments |= {"dilation": dilation} if dilate else {}
    chosen = {k: tuple(v) for k, v in arguments.items()} | {"ceil_mode": draw(st.booleans())}
    return tuple(size), chosen


def reaches_a_pixel(size, arguments):
    """Whether every window has a pixel: dilated ones can step over a small image."""
    y = F.max_pool2d(tv.zeros(1, 1, *size), **arguments)
    return bool(y.isfinite().all())


@few
@given(case=windows(dilate=True), N=st.integers(1, 2), seed=st.integers(0, 99))
def test_max_pool2d_gradient(case, N, seed):
    size, arguments = case
    if reaches_a_pixel(size, arguments):
        assert gradcheck(lambda x: F.max_pool2d(x, **arguments), [distinct(seed, N, 2, *size)])


@few
@given(
    case=windows(dilate=False),
    include=st.booleans(),
    divisor=st.sampled_from([None, 1, 3, -2]),
    seed=st.integers(0, 99),
)
def test_avg_pool2d_gradient(case, include, divisor, seed):
    size, arguments = case
    options = arguments | {"count_include_pad": include, "divisor_override": divisor}
    assert gradcheck(lambda x: F.avg_pool2d(x, **options), [distinct(seed, 1, 2, *size)])


@few
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    cells=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 99),
)
def test_adaptive_pools_gradient(size, cells, seed):
    x = distinct(seed, 1, 2, *size)
    assert gradcheck(lambda x: F.adaptive_avg_pool2d(x, cells), [x])
    assert gradcheck(lambda x: F.adaptive_max_pool2d(x, cells), [x])


def test_max_pool2d_window_without_a_pixel_takes_no_gradient():
    # One pixel, and two taps that pass left and right of it.
    x = tv.ones(1, 1, 1, 1, requires_grad=True)
    y = F.max_pool2d(x, (1, 2), stride=1, padding=(0, 1), dilation=2)
    assert y.tolist() == [[[[-np.inf]]]]
    y.backward(tv.ones(1, 1, 1, 1))
    assert x.grad.item() == 0


# ------------------------------------------------------------------ PyTorch


def compare(call, array):
    """Values, dtype and gradient of call(F, x), here and in PyTorch."""
    torch = pytest.importorskip("torch")
    ours, theirs = tv.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    y, z = call(F, ours), call(torch.nn.functional, theirs)
    if isinstance(y, tuple):
        (y, indices), (z, expected) = y, z
        np.testing.assert_array_equal(indices, expected)
    assert (y.shape, str(y.dtype)) == (tuple(z.shape), str(z.dtype).removeprefix("torch."))
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=2e-6, atol=1e-6)
    seed = np.random.default_rng(1).standard_normal(y.shape).astype(array.dtype)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=2e-6, atol=1e-6)


@pytest.mark.parity
@few
@given(case=windows(dilate=True), ties=st.booleans(), seed=st.integers(0, 99))
def test_max_pool2d_equals_pytorch(case, ties, seed):
    size, arguments = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 2, *size)).astype(np.float32)
    x = np.round(x) if ties else x  # with many equal values, the first one must win
    if reaches_a_pixel(size, arguments):
        compare(lambda F, x: F.max_pool2d(x, **arguments, return_indices=True), x)


@pytest.mark.parity
@few
@given(
    case=windows(dilate=False),
    include=st.booleans(),
    divisor=st.sampled_from([None, 1, 3, -2]),
    seed=st.integers(0, 99),
)
def test_avg_pool2d_equals_pytorch(case, include, divisor, seed):
    size, arguments = case
    options = arguments | {"count_include_pad": include, "divisor_override": divisor}
    x = np.random.default_rng(seed).standard_normal((2, 2, *size)).astype(np.float32)
    compare(lambda F, x: F.avg_pool2d(x, **options), x)


@pytest.mark.parity
@few
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_adaptive_pools_equal_pytorch(size, cells, seed):
    x = np.random.default_rng(seed).standard_normal((2, 2, *size))
    compare(lambda F, x: F.adaptive_avg_pool2d(x, cells), x)
    compare(lambda F, x: F.adaptive_max_pool2d(x, cells, True), x)


@pytest.mark.parametrize("empty", [(), []])
def test_pool_an_empty_stride_is_the_kernel_size(empty):
    x = tv.arange(16.0).reshape(1, 4, 4)
    assert F.max_pool2d(x, 2, empty).tolist() == F.max_pool2d(x, 2).tolist()
    assert F.avg_pool2d(x, 2, empty).tolist() == F.avg_pool2d(x, 2).tolist()
