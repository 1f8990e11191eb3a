"""Layers, losses and containers: torch.nn.

Read `tree.py` and `module.py` first; a layer is then a constructor and one call of
`nn.functional`.
"""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.nn import functional, init, parallel, utils
from tinyvision.nn.activation import (
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Softplus,
    Softsign,
    Tanh,
)
from tinyvision.nn.attention import MultiheadAttention
from tinyvision.nn.batchnorm import BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d
from tinyvision.nn.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from tinyvision.nn.conv import Conv2d, ConvTranspose2d
from tinyvision.nn.distance import CosineSimilarity, PairwiseDistance
from tinyvision.nn.dropout import Dropout, Dropout2d, DropPath, StochasticDepth
from tinyvision.nn.embedding import Embedding
from tinyvision.nn.flatten import Flatten, Unflatten
from tinyvision.nn.linear import Identity, Linear
from tinyvision.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
    TripletMarginLoss,
)
from tinyvision.nn.module import Module
from tinyvision.nn.normalization import GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm
from tinyvision.nn.padding import (
    CircularPad2d,
    ConstantPad2d,
    ReflectionPad2d,
    ReplicationPad2d,
    ZeroPad2d,
)
from tinyvision.nn.parallel import DataParallel
from tinyvision.nn.parameter import Parameter
from tinyvision.nn.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from tinyvision.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tinyvision.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from tinyvision.nn.vision import (
    ChannelShuffle,
    Fold,
    PixelShuffle,
    PixelUnshuffle,
    Unfold,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.nn")
