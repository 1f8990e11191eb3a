"""PyTorch's path to the data tools: `from tinyvision.utils.data import DataLoader`."""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.utils import data

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.utils")
