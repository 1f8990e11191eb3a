"""Memory formats: which strides tensors get, and that layers compute the same whatever they are."""

import copy

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn


def test_channels_last_by_hand():
    x = tv.arange(24.0).reshape(1, 2, 3, 4).requires_grad_()
    y = x.contiguous(memory_format=tv.channels_last)
    assert y.stride() == (24, 1, 8, 2) and y.equal(x) and not y.is_contiguous()
    assert y.is_contiguous(memory_format=tv.channels_last)
    assert y.numpy(force=True).ravel("K")[:4].tolist() == [0, 12, 1, 13]
    assert y.contiguous(memory_format=tv.channels_last) is y is y.to(memory_format=tv.channels_last)
    assert y.contiguous().stride() == x.stride() and x.contiguous() is x
    (y * x).sum().backward()
    assert x.grad.equal(2 * x.detach())
    assert isinstance(tv.channels_last, tv.memory_format)


SHAPES = [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (1, 3, 4, 1), (2, 3, 4), (2, 3), (2, 0, 4, 5)]
SHAPES += [(1, 1, 1, 1), (1, 1, 3, 4), (), (2, 3, 4, 5, 6)]
CALLS = {
    "contiguous": lambda lib, x, f: x.contiguous(memory_format=f),
    "clone": lambda lib, x, f: x.clone(memory_format=f),
    "tv.clone": lambda lib, x, f: lib.clone(x, memory_format=f),
    "to": lambda lib, x, f: x.to(memory_format=f),
    "to float64": lambda lib, x, f: x.to(lib.float64, memory_format=f),
    "copy": lambda lib, x, f: x.to("cpu", copy=True, memory_format=f),
    "there and back": lambda lib, x, f: x.to(memory_format=f).contiguous(),
    "detached": lambda lib, x, f: x.clone(memory_format=f).detach().double() + 1,
    "transposed": lambda lib, x, f: x.transpose(0, -1).contiguous(memory_format=f),
    "turned": lambda lib, x, f: x.movedim(1, -1).to(memory_format=f),
    "expanded": lambda lib, x, f: x[:, :1].expand(x.shape).to(memory_format=f),
    "deep copy": lambda lib, x, f: copy.deepcopy(x.clone(memory_format=f)),
    "zeros_like": lambda lib, x, f: lib.zeros_like(x.clone(memory_format=f)),
    "wrong": lambda lib, x, f: x.contiguous(memory_format=3),
    "by position": lambda lib, x, f: x.contiguous(f),
}


def _layout(lib, call, shape, name):
    x = lib.arange(int(np.prod(shape))).reshape(shape).float()
    try:
        y = call(lib, x, getattr(lib, name))
    except Exception as error:
        return type(error).__name__
    # Of a dim of one index, or in a tensor of no elements, a stride means nothing.
    strides = [s for s, n in zip(y.stride(), y.shape, strict=True) if n > 1 and y.numel()]
    formats = [y.is_contiguous(), y.numel() and y.is_contiguous(memory_format=lib.channels_last)]
    return tuple(y.shape), strides, formats, y.tolist(), bool(y.numel()) and y is x


@pytest.mark.parity
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["channels_last", "contiguous_format", "preserve_format"])
@pytest.mark.parametrize("call", CALLS)
def test_strides_are_pytorchs(call, name, shape):
    torch = pytest.importorskip("torch")
    ours, theirs = (_layout(lib, CALLS[call], shape, name) for lib in (tv, torch))
    assert ours == theirs


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like", "full_like",
                                  "rand_like", "randn_like"])  # fmt: skip
def test_tensors_like_another_take_a_memory_format_and_a_device(name):
    x = tv.zeros(2, 3, 4, 5)
    arguments = (7,) if name == "full_like" else ()
    make = getattr(tv, name)
    like = make(x, *arguments, memory_format=tv.channels_last, device="cpu", requires_grad=True)
    assert like.shape == x.shape and like.stride() == (60, 1, 15, 3) and like.requires_grad
    assert make(x, *arguments, memory_format=tv.preserve_format).stride() == x.stride()
    with pytest.raises(TypeError, match="must be memory_format, not str"):
        make(x, *arguments, memory_format="channels_last")
    with pytest.raises(NotImplementedError, match="'cuda' is not supported"):
        make(x, *arguments, device="cuda")


def test_modules_convert_what_has_four_dims():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    weight, values = model[0].weight, model[0].weight.tolist()
    assert model.to(memory_format=tv.channels_last) is model and model[0].weight is weight
    assert weight.is_contiguous(memory_format=tv.channels_last) and weight.tolist() == values
    assert model.double()[0].weight.stride() == (27, 1, 9, 3) and model[3].weight.is_contiguous()
    assert model.to("cpu", memory_format=tv.contiguous_format)[0].weight.is_contiguous()
    with pytest.raises(TypeError, match="memory_format"):
        model.to(memory_format=3)


