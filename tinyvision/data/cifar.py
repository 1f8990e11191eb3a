"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 pixels, ten classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinyvision.data.download import RemoteFile, extract_tar, fetch
from tinyvision.data.readers import read_cifar_batch
from tinyvision.data.vision import VisionDataset, data_root, find_files, not_found

_FOLDER = "cifar-10-batches-bin"
_TRAIN_FILES = [f"data_batch_{i}.bin" for i in range(1, 6)]
_TEST_FILES = ["test_batch.bin"]
_FILE_BYTES = 10_000 * 3073


class CIFAR10(VisionDataset):
    """Ten kinds of vehicles and animals. `data` uint8 (N, 32, 32, 3), `targets` int64 (N,).

    Reads the *binary* version of the dataset; the better known Python version is pickled, and
    unpickling a file runs whatever code it holds.
    root: the directory with the .bin files, or the one above cifar-10-batches-bin. None means
    the environment variable TINYVISION_DATA.
    download: fetch and unpack the archive (170 MB) into root if the files are not found.

    Raises: RuntimeError if the files are not found, not readable or not of that format.
    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """

    classes = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    remote: ClassVar[RemoteFile] = RemoteFile(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/",),
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.train = train
        images, labels = zip(*map(read_cifar_batch, self._find(root, download)), strict=True)
        data, targets = np.concatenate(images), np.concatenate(labels)
        super().__init__(data, targets, transform, target_transform)

    def _find(self, root: str | os.PathLike | None, download: bool) -> list[Path]:
        """The paths of the split's files, downloaded if need be."""
        base = data_root(root, "CIFAR10", f"{_FOLDER}/{_TRAIN_FILES[0]} and its siblings")
        files = _TRAIN_FILES if self.train else _TEST_FILES
        folders = [base / _FOLDER, base]
        found = find_files(folders, [[file] for file in files])
        if found is None and download:
            self._fetch_archive(base)
            found = [base / _FOLDER / file for file in files]
        if found is None:
            raise not_found("CIFAR10", folders, files)
        return found

    def _fetch_archive(self, base: Path) -> None:
        archive = fetch(self.remote, base)
        members = {f"{_FOLDER}/{file}": _FILE_BYTES for file in _TRAIN_FILES + _TEST_FILES}
        extract_tar(archive, members, base)
        archive.unlink()  # its content is unpacked and checked
