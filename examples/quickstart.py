"""Train a small CNN and a small vision transformer on handwritten digits, side by side.

    python examples/quickstart.py

The 1,797 digits of 8 x 8 pixels come with the package. A fifth of them is held out for the test.
At the end there is a picture of how the losses fell, and of what the networks make of digits that
they were not trained on.
"""

import time

import common
import numpy as np
import pictures

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import data, models, nn, optim


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


def digits_vit():
    return models.VisionTransformer(
        image_size=8, patch_size=2, in_channels=1,  # 4 x 4 patches
        num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10,
        position_std=1.0,
    )  # fmt: skip


class Learner:
    """A model with what trains it; counts the seconds of the training, since a resume if any."""

    def __init__(self, model, max_lr, steps):
        self.model = model
        self.optimizer = optim.AdamW(model.parameters(), lr=max_lr)
        self.scheduler = optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr, total_steps=steps)
        self.seconds = 0.0

    def step(self, images, labels):
        started = time.perf_counter()
        loss = F.cross_entropy(self.model(images), labels, label_smoothing=0.1)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.seconds += time.perf_counter() - started
        return loss.item()

    def state_dict(self):
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def main():
    parser = common.options(__doc__, checkpoint="out/quickstart.ckpt")
    parser.add_argument("--output", metavar="PNG", default="out/quickstart.png", help="the picture")
    args = parser.parse_args()
    # The images are so small that sharing out the work takes longer than it saves.
    args.threads = args.threads or 1
    common.start(args, epochs=15, batch_size=64, lr=0.003)
    ctrl_c = common.CtrlC()

    to_input = data.Compose([data.ToTensor(), data.Normalize((0.304,), (0.376,))])
    train_set = data.Digits(train=True, transform=to_input)
    test_set = data.Digits(train=False, transform=to_input)
    generator = tv.Generator().manual_seed(args.seed)
    train_loader = data.DataLoader(train_set, args.batch_size, shuffle=True, generator=generator)
    test_loader = data.DataLoader(test_set, batch_size=100)

    steps = args.epochs * len(train_loader)
    cnn, vit = (Learner(model, args.lr, steps) for model in (DigitsCNN(), digits_vit()))
    checkpoint = common.Checkpoint(args, cnn=cnn, vit=vit, loader=train_loader)

    for epoch in range(checkpoint.epoch, args.epochs):
        cnn.model.train()
        vit.model.train()
        for images, labels in common.progress(train_loader, epoch, args.epochs):
            checkpoint.losses.append([cnn.step(images, labels), vit.step(images, labels)])
            if ctrl_c.pressed:
                checkpoint.save_and_exit(epoch)
        checkpoint.save(epoch + 1)
        cnn_loss, vit_loss = checkpoint.mean_loss()
        print(
            f"epoch {epoch + 1:2}/{args.epochs}  loss of the CNN {cnn_loss:.4f}, "
            f"of the ViT {vit_loss:.4f}",
            flush=True,
        )

    if pictures.possible():
        networks = {"CNN": cnn.model, "mini-ViT": vit.model}
        save_picture(args.output, networks, test_set, checkpoint.losses, args.epochs)
    accuracies = compare({"CNN": cnn, "mini-ViT": vit}, test_loader)
    print(f"test accuracy: {max(accuracies):.2f}%")


def compare(learners, test_loader):
    """Print a row for each; return the accuracies."""
    accuracies = []
    print(f"\n{'model':10}{'parameters':>12}{'seconds':>9}{'test accuracy':>15}")
    for name, learner in learners.items():
        parameters = sum(parameter.numel() for parameter in learner.model.parameters())
        accuracies.append(common.accuracy(learner.model, test_loader))
        print(f"{name:10}{parameters:12,}{learner.seconds:9.1f}{accuracies[-1]:14.2f}%")
    print()
    return accuracies


def save_picture(path, models_by_name, test_set, losses, epochs):
    with pictures.saved(path, 13, 4.6) as figure:
        left, *rest = figure.subfigures(1, 3, width_ratios=[1, 1, 1], wspace=0.03)
        axes = left.subplots()
        for (name, model), part, model_losses in zip(
            models_by_name.items(), rest, np.transpose(losses), strict=True
        ):
            pictures.draw_losses(axes, model_losses, epochs, name)
            draw_predictions(part, name, model, test_set)


def draw_predictions(figure, name, model, test_set, rows=4, columns=6):
    """Test digits with what the network takes them for: its mistakes first, in red."""
    images, labels = next(iter(data.DataLoader(test_set, batch_size=len(test_set))))
    model.eval()
    with tv.no_grad():
        predicted, labels = model(images).argmax(dim=1).numpy(), labels.numpy()
    wrong, correct = np.flatnonzero(predicted != labels), np.flatnonzero(predicted == labels)
    # The right answers shown come from all over the test set.
    spread = correct[np.linspace(0, len(correct) - 1, rows * columns).astype(int)]
    shown = np.concatenate([wrong[: rows * columns // 2], spread])[: rows * columns]
    figure.suptitle(f"{name}: {len(correct)} of {len(labels)} test digits recognised")
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
