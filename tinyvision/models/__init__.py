"""Networks, each complete in one file, made of public layers.

The transformers also return their attention weights when asked:
`logits, weights = model(input, need_weights=True)`; `attention_rollout(weights)` sums them up.
"""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.models.cct import CCT, cct_2_3x2_32, cct_4_3x2_32, cct_6_3x1_32, cct_7_3x1_32
from tinyvision.models.dcgan import DCGANDiscriminator, DCGANGenerator
from tinyvision.models.googlenet import GoogLeNet, GoogLeNetOutputs, googlenet
from tinyvision.models.lenet import LeNet
from tinyvision.models.resnet import (
    ResNet,
    cifar_resnet,
    resnet18,
    resnet20,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from tinyvision.models.rollout import attention_rollout
from tinyvision.models.rows import RowLSTM, RowLSTMAttention
from tinyvision.models.transformer import TransformerEncoderClassifier
from tinyvision.models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from tinyvision.models.vit import VisionTransformer

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.models")
