"""LeNet, VGG, ResNet, GoogLeNet, DCGAN and the row readers: they learn, and are PyTorch's."""

import re
import types
from pathlib import Path

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import models
from tinyvision.models.resnet import BasicBlock, Bottleneck

SMALL_VGG = [8, "M", 16, "M"]

# name: (file, how to build it out of the file's names, shape of the images)
CLASSIFIERS = {
    "LeNet": ("lenet", lambda m: m.LeNet(3, image_size=28), (3, 28, 28)),
    "VGG": (
        "vgg",
        lambda m: m.VGG(SMALL_VGG, True, 3, 0.0, pooled_size=2, hidden_dim=32),
        (3, 12, 12),
    ),
    "VGG without batch norm": (
        "vgg",
        lambda m: m.VGG(SMALL_VGG, False, 3, 0.0, 1, 1, 32),
        (1, 9, 12),
    ),
    "ResNet for CIFAR": ("resnet", lambda m: m.cifar_resnet(8, 3), (3, 8, 8)),
    "ResNet with projections": (
        "resnet",
        lambda m: m.ResNet(m.BasicBlock, (1, 1), 3, widths=(8, 16), in_channels=1),
        (1, 32, 32),
    ),
    "ResNet of bottlenecks": (
        "resnet",
        lambda m: m.ResNet(m.Bottleneck, (1, 2), 3, True, widths=(4, 8), small_images=True),
        (3, 8, 8),
    ),
    "GoogLeNet": (
        "googlenet",
        lambda m: m.GoogLeNet(3, False, 0.0, small_images=True),
        (3, 8, 8),
    ),
    "RowLSTM": ("rows", lambda m: m.RowLSTM(9, 16, 2, 3), (1, 7, 9)),
    "RowLSTMAttention": ("rows", lambda m: m.RowLSTMAttention(9, 16, 1, 2, 3), (1, 7, 9)),
}
each_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


def build(name, library=None):
    file, make, shape = CLASSIFIERS[name]
    tv.manual_seed(0)
    module = __import__(f"tinyvision.models.{file}", fromlist=["x"]) if library is None else library
    return make(module), (6, *shape)


