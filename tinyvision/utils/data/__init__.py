"""torch.utils.data: what of tinyvision.data has this path in PyTorch."""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.utils.data")
