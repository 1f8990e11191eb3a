"""Transposed convolution, instance norm, fold, shuffles and borders against PyTorch."""

import itertools

import numpy as np
import pytest

import tinyvision as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity


def _outcome(library, call, arrays):
    """The result and the gradients, or the kind of error."""
    tensors = [library.tensor(array, requires_grad=True) for array in arrays]
    try:
        y = call(library, *tensors)
    except Exception as error:
        return type(error).__name__
    cotangent = np.random.default_rng(1).standard_normal(tuple(y.shape))
    y.backward(library.tensor(cotangent))
    return [y.detach().numpy(), *[x.grad.numpy() for x in tensors]]


def _compare(call, *shapes):
    arrays = [np.random.default_rng(0).standard_normal(shape) for shape in shapes]
    ours, theirs = (_outcome(library, call, arrays) for library in (tv, torch))
    if isinstance(theirs, str) or isinstance(ours, str):
        assert ours == theirs
        return
    for actual, expected in zip(ours, theirs, strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4)])
def test_conv_transpose2d_is_pytorchs(stride, kernel):
    others = itertools.product([0, 1, 2], [0, 1, 2], [1, 2], [1, 2])
    for i, (padding, extra, groups, dilation) in enumerate(others):
        options = stride, padding, extra, groups, dilation
        shapes = (2, 4, 5, 3), (4, 6 // groups, *kernel), (6,)
        _compare(
            lambda lib, x, w, b=None, o=options: lib.nn.functional.conv_transpose2d(x, w, b, *o),
            *shapes[: 2 + i % 2],
        )


@pytest.mark.parametrize(
    "shapes, options",
    [
        (((4, 5, 3), (4, 6, 3, 3)), {}),  # a single image
        (((2, 5, 5, 3), (4, 6, 3, 3)), {}),
        (((2, 4, 5, 3), (4, 6, 3, 3)), {"groups": 3}),
        (((2, 4, 5, 3), (4, 6, 3, 3)), {"output_padding": 1}),
        (((2, 4, 1, 1), (4, 6, 1, 1)), {"padding": 1}),
        (((0, 4, 5, 3), (4, 6, 3, 3)), {"stride": 2}),
    ],
)
def test_conv_transpose2d_of_unusual_sizes_is_pytorchs(shapes, options):
    _compare(lambda lib, x, w: lib.nn.functional.conv_transpose2d(x, w, **options), *shapes)


def test_conv_transpose2d_layer_finds_the_output_padding():
    def call(library, x):
        layer = library.nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, dtype=library.float64)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        with library.no_grad():
            layer.weight.fill_(0.5)
            layer.bias.fill_(0.1)
        return layer(x, output_size=(12, 13))

    _compare(call, (2, 3, 6, 7))
    _compare(call, (2, 3, 4, 7))  # ValueError


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [1, "same", (2, 1)])
def test_conv2d_padding_modes_are_pytorchs(mode, padding):
    kernel = (3, 4) if padding == "same" else 3

    def call(library, x):
        layer = library.nn.Conv2d(
            3, 2, kernel, padding=padding, padding_mode=mode, dtype=library.float64
        )
        weight = np.random.default_rng(5).standard_normal(tuple(layer.weight.shape))
        with library.no_grad():
            layer.weight.copy_(library.tensor(weight))
            layer.bias.zero_()
        return layer(x)

    _compare(call, (2, 3, 6, 7))


def test_instance_norm_is_pytorchs():
    def with_statistics(library, x):
        mean = library.arange(4, dtype=library.float64)
        var = mean + 1
        y = library.nn.functional.instance_norm(x, mean, var, None, None, True, 0.3)
        return y + 10 * mean.sum() + 100 * var.sum()

    def by_statistics(library, x):
        mean = library.arange(4, dtype=library.float64)
        return library.nn.functional.instance_norm(x, mean, mean + 1, None, None, False)

    def plain(library, x, weight=None, bias=None):
        return library.nn.functional.instance_norm(x, weight=weight, bias=bias)

    def layer(library, x):
        norm = library.nn.InstanceNorm2d(
            4, affine=True, track_running_stats=True, dtype=library.float64
        )
        for _ in range(2):
            y = norm(x)
        norm.eval()
        return y + norm(x) + sum(value.sum() for value in norm.state_dict().values())

    for call, *shapes in [
        (with_statistics, (3, 4, 5, 6)),
        (by_statistics, (3, 4, 5, 6)),
        (plain, (3, 4, 5, 6)),
        (plain, (3, 4, 7), (4,), (4,)),
        (plain, (3, 4, 1, 1)),
        (layer, (3, 4, 5, 6)),
        (layer, (4, 5, 6)),
        (layer, (3, 5, 5, 6)),
    ]:
        _compare(call, *shapes)


@pytest.mark.parametrize("window", [(2, 1, 0, 1), (3, 1, 1, 2), ((2, 3), 2, 1, 1)])
def test_fold_is_pytorchs(window):
    columns = torch.nn.functional.unfold(torch.zeros(2, 3, 7, 8), *window).shape

    def call(library, x):
        return library.nn.Fold((7, 8), *window)(x)

    _compare(call, columns)
    _compare(call, columns[1:])
    _compare(call, (2, columns[1], columns[2] + 1))


@pytest.mark.parametrize(
    "name, arguments, shape",
    [
        ("PixelShuffle", (2,), (2, 8, 3, 4)),
        ("PixelShuffle", (2,), (8, 3, 4)),
        ("PixelShuffle", (3,), (2, 8, 3, 4)),
        ("PixelUnshuffle", (2,), (2, 3, 4, 6)),
        ("PixelUnshuffle", (2,), (2, 3, 5, 6)),
        ("ZeroPad2d", ((1, 2, 0, 1),), (2, 3, 4, 5)),
        ("ConstantPad2d", (1, 2.5), (2, 3, 4, 5)),
        ("ReflectionPad2d", (1,), (2, 3, 4, 5)),
        ("ReplicationPad2d", (2,), (3, 4, 5)),
    ],
)
def test_layers_that_move_pixels_are_pytorchs(name, arguments, shape):
    _compare(lambda library, x: getattr(library.nn, name)(*arguments)(x), shape)
    ours, theirs = (getattr(library.nn, name)(*arguments) for library in (tv, torch))
    assert repr(ours) == repr(theirs)
