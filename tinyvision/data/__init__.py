"""Datasets, transforms and the DataLoader: torch.utils.data, torchvision.datasets and
torchvision.transforms under one name.

    train = MNIST("data", train=True, transform=ToTensor(), download=True)
    for images, labels in DataLoader(train, batch_size=128, shuffle=True):
        ...
"""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.data import transforms
from tinyvision.data.cifar import CIFAR10, CIFAR100
from tinyvision.data.collate import default_collate, default_convert
from tinyvision.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tinyvision.data.digits import Digits
from tinyvision.data.loader import DataLoader
from tinyvision.data.mnist import KMNIST, MNIST, FashionMNIST
from tinyvision.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinyvision.data.transforms import (
    CenterCrop,
    Compose,
    Grayscale,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToTensor,
    Transform,
)
from tinyvision.data.vision import VisionDataset
from tinyvision.random import current_generator, use_generator

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.data")
