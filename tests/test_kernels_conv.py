"""Each special way to convolve, at its own edges, against the plain convolution."""

from typing import NamedTuple

import numpy as np
import pytest

from tinyvision.kernels import Geometry, conv, conv_depthwise, conv_lanes


class Case(NamedTuple):
    """A convolution, and the module that is to do it."""

    module: object
    images: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    geometry: Geometry

    def shape(self, itemsize=4):
        input, weight = np.empty(self.images, f"f{itemsize}"), np.empty(self.weight)
        return conv.shape_of(input, weight, self.geometry)


def _lanes(N, C_in, H, W, C_out, kernel, stride, padding=(0, 0), dilation=(1, 1)):
    geometry = Geometry(stride, padding, dilation)
    return Case(conv_lanes, (N, C_in, H, W), (C_out, C_in, *kernel), geometry)


def _depthwise(N, C, H, W, kernel, padding, dilation):
    geometry = Geometry((1, 1), padding, dilation, C)
    return Case(conv_depthwise, (N, C, H, W), (C, 1, *kernel), geometry)


CASES = [
    # Patches that fill the image and not; several blocks of images, the last one incomplete.
    _lanes(16, 1, 28, 28, 64, (7, 7), (7, 7)),
    _lanes(5, 3, 33, 35, 13, (4, 4), (4, 4)),
    _lanes(70, 3, 32, 32, 29, (4, 4), (4, 4)),
    _lanes(29, 2, 10, 11, 15, (3, 2), (3, 2)),
    _lanes(257, 1, 2, 3, 16, (2, 2), (2, 2)),
    _lanes(150, 3, 9, 5, 12, (4, 5), (4, 5)),
    # Padding, dilation, gaps between windows; one row of windows, one column; several panels.
    _lanes(7, 20, 14, 14, 100, (4, 4), (2, 2), (1, 1)),
    _lanes(3, 5, 19, 23, 16, (3, 3), (1, 2), (2, 0), (2, 3)),
    _lanes(4, 3, 40, 31, 15, (1, 2), (3, 3), (0, 1)),
    _lanes(6, 2, 1, 130, 31, (1, 3), (1, 2), (0, 1)),
    _lanes(90, 4, 7, 2, 128, (3, 2), (2, 2), (1, 0)),
    # Several images at a time, the last ones fewer; with padding and without.
    _lanes(67, 6, 9, 11, 46, (3, 3), (1, 2), (1, 1)),
    _lanes(65, 2, 4, 11, 70, (2, 2), (2, 2)),
    # Stride 1, but long sums: more than are made at a time; more outputs than in a band.
    _lanes(2, 260, 12, 13, 16, (1, 1), (1, 1)),
    _lanes(1, 6, 14, 140, 16, (5, 5), (1, 1)),
    # These make d_input here, too: odd sizes; gaps that no tap reaches; more rows than in a band.
    _lanes(7, 30, 15, 13, 40, (4, 4), (2, 2), (1, 1)),
    _lanes(3, 16, 19, 23, 70, (3, 3), (1, 2), (2, 0), (2, 3)),
    _lanes(4, 14, 20, 19, 150, (2, 2), (3, 3), (0, 1)),
    _lanes(2, 100, 4, 70, 66, (1, 3), (1, 2), (0, 4)),
    # Planes of less than a vector, of whole vectors, of four and some more; rows longer and shorter
    # than a vector; taps in threes and not; filters larger than the image; padding all around.
    _depthwise(128, 6, 8, 8, (3, 3), (1, 1), (1, 1)),
    _depthwise(2, 3, 32, 32, (3, 3), (1, 1), (1, 1)),
    _depthwise(3, 5, 7, 11, (5, 3), (2, 1), (1, 1)),
    _depthwise(1, 4, 9, 17, (3, 3), (2, 3), (2, 3)),
    _depthwise(4, 2, 1, 1, (3, 3), (1, 1), (1, 1)),
    _depthwise(2, 3, 1, 70, (1, 7), (0, 3), (1, 1)),
    _depthwise(2, 2, 5, 3, (7, 7), (3, 3), (1, 1)),
    _depthwise(3, 2, 4, 6, (1, 1), (0, 0), (1, 1)),
]
# Of these no way is the special one: too few outputs, or channels, for it.
PLAIN = [
    _lanes(1, 1, 28, 28, 64, (7, 7), (7, 7)),
    _lanes(9, 2, 10, 11, 7, (3, 2), (3, 2)),
    _lanes(2, 1, 2, 2, 1, (2, 2), (2, 2)),
    _lanes(40, 3, 8, 8, 5, (4, 8), (4, 8)),
]


