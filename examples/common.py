"""What the examples share: command-line options, checkpoints, Ctrl-C and counting right answers.

The models and the training loops are in the examples themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tinyvision as tv
from tinyvision import nn
from tinyvision.data import DataLoader

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


# The options that make a run what it is; a resumed run must have the same.
SETTINGS = ("model", "recipe", "epochs", "batch_size", "lr", "seed")


def options(description: str, checkpoint: str) -> argparse.ArgumentParser:
    """A parser with the options that all examples have; None means the example's own default."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, formatter_class=as_written, allow_abbrev=False
    )
    data_dir = os.environ.get("TINYVISION_DATA") or "data"
    add = parser.add_argument
    add("--data-dir", default=data_dir, help="where the dataset is (default: %(default)s)")
    add("--download", action="store_true", help="fetch the dataset if it is not in --data-dir")
    add("--epochs", type=positive_int, help="times to go through the training images")
    add("--batch-size", type=positive_int, help="images per training step")
    add("--lr", type=positive_float, help="the learning rate, or the highest of a schedule")
    add("--seed", type=seed, default=0, help="another seed is another run (default: 0)")
    add("--threads", type=positive_int, help="CPU threads of the kernels (default: all)")
    add("--checkpoint", metavar="FILE", default=checkpoint, help="default: %(default)s")
    resume_help = "go on with the run in the checkpoint (or in FILE), with the options it has"
    add("--resume", metavar="FILE", nargs="?", const="", help=resume_help)
    return parser


def start(args: argparse.Namespace, epochs: int, batch_size: int, lr: float) -> None:
    """Fill in what the command line left open; set the seed and the number of threads."""
    args.epochs = args.epochs or epochs
    args.batch_size = args.batch_size or batch_size
    args.lr = args.lr or lr
    tv.manual_seed(args.seed)
    if args.threads is not None:
        tv.set_num_threads(args.threads)


@contextlib.contextmanager
def short_errors() -> Iterator[None]:
    """End the program with a message instead of a traceback: for what the user can put right."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        # The datasets' advice is for programs; here the option does it.
        sys.exit(f"error: {error}".replace("download=True", "--download"))


class CtrlC:
    """Turns Ctrl-C into a flag, for the training loop to look at when a step is complete.

    The usual KeyboardInterrupt could come in the middle of `optimizer.step()`, when some
    parameters have changed and others have not. A second Ctrl-C ends the program at once.
    """

    def __init__(self) -> None:
        self.pressed = False
        signal.signal(signal.SIGINT, self._note)

    def _note(self, signum: int, frame: object) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nstopping after this step (Ctrl-C again: at once)\n")


class Checkpoint:
    """A training run in a file: all that decides how it goes on.

    parts: the model, optimizer, scheduler and train loader by name, all with a state_dict. The
    loader's says how many batches of the epoch are done. losses: one per step since the start.
    accuracies: on the test images, one per epoch, where an example notes them.
    """

    def __init__(self, args: argparse.Namespace, **parts: Any) -> None:
        self.path = Path(args.resume or args.checkpoint)
        self.epoch = 0
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self._seconds_before = 0.0  # of the runs that this one goes on with
        self._started = time.perf_counter()
        self._parts = parts
        self._settings = {"example": Path(sys.argv[0]).stem}
        self._settings |= {name: value for name, value in vars(args).items() if name in SETTINGS}
        with short_errors():
            if args.resume is not None:
                self._load()
            self._check_path()  # now rather than after the first epoch

    def save(self, epoch: int) -> None:
        """Write the file: of the run in this epoch, after the batches the loader has given.

        `tv.save` puts the new file in the place of an old one only when it is complete.
        """
        state = {
            "settings": self._settings,
            "epoch": epoch,
            "losses": np.array(self.losses),
            "accuracies": np.array(self.accuracies),
            "seconds": self.seconds(),
            "rng_state": tv.get_rng_state(),
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
        }
        with short_errors():
            tv.save(state, self.path)

    def save_and_exit(self, epoch: int) -> None:
        """What to do after Ctrl-C."""
        self.save(epoch)
        print(f"stopped in epoch {epoch + 1}, saved {self.path}", file=sys.stderr)
        print("to go on: the same command with --resume", file=sys.stderr)
        sys.exit(130)  # what shells report for a program ended by Ctrl-C

    def seconds(self) -> float:
        """What the run has taken so far, without the time it lay interrupted."""
        return self._seconds_before + time.perf_counter() - self._started

    def mean_loss(self) -> Any:
        """The mean over the last epoch's steps, also those before an interruption."""
        return np.mean(self.losses[-len(self._parts["loader"]) :], axis=0)

    def _check_path(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir() or not os.access(self.path.parent, os.W_OK):
            raise OSError(f"--checkpoint: cannot write a file {self.path}")

    def _load(self) -> None:
        if not self.path.is_file():
            raise FileNotFoundError(f"--resume: there is no checkpoint {self.path}")
        state = tv.load(self.path)
        try:
            self._restore(state)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"--resume: {self.path} is no checkpoint of this example") from error

    def _restore(self, state: Any) -> None:
        for name, value in self._settings.items():
            saved = state["settings"][name]
            if saved != value:
                raise ValueError(
                    f"--resume: the checkpoint {self.path} is of a run with {name} {saved}, "
                    f"not {value}; resume it with the options it was started with"
                )
        for name, part in self._parts.items():
            part.load_state_dict(state["parts"][name])
        tv.set_rng_state(state["rng_state"])
        self.epoch = int(state["epoch"])
        self.losses = state["losses"].tolist()
        self.accuracies = state["accuracies"].tolist()
        self._seconds_before = float(state["seconds"])


def progress(loader: DataLoader, epoch: int, epochs: int) -> Iterable:
    """The loader's batches behind a progress bar; without one if tqdm is not installed."""
    if tqdm is None:
        return loader
    batches_done = int(loader.state_dict()["batches_done"])
    return tqdm(
        loader, f"epoch {epoch + 1}/{epochs}", initial=batches_done, leave=False, mininterval=0.5
    )


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """Percentage of the loader's images that the model classifies correctly."""
    model.eval()
    correct, total = 0, 0
    with tv.no_grad():
        for images, labels in loader:
            predicted = model(images).argmax(dim=1)
            correct += (predicted == labels).sum().item()
            total += len(labels)
    return 100 * correct / total


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**64 - 1")
    return number
