"""Every fast kernel against its plain-NumPy twin, and against the formula where it is short."""

import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision import kernels
from tinyvision.kernels import (
    Geometry,
    attention,
    avg_pool,
    conv,
    elementwise,
    layer_norm,
    max_pool,
    norm,
    softmax,
)
from tinyvision.kernels.windows import Windows, grid_bounds, window_bounds


def _pairs():
    """name -> (fast, reference) for every x in the package that has an x_reference.

    But for the steps of optimizers, which change their arguments: test_kernels_optimizers.py.
    """
    pairs = {}
    for info in pkgutil.iter_modules(kernels.__path__):
        if info.name == "optimizers":
            continue
        module = importlib.import_module(f"tinyvision.kernels.{info.name}")
        for name, function in vars(module).items():
            if name.endswith("_reference") and function.__module__ == module.__name__:
                fast = name.removesuffix("_reference")
                if not name.startswith("_"):
                    pairs[fast] = (getattr(module, fast), function)
    return pairs


PAIRS = _pairs()
LAYOUTS = ["contiguous", "in NaN", "reversed", "transposed", "expanded", "read-only"]


class Draw:
    """Arguments for the kernels, drawn by hypothesis; values come from a drawn seed."""

    def __init__(self, data):
        self.data = data
        self.rng = np.random.default_rng(self.integer(0, 2**32 - 1))
        self.dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")

    def integer(self, low, high):
        return self.data.draw(st.integers(low, high))

    def pair(self, low, high):
        return self.integer(low, high), self.integer(low, high)

    def choice(self, *values):
        return self.data.draw(st.sampled_from(values))

    def array(self, shape):
        return _laid_out(
            self.rng.standard_normal(shape).astype(self.dtype),
            self.data.draw(st.sampled_from(LAYOUTS), label="layout"),
        )


def _laid_out(array, layout):
    """The same values (but for "expanded") in memory that is laid out otherwise."""
    if layout == "in NaN":  # reading one element too many gives NaN
        room = np.full(array.size + 200, np.nan, array.dtype)
        room[100 : 100 + array.size] = array.ravel()
        return room[100 : 100 + array.size].reshape(array.shape)
    if layout == "reversed":
        everywhere = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[everywhere])[everywhere]
    if layout == "transposed":
        return np.ascontiguousarray(array.T).T
    if layout == "expanded" and array.size > 0:
        return np.broadcast_to(array[:1], array.shape)
    if layout == "read-only":
        array.flags.writeable = False
    return array


def _conv_arguments(draw):
    groups, kernel_size, stride = draw.choice(1, 1, 2, 3), draw.pair(1, 5), draw.pair(1, 3)
    padding, dilation = draw.pair(0, 3), draw.pair(1, 3)
    # Around the sizes of vectors (4, 8, 16) and register tiles (4, 6, 8): one below, one above.
    C, C_out = draw.integer(1, 6), draw.choice(1, 2, 3, 4, 5, 7, 8, 9, 15, 17)
    extent = [dilation[i] * (kernel_size[i] - 1) + 1 - 2 * padding[i] for i in (0, 1)]
    H, W = (max(1, size) + draw.integer(0, 18) for size in extent)
    input = draw.array((draw.integer(0, 4), C * groups, H, W))
    weight = draw.array((C_out * groups, C, *kernel_size))
    return input, weight, Geometry(stride, padding, dilation, groups)


def _conv2d_forward(draw):
    input, weight, geometry = _conv_arguments(draw)
    return input, weight, draw.choice(None, draw.array(weight.shape[:1])), geometry


def _conv2d_backward(draw):
    input, weight, geometry = _conv_arguments(draw)
    output = conv.conv2d_forward_reference(input, weight, None, geometry)
    needs = tuple(draw.choice(True, True, False) for _ in range(3))
    return draw.array(output.shape), input, weight, geometry, needs


