"""What the image datasets share: arrays in memory, transforms, and where to look for files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinyvision.creation import from_numpy
from tinyvision.data.collate import default_collate
from tinyvision.data.dataset import Dataset
from tinyvision.data.transforms import works_on_batches
from tinyvision.tensor import Tensor


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Images and labels in memory: sample i is (transform(data[i]), target_transform(label)).

    data: uint8, (N, H, W) or (N, H, W, C). targets: int64 (N,).
    """

    classes: ClassVar[list[str]]

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        if len(data) != len(targets):
            raise RuntimeError(
                f"{type(self).__name__}: {len(data)} images, but {len(targets)} labels"
            )
        self.data, self.targets = data, targets
        self.transform, self.target_transform = transform, target_transform

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self.data[index], int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.data)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def get_batch(self, indices: Sequence[int]) -> list[Any] | None:
        """Images and labels as two Tensors, the transforms applied to the whole batch at once.

        None if the transform is not known to work on batches.
        """
        if not works_on_batches(self.transform):
            return None
        picked = np.asarray(indices, np.intp)
        images, labels = self.data[picked], self.targets[picked]
        targets = from_numpy(labels)
        if self.target_transform is not None:
            targets = default_collate([self.target_transform(label) for label in labels.tolist()])
        return [self._transformed(images), targets]

    def _transformed(self, images: np.ndarray) -> Tensor:
        if self.transform is None:
            return from_numpy(images)
        grey = images.ndim == 3
        # (N, H, W) -> (N, H, W, 1), because three dimensions would mean one image (H, W, C)
        batch = self.transform(images[..., None] if grey else images)
        if isinstance(batch, Tensor):
            return batch
        return from_numpy(batch[..., 0] if grey and batch.shape[-1] == 1 else batch)

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        for name in ("transform", "target_transform"):
            if getattr(self, name) is not None:
                lines.append(f"    {name}: {getattr(self, name)}".replace("\n", "\n    "))
        return "\n".join(lines)


class FileDataset(VisionDataset):
    """A VisionDataset that is read from files below a directory `root`, or fetched into it."""

    folder: ClassVar[str]  # where the files are, below root

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.train = train
        data, targets = self._read(self._find(root, download))
        super().__init__(data, targets, transform, target_transform)

    def _names(self) -> list[tuple[str, ...]]:
        """The files of the split, each under all names that it may have."""
        raise NotImplementedError

    def _folders(self, root: Path) -> list[Path]:
        """Where the files may be, the first in which all are is taken."""
        return [root / self.folder, root]

    def _download(self, root: Path) -> list[Path]:
        """Fetch the files; their paths."""
        raise NotImplementedError

    def _read(self, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels in the files."""
        raise NotImplementedError

    def _find(self, root: str | os.PathLike | None, download: bool) -> list[Path]:
        """The paths of the split's files, downloaded if need be."""
        name, names = type(self).__name__, self._names()
        chosen = root if root is not None else os.environ.get("TINYVISION_DATA")
        if not chosen:
            raise RuntimeError(
                f"{name}: no directory given; pass root, or set the environment variable "
                f"TINYVISION_DATA to a directory that holds {self.folder}/{names[0][0]} and its "
                "siblings (download=True puts it there)"
            )
        folders = self._folders(Path(chosen))
        for folder in folders:
            there = [[folder / n for n in same if (folder / n).is_file()] for same in names]
            if all(there):
                return [paths[0] for paths in there]
        if download:
            return self._download(Path(chosen))
        raise RuntimeError(
            f"{name}: dataset not found. You can use download=True to download it, or put "
            f"{', '.join(same[0] for same in names)} into one of: {', '.join(map(str, folders))}"
        )
