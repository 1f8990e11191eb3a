"""The corners of pooling that its documentation leaves open, against PyTorch itself."""

import numpy as np
import pytest

from tinyvision.kernels import avg_pool, max_pool
from tinyvision.kernels.windows import Windows, grid_bounds, window_bounds

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

WINDOWS = [  # size, kernel, stride, padding: the last window hangs over the edge in most
    ((7, 8), (2, 2), (2, 2), (0, 0)),
    ((7, 8), (3, 3), (2, 2), (1, 1)),
    ((5, 9), (3, 4), (3, 3), (1, 2)),
    ((6, 6), (2, 3), (3, 4), (1, 1)),
    ((40, 3), (4, 1), (1, 1), (2, 0)),
]


def _image(size, dtype):
    """Equal maxima, NaN alone and together with others, windows that are all -inf."""
    rng = np.random.default_rng(0)
    image = np.round(rng.standard_normal((2, 3, *size))).astype(dtype)
    image[0][rng.random(image[0].shape) < 0.2] = np.nan
    image[1][rng.random(image[1].shape) < 0.8] = -np.inf
    return image


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
def test_max_pool2d_equals_pytorch(size, kernel, stride, padding, ceil_mode, dilation, dtype):
    image = _image(size, dtype)
    expected, indices = torch.nn.functional.max_pool2d(
        torch.from_numpy(image), kernel, stride, padding, dilation, ceil_mode, return_indices=True
    )
    windows = Windows(kernel, stride, padding, dilation, tuple(expected.shape[2:]))
    output, taps = max_pool.max_pool2d_forward(image, windows)
    np.testing.assert_array_equal(output, expected.numpy())
    actual_indices = max_pool.max_pool2d_indices(taps, windows, image.shape)
    np.testing.assert_array_equal(actual_indices, indices.numpy())


@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
def test_avg_pool2d_equals_pytorch(
    size, kernel, stride, padding, ceil_mode, count_include_pad, divisor
):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.standard_normal((2, 3, *size))).requires_grad_()
    expected = torch.nn.functional.avg_pool2d(
        image, kernel, stride, padding, ceil_mode, count_include_pad, divisor
    )
    windows = Windows(kernel, stride, padding, (1, 1), tuple(expected.shape[2:]))
    bounds = window_bounds(size, windows, count_include_pad, divisor)
    output = avg_pool.avg_pool2d_forward(image.detach().numpy(), bounds)
    np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-12)
    grad_output = rng.standard_normal(expected.shape)
    expected.backward(torch.from_numpy(grad_output))
    gradient = avg_pool.avg_pool2d_backward(grad_output, bounds, tuple(image.shape))
    np.testing.assert_allclose(gradient, image.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("output_size", [(1, 1), (3, 2), (7, 8), (9, 11)])
def test_adaptive_pools_equal_pytorch(output_size):
    image, bounds = _image((7, 8), np.float32), grid_bounds((7, 8), output_size)
    expected, indices = torch.nn.functional.adaptive_max_pool2d(
        torch.from_numpy(image), output_size, return_indices=True
    )
    output, actual_indices = max_pool.adaptive_max_pool2d_forward(image, bounds)
    np.testing.assert_array_equal(output, expected.numpy())
    np.testing.assert_array_equal(actual_indices, indices.numpy())
    image = np.nan_to_num(image, neginf=0.5)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(image), output_size)
    output = avg_pool.avg_pool2d_forward(image, bounds)
    np.testing.assert_allclose(output, expected.numpy(), rtol=1e-5, atol=1e-6)
