"""What is measured: the rows of all tables."""

from __future__ import annotations

from typing import Any

from rows import OperationRow, OptimizerRow, PeakRow, StepRow
from workloads import (
    Activation,
    Attention,
    BatchNorm,
    Conv2d,
    CrossEntropy,
    LayerNorm,
    Linear,
    MatrixProduct,
    Pool,
)

OPERATIONS = [
    # The first convolution of a network: photographs, whose gradient nobody needs.
    Conv2d(1, 32, size=28, kernel=3, padding=1),
    Conv2d(3, 16, size=32, kernel=3, padding=1),
    Conv2d(3, 64, size=32, kernel=3, padding=1),
    Conv2d(3, 64, size=32, kernel=3, padding=1, batch=1),
    Conv2d(1, 64, size=28, kernel=7, stride=7),
    Conv2d(3, 128, size=32, kernel=4, stride=4),
    # LeNet's, on 32 × 32 and on 28 × 28 pixels.
    Conv2d(3, 6, size=32, kernel=5),
    Conv2d(1, 6, size=28, kernel=5, padding=2),
    Conv2d(6, 16, size=14, kernel=5),
    Conv2d(6, 16, size=14, kernel=5, batch=1),
    # 3 × 3, from 16 to 256 channels.
    Conv2d(16, 16, size=32, kernel=3, padding=1),
    Conv2d(32, 32, size=16, kernel=3, padding=1),
    Conv2d(64, 64, size=8, kernel=3, padding=1),
    Conv2d(32, 64, size=14, kernel=3, padding=1),
    Conv2d(64, 64, size=32, kernel=3, padding=1),
    Conv2d(64, 64, size=32, kernel=3, padding=1, batch=1),
    Conv2d(128, 128, size=16, kernel=3, padding=1),
    Conv2d(256, 256, size=8, kernel=3, padding=1),
    Conv2d(256, 256, size=8, kernel=3, padding=1, batch=1),
    # Stride 2, 1 × 1, depthwise.
    Conv2d(16, 32, size=32, kernel=3, stride=2, padding=1),
    Conv2d(64, 128, size=16, kernel=3, stride=2, padding=1),
    Conv2d(16, 32, size=32, kernel=1, stride=2),
    Conv2d(64, 256, size=16, kernel=1),
    Conv2d(256, 64, size=16, kernel=1),
    Conv2d(256, 64, size=16, kernel=1, batch=1),
    Conv2d(64, 64, size=32, kernel=3, padding=1, groups=64),
    Conv2d(256, 256, size=8, kernel=3, padding=1, groups=256),
    Pool("max", 32, size=28, kernel=2, stride=2),
    Pool("max", 64, size=32, kernel=2, stride=2),
    Pool("max", 64, size=32, kernel=3, stride=2, padding=1),
    Pool("avg", 64, size=32, kernel=2, stride=2),
    Pool("avg", 64, size=8, kernel=8, stride=8),
    BatchNorm(16, size=32),
    BatchNorm(64, size=32),
    BatchNorm(256, size=8),
    Attention(128, 4, 65, 32),
    Attention(128, 4, 65, 32, "causal"),
    Attention(128, 4, 65, 32, "masked"),
    Attention(64, 4, 17, 16),
    Attention(64, 4, 17, 16, "causal"),
    Attention(8, 8, 1024, 64),
    Attention(8, 8, 1024, 64, "causal"),
    Attention(8, 8, 1024, 64, "masked"),
    Attention(1, 8, 4096, 64),
    Attention(1, 8, 4096, 64, "causal"),
    # The mini-ViT's on CIFAR-10 (128 images of 65 tokens), then those of the CNNs.
    Linear(8320, 128, 384),
    Linear(8320, 128, 128),
    Linear(8320, 128, 256),
    Linear(8320, 256, 128),
    Linear(64, 3136, 128),
    Linear(128, 400, 120),
    LayerNorm(8320, 128),
    LayerNorm(2176, 64),
    Activation("GELU", 8320, 256),
    Activation("GELU", 2176, 128),
    Activation("softmax", 33280, 65),
    Activation("softmax", 512, 1000),
    Activation("softmax", 128, 10),
    CrossEntropy(128, 10),
    CrossEntropy(512, 1000),
]
QUICK_OPERATIONS = [
    Conv2d(3, 16, size=32, kernel=3, padding=1),
    Conv2d(6, 16, size=14, kernel=5),
    Conv2d(32, 64, size=14, kernel=3, padding=1),
    Pool("max", 32, size=28, kernel=2, stride=2),
    BatchNorm(16, size=32),
    Attention(128, 4, 65, 32),
    Linear(8320, 128, 384),
    LayerNorm(8320, 128),
    Activation("GELU", 2176, 128),
    CrossEntropy(128, 10),
]

