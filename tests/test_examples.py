"""The examples as programs: on small made-up datasets, stopped and resumed, and misused."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvision as tv

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# Presses Ctrl-C in the middle of optimizer step number argv[1], then runs the example argv[2].
PRESS_CTRL_C = """
import os, runpy, signal, sys
from tinyvision import optim

steps_left = int(sys.argv[1])
sys.argv = sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
def step(self, step=optim.Optimizer.step):
    global steps_left
    steps_left -= 1
    if steps_left == 0:
        os.kill(os.getpid(), signal.SIGINT)
    step(self)
optim.Optimizer.step = step
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# What a missing package looks like: importing a name that sys.modules maps to None fails.
WITHOUT_EXTRAS = """
import os, runpy, sys

sys.modules["tqdm"] = sys.modules["matplotlib"] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# Two epochs of five batches each. MNIST's has dropout and warped images: all kinds of randomness
# there are.
SMALL_RUNS = {
    "quickstart": ["--batch-size", "300", "--epochs", "2"],
    "mnist_cnn": ["--recipe", "best", "--batch-size", "8", "--epochs", "2"],
    "cifar10_cnn": ["--model", "strong", "--batch-size", "8", "--epochs", "2"],
    "mnist_vit": ["--batch-size", "8", "--epochs", "2"],
    "cifar10_vit": ["--batch-size", "8", "--epochs", "2"],
    "cifar10_resnet": ["--batch-size", "8", "--epochs", "2"],
    "rnn_rows": ["--model", "attention", "--batch-size", "8", "--epochs", "2"],
    "dcgan": ["--batch-size", "8", "--epochs", "2"],
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """40 training and 20 test images in the formats of MNIST and of CIFAR-10's binary version."""
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for split, N in (("train", 40), ("t10k", 20)):
        images, labels = draw.bytes(N * 28 * 28), draw.integers(0, 10, N, np.uint8).tobytes()
        sizes = np.array([N, 28, 28], ">u4").tobytes()
        (folder / f"{split}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + images)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:4] + labels)
    for name, N in [(f"data_batch_{i}", 8) for i in range(1, 6)] + [("test_batch", 20)]:
        records = draw.integers(0, 256, (N, 3073), np.uint8)
        records[:, 0] = draw.integers(0, 10, N)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def run(example, *arguments, cwd, program=()):
    """Run an example to its end; `program` runs it in a particular way."""
    command = [sys.executable, *map(str, program), EXAMPLES / f"{example}.py", *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("TINYVISION_DATA", None)
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def printed_accuracy(finished):
    """The number in the last line, which has exactly one form."""
    assert finished.returncode == 0, finished.stderr
    last_line = finished.stdout.splitlines()[-1]
    match = re.fullmatch(r"test accuracy: (\d{1,3}\.\d\d)%", last_line)
    assert match, last_line
    return float(match[1])


def assert_same(left, right):
    """Equal structure, and arrays and numbers equal bit for bit."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        left, right = list(left.values()), list(right.values())
    if isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, tv.Tensor | np.ndarray):
        left, right = np.asarray(left), np.asarray(right)
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        assert left.tobytes() == right.tobytes()
    else:
        assert left == right


def test_quickstart_learns_and_draws_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="of the extra `examples`")
    pytest.importorskip("tqdm", reason="of the extra `examples`")
    finished = run("quickstart", "--epochs", "4", "--output", "new/picture.png", cwd=tmp_path)
    assert printed_accuracy(finished) > 90
    assert (tmp_path / "new/picture.png").read_bytes().startswith(b"\x89PNG")
    assert "epoch 1/4" in finished.stderr  # the progress bar


def test_quickstart_needs_neither_tqdm_nor_matplotlib(tmp_path):
    finished = run("quickstart", "--epochs", "1", cwd=tmp_path, program=["-c", WITHOUT_EXTRAS])
    assert printed_accuracy(finished) > 10
    assert "pip install matplotlib" in finished.stdout
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("example", SMALL_RUNS)
def test_example_stopped_and_resumed_ends_with_the_same_weights(example, data_dir, tmp_path):
    options = [*SMALL_RUNS[example], "--data-dir", data_dir, "--seed", "3", "--checkpoint"]
    whole = run(example, *options, "whole.ckpt", cwd=tmp_path)
    if example != "dcgan":
        printed_accuracy(whole)

    networks = 2 if example in ("quickstart", "dcgan") else 1
    ctrl_c = ["-c", PRESS_CTRL_C, 7 * networks]  # in the seventh batch; an epoch has five
    stopped = run(example, *options, "parts.ckpt", cwd=tmp_path, program=ctrl_c)
    assert stopped.returncode == 130
    assert "--resume" in stopped.stderr and "Traceback" not in stopped.stderr
    checkpoint = tv.load(tmp_path / "parts.ckpt")
    assert checkpoint["epoch"] == 1
    assert checkpoint["parts"]["loader"]["batches_done"] == 2

    resumed = run(example, *options, "parts.ckpt", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    if example != "dcgan":
        assert printed_accuracy(resumed) == printed_accuracy(whole)
    parts, entire = tv.load(tmp_path / "parts.ckpt"), tv.load(tmp_path / "whole.ckpt")
    assert parts.pop("seconds") > 0 < entire.pop("seconds")
    assert_same(parts, entire)


def test_vit_examples_draw_training_and_attention(data_dir, tmp_path):
    pytest.importorskip("matplotlib", reason="of the extra `examples`")
    options = ["--data-dir", data_dir, "--epochs", "1", "--batch-size", "20", "--output", "new"]
    for example, *model in (["mnist_vit"], ["cifar10_vit"], ["cifar10_vit", "--model", "vit"]):
        printed_accuracy(run(example, *options, *model, cwd=tmp_path))
        for name in (f"new/{example}.png", f"new/{example}_attention.png"):
            assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
            (tmp_path / name).unlink()


def test_example_seed_decides_the_run(data_dir, tmp_path):
    options = ["--epochs", "1", "--data-dir", data_dir]
    for seed, name in ((1, "a.ckpt"), (1, "b.ckpt"), (2, "c.ckpt")):
        arguments = [*options, "--seed", seed, "--checkpoint", name]
        printed_accuracy(run("cifar10_cnn", *arguments, cwd=tmp_path))
    a, b, c = (
        tv.load(tmp_path / name)["parts"]["model"] for name in ("a.ckpt", "b.ckpt", "c.ckpt")
    )
    assert_same(a, b)
    with pytest.raises(AssertionError):
        assert_same(a, c)


def test_example_resumes_only_the_run_that_was_saved(data_dir, tmp_path):
    options = ["--data-dir", data_dir, "--epochs", "1"]
    printed_accuracy(run("mnist_cnn", *options, "--checkpoint", "mnist.ckpt", cwd=tmp_path))
    printed_accuracy(run("mnist_cnn", *options, "--resume", "mnist.ckpt", cwd=tmp_path))

    other_lr = run("mnist_cnn", *options, "--lr", "0.5", "--resume", "mnist.ckpt", cwd=tmp_path)
    assert_short_error(other_lr, "lr 0.1, not 0.5")
    other_example = run("cifar10_cnn", *options, "--resume", "mnist.ckpt", cwd=tmp_path)
    assert_short_error(other_example, "example mnist_cnn, not cifar10_cnn")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
        (["--epochs", "three"], "--epochs"),
        (["--epochs", "0"], "0 is not positive"),
        (["--lr", "nan"], "nan is not a positive number"),
        (["--recipe", "bset"], "'bset'"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--resume", "missing.ckpt"], "there is no checkpoint missing.ckpt"),
        (["--resume", "cut.ckpt"], "cut.ckpt"),
        (["--resume", "other.ckpt"], "other.ckpt is no checkpoint of this example"),
        (["--checkpoint", "."], "cannot write"),
    ],
)
def test_example_misused_says_so_briefly(arguments, expected, data_dir, tmp_path):
    tv.save({"weight": np.zeros(1000)}, tmp_path / "other.ckpt")
    other = (tmp_path / "other.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(other[: len(other) // 2])
    assert_short_error(run("mnist_cnn", "--data-dir", data_dir, *arguments, cwd=tmp_path), expected)


def assert_short_error(finished, expected):
    assert finished.returncode not in (0, 130)
    assert expected in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "accuracy" not in finished.stdout


def test_from_pytorch_runs_with_tinyvision_alone(tmp_path):
    finished = run("from_pytorch", "--steps", "30", "--output", "new", cwd=tmp_path)
    assert "now run it with the other --backend" in finished.stdout
    losses = np.loadtxt(tmp_path / "new/from_pytorch_tinyvision.txt")
    assert losses.shape == (30,) and losses[-1] < 0.6 * losses[0]


def test_from_pytorch_explains_what_it_cannot_use(tmp_path):
    for options in (["--lr", "-1"], ["--seed", "-1"], ["--steps", "0"], ["--batch-size", "99999"]):
        finished = run("from_pytorch", *options, cwd=tmp_path)
        assert finished.returncode == 2
        assert f"{options[0]}: {options[1]} is " in finished.stderr.replace("argument ", "")
    for content in (b"\xff\xfe", b"loss", b""):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out/from_pytorch_torch.txt").write_bytes(content)
        finished = run("from_pytorch", "--steps", "1", cwd=tmp_path)
        assert finished.returncode == 1
        assert "error: out/from_pytorch_torch.txt: " in finished.stderr
        assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("name", [*SMALL_RUNS, "from_pytorch"])
def test_examples_explain_their_options(name, tmp_path):
    text = run(name, "--help", cwd=tmp_path).stdout
    described = re.findall(r"^  --[\w-]+(?: \S+)?(?: {2,}|\n {10,})\w", text, re.M)
    assert len(described) == len(re.findall(r"^  --", text, re.M)) >= 6


@pytest.mark.parity
def test_from_pytorch_is_the_same_program_in_both_libraries(tmp_path):
    pytest.importorskip("torch")
    run("from_pytorch", "--backend", "torch", "--steps", "50", cwd=tmp_path)
    finished = run("from_pytorch", "--steps", "50", cwd=tmp_path)
    ours, theirs = (
        np.loadtxt(tmp_path / f"out/from_pytorch_{name}.txt") for name in ("tinyvision", "torch")
    )
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    assert "largest relative difference over the first 50 steps" in finished.stdout
