"""VGG: nothing but 3 x 3 convolutions and pooling, in 11 to 19 layers.

Two 3 x 3 convolutions see as far as one of 5 x 5, with fewer weights and a nonlinearity more.

Source: Simonyan and Zisserman 2014, arXiv 1409.1556, table 1. The names of the parts (and so the
keys of the state_dict) and the initial values are torchvision's.
"""

from __future__ import annotations

from typing import Any

from tinyvision import nn
from tinyvision.nn import init
from tinyvision.tensor import Tensor

# Channels of each convolution; "M" halves the image.
CONFIGURATIONS: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "E": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class VGG(nn.Module):
    """Scores of classes for images.

    configuration: channels of the convolutions, "M" for each pool. pooled_size: the features are
    averaged to so many rows and columns before the linear layers of hidden_dim features.

    Shapes: images (N, in_channels, H, W), scores (N, num_classes).
    """

    def __init__(
        self,
        configuration: list[int | str],
        batch_norm: bool = False,
        num_classes: int = 1000,
        dropout: float = 0.5,
        in_channels: int = 3,
        pooled_size: int = 7,
        hidden_dim: int = 4096,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for entry in configuration:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(channels, entry, 3, padding=1))
            layers += [nn.BatchNorm2d(entry)] if batch_norm else []
            layers.append(nn.ReLU())
            channels = entry
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((pooled_size, pooled_size))
        self.classifier = nn.Sequential(
            *(nn.Linear(channels * pooled_size**2, hidden_dim), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(hidden_dim, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                init.normal_(module.weight, 0, 0.01)
                init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def vgg11(*, weights: None = None, **options: Any) -> VGG:
    """8 convolutions and 3 linear layers; options are those of VGG."""
    _refuse(weights)
    return VGG(CONFIGURATIONS["A"], **options)


def vgg13(*, weights: None = None, **options: Any) -> VGG:
    """10 convolutions and 3 linear layers; options are those of VGG."""
    _refuse(weights)
    return VGG(CONFIGURATIONS["B"], **options)


def vgg16(*, weights: None = None, **options: Any) -> VGG:
    """13 convolutions and 3 linear layers; options are those of VGG."""
    _refuse(weights)
    return VGG(CONFIGURATIONS["D"], **options)


def vgg19(*, weights: None = None, **options: Any) -> VGG:
    """16 convolutions and 3 linear layers; options are those of VGG."""
    _refuse(weights)
    return VGG(CONFIGURATIONS["E"], **options)


def vgg11_bn(**options: Any) -> VGG:
    """vgg11 with batch normalisation after every convolution."""
    return vgg11(batch_norm=True, **options)


def vgg13_bn(**options: Any) -> VGG:
    """vgg13 with batch normalisation after every convolution."""
    return vgg13(batch_norm=True, **options)


def vgg16_bn(**options: Any) -> VGG:
    """vgg16 with batch normalisation after every convolution."""
    return vgg16(batch_norm=True, **options)


def vgg19_bn(**options: Any) -> VGG:
    """vgg19 with batch normalisation after every convolution."""
    return vgg19(batch_norm=True, **options)


def _refuse(weights: object) -> None:
    if weights is not None:
        raise NotImplementedError(
            f"weights={weights!r} is not supported: nothing is downloaded; load_torch reads files"
        )
