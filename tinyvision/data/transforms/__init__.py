"""Image transforms in NumPy, with torchvision's names, arguments and meaning.

    train_transform = Compose([
        RandomCrop(32, padding=4), RandomHorizontalFlip(),     # on uint8, a quarter of the bytes
        ToTensor(), Normalize((0.49, 0.48, 0.45), (0.25, 0.24, 0.26)),
    ])

Layouts, told apart by type as torchvision tells PIL images from tensors: a uint8 or float
*ndarray* is (H, W), (H, W, C) or a batch (N, H, W, C); a *Tensor* is (C, H, W) or (N, C, H, W).
Every image of a batch gets its own random draw, from the generator in use (tinyvision/random.py).
"""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.data.transforms.affine import RandomAffine, RandomRotation
from tinyvision.data.transforms.base import (
    Compose,
    Lambda,
    RandomApply,
    Transform,
    works_on_batches,
)
from tinyvision.data.transforms.conversion import Grayscale, Normalize, ToTensor
from tinyvision.data.transforms.crop import CenterCrop, RandomCrop
from tinyvision.data.transforms.erasing import RandomErasing
from tinyvision.data.transforms.flip import RandomHorizontalFlip, RandomVerticalFlip
from tinyvision.data.transforms.pad import Pad
from tinyvision.data.transforms.resize import RandomResizedCrop, Resize
from tinyvision.data.transforms.warp import InterpolationMode

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.data.transforms")
