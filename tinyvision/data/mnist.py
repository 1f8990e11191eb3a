"""MNIST, Fashion-MNIST and KMNIST: 60,000 + 10,000 grey images of 28 x 28 pixels, ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from tinyvision.data.download import RemoteFile, fetch
from tinyvision.data.readers import read_idx_images, read_idx_labels
from tinyvision.data.vision import FileDataset

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION_MIRRORS = (
    # Plain http is what the authors publish; every file's SHA-256 is checked.
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_FILES = (
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def _remote_files(mirrors: tuple[str, ...], *published: tuple[int, str]) -> dict[str, RemoteFile]:
    """_FILES as the mirrors have them: gzipped, of these sizes and SHA-256."""
    return {
        name: RemoteFile(f"{name}.gz", mirrors, size, sha256)
        for name, (size, sha256) in zip(_FILES, published, strict=True)
    }


class MNIST(FileDataset):
    """Handwritten digits. `data` uint8 (N, 28, 28), `targets` int64 (N,).

    root: the directory with the four IDX files (plain or .gz), or one above it: root/mnist and
    root/MNIST/raw are tried too. None means the environment variable TINYVISION_DATA.
    download: fetch the files of the split into root/mnist if they are not found.

    Raises: RuntimeError if the files are not found, not readable or not MNIST's format.
    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998.
    """

    classes = [
        *("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four"),
        *("5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"),
    ]
    folder = "mnist"
    remote: ClassVar[dict[str, RemoteFile]] = _remote_files(
        _MNIST_MIRRORS,
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    )

    def _names(self) -> list[tuple[str, ...]]:
        return [(f"{file}.gz", file) for file in self._files()]

    def _folders(self, root: Path) -> list[Path]:
        # The dataset's own folders first: the datasets' files have the same names.
        return [root / self.folder, root / type(self).__name__ / "raw", root]

    def _download(self, root: Path) -> list[Path]:
        return [fetch(self.remote[file], root / self.folder) for file in self._files()]

    def _read(self, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        images, labels = paths
        return read_idx_images(images, 28, 28), read_idx_labels(labels, len(self.classes))

    def _files(self) -> tuple[str, ...]:
        return _FILES[:2] if self.train else _FILES[2:]


class FashionMNIST(MNIST):
    """Zalando's articles of clothing, a harder set in MNIST's format.

    Arguments and errors are MNIST's; the folders are root/fashion_mnist and root/FashionMNIST/raw.

    Source: Xiao, Rasul, Vollgraf 2017, Fashion-MNIST, arXiv 1708.07747.
    """

    classes = [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ]
    folder = "fashion_mnist"
    remote = _remote_files(
        _FASHION_MIRRORS,
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )


class KMNIST(MNIST):
    """Handwritten characters of old Japanese books (Kuzushiji), in MNIST's format.

    Arguments and errors are MNIST's; the folders are root/kmnist and root/KMNIST/raw.

    Source: Clanuwat et al. 2018, Deep Learning for Classical Japanese Literature, arXiv 1812.01718.
    """

    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    folder = "kmnist"
    remote = _remote_files(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    )
