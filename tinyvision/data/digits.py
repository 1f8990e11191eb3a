"""Digits: 1,797 small handwritten digits that come with the package, for tests and first steps.

The test half of the UCI data set "Optical Recognition of Handwritten Digits" by E. Alpaydin and
C. Kaynak (1998, doi 10.24432/C50P49), licence CC BY 4.0, as scikit-learn distributes it. See
DIGITS.md beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np

from tinyvision.data.vision import VisionDataset


class Digits(VisionDataset):
    """Handwritten digits of 8 x 8 pixels. `data` uint8 (N, 8, 8), 0 to 255 as in MNIST.

    train: 1,438 images, else the 359 held out. The split is fixed and stratified: with the
    images sorted by class (file order within a class), every fifth is held out.

    The file has 17 levels of grey, 0 to 16, which are stretched. After ToTensor,
    Normalize((0.304,), (0.376,)) gives the training split mean 0 and deviation 1.
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        self.train = train
        with (
            files("tinyvision.data").joinpath("digits.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as archive,
        ):
            images, labels = archive["images"], archive["labels"].astype(np.int64)
        images = (images.astype(np.uint16) * 255 // 16).astype(np.uint8)
        held_out = np.zeros(len(labels), bool)
        held_out[np.argsort(labels, kind="stable")[4::5]] = True
        chosen = ~held_out if train else held_out
        super().__init__(images[chosen], labels[chosen], transform, target_transform)