def _pool_arguments(draw, dilation=(1, 1)):
    """Input shape and windows, as the caller may choose them."""
    kernel_size, stride = draw.pair(1, 4), draw.pair(1, 3)
    extent = [dilation[i] * (kernel_size[i] - 1) + 1 for i in (0, 1)]
    padding = tuple(draw.integer(0, size // 2) for size in extent)
    size = [max(1, extent[i] - 2 * padding[i]) + draw.integer(0, 20) for i in (0, 1)]
    output_size = [(size[i] + 2 * padding[i] - extent[i]) // stride[i] + 1 for i in (0, 1)]
    for i in (0, 1):  # ceil_mode: one more window, if it starts inside the image or its padding
        if draw.choice(False, True) and output_size[i] * stride[i] < size[i] + padding[i]:
            output_size[i] += 1
    shape = (draw.integer(0, 3), draw.integer(1, 3), *size)
    return shape, Windows(kernel_size, stride, padding, dilation, tuple(output_size))


def _max_pool2d_forward(draw):
    shape, windows = _pool_arguments(draw, dilation=draw.pair(1, 3))
    input = np.array(draw.array(shape))
    input = np.round(input)  # so that there are equal maxima
    for value in (np.nan, -np.inf):
        input[draw.rng.random(shape) < draw.choice(0, 0.1, 0.9)] = value
    return input, windows


def _max_pool2d_backward(draw):
    input, windows = _max_pool2d_forward(draw)
    output, taps = max_pool.max_pool2d_forward_reference(input, windows)
    return draw.array(output.shape), taps, windows, input.shape


def _adaptive_forward(draw):
    shape = (draw.integer(0, 3), draw.integer(1, 3), draw.integer(1, 12), draw.integer(1, 12))
    return draw.array(shape), grid_bounds(shape[2:], draw.pair(0, 14))


def _avg_pool2d_forward(draw):
    if draw.choice(True, False):
        return _adaptive_forward(draw)
    shape, windows = _pool_arguments(draw)
    divisor = draw.choice(True, False), draw.choice(None, 3)
    return draw.array(shape), window_bounds(shape[2:], windows, *divisor)


def _avg_pool2d_backward(draw):
    input, bounds = _avg_pool2d_forward(draw)
    return draw.array((*input.shape[:2], *bounds.sizes.shape)), bounds, input.shape


def _adaptive_max_pool2d_backward(draw):
    input, bounds = _adaptive_forward(draw)
    _, indices = max_pool.adaptive_max_pool2d_forward_reference(input, bounds)
    return draw.array(indices.shape), indices, input.shape


def _attention_arguments(draw):
    # Around the sizes of vectors, register tiles and blocks.
    lengths = 0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129
    N, (key_heads, group) = draw.integer(0, 2), draw.pair(1, 2)
    H, L, S = key_heads * group, draw.choice(*lengths), draw.choice(*lengths)
    E, E_v = draw.choice(0, 1, 3, 8, 16, 20, 33), draw.choice(0, 1, 4, 16, 17, 32)
    query, key = draw.array((N, H, L, E)), draw.array((N, key_heads, S, E))
    value, causal, mask = draw.array((N, key_heads, S, E_v)), draw.choice(False, True), None
    if not causal and draw.choice(False, True):
        mask = draw.array(tuple(draw.choice(1, n) for n in (N, H, L, S)))
        mask = mask > -1 if draw.choice(False, True) else mask
    scale, p = draw.choice(0.1, 1.0), draw.choice(0.0, 0.0, 0.3, 1.0)
    settings = attention.Settings(causal, scale, p, draw.integer(0, 2**63 - 1))
    return query, key, value, mask, settings


def _attention_backward(draw):
    query, key, value, mask, settings = _attention_arguments(draw)
    results = attention.attention_forward_reference(query, key, value, mask, settings)
    needs = tuple(draw.choice(True, True, False) for _ in range(4))
    if mask is None or mask.dtype == bool:
        needs = (*needs[:3], False)
    grad_output = draw.array(results[0].shape)
    return grad_output, query, key, value, mask, *results, settings, needs


def _batch_norm_forward(draw):
    C = draw.integer(1, 5)
    input = draw.array((draw.integer(1, 5), C, draw.integer(2, 40)))
    return input, *(draw.choice(None, draw.array((C,))) for _ in range(2)), 1e-5


def _batch_norm_backward(draw):
    input, weight, _, eps = _batch_norm_forward(draw)
    _, mean, _, rstd = norm.batch_norm_forward_reference(input, None, None, eps)
    return draw.array(input.shape), input, weight, mean, rstd


def _gradient_and_numbers(draw):
    (x,) = _erf(draw)
    return draw.array(x.shape), x


def _scale_channels(draw):
    input = draw.array((draw.choice(0, 1, 3), draw.choice(1, 3), draw.choice(0, 1, 15, 16, 49)))
    return input, draw.array((input.shape[1],)), draw.array((input.shape[1],))


def _softmax_forward(draw):
    # Around the sizes of vectors; large scores, whose powers overflow.
    x = draw.array((draw.choice(0, 1, 5, 40), draw.choice(1, 2, 8, 9, 16, 33)))
    return x * draw.choice(1, 1000), draw.choice(True, False)


def _softmax_backward(draw):
    x, log = _softmax_forward(draw)
    return draw.array(x.shape), softmax.softmax_forward_reference(x, log), log


def _cross_entropy_forward(draw):
    x, _ = _softmax_forward(draw)
    M, D = x.shape
    target = np.random.default_rng(M).integers(0, D, M)
    return x, target, abs(draw.array((D,))), draw.choice(-100, 0), draw.choice(0.0, 0.1)


def _cross_entropy_backward(draw):
    x, *others = _cross_entropy_forward(draw)
    return draw.array((len(x),)), *others, softmax.softmax_forward_reference(x, True)


def _matmul(draw):
    R, S, Q = (draw.choice(0, 1, 17, 33, 70) for _ in range(3))
    return draw.array((2, 1, R, S)), draw.array((3, S, Q))


def _layer_norm_forward(draw):
    D = draw.choice(1, 2, 7, 8, 9, 16, 33)  # around the sizes of vectors
    input = draw.array((draw.choice(0, 1, 3, 40), D))
    eps = draw.choice(1e-5, 0.1)
    return (
        input,
        *(draw.choice(None, draw.array((D,))) for _ in range(2)),
        eps,
        draw.choice(True, False),
    )


def _layer_norm_backward(draw):
    input, weight, _, eps, centre = _layer_norm_forward(draw)
    _, mean, rstd = layer_norm.layer_norm_forward_reference(input, None, None, eps, centre)
    return draw.array(input.shape), input, weight, mean, rstd, centre


def _erf(draw):
    scale = np.asarray(draw.choice(0.1, 1, 10), draw.dtype)
    return (draw.array((draw.integer(0, 3), draw.integer(1, 40))) * scale,)


def _linear_arguments(draw):
    # Around the sizes of vectors and blocks, and few or many rows, which are done differently.
    M, K, N = (draw.choice(0, 1, 2, 7, 8, 9, 16, 17, 31, 65, 129, 257) for _ in range(3))
    return draw.array((M, K)), draw.array((N, K))


def _linear_forward(draw):
    input, weight = _linear_arguments(draw)
    return input, weight, draw.choice(None, draw.array(weight.shape[:1]))


def _linear_backward(draw):
    input, weight = _linear_arguments(draw)
    needs = (draw.choice(True, True, False) for _ in range(3))
    return draw.array((len(input), len(weight))), input, weight, *needs


def _relu_forward(draw):
    x = np.array(draw.array((draw.integer(0, 3), draw.integer(1, 40))))
    for value in (np.nan, 0.0, -0.0):
        x[draw.rng.random(x.shape) < 0.1] = value
    return (_laid_out(x, draw.choice(*LAYOUTS)),)


def _relu_backward(draw):
    (output,) = _relu_forward(draw)
    return draw.array(output.shape), output


def _winograd_arguments(draw):
    """In float32, as nothing else goes this way; around the sizes of vectors, panels and tiles."""
    draw.dtype = np.float32
    N, padding, size = draw.integer(0, 3), draw.pair(0, 2), draw.pair(1, 18)
    C_in, C_out = (draw.choice(1, 2, 15, 16, 17, 33, 70) for _ in range(2))
    size = [max(size[i], 3 - 2 * padding[i]) for i in (0, 1)]
    output_size = [size[i] + 2 * padding[i] - 2 for i in (0, 1)]
    weight = draw.array((C_out, C_in, 3, 3)) / np.float32(3 * C_in**0.5)
    return draw.array((N, C_in, *size)), weight, draw.array((N, C_out, *output_size)), padding


def _winograd_forward(draw):
    input, weight, _, padding = _winograd_arguments(draw)
    return input, weight, draw.choice(None, draw.array(weight.shape[:1])), padding


def _winograd_grad_input(draw):
    _, weight, grad_output, padding = _winograd_arguments(draw)
    return grad_output, weight, padding


def _winograd_grad_weight(draw):
    input, _, grad_output, padding = _winograd_arguments(draw)
    return grad_output, input, padding


ARGUMENTS = {
    "adaptive_max_pool2d_backward": _adaptive_max_pool2d_backward,
    "adaptive_max_pool2d_forward": _adaptive_forward,
    "attention_backward": _attention_backward,
    "attention_forward": _attention_arguments,
    "avg_pool2d_backward": _avg_pool2d_backward,
    "avg_pool2d_forward": _avg_pool2d_forward,
    "batch_norm_backward": _batch_norm_backward,
    "batch_norm_forward": _batch_norm_forward,
    "gelu_backward": lambda draw: (*_gradient_and_numbers(draw), draw.choice(True, False)),
    "gelu_forward": lambda draw: (*_erf(draw), draw.choice(True, False)),
    "layer_norm_backward": _layer_norm_backward,
    "layer_norm_forward": _layer_norm_forward,
    "conv2d_backward": _conv2d_backward,
    "conv2d_forward": _conv2d_forward,
    "cross_entropy_backward": _cross_entropy_backward,
    "cross_entropy_forward": _cross_entropy_forward,
    "erf": _erf,
    "linear_backward": _linear_backward,
    "linear_forward": _linear_forward,
    "matmul": _matmul,
    "max_pool2d_backward": _max_pool2d_backward,
    "max_pool2d_forward": _max_pool2d_forward,
    "relu_backward": _relu_backward,
    "relu_forward": _relu_forward,
    "scale_channels": _scale_channels,
    "softmax_backward": _softmax_backward,
    "softmax_forward": _softmax_forward,
    "winograd_forward": _winograd_forward,
    "winograd_grad_input": _winograd_grad_input,
    "winograd_grad_weight": _winograd_grad_weight,
    "silu_backward": _gradient_and_numbers,
    "silu_forward": _erf,
}


def _assert_same(actual, expected):
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for part, expected_part in zip(actual, expected, strict=True):
            _assert_same(part, expected_part)
    elif expected is None:
        assert actual is None
    else:
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        contiguous = actual.flags.c_contiguous or actual.swapaxes(1, 2).flags.c_contiguous
        assert contiguous and actual.flags.writeable
        if actual.dtype.kind == "i":
            np.testing.assert_array_equal(actual, expected)
        else:
            tolerance = 2e-4 if actual.dtype == np.float32 else 1e-10
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_kernel_pairs_are_all_compared():
    assert len(PAIRS) >= 17
    assert set(PAIRS) == set(ARGUMENTS)


@pytest.mark.parametrize("name", sorted(PAIRS))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_kernel_equals_its_reference(name, data):
    fast, reference = PAIRS[name]
    arguments = ARGUMENTS[name](Draw(data))
    before = [np.array(a) for a in arguments if isinstance(a, np.ndarray)]
    _assert_same(fast(*arguments), reference(*arguments))
    after = [a for a in arguments if isinstance(a, np.ndarray)]
    for array, copy in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, copy)  # no argument was written to


def test_comparison_catches_a_wrong_kernel():
    draw_input = np.random.default_rng(0).standard_normal((2, 3, 9, 9)).astype(np.float32)
    weight = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    arguments = (draw_input, weight, None, Geometry(padding=(1, 1)))
    right = conv.conv2d_forward_reference(*arguments)
    for wrong in (np.roll(right, 1, axis=3), right * np.float32(1.01), right.astype(np.float64)):
        with pytest.raises(AssertionError):
            _assert_same(wrong, right)


def test_conv2d_of_a_hand_computed_image():
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32).reshape(1, 1, 3, 3)
    weight = np.array([[1, 0], [0, -1]], np.float32).reshape(1, 1, 2, 2)
    bias = np.array([0.5], np.float32)
    output = conv.conv2d_forward(image, weight, bias, Geometry())
    np.testing.assert_array_equal(output, np.full((1, 1, 2, 2), -3.5))
    output = conv.conv2d_forward(image, weight, bias, Geometry((2, 2), (1, 1)))
    np.testing.assert_array_equal(output[0, 0], [[-0.5, -2.5], [-6.5, -3.5]])


def test_conv2d_backward_of_a_hand_computed_image():
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64).reshape(1, 1, 3, 3)
    weight = np.array([[1, 0], [0, -1]], np.float64).reshape(1, 1, 2, 2)
    grad_output = np.array([[1, 0], [0, 10]], np.float64).reshape(1, 1, 2, 2)
    grad_input, grad_weight, grad_bias = conv.conv2d_backward(
        grad_output, image, weight, Geometry(), (True, True, True)
    )
    np.testing.assert_array_equal(grad_input[0, 0], [[1, 0, 0], [0, 9, 0], [0, 0, -10]])
    np.testing.assert_array_equal(grad_weight[0, 0], [[51, 62], [84, 95]])
    np.testing.assert_array_equal(grad_bias, [11])