LAYERS = {
    "conv": lambda n: n.Conv2d(4, 6, 3, padding=1),
    "strided conv": lambda n: n.Conv2d(4, 6, 5, stride=2, padding=2, bias=False),
    "depthwise conv": lambda n: n.Conv2d(4, 4, 3, padding=1, groups=4),
    "grouped conv": lambda n: n.Conv2d(4, 6, 3, groups=2, dilation=2),
    "pointwise conv": lambda n: n.Conv2d(4, 8, 1),
    "transposed conv": lambda n: n.ConvTranspose2d(4, 5, 4, 2, 1),
    "batch norm": lambda n: n.BatchNorm2d(4),
    "batch norm, eval": lambda n: n.BatchNorm2d(4).eval(),
    "instance norm": lambda n: n.InstanceNorm2d(4, affine=True),
    "group norm": lambda n: n.GroupNorm(2, 4),
    "layer norm": lambda n: n.LayerNorm([4, 8, 8]),
    "response norm": lambda n: n.LocalResponseNorm(3),
    "max pool": lambda n: n.MaxPool2d(3, 2, 1),
    "avg pool": lambda n: n.AvgPool2d(2),
    "adaptive pool": lambda n: n.AdaptiveAvgPool2d((3, 1)),
    "adaptive max pool": lambda n: n.AdaptiveMaxPool2d(3),
    "linear": lambda n: n.Sequential(n.Flatten(), n.Linear(256, 3)),
    "upsample": lambda n: n.Upsample(scale_factor=2),
    "bilinear": lambda n: n.Upsample(size=(5, 11), mode="bilinear"),
    "pixels": lambda n: n.PixelShuffle(2),
    "pad": lambda n: n.ReflectionPad2d(1),
    "unfold": lambda n: n.Unfold(3),
    "relu": lambda n: n.ReLU(),
    "gelu": lambda n: n.GELU(),
    "in place": lambda n: n.Sequential(n.BatchNorm2d(4), n.ReLU(inplace=True)),
    "prelu": lambda n: n.PReLU(4),
    "softmax": lambda n: n.Softmax(dim=1),
    "silu": lambda n: n.SiLU(),
    "block": lambda n: n.Sequential(
        n.Conv2d(4, 8, 3, 2, 1, bias=False), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2),
        n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, 3), n.LogSoftmax(1),
    ),
}  # fmt: skip


def _run(lib, make, arrays, dtype):
    """What a layer makes of a channels_last batch, in weights that are so too, and gradients."""
    layer = make(lib.nn).to(getattr(lib, dtype))
    with lib.no_grad():
        for p, array in zip(layer.parameters(), arrays, strict=False):
            p.copy_(lib.tensor(array[: p.numel()]).reshape(p.shape))
    layer.to(memory_format=lib.channels_last)
    x = lib.tensor(arrays[-1].reshape(3, 4, 8, 8), dtype=getattr(lib, dtype))
    x = x.contiguous(memory_format=lib.channels_last).requires_grad_()
    y = layer(x)
    seed = np.random.default_rng(1).standard_normal(tuple(y.shape))
    y.backward(lib.tensor(seed, dtype=y.dtype).contiguous())
    return [t.detach().numpy() for t in (y, x.grad, *[p.grad for p in layer.parameters()])]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_channels_last_compute_what_pytorch_does(name, dtype):
    torch = pytest.importorskip("torch")
    arrays = np.random.default_rng(0).standard_normal((9, 768))
    ours, theirs = (_run(lib, LAYERS[name], arrays, dtype) for lib in (tv, torch))
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_optimizers_step_the_same_in_both_formats(optimizer):
    weights = []
    for order in (tv.contiguous_format, tv.channels_last):
        weight = tv.arange(1.0, 25.0).reshape(2, 3, 2, 2).to(memory_format=order).requires_grad_()
        steps = getattr(tv.optim, optimizer)([weight], lr=0.1)
        for _ in range(3):
            steps.zero_grad()
            (
                weight.square() * weight.detach().flatten(1).cumsum(1).view(weight.shape)
            ).sum().backward()
            steps.step()
        weights.append(weight.detach())
        assert weight.is_contiguous(memory_format=order)
    assert weights[0].allclose(weights[1]) and not weights[0].equal(
        tv.arange(1.0, 25.0).view(2, 3, 2, 2)
    )