_RESNET_20 = 6 * ((16, 16, 3, 3), (32, 32, 3, 3), (64, 64, 3, 3)) + 14 * ((16,), (32,), (64,))
_MNIST_CNN = (32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 3136), (128,), (10, 128), (10,)
_VIT_LAYER = (384, 128), (384,), (128, 128), (256, 128), (256,), (128, 256), *6 * ((128,),)
OPTIMIZERS = [
    OptimizerRow("SGD", "ResNet-20", _RESNET_20),
    OptimizerRow("Adam", "MNIST CNN", _MNIST_CNN),
    OptimizerRow("AdamW", "ViT CIFAR", 6 * _VIT_LAYER, quick=True),
]

PEAK = PeakRow(MatrixProduct(), backward=False, quick=True)
OPS = [
    PEAK,
    *(
        OperationRow(operation, backward, quick=operation in QUICK_OPERATIONS)
        for operation in OPERATIONS
        for backward in (False, True)
    ),
    *OPTIMIZERS,
]

STEPS = [
    PEAK,
    *(
        StepRow(network, batch, train, quick)
        for train in (True, False)
        for network, batch, quick in [
            ("LeNet", 4, False),
            ("LeNet", 32, True),
            ("LeNet", 128, False),
            ("MNIST CNN", 64, train),
            ("MNIST CNN", 256, False),
            ("ResNet-20", 128, False),
            ("ResNet-9", 64, False),
            ("ViT MNIST", 128, train),
            ("ViT CIFAR", 128, False),
        ]
    ),
]

# Memory: of the training steps, and of attention against the sequence length.
TRAINING = [
    StepRow(row.network, row.batch, train=True, quick=row.network == "ViT MNIST")
    for row in STEPS
    if row.group == "train step"
]
LENGTHS = [
    OperationRow(Attention(1, 8, T, 64), backward=True, quick=T in (512, 2048))
    for T in (512, 1024, 2048, 4096)
]

# What more threads are worth.
THREADS = [
    StepRow("LeNet", 128, train=True, quick=True),
    StepRow("MNIST CNN", 256, train=True),
    StepRow("ResNet-20", 128, train=True),
    StepRow("ViT MNIST", 128, train=True),
    StepRow("ViT CIFAR", 128, train=True),
]

# How the time grows: with the batch, the channels, the length of the sequence.
BATCHES = {N: StepRow("LeNet", N, True, quick=N in (4, 64)) for N in (1, 4, 16, 64, 256)}
CHANNELS = {
    C: OperationRow(Conv2d(C, C, size=16, kernel=3, padding=1, batch=32), True, quick=C in (16, 64))
    for C in (4, 8, 16, 32, 64, 128, 256)
}
TOKENS = {
    T: OperationRow(Attention(4, 4, T, 32), True, quick=T in (64, 256))
    for T in (16, 32, 64, 128, 256, 512, 1024, 2048)
}


def find(name: str) -> Any:
    """The row of that name."""
    sweeps = [*BATCHES.values(), *CHANNELS.values(), *TOKENS.values()]
    return next(row for row in [*OPS, *STEPS, *LENGTHS, *THREADS, *sweeps] if row.name == name)
