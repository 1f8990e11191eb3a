"""Read MNIST's digits row by row, from top to bottom, with a recurrent network.

    python examples/rnn_rows.py --data-dir data --download
    python examples/rnn_rows.py --data-dir data --model attention

An LSTM sees one row of 28 pixels at a time and keeps what matters in 128 numbers; what they are
after the last row decides. With attention, every row's output also looks at those of all others
before the mean of them decides, so that nothing has to be carried down through all the rows.
"""

import time

import common
import pictures

import tinyvision.nn.functional as F
from tinyvision import Generator, data, models, nn, optim


def load_data(args):
    to_input = [data.ToTensor(), data.Normalize((0.1307,), (0.3081,))]
    shift = data.RandomCrop(28, padding=2)
    train_transform, test_transform = data.Compose([shift, *to_input]), data.Compose(to_input)
    with common.short_errors():
        train = data.MNIST(args.data_dir, True, train_transform, download=args.download)
        test = data.MNIST(args.data_dir, False, test_transform, download=args.download)
    generator = Generator().manual_seed(args.seed)
    return (
        data.DataLoader(train, args.batch_size, shuffle=True, num_workers=1, generator=generator),
        data.DataLoader(test, batch_size=500),
    )


def main():
    parser = common.options(__doc__, checkpoint="out/rnn_rows.ckpt")
    parser.add_argument(
        "--model", choices=["lstm", "attention"], default="lstm", help="the network"
    )
    parser.add_argument("--output", metavar="PNG", default="out/rnn_rows.png", help="the picture")
    args = parser.parse_args()
    common.start(args, epochs=8, batch_size=128, lr=0.005)
    ctrl_c = common.CtrlC()

    train_loader, test_loader = load_data(args)
    model = models.RowLSTM() if args.model == "lstm" else models.RowLSTMAttention()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
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
            # A gradient goes back through 28 steps, and may grow in each of them.
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
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
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )

    if pictures.possible():
        pictures.training_curve(args.output, checkpoint.losses, checkpoint.accuracies)
    print(f"test accuracy: {checkpoint.accuracies[-1]:.2f}%")


if __name__ == "__main__":
    main()
