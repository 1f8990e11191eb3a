"""Train a small convolutional network on handwritten digits: the whole way in a minute.

    python examples/quickstart.py

The 1,797 digits of 8 x 8 pixels come with the package. A fifth of them is held out for the test.
At the end there is a picture of how the loss fell, and of what the network makes of digits that
it was not trained on.
"""

import time
from pathlib import Path

import common
import numpy as np

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import data, nn, optim


class DigitsCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(64 * 4 * 4, 10)

    def forward(self, x):  # (N, 1, 8, 8)
        x = F.relu(self.conv1(x))  # (N, 32, 8, 8)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 64, 4, 4)
        x = self.dropout(x.flatten(1))  # (N, 1024), half of them zero while training
        return self.fc(x)  # (N, 10), one score per class


def main():
    parser = common.options(__doc__, checkpoint="out/quickstart.ckpt")
    parser.add_argument("--output", metavar="PNG", default="out/quickstart.png")
    args = parser.parse_args()
    common.start(args, epochs=15, batch_size=32, lr=0.003)
    ctrl_c = common.CtrlC()

    to_input = data.Compose([data.ToTensor(), data.Normalize((0.304,), (0.376,))])
    train_set = data.Digits(train=True, transform=to_input)
    test_set = data.Digits(train=False, transform=to_input)
    generator = tv.Generator().manual_seed(args.seed)
    train_loader = data.DataLoader(train_set, args.batch_size, shuffle=True, generator=generator)
    test_loader = data.DataLoader(test_set, batch_size=100)

    model = DigitsCNN()
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train_loader)
    )
    checkpoint = common.Checkpoint(
        args, model=model, optimizer=optimizer, scheduler=scheduler, loader=train_loader
    )

    for epoch in range(checkpoint.epoch, args.epochs):
        started = time.perf_counter()
        model.train()
        for images, labels in common.progress(train_loader, epoch, args.epochs):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            checkpoint.losses.append(loss.item())
            if ctrl_c.pressed:
                checkpoint.save_and_exit(epoch)
        checkpoint.save(epoch + 1)
        print(
            f"epoch {epoch + 1:2}/{args.epochs}  loss {checkpoint.mean_loss():.4f}  "
            f"{time.perf_counter() - started:.1f} s",
            flush=True,
        )

    save_picture(args.output, model, test_set, checkpoint.losses, args.epochs)
    print(f"test accuracy: {common.accuracy(model, test_loader):.2f}%")


def save_picture(path, model, test_set, losses, epochs):
    try:
        from matplotlib.figure import Figure  # draws into files, needs no screen
    except ImportError:
        print("no picture: it needs matplotlib (python -m pip install matplotlib)")
        return
    figure = Figure(figsize=(11, 4.6), dpi=130, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.1], wspace=0.03)
    draw_losses(left.subplots(), losses, epochs)
    draw_predictions(right, model, test_set)
    with common.short_errors():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    print(f"picture: {path}")


def draw_losses(axes, losses, epochs):
    places = np.arange(1, len(losses) + 1) * epochs / len(losses)
    window = min(20, len(losses))
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes.plot(places, losses, color="tab:blue", alpha=0.25, linewidth=0.8, label="each step")
    axes.plot(places[window - 1 :], smooth, color="tab:blue", label=f"mean of {window} steps")
    axes.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy", yscale="log")
    axes.set_xlim(0, epochs)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def draw_predictions(figure, model, test_set, rows=4, columns=7):
    """Test digits with what the network takes them for: its mistakes first, in red."""
    images, labels = next(iter(data.DataLoader(test_set, batch_size=len(test_set))))
    model.eval()
    with tv.no_grad():
        probabilities = F.softmax(model(images), dim=1).numpy()
    predicted, labels = probabilities.argmax(axis=1), labels.numpy()
    wrong, correct = np.flatnonzero(predicted != labels), np.flatnonzero(predicted == labels)
    # The right answers shown come from all over the test set.
    spread = correct[np.linspace(0, len(correct) - 1, rows * columns).astype(int)]
    shown = np.concatenate([wrong[: rows * columns // 2], spread])[: rows * columns]
    figure.suptitle(f"{len(correct)} of {len(labels)} test digits recognised")
    for axes, i in zip(figure.subplots(rows, columns).flat, shown, strict=True):
        axes.imshow(test_set.data[i], cmap="gray_r", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("lightgray")
        if predicted[i] == labels[i]:
            axes.set_title(predicted[i], color="tab:green")
        else:
            axes.set_title(f"{predicted[i]}, not {labels[i]}", color="tab:red")


if __name__ == "__main__":
    main()
