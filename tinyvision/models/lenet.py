"""LeNet-5, the convolutional network that read handwritten digits on cheques.

    image -> conv 5x5, 6 -> ReLU -> max pool 2x2 -> conv 5x5, 16 -> ReLU -> max pool 2x2
          -> linear 120 -> ReLU -> linear 84 -> ReLU -> linear

Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", with ReLU and
max pooling in the place of tanh and averages with weights, and no missing connections, as in
PyTorch's tutorial, whose names of the parts these are.
"""

from __future__ import annotations

import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.tensor import Tensor


class LeNet(nn.Module):
    """Scores of classes for small images.

    Shapes: images (N, in_channels, image_size, image_size), scores (N, num_classes).
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        side = ((image_size - 4) // 2 - 4) // 2  # each convolution takes 4 pixels, each pool half
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.flatten(1)  # (N, 16, side, side) -> (N, 16 * side * side)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