def _numerical_gradient(function, x, grad_output, step):
    """d sum(function(x) * grad_output) / dx by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        sums = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            sums.append((function(moved) * grad_output).sum())
        gradient[index] = (sums[0] - sums[1]) / (2 * step)
    return gradient


def _assert_gradient(gradient, function, x, grad_output):
    expected = _numerical_gradient(function, x, grad_output, 1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


CONVOLUTIONS = [  # stride, padding, dilation, groups
    ((1, 1), (1, 1), (1, 1), 1),
    ((2, 3), (1, 0), (1, 1), 1),
    ((1, 2), (2, 1), (2, 1), 2),
    ((3, 1), (0, 2), (1, 3), 2),
]


@pytest.mark.parametrize("backward", [conv.conv2d_backward, conv.conv2d_backward_reference])
@pytest.mark.parametrize("stride, padding, dilation, groups", CONVOLUTIONS)
def test_conv2d_backward_equals_finite_differences(backward, stride, padding, dilation, groups):
    rng = np.random.default_rng(0)
    input, weight = rng.standard_normal((2, 4, 6, 7)), rng.standard_normal((6, 4 // groups, 3, 2))
    bias, geometry = rng.standard_normal(6), Geometry(stride, padding, dilation, groups)
    output = conv.conv2d_forward_reference(input, weight, bias, geometry)
    grad_output = rng.standard_normal(output.shape)
    grad_input, grad_weight, grad_bias = backward(
        grad_output, input, weight, geometry, (True, True, True)
    )

    def forward(input, weight, bias):
        return conv.conv2d_forward_reference(input, weight, bias, geometry)

    _assert_gradient(grad_input, lambda x: forward(x, weight, bias), input, grad_output)
    _assert_gradient(grad_weight, lambda x: forward(input, x, bias), weight, grad_output)
    _assert_gradient(grad_bias, lambda x: forward(input, weight, x), bias, grad_output)
    with pytest.raises(AssertionError):  # a planted wrong gradient
        _assert_gradient(
            grad_weight * 1.001, lambda x: forward(input, x, bias), weight, grad_output
        )


@pytest.mark.parametrize("backward", [norm.batch_norm_backward, norm.batch_norm_backward_reference])
def test_batch_norm_backward_equals_finite_differences(backward):
    rng = np.random.default_rng(0)
    input, weight, bias = rng.standard_normal((3, 2, 5)), rng.standard_normal(2), np.ones(2)
    output, mean, _, rstd = norm.batch_norm_forward_reference(input, weight, bias, 1e-5)
    grad_output = rng.standard_normal(output.shape)
    grad_input, grad_weight, grad_bias = backward(grad_output, input, weight, mean, rstd)

    def forward(input, weight, bias):
        return norm.batch_norm_forward_reference(input, weight, bias, 1e-5)[0]

    _assert_gradient(grad_input, lambda x: forward(x, weight, bias), input, grad_output)
    _assert_gradient(grad_weight, lambda x: forward(input, x, bias), weight, grad_output)
    _assert_gradient(grad_bias, lambda x: forward(input, weight, x), bias, grad_output)


@pytest.mark.parametrize(
    "backward", [avg_pool.avg_pool2d_backward, avg_pool.avg_pool2d_backward_reference]
)
def test_avg_pool2d_backward_equals_finite_differences(backward):
    rng = np.random.default_rng(0)
    input, grad_output = rng.standard_normal((1, 2, 5, 6)), rng.standard_normal((1, 2, 3, 4))
    windows = Windows((3, 2), (2, 2), (1, 1), (1, 1), (3, 4))
    bounds = window_bounds((5, 6), windows, count_include_pad=False)
    gradient = backward(grad_output, bounds, input.shape)

    def forward(input):
        return avg_pool.avg_pool2d_forward_reference(input, bounds)

    _assert_gradient(gradient, forward, input, grad_output)


def test_max_pool2d_of_a_hand_computed_image():
    image = np.array([[1, 5, 2], [7, 7, 0], [np.nan, 3, -np.inf]], np.float32)
    image = image.reshape(1, 1, 3, 3)
    windows = Windows((2, 2), (2, 2), (0, 0), (1, 1), (2, 2))  # ceil_mode
    output, taps = max_pool.max_pool2d_forward(image, windows)
    np.testing.assert_array_equal(output[0, 0], [[7, 2], [np.nan, -np.inf]])
    np.testing.assert_array_equal(taps[0, 0], [[2, 0], [0, 0]])
    indices = max_pool.max_pool2d_indices(taps, windows, image.shape)
    np.testing.assert_array_equal(indices[0, 0], [[3, 2], [6, 8]])
    grad_output = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 1, 2, 2)
    gradient = max_pool.max_pool2d_backward(grad_output, taps, windows, image.shape)
    np.testing.assert_array_equal(gradient[0, 0], [[0, 0, 2], [1, 0, 0], [3, 0, 4]])


def test_max_pool2d_of_a_large_window_numbers_its_taps():
    image = np.arange(400, dtype=np.float32).reshape(1, 1, 20, 20)
    windows = Windows((20, 20), (1, 1), (0, 0), (1, 1), (1, 1))
    output, taps = max_pool.max_pool2d_forward(image, windows)
    assert output.item() == 399 and taps.item() == 399


def test_batch_norm_of_a_large_offset_keeps_its_digits():
    rng = np.random.default_rng(0)
    input = (rng.standard_normal((8, 3, 100)) + 1e4).astype(np.float32)
    output, mean, var, rstd = norm.batch_norm_forward(input, None, None, 0.0)
    exact = input.astype(np.float64)
    np.testing.assert_allclose(var, exact.var(axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2)), rtol=1e-7)
    np.testing.assert_allclose(rstd, 1 / exact.std(axis=(0, 2)), rtol=1e-6)
    assert abs(output.mean(axis=(0, 2), dtype=np.float64)).max() < 1e-6


def test_erf_of_known_values():
    x = np.array([-np.inf, -1, 0, 0.5, np.inf, np.nan])
    expected = [-1, -0.8427007929497149, 0, 0.5204998778130465, 1, np.nan]
    np.testing.assert_allclose(elementwise.erf(x), expected, rtol=1e-15)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_kernels_write_only_into_their_results(data):
    """Results are allocated in rooms with a margin, which must stay as it was."""
    name = data.draw(st.sampled_from(sorted(PAIRS)))
    arguments = ARGUMENTS[name](Draw(data))
    fast, _ = PAIRS[name]
    rooms = []

    def empty(shape, dtype=np.float64):
        size = int(np.prod(shape))
        room = np.full(size + 128, 77).astype(dtype)
        rooms.append((room, size))
        return room[64 : 64 + size].reshape(shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", empty)
        fast(*arguments)
    for room, size in rooms:
        margin = np.full(64, 77).astype(room.dtype)
        np.testing.assert_array_equal(room[:64], margin)
        np.testing.assert_array_equal(room[64 + size :], margin)
