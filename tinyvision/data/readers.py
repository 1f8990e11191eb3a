"""Reading the file formats of MNIST and CIFAR, trusting nothing that a file says.

A header decides how much memory is asked for, so it is checked against fixed limits before a
byte of the content is read, and no more is decompressed than it announces.

IDX (MNIST): big-endian; two zero bytes, a dtype byte (8 = uint8), the number of dimensions, one
uint32 per dimension, then the values. Source: LeCun, Cortes, Burges, The MNIST database.
CIFAR binary: records of label bytes (CIFAR-10: class; CIFAR-100: superclass, class) and 3072
pixel bytes, the 1024 of red, green, blue, each row by row. Source: Krizhevsky 2009, Learning
Multiple Layers of Features from Tiny Images.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAX_IMAGES = 100_000  # of one file; the largest published one has 60,000
_UINT8 = 8
CIFAR_PIXELS = 3 * 32 * 32


def read_idx_images(path: Path, height: int, width: int) -> np.ndarray:
    """The images of an IDX file, plain or .gz: uint8 (N, height, width).

    Raises: RuntimeError naming the file and what is wrong with it.
    """
    images = _read_idx(path, ndim=3)
    if images.shape[1:] != (height, width):
        raise RuntimeError(
            f"{path}: expected images of {height} x {width} pixels, the header says "
            f"{images.shape[1]} x {images.shape[2]}"
        )
    return images


def read_idx_labels(path: Path, num_classes: int) -> np.ndarray:
    """The labels of an IDX file, plain or .gz: int64 (N,).

    Raises: RuntimeError naming the file and what is wrong with it.
    """
    return _checked_labels(path, _read_idx(path, ndim=1), num_classes)


def read_cifar_batch(
    path: Path, label_bytes: int = 1, num_classes: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (N, 32, 32, 3), and classes, int64 (N,), of a CIFAR binary file.

    Raises: RuntimeError naming the file and what is wrong with it.
    """
    record = label_bytes + CIFAR_PIXELS
    limit = MAX_IMAGES * record
    try:
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise RuntimeError(f"{path}: cannot be read: {error}") from error
    if len(content) == 0 or len(content) > limit or len(content) % record != 0:
        raise RuntimeError(
            f"{path}: expected a whole number of {record}-byte records, from 1 to "
            f"{MAX_IMAGES}, but the file has {path.stat().st_size} bytes; is it truncated?"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = _checked_labels(path, records[:, label_bytes - 1], num_classes)
    # (N, 3072) -> (N, 3, 32, 32) -> (N, 32, 32, 3)
    images = records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def _read_idx(path: Path, ndim: int) -> np.ndarray:
    try:
        with open(path, "rb") as raw:
            if path.suffix != ".gz":
                return _parse_idx(path, raw, ndim)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse_idx(path, unpacked, ndim)  # type: ignore[arg-type]
    except EOFError as error:
        raise RuntimeError(f"{path}: truncated: {error}") from error
    except (OSError, zlib.error) as error:
        raise RuntimeError(f"{path}: cannot be read: {error}") from error


def _parse_idx(path: Path, file: BinaryIO, ndim: int) -> np.ndarray:
    header = file.read(4 + 4 * ndim)
    if len(header) < 4 + 4 * ndim:
        raise RuntimeError(f"{path}: truncated: {len(header)} bytes, shorter than its header")
    magic, expected = header[:4], bytes([0, 0, _UINT8, ndim])
    if magic != expected:
        raise RuntimeError(
            f"{path}: not an IDX file of uint8 with {ndim} dimensions: it starts with "
            f"{magic.hex()}, expected {expected.hex()}"
        )
    shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
    if not 1 <= shape[0] <= MAX_IMAGES or any(not 1 <= size <= 1024 for size in shape[1:]):
        raise RuntimeError(f"{path}: its header announces a shape {shape}, which cannot be")
    # One byte more than announced, to see whether the content ends there (which for .gz also
    # checks the CRC).
    length = int(np.prod(shape, dtype=np.int64))
    content = file.read(length + 1)
    if len(content) != length:
        problem = "truncated" if len(content) < length else "longer than that"
        raise RuntimeError(f"{path}: its header announces {length} bytes, but it is {problem}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _checked_labels(path: Path, labels: np.ndarray, num_classes: int) -> np.ndarray:
    if labels.max() >= num_classes:
        raise RuntimeError(
            f"{path}: labels should be below {num_classes}, but one is {labels.max()}"
        )
    return labels.astype(np.int64)
