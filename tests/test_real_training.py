"""The examples learn from the real MNIST and CIFAR-10, where TINYVISION_DATA has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyvision import data

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def accuracy_of(example, *arguments, folder):
    command = [sys.executable, EXAMPLES / example, *arguments, "--checkpoint", folder / "run.ckpt"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1]
    assert last.startswith("test accuracy: "), last
    return float(last.removeprefix("test accuracy: ").removesuffix("%"))


def skip_without(dataset):
    try:
        dataset(os.environ.get("TINYVISION_DATA", ""), train=True)
    except (RuntimeError, OSError):
        pytest.skip(f"TINYVISION_DATA has no {dataset.__name__}")


@pytest.mark.realdata
@pytest.mark.slow
def test_real_mnist_plain_cnn_learns_in_one_epoch(tmp_path):
    skip_without(data.MNIST)
    assert accuracy_of("mnist_cnn.py", "--epochs", "1", folder=tmp_path) > 98.0


@pytest.mark.realdata
@pytest.mark.slow
def test_real_cifar10_classic_cnn_learns_in_one_epoch(tmp_path):
    skip_without(data.CIFAR10)
    assert accuracy_of("cifar10_cnn.py", "--epochs", "1", folder=tmp_path) > 40.0
