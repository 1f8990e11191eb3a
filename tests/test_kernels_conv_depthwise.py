"""Depthwise convolution that keeps the size of its images, against the plain convolution."""

import numpy as np
import pytest

from tinyvision.kernels import Geometry, conv, conv_depthwise

# Planes of less than a vector, of whole vectors, of four and some more; rows longer and shorter
# than a vector; taps in threes and not; filters larger than the image; padding all around.
SHAPES = [
    # N, C, H, W, kernel, padding, dilation
    (128, 6, 8, 8, (3, 3), (1, 1), (1, 1)),
    (2, 3, 32, 32, (3, 3), (1, 1), (1, 1)),
    (3, 5, 7, 11, (5, 3), (2, 1), (1, 1)),
    (1, 4, 9, 17, (3, 3), (2, 3), (2, 3)),
    (4, 2, 1, 1, (3, 3), (1, 1), (1, 1)),
    (2, 3, 1, 70, (1, 7), (0, 3), (1, 1)),
    (2, 1, 5, 3, (7, 7), (3, 3), (1, 1)),
    (3, 2, 4, 6, (1, 1), (0, 0), (1, 1)),
]


def _results(shape, dtype, forward=conv.conv2d_forward, backward=conv.conv2d_backward):
    N, C, H, W, kernel, padding, dilation = shape
    rng = np.random.default_rng(0)
    input, weight, bias, grad = (
        rng.standard_normal(size).astype(dtype)
        for size in ((N, C, H, W), (C, 1, *kernel), (C,), (N, C, H, W))
    )
    geometry = Geometry((1, 1), padding, dilation, C)
    assert conv_depthwise.is_depthwise(conv.shape_of(input, weight, geometry))
    gradients = backward(grad, input, weight, geometry, (True, True, True))
    return forward(input, weight, bias, geometry), *gradients


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_depthwise_equals_the_plain_convolution(shape, dtype):
    plain = conv.conv2d_forward_reference, conv.conv2d_backward_reference
    tolerance = 2e-4 if dtype == np.float32 else 1e-10
    for actual, expected in zip(
        _results(shape, dtype), _results(shape, dtype, *plain), strict=True
    ):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=10 * tolerance)


def test_memory_around_the_images_is_not_read():
    buffer = np.full(2 * 9 * 9 + 200, np.nan, np.float32)
    image = buffer[100:-100].reshape(1, 2, 9, 9)
    image[...] = 1
    weight, bias = np.ones((2, 1, 3, 3), np.float32), np.zeros(2, np.float32)
    geometry = Geometry(padding=(1, 1), groups=2)
    output = conv.conv2d_forward(image, weight, bias, geometry)
    assert output[0, :, 0, 0].tolist() == [4, 4] and output[0, :, 4, 4].tolist() == [9, 9]
    _, grad_weight, _ = conv.conv2d_backward(image, image, weight, geometry, (False, True, False))
    assert grad_weight[:, 0, 1, 1].tolist() == [81, 81] and np.isfinite(grad_weight).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_depthwise_gives_equal_bits_for_any_division_of_the_work(shape, monkeypatch):
    digests = set()
    for shares in (1, 2, 3, 7):
        monkeypatch.setattr(conv_depthwise, "count_shares", lambda *_, n=shares: n)
        digests.add(b"".join([result.tobytes() for result in _results(shape, np.float32)]))
    assert len(digests) == 1