@each_classifier
def test_classifiers_learn_a_batch_by_heart(name):
    model, shape = build(name)
    images, target = tv.randn(*shape), tv.tensor([0, 1, 2, 2, 1, 0])
    optimizer = tv.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(200):
        loss = F.cross_entropy(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    assert loss.item() < 0.1


@each_classifier
def test_classifiers_give_every_parameter_a_gradient(name):
    model, shape = build(name)
    model(tv.randn(*shape)).square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert np.isfinite(parameter.grad.numpy()).all(), parameter_name


def test_parameter_counts_are_those_of_the_papers_code():
    def count(model):
        return sum(parameter.numel() for parameter in model.parameters())

    # torchvision's documentation, and He et al., table 6
    assert count(models.resnet18()) == 11_689_512
    assert count(models.resnet50()) == 25_557_032
    assert count(models.resnet20()) == 269_722
    assert count(models.cifar_resnet(56)) == 853_018
    assert count(models.googlenet(aux_logits=False)) == 6_624_904
    assert count(models.LeNet()) == 62_006


def test_keys_are_torchvisions():
    keys = list(models.resnet18().state_dict())
    assert keys[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert "layer2.0.downsample.1.running_mean" in keys and keys[-1] == "fc.bias"
    keys = list(models.GoogLeNet(10).state_dict())
    assert {"inception3a.branch2.1.conv.weight", "aux1.fc2.bias", "conv1.bn.weight"} <= set(keys)
    keys = list(models.VGG(SMALL_VGG, True, pooled_size=1, hidden_dim=8).state_dict())
    assert {"features.0.weight", "features.1.running_var", "classifier.6.bias"} <= set(keys)
    for make in (models.vgg11_bn, models.vgg13_bn, models.vgg16_bn, models.vgg19_bn):
        keys = make(pooled_size=1, hidden_dim=1, num_classes=1).state_dict()
        assert "features.1.running_var" in keys
    assert "features.50.running_var" in keys


CONSTRUCTORS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
CONSTRUCTORS += ["vgg11", "vgg13", "vgg16", "vgg19", "googlenet"]


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_pretrained_weights_are_refused_by_name(name):
    with pytest.raises(NotImplementedError, match="weights='DEFAULT' .*load_torch"):
        getattr(models, name)(weights="DEFAULT")


def test_no_pretrained_weights_can_be_asked_for():
    assert models.resnet18(weights=None, num_classes=3).fc.weight.shape == (3, 512)
    assert models.vgg11(weights=None, hidden_dim=8, pooled_size=1).classifier[0].out_features == 8
    assert models.googlenet(weights=None, aux_logits=False).fc.out_features == 1000


def test_googlenet_gives_three_scores_in_training_only():
    model = models.GoogLeNet(5, small_images=True)
    images = tv.randn(2, 3, 8, 8)
    outputs = model(images)
    assert isinstance(outputs, models.GoogLeNetOutputs)
    assert all(scores.shape == (2, 5) for scores in outputs)
    assert model.eval()(images).shape == (2, 5)


def test_googlenet_and_resnet_take_large_images():
    with tv.no_grad():
        images = tv.randn(1, 3, 64, 64)
        assert models.googlenet(num_classes=7).eval()(images).shape == (1, 7)
        small = models.ResNet(BasicBlock, (1, 1, 1, 1), 7, widths=(8, 8, 16, 16))
        assert small.eval()(images).shape == (1, 7)


def test_resnet_with_zero_initialised_blocks_passes_its_input_on():
    model = models.ResNet(Bottleneck, (1,), 3, True, widths=(2,), small_images=True)
    assert all(model.layer1[0].bn3.weight == 0)


def test_models_of_wrong_sizes_raise():
    with pytest.raises(ValueError, match=r"expected a depth of 6 n \+ 2"):
        models.cifar_resnet(21)
    with pytest.raises(ValueError, match="expected image_size 8, 16, 32"):
        models.DCGANGenerator(image_size=28)
    with pytest.raises(ValueError, match="not divisible by num_heads"):
        models.RowLSTMAttention(hidden_size=10, num_heads=4)


def test_row_attention_shares_add_up():
    model = models.RowLSTMAttention(9, 16, num_heads=2)
    scores, weights = model(tv.randn(2, 1, 7, 9), need_weights=True)
    assert scores.shape == (2, 10) and weights.shape == (2, 7, 7)
    np.testing.assert_allclose(weights.sum(-1).detach(), 1, rtol=1e-5)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_dcgan_shapes(size):
    generator = models.DCGANGenerator(10, 4, 1, size)
    discriminator = models.DCGANDiscriminator(4, 1, size)
    images = generator(tv.randn(2, 10, 1, 1))
    assert images.shape == (2, 1, size, size) and images.abs().max().item() <= 1
    probabilities = discriminator(images)
    assert probabilities.shape == (2, 1, 1, 1)
    assert 0 < probabilities.min().item() <= probabilities.max().item() < 1


def test_dcgan_learns_to_draw_one_image():
    """The generator learns from the discriminator alone: what it draws gets darker, as the data."""
    tv.manual_seed(0)
    generator, discriminator = models.DCGANGenerator(4, 8, 1, 8), models.DCGANDiscriminator(8, 1, 8)
    g_optimizer = tv.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    d_optimizer = tv.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    real = -0.9 * tv.ones(16, 1, 8, 8)
    ones, zeros = tv.ones(16, 1, 1, 1), tv.zeros(16, 1, 1, 1)
    for _ in range(60):
        drawn = generator(tv.randn(16, 4, 1, 1))
        d_optimizer.zero_grad()
        loss = F.binary_cross_entropy(discriminator(real), ones)
        loss = loss + F.binary_cross_entropy(discriminator(drawn.detach()), zeros)
        loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        F.binary_cross_entropy(discriminator(drawn), ones).backward()
        g_optimizer.step()
    assert generator(tv.randn(16, 4, 1, 1)).mean().item() < -0.5


# ------------------------------------------------------------------ PyTorch

RENAMED = [
    (r"import tinyvision\.nn\.functional as F", "import torch.nn.functional as F"),
    (r"from tinyvision import nn", "from torch import nn"),
    (r"from tinyvision\.nn import init", "from torch.nn import init"),
    (r"from tinyvision\.tensor import Tensor", "from torch import Tensor"),
    (r"from tinyvision\.functions\.joining import cat", "from torch import cat"),
]


def in_torch(file):
    """The model's file with its imports changed: the same network in PyTorch."""
    source = Path(models.__file__).with_name(f"{file}.py").read_text()
    for ours, theirs in RENAMED:
        source = re.sub(ours, theirs, source)
    assert "tinyvision" not in source
    module = types.ModuleType(f"{file}_in_torch")
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def compare(torch, ours, theirs, shape):
    """Outputs and gradients from the same weights, in float64."""
    ours, theirs = ours.double(), theirs.double()
    state = {name: torch.from_numpy(np.array(v)) for name, v in ours.state_dict().items()}
    theirs.load_state_dict(state)
    images = np.random.default_rng(0).standard_normal(shape)
    x, tx = tv.tensor(images, requires_grad=True), torch.tensor(images, requires_grad=True)
    y, ty = ours(x), theirs(tx)
    np.testing.assert_allclose(y.detach(), ty.detach().numpy(), rtol=1e-7, atol=1e-9)
    cotangent = np.random.default_rng(1).standard_normal(tuple(ty.shape))
    y.backward(tv.tensor(cotangent))
    ty.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(x.grad, tx.grad.numpy(), rtol=1e-6, atol=1e-9)
    for (name, p), (their_name, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == their_name
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-6, atol=1e-8, err_msg=name)
    for name, value in theirs.state_dict().items():  # running statistics moved alike
        np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parity
@each_classifier
def test_classifiers_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    ours, shape = build(name)
    theirs, _ = build(name, in_torch(CLASSIFIERS[name][0]))
    compare(torch, ours, theirs, shape)


@pytest.mark.parity
def test_dcgan_equals_pytorch():
    torch = pytest.importorskip("torch")
    file = in_torch("dcgan")
    compare(
        torch, models.DCGANGenerator(5, 4, 2, 16), file.DCGANGenerator(5, 4, 2, 16), (3, 5, 1, 1)
    )
    discriminators = models.DCGANDiscriminator(4, 2, 16), file.DCGANDiscriminator(4, 2, 16)
    compare(torch, *discriminators, (3, 2, 16, 16))
