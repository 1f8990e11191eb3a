"""Train ResNet-20 on CIFAR-10, colour images of 32 x 32 pixels in ten classes.

    python examples/cifar10_resnet.py --data-dir data --download

The network of He et al. 2015 (arXiv 1512.03385, section 4.2) with its augmentation: images moved by
up to four pixels and mirrored. The paper trains for 164 epochs, in which its error falls to 8.75 %.
With one rise and fall of the learning rate over the whole run (Smith and Topin 2017, arXiv
1708.07120) fewer epochs come near it; how near depends on how many there are. At the end there is
a picture of how the accuracy grew with the epochs and minutes.
"""

import time

import common
import pictures

import tinyvision.nn.functional as F
from tinyvision import Generator, data, models, optim

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training images


def load_data(args):
    to_input = [data.ToTensor(), data.Normalize(MEAN, STD)]
    augment = [data.RandomCrop(32, padding=4), data.RandomHorizontalFlip()]
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
    parser = common.options(__doc__, checkpoint="out/cifar10_resnet.ckpt")
    parser.add_argument(
        "--output", metavar="PNG", default="out/cifar10_resnet.png", help="the picture"
    )
    args = parser.parse_args()
    common.start(args, epochs=30, batch_size=128, lr=0.2)
    ctrl_c = common.CtrlC()

    train_loader, test_loader = load_data(args)
    model = models.resnet20()
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
        checkpoint.accuracies.append(common.accuracy(model, test_loader))
        checkpoint.save(epoch + 1)
        print(
            f"epoch {epoch + 1:2}/{args.epochs}  loss {checkpoint.mean_loss():.4f}  "
            f"test accuracy {checkpoint.accuracies[-1]:.2f}%  "
            f"{time.perf_counter() - started:.0f} s, {checkpoint.seconds() / 60:.1f} min in all",
            flush=True,
        )

    if pictures.possible():
        pictures.training_curve(
            args.output, checkpoint.losses, checkpoint.accuracies, checkpoint.seconds() / 60
        )
    print(f"test accuracy: {checkpoint.accuracies[-1]:.2f}%")


if __name__ == "__main__":
    main()