def _results(case, dtype, forward=conv.conv2d_forward, backward=conv.conv2d_backward):
    rng, shape = np.random.default_rng(0), case.shape()
    outputs = shape.N, shape.C_out, shape.H_out, shape.W_out
    input, weight, bias, grad = (
        rng.standard_normal(size).astype(dtype)
        for size in (case.images, case.weight, case.weight[:1], outputs)
    )
    gradients = backward(grad, input, weight, case.geometry, (True, True, True))
    return forward(input, weight, bias, case.geometry), *gradients


@pytest.mark.parametrize("case", CASES + PLAIN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_ways_equal_the_plain_convolution(case, dtype):
    plain = conv.conv2d_forward_reference, conv.conv2d_backward_reference
    tolerance = 2e-4 if dtype == np.float32 else 1e-10
    for actual, expected in zip(_results(case, dtype), _results(case, dtype, *plain), strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("case", CASES)
def test_special_ways_give_equal_bits_for_any_division_of_the_work(case, monkeypatch):
    digests, calls = set(), []
    for chunks in (1, 2, 3, 7):

        def count(items, _, n=chunks):
            calls.append(n)
            return min(n, items)

        monkeypatch.setattr(case.module, "count_chunks", count)
        digests.add(b"".join([result.tobytes() for result in _results(case, np.float32)]))
    assert len(digests) == 1
    shape, parts = case.shape(), 3  # output, d_input, d_weight
    if case.module is conv_lanes:
        chosen = conv_lanes.suits_grad_weight(shape), conv_lanes.suits_grad_input(shape)
        parts = conv_lanes.suits(shape) + sum(chosen)
    assert len(calls) == 4 * parts > 0  # that is the module in which they are computed


def test_cases_have_their_output_made_in_lanes_and_some_their_gradients():
    shapes = [case.shape() for case in CASES if case.module is conv_lanes]
    assert all(map(conv_lanes.suits, shapes))
    for suits in (conv_lanes.suits_grad_weight, conv_lanes.suits_grad_input):
        assert 4 <= sum(map(suits, shapes)) < len(shapes)


@pytest.mark.parametrize("case", PLAIN)
def test_lanes_that_would_stay_empty_are_not_used(case):
    assert not conv_lanes.suits(case.shape())


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


@pytest.mark.parametrize(
    "weight, geometry",
    [
        ((2, 1, 3, 3), Geometry(padding=(1, 1), groups=2)),
        ((16, 2, 3, 3), Geometry((1, 2), (1, 1))),
    ],
)
def test_memory_around_the_images_is_not_read(weight, geometry):
    N, C, H, W = 9, 2, 9, 9
    buffer = np.full(N * C * H * W + 200, np.nan, np.float32)
    image = buffer[100:-100].reshape(N, C, H, W)
    image[...] = 1
    weight, bias = np.ones(weight, np.float32), np.zeros(weight[0], np.float32)
    output = conv.conv2d_forward(image, weight, bias, geometry)
    inside = 9 * weight.shape[1]
    assert (output[:, :, 0, 0] == inside * 4 / 9).all() and (output[:, :, 4, 2] == inside).all()
    grad = np.ones_like(output)
    _, grad_weight, _ = conv.conv2d_backward(grad, image, weight, geometry, (False, True, False))
    assert (grad_weight[:, :, 1, 1] == grad[:, 0].size).all() and np.isfinite(grad_weight).all()
