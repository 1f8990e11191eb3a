"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from tinyvision.data.download import RemoteFile, extract_tar, fetch
from tinyvision.data.readers import CIFAR_PIXELS, read_cifar_batch
from tinyvision.data.vision import FileDataset


class CIFAR10(FileDataset):
    """Ten kinds of vehicles and animals. `data` uint8 (N, 32, 32, 3), `targets` int64 (N,).

    Reads the *binary* version of the dataset; the better known Python version is pickled, and
    unpickling a file runs whatever code it holds.
    root: the directory with the .bin files, or the one above cifar-10-batches-bin. None means
    the environment variable TINYVISION_DATA.
    download: fetch and unpack the archive (170 MB) into root if the files are not found.

    Raises: RuntimeError if the files are not found, not readable or not of that format.
    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """

    classes = "airplane automobile bird cat deer dog frog horse ship truck".split()
    folder = "cifar-10-batches-bin"
    # The number of images in each file.
    train_files: ClassVar[dict[str, int]] = {f"data_batch_{i}.bin": 10_000 for i in range(1, 6)}
    test_files: ClassVar[dict[str, int]] = {"test_batch.bin": 10_000}
    label_bytes: ClassVar[int] = 1
    remote: ClassVar[RemoteFile] = RemoteFile(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/",),
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )

    def _names(self) -> list[tuple[str, ...]]:
        return [(file,) for file in (self.train_files if self.train else self.test_files)]

    def _download(self, root: Path) -> list[Path]:
        archive = fetch(self.remote, root)
        record = self.label_bytes + CIFAR_PIXELS
        files = {**self.train_files, **self.test_files}
        members = {f"{self.folder}/{file}": n * record for file, n in files.items()}
        extract_tar(archive, members, root)
        archive.unlink()  # its content is unpacked and checked
        return [root / self.folder / file for (file,) in self._names()]

    def _read(self, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        batches = [read_cifar_batch(path, self.label_bytes, len(self.classes)) for path in paths]
        data, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return data, targets


class CIFAR100(CIFAR10):
    """A hundred classes, 500 training images of each. Arguments and errors are CIFAR10's.

    Reads cifar-100-binary (train.bin and test.bin); the labels are the hundred "fine" ones.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """

    classes = """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
        butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
        crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
        kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
        mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
        plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew
        skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
        telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf
        woman worm
    """.split()
    folder = "cifar-100-binary"
    train_files = {"train.bin": 50_000}
    test_files = {"test.bin": 10_000}
    label_bytes = 2
    remote = RemoteFile(
        "cifar-100-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/",),
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    )
