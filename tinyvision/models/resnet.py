"""ResNet: layers that learn what to add to their input, so that a hundred can be trained.

    y = relu(f(x) + x)

f being two convolutions (BasicBlock) or three (Bottleneck), each with batch norm. Where f changes
the shape, x is projected by a 1 x 1 convolution, or, in the networks for CIFAR, sampled and padded
with channels of zeros.

Source: He et al. 2015, "Deep residual learning for image recognition", arXiv 1512.03385: table 1
for ImageNet, section 4.2 for CIFAR-10. The names of the parts (and so the keys of the state_dict)
and the initial values are torchvision's; the stride of a Bottleneck is in its 3 x 3 convolution.
"""

from __future__ import annotations

from typing import Any

import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.nn import init
from tinyvision.tensor import Tensor


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    # No bias: batch norm would take it away again.
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """y = relu(conv3x3(relu(conv3x3(x))) + x), with batch norm after each convolution."""

    expansion = 1

    def __init__(
        self, channels_in: int, channels: int, stride: int, downsample: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3 x 3 convolution on a quarter of the channels, between two of 1 x 1."""

    expansion = 4

    def __init__(
        self, channels_in: int, channels: int, stride: int, downsample: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels_in, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, channels * self.expansion)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class SampleAndPad(nn.Module):
    """Every stride-th pixel, and channels of zeros: a way around a block that has no weights."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.more = channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        before = self.more // 2
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, before, self.more - before))


class ResNet(nn.Module):
    """Scores of classes for images.

    layers: how many blocks each stage has; widths: the channels of their 3 x 3 convolutions. Each
    stage but the first halves the image. small_images: begin with a 3 x 3 convolution, where
    else a 7 x 7 one and a pool make a quarter of the image. pad_shortcuts: SampleAndPad instead of
    projections. zero_init_residual: begin with blocks that add nothing.

    Shapes: images (N, in_channels, H, W), scores (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: tuple[int, ...],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        in_channels: int = 3,
        small_images: bool = False,
        pad_shortcuts: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.pad_shortcuts = widths[0], pad_shortcuts
        if small_images:
            self.conv1: nn.Module = conv3x3(in_channels, self.channels)
            self.maxpool: nn.Module = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(in_channels, self.channels, 7, 2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.bn1 = nn.BatchNorm2d(self.channels)
        self.stages = len(layers)
        for i, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
            setattr(self, f"layer{i}", self._stage(block, width, count, stride=1 if i == 1 else 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(self.channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock):
                init.zeros_(module.bn2.weight)
            elif zero_init_residual and isinstance(module, Bottleneck):
                init.zeros_(module.bn3.weight)

    def _stage(
        self, block: type[BasicBlock] | type[Bottleneck], width: int, count: int, stride: int
    ) -> nn.Sequential:
        strides = [stride] + [1] * (count - 1)
        return nn.Sequential(*[self._block(block, width, stride) for stride in strides])

    def _block(
        self, block: type[BasicBlock] | type[Bottleneck], width: int, stride: int
    ) -> nn.Module:
        channels_in, self.channels = self.channels, width * block.expansion
        downsample: nn.Module | None = None
        if stride != 1 or channels_in != self.channels:
            if self.pad_shortcuts:
                downsample = SampleAndPad(channels_in, self.channels, stride)
            else:
                downsample = nn.Sequential(
                    conv1x1(channels_in, self.channels, stride), nn.BatchNorm2d(self.channels)
                )
        return block(channels_in, width, stride, downsample)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(*, weights: None = None, **options: Any) -> ResNet:
    """Options are those of ResNet, weights can only be None, here and below."""
    _refuse(weights)
    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


def resnet34(*, weights: None = None, **options: Any) -> ResNet:
    _refuse(weights)
    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


def resnet50(*, weights: None = None, **options: Any) -> ResNet:
    _refuse(weights)
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


def resnet101(*, weights: None = None, **options: Any) -> ResNet:
    _refuse(weights)
    return ResNet(Bottleneck, (3, 4, 23, 3), **options)


def resnet152(*, weights: None = None, **options: Any) -> ResNet:
    _refuse(weights)
    return ResNet(Bottleneck, (3, 8, 36, 3), **options)


def cifar_resnet(depth: int, num_classes: int = 10, **options: Any) -> ResNet:
    """The ResNets for images of 32 x 32 pixels: 20, 32, 44, 56, 110 or any 6 n + 2 layers.

    Raises: ValueError for another depth.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"cifar_resnet: expected a depth of 6 n + 2 layers, but got {depth}")
    options = {"widths": (16, 32, 64), "small_images": True, "pad_shortcuts": True, **options}
    return ResNet(BasicBlock, (depth // 6,) * 3, num_classes, **options)


def resnet20(**options: Any) -> ResNet:
    """cifar_resnet of 20 layers, 270,000 parameters."""
    return cifar_resnet(20, **options)


def _refuse(weights: object) -> None:
    if weights is not None:
        raise NotImplementedError(
            f"weights={weights!r} is not supported: nothing is downloaded; load_torch reads files"
        )
