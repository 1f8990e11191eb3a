"""Gradients of layers and losses, for their input and parameters, by finite differences.

Recurrent layers, attention and normalisation of an example have files of their own.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
from tinyvision import nn
from tinyvision.autograd import gradcheck

IMAGE_LAYERS = [
    lambda c: nn.Conv2d(c, 3, (2, 3), stride=2, padding=1),
    lambda c: nn.Conv2d(c, 2 * c, 2, padding="same", dilation=2, groups=c, bias=False),
    lambda c: nn.MaxPool2d(2, 1),
    lambda c: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
    lambda c: nn.AdaptiveAvgPool2d((3, 2)),
    lambda c: nn.AdaptiveMaxPool2d(2),
    lambda c: nn.BatchNorm2d(c),
    lambda c: nn.BatchNorm2d(c, affine=False).eval(),
    lambda c: nn.Flatten(),
    lambda c: nn.ConvTranspose2d(c, 2, 3, stride=2, padding=1, output_padding=1),
    lambda c: nn.ConvTranspose2d(c, 2 * c, (2, 1), groups=c, dilation=(1, 2), bias=False),
    lambda c: nn.Conv2d(c, 2, 3, padding=1, padding_mode="reflect"),
    lambda c: nn.InstanceNorm2d(c, affine=True),
    lambda c: nn.GroupNorm(1, c),
    lambda c: nn.Unfold(2, padding=1),
    lambda c: nn.ZeroPad2d((1, 0, 2, 1)),
    lambda c: nn.ReplicationPad2d(1),
    lambda c: nn.Sequential(nn.Dropout2d(0.5).eval(), nn.Identity()),
]

VECTOR_LAYERS = [
    lambda c: nn.Linear(c, 3),
    lambda c: nn.Linear(c, 2, bias=False),
    lambda c: nn.BatchNorm1d(c),
    lambda c: nn.BatchNorm1d(c, track_running_stats=False).eval(),
    lambda c: nn.Unflatten(1, (c, 1)),
    lambda c: nn.Dropout(0.5).eval(),
    lambda c: nn.ReLU(),
    lambda c: nn.ReLU6(),
    lambda c: nn.SiLU(),
    lambda c: nn.SELU(),
    lambda c: nn.Mish(),
    lambda c: nn.Hardswish(),
    lambda c: nn.PReLU(),
    lambda c: nn.LayerNorm(c),
    lambda c: nn.RMSNorm(c),
    lambda c: nn.Hardtanh(-1.5, 0.5),
    lambda c: nn.LeakyReLU(0.3),
    lambda c: nn.ELU(0.7),
    lambda c: nn.GELU(),
    lambda c: nn.GELU("tanh"),
    lambda c: nn.Sigmoid(),
    lambda c: nn.Tanh(),
    lambda c: nn.LogSigmoid(),
    lambda c: nn.Softplus(2.0),
    lambda c: nn.Softmax(1),
    lambda c: nn.Softmin(0),
    lambda c: nn.LogSoftmax(-1),
]


def distinct(shape, seed):
    """Normal values whose distances keep maxima and kinks away from finite differences."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    return tv.tensor(rng.permutation(np.linspace(-2, 2, size) + 0.01).reshape(shape))


def check_layer(layer, x):
    """gradcheck for the input and all parameters, which are moved by replacing them."""
    layer.double()
    names = list(layer._parameters)
    values = [p.detach().requires_grad_() for p in layer.parameters(recurse=False)]

    def function(input, *parameters):
        layer._parameters.update(zip(names, parameters, strict=False))
        return layer(input)

    assert gradcheck(function, (x.requires_grad_(), *values))


def test_check_layer_catches_a_wrong_gradient():
    class Wrong(nn.Linear):
        def forward(self, input):
            return super().forward(input) + self.bias.detach()

    with pytest.raises(
        RuntimeError, match="Jacobian mismatch for output 0 with respect to input 2"
    ):
        check_layer(Wrong(3, 2), distinct((4, 3), 0))


@pytest.mark.parametrize("make", IMAGE_LAYERS)
@settings(max_examples=4, deadline=None)
@given(
    N=st.integers(2, 3),
    C=st.integers(1, 3),
    H=st.integers(3, 5),
    W=st.integers(3, 5),
    seed=st.integers(0, 99),
)
def test_image_layer_gradients(make, N, C, H, W, seed):
    check_layer(make(C), distinct((N, C, H, W), seed))


@pytest.mark.parametrize("make", VECTOR_LAYERS)
@settings(max_examples=4, deadline=None)
@given(N=st.integers(3, 5), C=st.integers(1, 4), seed=st.integers(0, 99))
def test_vector_layer_gradients(make, N, C, seed):
    check_layer(make(C), distinct((N, C), seed))


def test_fold_and_shuffle_gradients():
    check_layer(nn.Fold((3, 4), 2), distinct((2, 8, 6), 0))
    check_layer(nn.PixelShuffle(2), distinct((2, 8, 2, 3), 0))
    check_layer(nn.PixelUnshuffle(2), distinct((2, 2, 4, 2), 0))


CLASS_LOSSES = [
    lambda w, r: nn.CrossEntropyLoss(reduction=r),
    lambda w, r: nn.CrossEntropyLoss(w, ignore_index=1, reduction=r, label_smoothing=0.2),
    lambda w, r: nn.NLLLoss(w, reduction=r),
]

VALUE_LOSSES = [
    lambda w, r: nn.MSELoss(reduction=r),
    lambda w, r: nn.L1Loss(reduction=r),
    lambda w, r: nn.SmoothL1Loss(reduction=r, beta=0.7),
    lambda w, r: nn.HuberLoss(reduction=r, delta=0.7),
    lambda w, r: nn.BCEWithLogitsLoss(w, reduction=r, pos_weight=w + 1),
    lambda w, r: nn.Sequential(nn.Sigmoid(), nn.BCELoss(w, reduction=r)),
]


@pytest.mark.parametrize("make", CLASS_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_class_loss_gradients(make, reduction):
    loss = make(tv.tensor([0.5, 1.0, 2.0], dtype=tv.float64), reduction)
    target = tv.tensor([0, 2, 1, 2])
    assert gradcheck(lambda x: loss(x, target), distinct((4, 3), 1).requires_grad_())


@pytest.mark.parametrize("make", VALUE_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_value_loss_gradients(make, reduction):
    loss = make(tv.tensor([0.5, 1.0, 2.0], dtype=tv.float64), reduction)
    target = tv.tensor(np.random.default_rng(2).random((4, 3)))

    def function(x):
        if isinstance(loss, nn.Sequential):
            return loss[1](loss[0](x), target)
        return loss(x, target)

    assert gradcheck(function, distinct((4, 3), 1).requires_grad_())
