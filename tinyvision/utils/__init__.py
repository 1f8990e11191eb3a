"""PyTorch's path to the data tools: `from tinyvision.utils.data import DataLoader`."""

from tinyvision.utils import data
