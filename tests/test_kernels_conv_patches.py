"""Convolution of patches, whose windows do not overlap, against the plain convolution."""

import numpy as np
import pytest

from tinyvision.kernels import Geometry, conv, conv_patches

# Patches that fill the image and not, vectors of outputs and not, few images and several blocks.
SHAPES = [
    # N, C_in, H, W, C_out, kernel
    (1, 1, 28, 28, 64, (7, 7)),
    (5, 3, 33, 35, 13, (4, 4)),
    (70, 3, 32, 32, 17, (4, 4)),
    (9, 2, 10, 11, 7, (3, 2)),
    (2, 1, 2, 2, 1, (2, 2)),
    (3, 3, 5, 5, 4, (4, 5)),
    (40, 3, 8, 8, 5, (8, 8)),
]


def _arguments(shape, dtype):
    N, C, H, W, C_out, kernel = shape
    rng = np.random.default_rng(0)
    output = (N, C_out, H // kernel[0], W // kernel[1])
    sizes = [(N, C, H, W), (C_out, C, *kernel), (C_out,), output]
    return [rng.standard_normal(size).astype(dtype) for size in sizes], Geometry(kernel)


def _results(shape, dtype, forward=conv.conv2d_forward, backward=conv.conv2d_backward):
    (input, weight, bias, grad), geometry = _arguments(shape, dtype)
    gradients = backward(grad, input, weight, geometry, (True, True, True))
    return forward(input, weight, bias, geometry), *gradients


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_patches_equal_the_plain_convolution(shape, dtype):
    kernel, sizes = shape[5], (shape[0], shape[1], *shape[2:4])
    arrays = np.zeros(sizes), np.zeros((1, shape[1], *kernel))
    geometry = conv.shape_of(*arrays, Geometry(kernel))
    assert conv_patches.are_patches(geometry)
    plain = conv.conv2d_forward_reference, conv.conv2d_backward_reference
    tolerance = 2e-4 if dtype == np.float32 else 1e-10
    for actual, expected in zip(
        _results(shape, dtype), _results(shape, dtype, *plain), strict=True
    ):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_patches_give_equal_bits_for_any_division_of_the_work(shape, monkeypatch):
    digests = set()
    for shares in (1, 2, 3, 7):
        monkeypatch.setattr(conv_patches, "count_shares", lambda items, _, n=shares: min(n, items))
        digests.add(b"".join([result.tobytes() for result in _results(shape, np.float32)]))
    assert len(digests) == 1


@pytest.mark.parametrize("N, C_in, C_out, H, W", [(3, 4, 5, 4, 4), (1, 1, 1, 1, 1), (2, 3, 7, 1, 6),
                                                  (0, 3, 2, 2, 2), (2, 0, 3, 2, 2)])  # fmt: skip
@pytest.mark.parametrize("has_bias", [True, False])
def test_window_over_the_whole_image_equals_the_reference(N, C_in, C_out, H, W, has_bias):
    rng = np.random.default_rng(0)
    input = rng.standard_normal((N, H, W, C_in)).transpose(0, 3, 1, 2)  # not contiguous
    weight, bias = rng.standard_normal((C_out, C_in, H, W)), rng.standard_normal(C_out)
    geometry = Geometry((2, 1))
    arguments = (input, weight, bias if has_bias else None, geometry)
    expected = conv.conv2d_forward_reference(*arguments)
    np.testing.assert_allclose(conv.conv2d_forward(*arguments), expected, rtol=1e-12, atol=1e-12)
    grad = rng.standard_normal(expected.shape)
    for needs in ((True, True, True), (True, False, False), (False, True, False)):
        ours = conv.conv2d_backward(grad, input, weight, geometry, needs)
        theirs = conv.conv2d_backward_reference(grad, input, weight, geometry, needs)
        for one, other in zip(ours, theirs, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
