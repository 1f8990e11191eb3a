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
    """Handwritten digits of 8 x 8 pixels with values 0..16. `data` uint8 (N, 8, 8).

    train: 1,438 images, else the 359 held out. The split is fixed and stratified: with the
    images sorted by class (file order within a class), every fifth is held out.

    ToTensor divides by 255 whatever the largest value is, so a good normalisation after it is
    Normalize((0.0191,), (0.0236,)), the mean and deviation of the training split.
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
        held_out = np.zeros(len(labels), bool)
        held_out[np.argsort(labels, kind="stable")[4::5]] = True
        chosen = ~held_out if train else held_out
        super().__init__(images[chosen], labels[chosen], transform, target_transform)
