"""GoogLeNet: blocks that look at an image at several scales at once.

An Inception block has four branches, of 1 x 1, 3 x 3 and 5 x 5 convolutions and a pool, whose
channels are joined; 1 x 1 convolutions before the large ones make them cheap. In training, two
small classifiers on the way help the gradient into the depth.

Source: Szegedy et al. 2014, "Going deeper with convolutions", arXiv 1409.4842, table 1; with batch
norm, Ioffe and Szegedy 2015, arXiv 1502.03167. The names of the parts (and so the keys of the
state_dict) are torchvision's, and so is the 3 x 3 kernel in the branch of 5 x 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.functions.joining import cat
from tinyvision.nn import init
from tinyvision.tensor import Tensor


class GoogLeNetOutputs(NamedTuple):
    """Scores of the network and, in training, of the small classifiers on the way."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel_size: int, **options: Any
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size, bias=False, **options)
        self.bn = nn.BatchNorm2d(channels_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches, joined: (N, C, H, W) -> (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)."""

    def __init__(
        self, channels_in: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int,
        pool_proj: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.branch1 = BasicConv2d(channels_in, ch1x1, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(channels_in, ch3x3red, 1), BasicConv2d(ch3x3red, ch3x3, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(channels_in, ch5x5red, 1), BasicConv2d(ch5x5red, ch5x5, 3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), BasicConv2d(channels_in, pool_proj, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = self.branch1, self.branch2, self.branch3, self.branch4
        return cat([branch(x) for branch in branches], 1)


class InceptionAux(nn.Module):
    """A small classifier on the way."""

    def __init__(self, channels_in: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(channels_in, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4)))  # (N, 128, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.dropout(x))


# Channels in, and those of the branches.
_BLOCKS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32),
    "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """Scores of classes for images.

    aux_logits: whether there are the small classifiers; then training gives GoogLeNetOutputs.
    small_images: begin without the strides and pools that make an eighth of the image.

    Shapes: images (N, in_channels, H, W), scores (N, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        *,
        in_channels: int = 3,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        if small_images:
            self.conv1 = BasicConv2d(in_channels, 64, 3, padding=1)
            self.maxpool1: nn.Module = nn.Identity()
            self.maxpool2: nn.Module = nn.Identity()
        else:
            self.conv1 = BasicConv2d(in_channels, 64, 7, stride=2, padding=3)
            self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3, padding=1)
        for name, channels in _BLOCKS.items():
            setattr(self, name, Inception(*channels))
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.aux1: Any = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2: Any = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                init.trunc_normal_(module.weight, 0.0, 0.01, -2, 2)

    def forward(self, x: Tensor) -> Any:
        asks_aux = self.training and self.aux_logits
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        aux1 = self.aux1(x) if asks_aux else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if asks_aux else None
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(logits, aux2, aux1) if asks_aux else logits


def googlenet(*, weights: None = None, **options: Any) -> GoogLeNet:
    """Options are those of GoogLeNet."""
    _refuse(weights)
    return GoogLeNet(**options)


def _refuse(weights: object) -> None:
    if weights is not None:
        raise NotImplementedError(
            f"weights={weights!r} is not supported: nothing is downloaded; load_torch reads files"
        )
