"""Turning a list of samples into one batch, or a single one into Tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples along a new first dimension.

    Tensors, arrays and numbers become one Tensor (int -> int64, float -> float64, as PyTorch
    does); strings stay a list; a dict, tuple or list of those becomes a dict or list of batches,
    a namedtuple stays one.

    Raises: RuntimeError if shapes or lengths differ, TypeError for anything else.
    """
    if len(batch) == 0:
        raise RuntimeError("default_collate: expected at least one sample, got an empty batch")
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack([sample.numpy() for sample in batch])
    if isinstance(first, np.ndarray | np.generic):
        return _stack([np.asarray(sample) for sample in batch])
    if isinstance(first, bool | int | float):
        return from_numpy(np.array(batch))
    if isinstance(first, str | bytes):
        return list(batch)
    return _collate_container(first, batch)


def default_convert(data: Any) -> Any:
    """Arrays and NumPy's numbers as Tensors that share their memory; other things as they are.

    Inside of a dict, tuple or list as well, which becomes a dict or list; a namedtuple stays one.
    """
    if isinstance(data, np.ndarray | np.generic):
        return data if data.dtype.kind in "OSU" else from_numpy(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        fields = [default_convert(value) for value in data]
        return type(data)(*fields) if hasattr(data, "_fields") else fields
    return data


def _collate_container(first: Any, batch: Sequence[Any]) -> Any:
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if not isinstance(first, Sequence):
        raise TypeError(
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
            f"found {type(first)}"
        )
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise RuntimeError(
            "default_collate: each element in list of batch should be of equal size, "
            f"got sizes {sorted(lengths)}"
        )
    fields = [default_collate(samples) for samples in zip(*batch, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else fields


def _stack(arrays: list[np.ndarray]) -> Tensor:
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise RuntimeError(
                f"default_collate: stack expects each tensor to be equal size, but got "
                f"{arrays[0].shape} at entry 0 and {array.shape} at entry {i}"
            )
        if array.dtype.kind in "OSU":
            raise TypeError(f"default_collate: cannot make a tensor of dtype {array.dtype}")
    return from_numpy(np.stack(arrays))
