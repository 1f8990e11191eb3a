"""One training script for two libraries: only the import differs.

    python examples/from_pytorch.py --backend torch
    python examples/from_pytorch.py --backend tinyvision

Both train the same network on the digits that come with tinyvision, from the same weights, with the
same batches. Each writes its losses to a file; when both are there, the second run says how far
they are apart, and draws them. What is left is rounding: float32 has seven digits, and the
libraries add up in another order.
"""

import argparse
import importlib
import sys
from pathlib import Path

import common
import numpy as np

from tinyvision.data import Digits

BACKENDS = ("torch", "tinyvision")


def make_model(nn):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.GELU(), nn.Linear(64, 10),
    )  # fmt: skip


def set_weights(lib, model, seed):
    """The same numbers in both libraries, which draw others from the same seed."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("weight") and value.ndim > 1:
            fan_in = int(np.prod(value.shape[1:]))
            numbers = rng.standard_normal(tuple(value.shape)) / np.sqrt(fan_in)
            state[name] = lib.tensor(numbers.astype(np.float32))
        else:
            state[name] = value  # 0 and 1 in batch norm; biases are set below
    model.load_state_dict(state)
    with lib.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()


def batches(seed, size):
    """Endless batches of digits as arrays, in an order that depends on the seed alone."""
    digits = Digits(train=True)
    images = digits.data.astype(np.float32)[:, None] / 255 - 0.3
    labels = digits.targets.astype(np.int64)
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(images))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield images[chosen], labels[chosen]


def train(lib, args):
    """The losses of so many steps: a PyTorch program, whichever library `lib` is."""
    model = make_model(lib.nn)
    set_weights(lib, model, args.seed)
    optimizer = lib.optim.AdamW(model.parameters(), lr=args.lr)
    losses = []
    for images, labels in batches(args.seed, args.batch_size):
        scores = model(lib.tensor(images))
        loss = lib.nn.functional.cross_entropy(scores, lib.tensor(labels), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == args.steps:
            return np.array(losses)


def read_losses(file):
    try:
        losses = np.array(file.read_text().split(), np.float64)
        if losses.size == 0:
            raise ValueError("it is empty")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {file}: {error}")
    return losses


def compare(losses, output):
    """Say how far the two curves are apart, and draw them."""
    theirs, ours = (losses[backend] for backend in BACKENDS)
    steps = min(len(theirs), len(ours), 50)
    gap = np.abs(ours[:steps] / theirs[:steps] - 1)
    print(f"largest relative difference over the first {steps} steps: {gap.max():.1e}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: it needs matplotlib (python -m pip install matplotlib)")
        return
    figure = Figure(figsize=(7, 6), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(theirs, color="tab:orange", linewidth=5, alpha=0.5, label="PyTorch")
    above.plot(ours, color="tab:blue", linewidth=1.2, label="tinyvision")
    above.set(title="One script, two libraries", ylabel="loss")
    above.legend(frameon=False)
    shared = min(len(theirs), len(ours))
    below.semilogy(np.abs(ours[:shared] / theirs[:shared] - 1) + 1e-9, color="tab:green")
    below.axhline(
        np.finfo(np.float32).eps, color="gray", linestyle=":", label="float32's last digit"
    )
    below.set(xlabel="step", ylabel="relative difference")
    below.legend(frameon=False)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output / "from_pytorch.png")
    print(f"picture: {output / 'from_pytorch.png'}")


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    add = parser.add_argument
    add("--backend", choices=BACKENDS, default=BACKENDS[1], help="the library that trains")
    add("--steps", type=common.positive_int, default=200, help="training steps (default: 200)")
    add("--batch-size", type=common.positive_int, default=64, help="images per training step")
    add("--lr", type=common.positive_float, default=0.002, help="the learning rate")
    add("--seed", type=common.seed, default=0, help="another seed is another run (default: 0)")
    add("--output", metavar="DIR", default="out", help="where losses and picture go")
    args = parser.parse_args()
    if args.batch_size > len(Digits(train=True)):
        parser.error(f"--batch-size: {args.batch_size} is more than {len(Digits(train=True))}")
    try:
        lib = importlib.import_module(args.backend)
    except ImportError:
        parser.error(f"{args.backend} is not installed (python -m pip install {args.backend})")

    losses = train(lib, args)
    output = Path(args.output)
    with common.short_errors():
        output.mkdir(parents=True, exist_ok=True)
        np.savetxt(output / f"from_pytorch_{args.backend}.txt", losses)
    print(f"{args.backend}: loss {losses[0]:.7f} in the first step, {losses[-1]:.7f} in the last")
    files = {backend: output / f"from_pytorch_{backend}.txt" for backend in BACKENDS}
    if all(file.exists() for file in files.values()):
        compare({backend: read_losses(file) for backend, file in files.items()}, output)
    else:
        print("now run it with the other --backend")


if __name__ == "__main__":
    main()
