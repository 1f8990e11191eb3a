"""DCGAN: a network that draws images, and one that tells them from real ones.

The generator turns a vector of noise into an image by transposed convolutions, each of which
doubles its height and width; the discriminator is its mirror image. They are trained against each
other: the one to tell drawn images from real ones, the other so that it cannot.

Source: Goodfellow et al. 2014, arXiv 1406.2661; Radford, Metz and Chintala 2015, "Unsupervised
representation learning with deep convolutional generative adversarial networks", arXiv 1511.06434.
The names of the parts and the initial values are those of PyTorch's tutorial.
"""

from __future__ import annotations

from tinyvision import nn
from tinyvision.nn import init
from tinyvision.tensor import Tensor


def _widths(name: str, image_size: int, features: int) -> list[int]:
    """Channels at 4 x 4 pixels, 8 x 8, and so on up to half the image."""
    stages = image_size.bit_length() - 3
    if image_size < 8 or image_size != 2 ** (stages + 2):
        raise ValueError(f"{name}: expected image_size 8, 16, 32, ..., but got {image_size}")
    return [features * 2**i for i in reversed(range(stages))]


def _initialize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, 0.02)


class DCGANGenerator(nn.Module):
    """Images, of values from -1 to 1, out of noise.

    Shapes: noise (N, latent_dim, 1, 1), images (N, out_channels, image_size, image_size).

    Raises: ValueError unless image_size is a power of 2, at least 8.
    """

    def __init__(
        self, latent_dim: int = 100, features: int = 64, out_channels: int = 3, image_size: int = 64
    ) -> None:
        super().__init__()
        widths = _widths("DCGANGenerator", image_size, features)
        layers: list[nn.Module] = []
        channels = latent_dim
        for i, width in enumerate(widths):
            stride, padding = (1, 0) if i == 0 else (2, 1)  # 1 x 1 -> 4 x 4 -> 8 x 8 ...
            layers.append(nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False))
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers += [nn.ConvTranspose2d(channels, out_channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        _initialize(self)

    def forward(self, noise: Tensor) -> Tensor:
        return self.main(noise)


class DCGANDiscriminator(nn.Module):
    """The probability that an image is real.

    Shapes: images (N, in_channels, image_size, image_size), probabilities (N, 1, 1, 1).

    Raises: ValueError unless image_size is a power of 2, at least 8.
    """

    def __init__(self, features: int = 64, in_channels: int = 3, image_size: int = 64) -> None:
        super().__init__()
        widths = _widths("DCGANDiscriminator", image_size, features)[::-1]
        layers: list[nn.Module] = []
        channels = in_channels
        for i, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 4, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(width)] if i > 0 else []  # the paper: not on the images
            layers.append(nn.LeakyReLU(0.2))
            channels = width
        layers += [nn.Conv2d(channels, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.main(images)
