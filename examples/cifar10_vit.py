"""Train a vision transformer on CIFAR-10, colour images of 32 x 32 pixels in ten classes.

    python examples/cifar10_vit.py --data-dir data --download
    python examples/cifar10_vit.py --data-dir data --recipe long             # twice the epochs
    python examples/cifar10_vit.py --data-dir data --download --model vit    # weaker, see below

Transformers were made for much more data than 50,000 small images. The compact convolutional
transformer (CCT) makes up for that: two convolutions with pooling make its tokens, and so bring
along that neighbouring pixels belong together and that an object may be anywhere. The plain ViT
has to learn both from the images, and is the weaker network on so few of them. The longer a network
trains, the better it knows the training images by heart; the long recipe's net has more layers, and
therefore also has rectangles of its images erased and layers skipped at random.

At the end there are two pictures: how the training went, and which parts of an image count.
"""

import time

import common
import pictures

import tinyvision.nn.functional as F
from tinyvision import Generator, data, models, optim
from tinyvision.optim import lr_scheduler

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training images


def compact_transformer(recipe):
    if recipe == "long":  # 4 layers
        return models.cct_4_3x2_32(attention_dropout=0.0, stochastic_depth=0.1)
    # 8 x 8 tokens, 2 layers, 284,000 parameters; so small a net needs no dropout of any kind
    return models.cct_2_3x2_32(attention_dropout=0.0, stochastic_depth=0.0)


def plain_vit():
    return models.VisionTransformer(
        image_size=32, patch_size=4,  # 8 x 8 patches
        num_layers=6, num_heads=4, hidden_dim=128, mlp_dim=256, num_classes=10, position_std=1.0,
    )  # fmt: skip


def load_data(args):
    to_input = [data.ToTensor(), data.Normalize(MEAN, STD)]
    augment = [data.RandomCrop(32, padding=4), data.RandomHorizontalFlip()]
    erase = [data.RandomErasing(p=0.25)] if args.recipe == "long" else []  # to 0, the mean
    train_transform = data.Compose([*augment, *to_input, *erase])
    test_transform = data.Compose(to_input)
    with common.short_errors():
        train = data.CIFAR10(args.data_dir, True, train_transform, download=args.download)
        test = data.CIFAR10(args.data_dir, False, test_transform, download=args.download)
    generator = Generator().manual_seed(args.seed)
    return (
        data.DataLoader(train, args.batch_size, shuffle=True, num_workers=1, generator=generator),
        data.DataLoader(test, batch_size=500),
    )


def make_optimizer(model, lr):
    # Weight decay is for what multiplies, not for biases and the factors of normalisation.
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return optim.AdamW(groups, lr=lr, weight_decay=0.05)


def warm_up_then_cosine(optimizer, steps):
    """The learning rate rises in a line for a fifteenth of all steps, then falls along a cosine.

    In its first steps AdamW has seen too few gradients to know how large they usually are.
    """
    warm_up_steps = max(1, steps // 15)
    warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=warm_up_steps)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warm_up_steps)
    return lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], milestones=[warm_up_steps])


def main():
    parser = common.options(__doc__, checkpoint="out/cifar10_vit.ckpt")
    parser.add_argument("--model", choices=["cct", "vit"], default="cct", help="the network")
    parser.add_argument("--recipe", choices=["short", "long"], default="short", help="how to train")
    parser.add_argument("--output", metavar="DIR", default="out", help="where pictures go")
    args = parser.parse_args()
    common.start(args, epochs=60 if args.recipe == "long" else 30, batch_size=128, lr=0.0015)
    ctrl_c = common.CtrlC()

    train_loader, test_loader = load_data(args)
    model = compact_transformer(args.recipe) if args.model == "cct" else plain_vit()
    optimizer = make_optimizer(model, args.lr)
    scheduler = warm_up_then_cosine(optimizer, args.epochs * len(train_loader))
    checkpoint = common.Checkpoint(
        args, model=model, optimizer=optimizer, scheduler=scheduler, loader=train_loader
    )

    for epoch in range(checkpoint.epoch, args.epochs):
        started = time.perf_counter()
        model.train()
        for images, labels in common.progress(train_loader, epoch, args.epochs):
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
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
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )

    if pictures.possible():
        pictures.training_curve(
            f"{args.output}/cifar10_vit.png", checkpoint.losses, checkpoint.accuracies
        )
        pictures.attention(f"{args.output}/cifar10_vit_attention.png", model, test_loader.dataset)
    print(f"test accuracy: {checkpoint.accuracies[-1]:.2f}%")


if __name__ == "__main__":
    main()
