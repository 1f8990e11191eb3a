"""Train a convolutional network on CIFAR-10, colour images of 32 x 32 pixels in ten classes.

    python examples/cifar10_cnn.py --data-dir data --download        # the classic small CNN
    python examples/cifar10_cnn.py --data-dir data --model strong    # above 80 %

The classic network is LeNet-5's layout from 1998. The strong one is wider and deeper, with batch
normalisation, shifted and mirrored training images and smoothed labels.
"""

import time

import common

import tinyvision.nn.functional as F
from tinyvision import Generator, data, nn, optim

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training images


class ClassicCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):  # (N, 3, 32, 32)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return self.fc3(x)  # (N, 10), one score per class


def strong_cnn():
    return nn.Sequential(
        *conv_block(3, 32, nn.MaxPool2d(2)),  # (N, 32, 16, 16)
        *conv_block(32, 64),
        *conv_block(64, 64, nn.MaxPool2d(2)),  # (N, 64, 8, 8)
        *conv_block(64, 128),
        *conv_block(128, 128, nn.MaxPool2d(2)),  # (N, 128, 4, 4)
        nn.Flatten(),
        nn.Linear(128 * 4 * 4, 10),
    )


def conv_block(channels_in, channels_out, *pool):
    # No bias: the batch normalisation would subtract it again, and adds one of its own.
    conv = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
    # Pooling first leaves a quarter of the values for the two layers behind it.
    return conv, *pool, nn.BatchNorm2d(channels_out), nn.ReLU()


def load_data(args):
    to_input = [data.ToTensor(), data.Normalize(MEAN, STD)]
    augment = []
    if args.model == "strong":
        shift = data.RandomCrop(32, padding=2, padding_mode="reflect")
        augment = [shift, data.RandomHorizontalFlip()]
    train_transform, test_transform = data.Compose(augment + to_input), data.Compose(to_input)
    with common.short_errors():
        train = data.CIFAR10(args.data_dir, True, train_transform, download=args.download)
        test = data.CIFAR10(args.data_dir, False, test_transform, download=args.download)
    generator = Generator().manual_seed(args.seed)
    return (
        data.DataLoader(train, args.batch_size, shuffle=True, num_workers=1, generator=generator),
        data.DataLoader(test, batch_size=500),
    )


def main():
    parser = common.options(__doc__, checkpoint="out/cifar10_cnn.ckpt")
    parser.add_argument(
        "--model", choices=["classic", "strong"], default="classic", help="the network"
    )
    args = parser.parse_args()
    strong = args.model == "strong"
    if strong:
        common.start(args, epochs=8, batch_size=128, lr=0.1)
    else:
        common.start(args, epochs=10, batch_size=64, lr=0.02)
    ctrl_c = common.CtrlC()

    train_loader, test_loader = load_data(args)
    model = strong_cnn() if strong else ClassicCNN()
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1 if strong else 0.0)
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
            loss = loss_function(model(images), labels)
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
