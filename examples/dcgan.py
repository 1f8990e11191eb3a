"""Train a network to draw handwritten digits (DCGAN), from those of MNIST.

    python examples/dcgan.py --data-dir data --download

Two networks play against each other. The discriminator learns to tell real digits from drawn ones,
the generator to draw digits that the discriminator takes for real: all it ever learns about real
digits comes to it as gradients through the discriminator. Neither loss falls to zero when all goes
well, so that the picture, drawn anew after each epoch from the same noise, tells more than they do.
"""

import time

import common
import numpy as np
import pictures

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import Generator, data, models, nn, optim

LATENT_DIM = 64  # numbers of noise that a digit is drawn from


def load_data(args):
    to_input = data.Compose([data.ToTensor(), data.Normalize((0.5,), (0.5,))])  # from -1 to 1
    with common.short_errors():
        digits = data.MNIST(args.data_dir, True, to_input, download=args.download)
    generator = Generator().manual_seed(args.seed)
    return data.DataLoader(
        digits, args.batch_size, shuffle=True, drop_last=True, num_workers=1, generator=generator
    )


class Player:
    """One of the two networks with its optimizer."""

    def __init__(self, model, lr):
        self.model = model
        # Averages over fewer steps than usual: what is right changes with the other's every step.
        self.optimizer = optim.Adam(model.parameters(), lr=lr, betas=(0.5, 0.999))

    def step(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def state_dict(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def play(drawer, judge, images):
    """One step of each; the losses of the generator and of the discriminator."""
    real = F.pad(images, (2, 2, 2, 2), value=-1.0)  # 28 pixels and a dark edge: 32 = 4 * 2**3
    drawn = drawer.model(tv.randn(len(images), LATENT_DIM, 1, 1))
    loss_function = nn.BCELoss()
    ones, zeros = tv.ones(len(images), 1, 1, 1), tv.zeros(len(images), 1, 1, 1)

    # detach: this step is the discriminator's, and needs no gradients of the generator.
    on_real, on_drawn = judge.model(real), judge.model(drawn.detach())
    judge_loss = judge.step(loss_function(on_real, ones) + loss_function(on_drawn, zeros))
    # The generator's goal is that its digits are called real (ones). Of the discriminator only
    # the way back is needed; what gradients its weights get here, the next zero_grad removes.
    drawer_loss = drawer.step(loss_function(judge.model(drawn), ones))
    return drawer_loss, judge_loss


def save_digits(path, model, noise):
    """A grid of what the generator draws from this noise."""
    model.eval()
    with tv.no_grad():
        digits = model(noise).numpy()[:, 0]
    rows, columns = 8, len(noise) // 8
    grid = digits.reshape(rows, columns, 32, 32).transpose(0, 2, 1, 3).reshape(rows * 32, -1)
    with pictures.saved(path, columns / 2, rows / 2) as figure:
        axes = figure.subplots()
        axes.imshow(grid, cmap="gray", vmin=-1, vmax=1)
        axes.set_axis_off()


def main():
    parser = common.options(__doc__, checkpoint="out/dcgan.ckpt")
    parser.add_argument("--output", metavar="PNG", default="out/dcgan.png", help="the picture")
    args = parser.parse_args()
    common.start(args, epochs=10, batch_size=128, lr=0.0002)
    ctrl_c = common.CtrlC()

    loader = load_data(args)
    drawer = Player(models.DCGANGenerator(LATENT_DIM, 32, 1, image_size=32), args.lr)
    judge = Player(models.DCGANDiscriminator(32, 1, image_size=32), args.lr)
    noise = tv.randn(128, LATENT_DIM, 1, 1, generator=Generator().manual_seed(args.seed))
    checkpoint = common.Checkpoint(args, generator=drawer, discriminator=judge, loader=loader)

    draws_pictures = pictures.possible()
    for epoch in range(checkpoint.epoch, args.epochs):
        started = time.perf_counter()
        drawer.model.train()
        for images, _ in common.progress(loader, epoch, args.epochs):
            checkpoint.losses.append(play(drawer, judge, images))
            if ctrl_c.pressed:
                checkpoint.save_and_exit(epoch)
        checkpoint.save(epoch + 1)
        drawer_loss, judge_loss = np.round(checkpoint.mean_loss(), 3)
        print(
            f"epoch {epoch + 1:2}/{args.epochs}  loss of the generator {drawer_loss:.3f}, "
            f"of the discriminator {judge_loss:.3f}  {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        if draws_pictures:
            save_digits(args.output, drawer.model, noise)


if __name__ == "__main__":
    main()
