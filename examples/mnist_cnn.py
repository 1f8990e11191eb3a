"""Train a convolutional network on MNIST, handwritten digits of 28 x 28 pixels.

    python examples/mnist_cnn.py --data-dir data --download     # a plain CNN
    python examples/mnist_cnn.py --data-dir data --recipe best  # above 99.5 %

The plain CNN is two convolutions and two linear layers. The best recipe adds what helps most on
images: more convolutions with batch normalisation between them, and training images that are
turned, moved and scaled a little, differently in every epoch, so that the network cannot learn
them by heart.
"""

import time

import common

import tinyvision.nn.functional as F
from tinyvision import Generator, data, nn, optim


class PlainCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):  # (N, 1, 28, 28)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 32, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 64, 7, 7)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128)
        return self.fc2(x)  # (N, 10), one score per class


def best_cnn():
    return nn.Sequential(
        *conv_block(1, 32, nn.MaxPool2d(2)),  # (N, 32, 14, 14)
        *conv_block(32, 32),
        *conv_block(32, 64, nn.MaxPool2d(2)),  # (N, 64, 7, 7)
        *conv_block(64, 64),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 7 * 7, 10),
    )


def conv_block(channels_in, channels_out, *pool):
    # No bias: the batch normalisation would subtract it again, and adds one of its own.
    conv = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
    # Pooling first leaves a quarter of the values for the two layers behind it.
    return conv, *pool, nn.BatchNorm2d(channels_out), nn.ReLU()


def load_data(args):
    to_input = [data.ToTensor(), data.Normalize((0.1307,), (0.3081,))]
    augment = []
    if args.recipe == "best":
        bilinear = data.InterpolationMode.BILINEAR
        augment = [data.RandomAffine(10, (0.1, 0.1), scale=(0.9, 1.1), interpolation=bilinear)]
    train_transform, test_transform = data.Compose(augment + to_input), data.Compose(to_input)
    with common.short_errors():
        train = data.MNIST(args.data_dir, True, train_transform, download=args.download)
        test = data.MNIST(args.data_dir, False, test_transform, download=args.download)
    generator = Generator().manual_seed(args.seed)
    return (
        data.DataLoader(train, args.batch_size, shuffle=True, num_workers=1, generator=generator),
        data.DataLoader(test, batch_size=500),
    )


def main():
    parser = common.options(__doc__, checkpoint="out/mnist_cnn.ckpt")
    parser.add_argument("--recipe", choices=["plain", "best"], default="plain", help="how to train")
    args = parser.parse_args()
    best = args.recipe == "best"
    common.start(args, epochs=12 if best else 4, batch_size=128, lr=0.1)
    ctrl_c = common.CtrlC()

    train_loader, test_loader = load_data(args)
    model = best_cnn() if best else PlainCNN()
    optimizer = optim.SGD(
        model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    # Also moves the momentum, from 0.95 down to 0.85 and back.
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
            f"test accuracy {common.accuracy(model, test_loader):.2f}%  "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )

    print(f"test accuracy: {common.accuracy(model, test_loader):.2f}%")


if __name__ == "__main__":
    main()
