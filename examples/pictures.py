"""The pictures that the examples save: training curves, predictions, and what a ViT looks at.

They need matplotlib; without it a line says so, and the rest of the example runs as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import common
import numpy as np

import tinyvision as tv
from tinyvision import models, nn

try:
    from matplotlib.figure import Figure  # draws into files, needs no screen
except ImportError:
    Figure = None


@contextlib.contextmanager
def saved(path: str, width: float, height: float) -> Iterator[Any]:
    """A figure to draw on, which becomes the file `path`."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    yield figure
    with common.short_errors():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    print(f"picture: {path}")


def possible() -> bool:
    """Whether there can be pictures."""
    if Figure is None:
        print("no pictures: they need matplotlib (python -m pip install matplotlib)")
    return Figure is not None


def training_curve(
    path: str, losses: Sequence[float], accuracies: Sequence[float], minutes: float | None = None
) -> None:
    """The loss at each step and, below it, the test accuracy after each epoch.

    minutes: what all epochs took together, for a second scale.
    """
    epochs = len(accuracies)
    with saved(path, 7, 6) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        draw_losses(above, losses, epochs)
        above.set_xlabel("")
        below.plot(range(1, epochs + 1), accuracies, "o-", color="tab:green", markersize=3)
        below.set(title="Test accuracy", xlabel="epoch", ylabel="%")
        below.grid(alpha=0.3)
        below.spines[["top", "right"]].set_visible(False)
        if minutes is not None:
            per_epoch = minutes / epochs
            scale = (lambda epoch: epoch * per_epoch, lambda minute: minute / per_epoch)
            below.secondary_xaxis(-0.3, functions=scale).set_xlabel("minutes")


def draw_losses(axes: Any, losses: Sequence[float], epochs: int, name: str = "") -> None:
    """Each step's loss in pale, and the mean over the steps around it."""
    places = np.arange(1, len(losses) + 1) * epochs / len(losses)
    window = min(max(20, len(losses) // 100), len(losses))
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    (line,) = axes.plot(places[window - 1 :], smooth, label=name or f"mean of {window} steps")
    axes.plot(places, losses, color=line.get_color(), alpha=0.25, linewidth=0.8)
    axes.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy", yscale="log")
    axes.set_xlim(0, epochs)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def attention(path: str, model: nn.Module, test_set: Any) -> None:
    """A test image of each class and, below, how much its parts count for the answer."""
    _, chosen = np.unique(test_set.targets, return_index=True)
    count = len(chosen)
    images = tv.stack([test_set[i][0] for i in chosen])
    maps = attention_maps(model, images)
    with saved(path, 1.2 * count, 1.2 * (1 + len(maps)) + 0.3) as figure:
        rows = figure.subplots(1 + len(maps), count, squeeze=False)
        for column, i in enumerate(chosen):
            picture = test_set.data[i]
            H, W = picture.shape[:2]
            for row in rows[:, column]:
                row.imshow(picture, cmap="gray")
                row.set(xticks=[], yticks=[])
                row.spines[:].set_visible(False)
            for row, values in zip(rows[1:, column], maps.values(), strict=True):
                heat = {"cmap": "inferno", "alpha": 0.7, "extent": (0, W, H, 0)}
                row.imshow(values[column], interpolation="bilinear", **heat)
        for row, name in zip(rows[:, 0], ["test image", *maps], strict=True):
            row.set_ylabel(name, fontsize=8)


def attention_maps(model: nn.Module, images: tv.Tensor) -> dict[str, np.ndarray]:
    """Weights of the image's patches (N, height, width), by what they are the weights of."""
    model.eval()
    with tv.no_grad():
        _, weights = model(images, need_weights=True)
    rollout = models.attention_rollout(weights)
    if isinstance(model, models.CCT):
        maps = {"sequence pooling": weights[-1], "attention rollout": rollout}
    else:
        maps = {"last layer": weights[-1].mean(dim=1), "attention rollout": rollout}  # of the heads
        if model.class_token is None:  # the mean of what the patches take from each other
            maps = {name: values.mean(dim=1) for name, values in maps.items()}
        else:  # what the class token, the first, takes from the patches
            maps = {name: values[:, 0, 1:] for name, values in maps.items()}
    return {name: as_grid(values.numpy()) for name, values in maps.items()}


def as_grid(weights: np.ndarray) -> np.ndarray:
    """(N, L) -> (N, side, side): the patches stand in the sequence row by row."""
    side = int(np.sqrt(weights.shape[1]))
    return weights.reshape(len(weights), side, side)
