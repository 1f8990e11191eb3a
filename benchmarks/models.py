"""The networks of the benchmarks, for any library with PyTorch's API.

`lib` is `torch` or `tinyvision`: both run the very same code. `models_jax.py` has the same
networks once more for JAX, with the same names of parameters. What the parameters start from is
decided here, from their names alone, so that all libraries compute the same numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Network(NamedTuple):
    """How to build a model, the images it takes, and the optimizer it is usually trained with."""

    build: Callable[[Any], Any]
    image: tuple[int, int, int]
    optimizer: str


def lenet(lib: Any) -> Any:
    """LeCun et al. 1998, "Gradient-based learning applied to document recognition", in colour."""
    nn = lib.nn
    return nn.Sequential(  # (N, 3, 32, 32)
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 6, 14, 14)
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 16, 5, 5)
        nn.Flatten(),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def mnist_cnn(lib: Any) -> Any:
    """Two convolutions and two linear layers."""
    nn = lib.nn
    return nn.Sequential(  # (N, 1, 28, 28)
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 32, 14, 14)
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # (N, 64, 7, 7)
        nn.Flatten(),
        *(nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def _conv_bn(lib: Any, channels_in: int, channels_out: int, stride: int = 1) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def _residual(lib: Any, channels_in: int, channels_out: int, stride: int = 1) -> Any:
    """Two convolutions, to whose result the input is added (projected if it has another shape)."""
    nn = lib.nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = _conv_bn(lib, channels_in, channels_out, stride)
            self.conv2 = _conv_bn(lib, channels_out, channels_out)
            self.project = nn.Identity()
            if stride != 1 or channels_in != channels_out:
                self.project = nn.Sequential(
                    nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                    nn.BatchNorm2d(channels_out),
                )

        def forward(self, x):
            relu = nn.functional.relu
            return relu(self.conv2(relu(self.conv1(x))) + self.project(x))

    return Residual()


def resnet20(lib: Any) -> Any:
    """He et al. 2015, arXiv 1512.03385, section 4.2, with projections (option B)."""
    nn = lib.nn
    blocks = [_residual(lib, 16, 16) for _ in range(3)]
    for channels in (32, 64):
        blocks += [_residual(lib, channels // 2, channels, stride=2)]
        blocks += [_residual(lib, channels, channels) for _ in range(2)]
    stem = _conv_bn(lib, 3, 16), nn.ReLU()
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def resnet9(lib: Any) -> Any:
    """Like Page 2018, "How to train your ResNet", with 64, 128 and 256 channels."""
    nn = lib.nn
    return nn.Sequential(  # (N, 3, 32, 32)
        *(_conv_bn(lib, 3, 64), nn.ReLU()),
        *(_conv_bn(lib, 64, 128), nn.ReLU(), nn.MaxPool2d(2), _residual(lib, 128, 128)),
        *(_conv_bn(lib, 128, 256), nn.ReLU(), nn.MaxPool2d(2), _residual(lib, 256, 256)),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(256, 10)),
    )


def _attention(lib: Any, width: int, heads: int) -> Any:
    nn = lib.nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.num_heads = heads
            self.qkv = nn.Linear(width, 3 * width)
            self.proj = nn.Linear(width, width)

        def forward(self, x):
            N, T, E = x.shape
            # (N, T, 3E) -> (N, T, 3, H, E/H) -> (3, N, H, T, E/H)
            qkv = self.qkv(x).reshape(N, T, 3, heads, E // heads).permute(2, 0, 3, 1, 4)
            y = nn.functional.scaled_dot_product_attention(*qkv.unbind(0))
            return self.proj(y.transpose(1, 2).reshape(N, T, E))  # (N, H, T, E/H) -> (N, T, E)

    return Attention()


def _encoder_layer(lib: Any, width: int, heads: int) -> Any:
    """Attention and a two-layer perceptron, each behind a normalisation and beside a shortcut."""
    nn = lib.nn

    class EncoderLayer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.attention = nn.LayerNorm(width), _attention(lib, width, heads)
            self.norm2 = nn.LayerNorm(width)
            hidden = 2 * width
            self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    return EncoderLayer()


def vit(lib: Any, image: tuple[int, int, int], patch: int, width: int, depth: int) -> Any:
    """Dosovitskiy et al. 2020, arXiv 2010.11929: pre-norm, class token, learned positions."""
    nn = lib.nn
    C, H, W = image
    tokens = 1 + (H // patch) * (W // patch)

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(C, width, patch, stride=patch)
            self.cls = nn.Parameter(lib.zeros(1, 1, width))
            self.positions = nn.Parameter(lib.zeros(1, tokens, width))
            self.layers = nn.Sequential(*(_encoder_layer(lib, width, 4) for _ in range(depth)))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, 10)

        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)  # (N, E, H, W) -> (N, H*W, E)
            x = lib.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)  # (N, T, E)
            x = self.layers(x + self.positions)
            return self.head(self.norm(x)[:, 0])

    return ViT()


def vit_mnist(lib: Any) -> Any:
    return vit(lib, NETWORKS["ViT MNIST"].image, patch=7, width=64, depth=4)


def vit_cifar(lib: Any) -> Any:
    return vit(lib, NETWORKS["ViT CIFAR"].image, patch=4, width=128, depth=6)


NETWORKS = {
    "LeNet": Network(lenet, (3, 32, 32), "SGD"),
    "MNIST CNN": Network(mnist_cnn, (1, 28, 28), "Adam"),
    "ResNet-20": Network(resnet20, (3, 32, 32), "SGD"),
    "ResNet-9": Network(resnet9, (3, 32, 32), "SGD"),
    "ViT MNIST": Network(vit_mnist, (1, 28, 28), "AdamW"),
    "ViT CIFAR": Network(vit_cifar, (3, 32, 32), "AdamW"),
}


def initial(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What the parameter or buffer of that name starts from: random, but always the same.

    Weights keep the scale of activations (He et al. 2015, arXiv 1502.01852); normalisations
    begin as the identity.
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith(("bias", "running_mean")):
        return np.zeros(shape, np.float32)
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    random = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    fan_in = np.prod(shape[1:])
    return random * np.float32(np.sqrt(2 / fan_in))


def initialise(lib: Any, model: Any) -> None:
    """Give every parameter and buffer its initial value."""
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state = {name: lib.tensor(initial(name, shape)) for name, shape in shapes.items()}
    model.load_state_dict(state)


def optimizer(lib: Any, kind: str, params: Any, **options: Any) -> Any:
    """The optimizer of that kind; `fused=True` is PyTorch's fastest way."""
    if kind == "SGD":
        return lib.optim.SGD(params, lr=0.01, momentum=0.9, weight_decay=5e-4, **options)
    if kind == "Adam":
        return lib.optim.Adam(params, lr=1e-3, **options)
    return lib.optim.AdamW(params, lr=1e-3, weight_decay=0.05, **options)


def count_operations(lib: Any, model: Any, images: Any) -> tuple[float, float]:
    """Additions and multiplications of convolutions, linear layers and attention's products.

    Returns those of inference and those of a training step: each product has one for either
    factor's gradient, but the images need none.
    """
    counts: list[float] = []

    def count(module, inputs, output):
        if hasattr(module, "num_heads"):
            N, T, E = output.shape
            counts.append(4 * N * T * T * E)
        else:
            counts.append(2 * np.prod(tuple(output.shape)) * _products_per_output(module))

    counted = (lib.nn.Conv2d, lib.nn.Linear)
    modules = [m for m in model.modules() if isinstance(m, counted) or hasattr(m, "num_heads")]
    hooks = [module.register_forward_hook(count) for module in modules]
    model(images)
    for hook in hooks:
        hook.remove()
    return float(sum(counts)), float(3 * sum(counts) - counts[0])


def _products_per_output(module: Any) -> int:
    return int(np.prod(tuple(module.weight.shape)[1:]))
