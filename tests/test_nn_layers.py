"""Layers and losses: what they hold, print and check; F, which computes, has its own tests."""

import importlib
import itertools
import math

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import nn

# ------------------------------------------------------------------ printing

REPRS = [
    (lambda n: n.Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
    (lambda n: n.Linear(3, 4, False), "Linear(in_features=3, out_features=4, bias=False)"),
    (lambda n: n.Identity(54, unused=1), "Identity()"),
    (lambda n: n.Conv2d(3, 4, 3), "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"),
    (
        lambda n: n.Conv2d(4, 4, (3, 5), 2, 1, 2, 2, False),
        "Conv2d(4, 4, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "groups=2, bias=False)",
    ),
    (
        lambda n: n.Conv2d(3, 4, 3, padding="same"),
        "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)",
    ),
    (
        lambda n: n.MaxPool2d(2),
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
    ),
    (
        lambda n: n.MaxPool2d((2, 3), 2, 1, ceil_mode=True),
        "MaxPool2d(kernel_size=(2, 3), stride=2, padding=1, dilation=1, ceil_mode=True)",
    ),
    (lambda n: n.AvgPool2d(3, 2), "AvgPool2d(kernel_size=3, stride=2, padding=0)"),
    (lambda n: n.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
    (lambda n: n.AdaptiveMaxPool2d(2), "AdaptiveMaxPool2d(output_size=2)"),
    (
        lambda n: n.BatchNorm2d(4),
        "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    (
        lambda n: n.BatchNorm1d(4, 1e-3, None, False, False),
        "BatchNorm1d(4, eps=0.001, momentum=None, affine=False, bias=False, "
        "track_running_stats=False)",
    ),
    (lambda n: n.Dropout(0.2), "Dropout(p=0.2, inplace=False)"),
    (lambda n: n.Dropout2d(inplace=True), "Dropout2d(p=0.5, inplace=True)"),
    (lambda n: n.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (lambda n: n.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (lambda n: n.ReLU(), "ReLU()"),
    (lambda n: n.ReLU(inplace=True), "ReLU(inplace=True)"),
    (lambda n: n.ReLU6(), "ReLU6()"),
    (lambda n: n.SiLU(True), "SiLU(inplace=True)"),
    (lambda n: n.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (lambda n: n.ELU(0.5), "ELU(alpha=0.5)"),
    (lambda n: n.GELU("tanh"), "GELU(approximate='tanh')"),
    (lambda n: n.Hardtanh(-2, 2), "Hardtanh(min_val=-2, max_val=2)"),
    (lambda n: n.PReLU(3), "PReLU(num_parameters=3)"),
    (lambda n: n.GLU(1), "GLU(dim=1)"),
    (lambda n: n.Hardswish(), "Hardswish()"),
    (lambda n: n.Hardswish(True), "Hardswish()"),
    (lambda n: n.Hardsigmoid(True), "Hardsigmoid()"),
    (lambda n: n.Mish(), "Mish()"),
    (lambda n: n.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (lambda n: n.Sigmoid(), "Sigmoid()"),
    (lambda n: n.Tanh(), "Tanh()"),
    (lambda n: n.LogSigmoid(), "LogSigmoid()"),
    (lambda n: n.Softmax(1), "Softmax(dim=1)"),
    (lambda n: n.Softmin(1), "Softmin(dim=1)"),
    (lambda n: n.LogSoftmax(), "LogSoftmax(dim=None)"),
    (lambda n: n.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (lambda n: n.SmoothL1Loss(beta=0.5), "SmoothL1Loss()"),
    (lambda n: n.ModuleList([n.ReLU(), n.ReLU()]), "ModuleList(\n  (0-1): 2 x ReLU()\n)"),
]


@pytest.mark.parametrize(("make", "text"), REPRS)
def test_layer_repr(make, text):
    assert repr(make(nn)) == text


@pytest.mark.parity
@pytest.mark.parametrize(("make", "text"), REPRS)
def test_layer_repr_is_pytorchs(make, text):
    torch = pytest.importorskip("torch")
    assert repr(make(torch.nn)) == text


@pytest.mark.parity
@pytest.mark.parametrize("package", ["nn", "optim", "optim.lr_scheduler"])
def test_classes_are_subclasses_of_each_other_as_in_pytorch(package):
    """So that isinstance(m, nn.Conv2d) finds what it finds there, and no ConvTranspose2d."""
    torch = pytest.importorskip("torch")
    ours, theirs = (
        {
            n: c
            for n, c in vars(importlib.import_module(f"{name}.{package}")).items()
            if is_public_class(c)
        }
        for name in ("tinyvision", torch.__name__)
    )
    common = sorted(set(ours) & set(theirs))
    assert len(common) > 5
    for a, b in itertools.product(common, repeat=2):
        assert issubclass(ours[a], ours[b]) == issubclass(theirs[a], theirs[b]), (a, b)


def is_public_class(value):
    return isinstance(value, type) and not value.__name__.startswith("_")


# ------------------------------------------------------------------ Linear and Conv2d


def test_linear_by_hand():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": tv.tensor([[2.0, 3.0]]), "bias": tv.tensor([1.0])})
    assert layer(tv.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist() == [[6.0], [7.0]]


def test_linear_and_conv_without_bias():
    assert nn.Linear(2, 3, bias=False).bias is None
    assert nn.Conv2d(2, 3, 1, bias=False).bias is None
    assert list(nn.Conv2d(2, 3, 1, bias=False).state_dict()) == ["weight"]


def test_conv2d_by_hand():
    layer = nn.Conv2d(1, 1, 2, stride=2, padding=(1, 0))
    layer.load_state_dict({"weight": tv.ones(1, 1, 2, 2), "bias": tv.tensor([0.5])})
    image = tv.arange(1, 9).float().reshape(1, 1, 2, 4)
    assert layer(image).tolist() == [[[[3.5, 7.5], [11.5, 15.5]]]]


def test_conv2d_passes_its_options_on():
    layer = nn.Conv2d(4, 6, (3, 1), stride=(1, 2), padding=1, dilation=(2, 1), groups=2)
    assert layer.weight.shape == (6, 2, 3, 1) and layer.bias.shape == (6,)
    x = tv.randn(2, 4, 7, 6)
    expected = F.conv2d(x, layer.weight, layer.bias, (1, 2), 1, (2, 1), 2)
    assert layer(x).tolist() == expected.tolist()
    assert nn.Conv2d(4, 4, 3, padding="same")(x).shape == x.shape


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(groups=0), ValueError, "groups must be a positive integer"),
        (dict(groups=2), ValueError, "in_channels must be divisible by groups"),
        (dict(groups=3), ValueError, "out_channels must be divisible by groups"),
        (dict(padding="all"), ValueError, "Invalid padding string 'all'"),
        (dict(padding="same", stride=2), ValueError, "padding='same' is not supported for strided"),
        (dict(padding=-1), RuntimeError, "padding must be at least 0, got -1"),
        (dict(stride=0), RuntimeError, "stride must be at least 1, got 0"),
        (dict(kernel_size=0), RuntimeError, "kernel_size must be at least 1, got 0"),
        (dict(kernel_size=2.0), TypeError, "kernel_size must be an int, got float"),
        (dict(kernel_size=(1, 2, 3)), RuntimeError, "kernel_size must be an int or two ints"),
        (dict(in_channels="3"), TypeError, "in_channels must be an int, got str"),
        (dict(out_channels=-4), RuntimeError, "negative dimension"),
        (dict(padding_mode="mirror"), ValueError, "padding_mode must be one of"),
        (dict(device="cuda"), NotImplementedError, "device='cuda'"),
        (dict(dtype=tv.int64), RuntimeError, "floating point"),
    ],
)
def test_conv2d_rejects_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        nn.Conv2d(**{**dict(in_channels=3, out_channels=4, kernel_size=3), **options})


def test_linear_rejects_bad_options():
    with pytest.raises(TypeError, match="in_features must be an int, got float"):
        nn.Linear(2.0, 2)
    with pytest.raises(RuntimeError, match="negative dimension"):
        nn.Linear(2, -2)
    with pytest.raises(NotImplementedError, match="device='cuda'"):
        nn.Linear(2, 2, device="cuda")
    with pytest.raises(RuntimeError):
        nn.Linear(2, 3)(tv.zeros(1, 3))


def test_layers_take_dtype():
    for layer in (nn.Linear(1, 1, dtype=tv.float64), nn.Conv2d(1, 1, 1, dtype=tv.float64)):
        assert {p.dtype for p in layer.parameters()} == {tv.float64}
    norm = nn.BatchNorm1d(1, dtype=tv.float64)
    assert norm.weight.dtype == norm.running_var.dtype == tv.float64


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (lambda: nn.Linear(64, 300), 1 / 8),
        (lambda: nn.Conv2d(4, 300, 4), 1 / 8),
        (lambda: nn.Conv2d(8, 300, 4, groups=2), 1 / 8),
    ],
)
def test_default_initialisation_is_uniform_with_pytorchs_bound(layer, bound):
    tv.manual_seed(0)
    made = layer()
    for values, tolerance in ((made.weight, 0.02), (made.bias, 0.1)):
        array = values.detach().numpy()
        assert np.abs(array).max() <= bound
        # Uniform on +-bound: the largest of n values comes within about bound / n of it.
        assert np.abs(array).max() > bound * (1 - 10 / array.size)
        assert array.std() == pytest.approx(bound / math.sqrt(3), rel=tolerance)
        assert abs(array.mean()) < 4 * bound / math.sqrt(3 * array.size)


@pytest.mark.parity
def test_default_initialisation_bounds_are_pytorchs():
    torch = pytest.importorskip("torch")
    for make in (lambda n: n.Linear(30, 500), lambda n: n.Conv2d(6, 500, (2, 3), groups=2)):
        for ours, theirs in zip(make(nn).parameters(), make(torch.nn).parameters(), strict=True):
            ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
            assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
            for summary in (np.max, np.min, np.std):
                assert summary(ours) == pytest.approx(summary(theirs), rel=0.1)


def test_empty_layer_warns_as_pytorch_does():
    with pytest.warns(UserWarning, match="zero-element tensors"):
        assert nn.Linear(0, 2)(tv.zeros(3, 0)).shape == (3, 2)


# ------------------------------------------------------------------ Dropout, pooling, Flatten


def test_dropout_drops_in_training_only():
    tv.manual_seed(0)
    x = tv.ones(100, 100)
    dropped = nn.Dropout(0.25)(x).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(4 / 3)}
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert nn.Dropout(0.25).eval()(x).tolist() == x.tolist()
    assert nn.Dropout(1.0)(x).numpy().max() == 0


def test_dropout2d_drops_whole_channels():
    tv.manual_seed(0)
    dropped = nn.Dropout2d()(tv.ones(20, 10, 3, 3)).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert (dropped == dropped[:, :, :1, :1]).all()


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_dropout_rejects_bad_probabilities(p):
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        nn.Dropout(p)


def test_pooling_layers_by_hand():
    image = tv.arange(16).float().reshape(1, 1, 4, 4)
    assert nn.MaxPool2d(2)(image).flatten().tolist() == [5, 7, 13, 15]
    assert nn.MaxPool2d(2, 1, return_indices=True)(image)[1].flatten().tolist()[:2] == [5, 6]
    assert nn.MaxPool2d(3, ceil_mode=True)(image).shape == (1, 1, 2, 2)
    assert nn.AvgPool2d(2)(image).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert nn.AvgPool2d(2, divisor_override=1)(image).flatten().tolist() == [10, 18, 42, 50]
    for counts, corner in ((True, 0.25), (False, 1.0)):
        padded = nn.AvgPool2d(2, padding=1, count_include_pad=counts)(image + 1)
        assert padded[0, 0, 0, 0].item() == corner and padded.shape == (1, 1, 3, 3)
    assert nn.AdaptiveAvgPool2d(1)(image).item() == 7.5
    assert nn.AdaptiveAvgPool2d((None, 1))(image).shape == (1, 1, 4, 1)
    assert nn.AdaptiveMaxPool2d(2)(image).flatten().tolist() == [5, 7, 13, 15]


def test_flatten_and_unflatten():
    x = tv.zeros(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Unflatten(1, (3, -1))(tv.zeros(2, 60)).shape == (2, 3, 20)
    with pytest.raises(TypeError, match="must be a tuple of ints, but found type float"):
        nn.Unflatten(1, 2.0)
    with pytest.raises(TypeError, match="element of type str at pos 1"):
        nn.Unflatten(1, (2, "3"))


# ------------------------------------------------------------------ activations and losses

ACTIVATIONS = [
    (nn.ReLU, {}, F.relu, {}),
    (nn.ReLU6, {}, F.relu6, {}),
    (nn.SiLU, {}, F.silu, {}),
    (nn.Hardtanh, dict(min_val=-0.5, max_val=0.2), F.hardtanh, dict(min_val=-0.5, max_val=0.2)),
    (nn.LeakyReLU, dict(negative_slope=0.3), F.leaky_relu, dict(negative_slope=0.3)),
    (nn.SELU, {}, F.selu, {}),
    (nn.Mish, {}, F.mish, {}),
    (nn.Hardsigmoid, {}, F.hardsigmoid, {}),
    (nn.Hardswish, {}, F.hardswish, {}),
    (nn.ELU, dict(alpha=0.7), F.elu, dict(alpha=0.7)),
    (nn.GELU, dict(approximate="tanh"), F.gelu, dict(approximate="tanh")),
    (nn.Sigmoid, {}, F.sigmoid, {}),
    (nn.Tanh, {}, F.tanh, {}),
    (nn.LogSigmoid, {}, F.logsigmoid, {}),
    (nn.Softplus, dict(beta=2.0, threshold=1.0), F.softplus, dict(beta=2.0, threshold=1.0)),
    (nn.Softmax, dict(dim=0), F.softmax, dict(dim=0)),
    (nn.Softmin, dict(dim=0), F.softmin, dict(dim=0)),
    (nn.LogSoftmax, dict(dim=-1), F.log_softmax, dict(dim=-1)),
]


@pytest.mark.parametrize(("layer", "options", "function", "arguments"), ACTIVATIONS)
def test_activation_layers_call_their_function(layer, options, function, arguments):
    x = tv.linspace(-2, 2, 12).reshape(3, 4)
    assert layer(**options)(x).tolist() == function(x, **arguments).tolist()


@pytest.mark.parametrize("layer", [nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardtanh, nn.LeakyReLU, nn.ELU])
def test_activation_layers_inplace_overwrite_the_input(layer):
    x = tv.linspace(-2, 8, 5)
    expected = layer()(x).tolist()
    result = layer(inplace=True)(x)
    assert x.tolist() == result.tolist() == expected


def test_hardtanh_rejects_an_empty_range():
    with pytest.raises(AssertionError, match="expected min_val < max_val, got 1.0 and 1.0"):
        nn.Hardtanh(1.0, 1.0)


@pytest.mark.parametrize("library", [nn, pytest.param("torch.nn", marks=pytest.mark.parity)])
@pytest.mark.parametrize("layer", ["MaxPool2d", "AvgPool2d", "ZeroPad2d", "ReflectionPad2d"])
def test_layers_take_sizes_from_numpy(library, layer):
    if library != nn:
        library = pytest.importorskip(library)
    t = tv if library is nn else pytest.importorskip("torch")
    x = t.arange(16.0).reshape(1, 1, 4, 4)
    make = getattr(library, layer)
    assert make(np.int64(2))(x).tolist() == make(2)(x).tolist()


def test_prelu_may_begin_with_a_whole_number():
    layer = nn.PReLU(2, init=0)
    assert layer.weight.dtype == tv.float32 and layer.weight.tolist() == [0, 0]


def test_loss_layers_pass_their_options_on():
    logits, labels = tv.randn(5, 3), tv.tensor([0, 2, 1, -1, 2])
    weight = tv.tensor([1.0, 2.0, 3.0])
    options = dict(weight=weight, ignore_index=-1, reduction="sum")
    expected = F.cross_entropy(logits, labels, label_smoothing=0.1, **options)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, **options)
    assert loss(logits, labels).item() == expected.item()
    log_probs = logits.log_softmax(1)
    assert nn.NLLLoss(**options)(log_probs, labels).item() == pytest.approx(
        F.nll_loss(log_probs, labels, **options).item()
    )
    assert list(loss.state_dict()) == ["weight"]


def test_regression_loss_layers_by_hand():
    x, y = tv.tensor([0.0, 3.0]), tv.tensor([1.0, 1.0])
    assert nn.MSELoss()(x, y).item() == 2.5
    assert nn.L1Loss(reduction="sum")(x, y).item() == 3
    assert nn.SmoothL1Loss(reduction="none", beta=2.0)(x, y).tolist() == [0.25, 1.0]
    assert nn.HuberLoss(reduction="none", delta=1.5)(x, y).tolist() == [0.5, 1.875]


def test_binary_loss_layers_pass_their_options_on():
    logits, y = tv.tensor([0.3, -1.0]), tv.tensor([1.0, 0.0])
    w, pos = tv.tensor([1.0, 2.0]), tv.tensor([3.0, 3.0])
    expected = F.binary_cross_entropy_with_logits(logits, y, w, reduction="sum", pos_weight=pos)
    loss = nn.BCEWithLogitsLoss(w, reduction="sum", pos_weight=pos)
    assert loss(logits, y).item() == expected.item()
    p = logits.sigmoid()
    expected = F.binary_cross_entropy(p, y, w, reduction="none")
    assert nn.BCELoss(w, reduction="none")(p, y).tolist() == expected.tolist()


def test_loss_layers_reject_bad_options():
    for loss in (nn.MSELoss, nn.CrossEntropyLoss, nn.KLDivLoss, nn.HuberLoss):
        with pytest.raises(ValueError, match="median is not a valid value for reduction"):
            loss(reduction="median")(tv.ones(2), tv.ones(2))
    with pytest.raises(TypeError, match="cannot assign 'list' object to buffer 'weight'"):
        nn.CrossEntropyLoss(weight=[1.0, 2.0])


# ------------------------------------------------------------------ against PyTorch


def make_cnn(n):
    return n.Sequential(
        n.Conv2d(2, 4, 3, padding=1),
        n.BatchNorm2d(4),
        n.ReLU(),
        n.MaxPool2d(2),
        n.Conv2d(4, 6, 3, padding="same", groups=2, bias=False),
        n.GELU(),
        n.AdaptiveAvgPool2d(2),
        n.Flatten(),
        n.Linear(24, 5),
        n.BatchNorm1d(5, momentum=None),
    )


@pytest.mark.parity
def test_cnn_with_pytorchs_weights_computes_the_same():
    torch = pytest.importorskip("torch")
    theirs = make_cnn(torch.nn).double()
    ours = make_cnn(nn).double()
    ours.load_state_dict({k: tv.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    for _ in range(3):
        images, labels = rng.normal(size=(6, 2, 8, 8)), rng.integers(0, 5, 6)
        for library, net in ((tv, ours), (torch, theirs)):
            loss = library.nn.CrossEntropyLoss(label_smoothing=0.1)
            net.zero_grad()
            loss(net(library.tensor(images)), library.tensor(labels)).backward()
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-12)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-12)
    with tv.no_grad(), torch.no_grad():
        y, z = ours.eval()(tv.tensor(images)), theirs.eval()(torch.tensor(images))
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-9, atol=1e-12)
