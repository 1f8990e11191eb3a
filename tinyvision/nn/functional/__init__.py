"""Functions of neural networks, as in torch.nn.functional: checked, then one operation each."""

from typing import TYPE_CHECKING

from tinyvision import missing
from tinyvision.nn.functional.activation import (
    elu,
    gelu,
    glu,
    gumbel_softmax,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softsign,
    tanh,
)
from tinyvision.nn.functional.attention import scaled_dot_product_attention
from tinyvision.nn.functional.convolution import conv2d, conv_transpose2d
from tinyvision.nn.functional.distance import (
    cosine_embedding_loss,
    cosine_similarity,
    margin_ranking_loss,
    pairwise_distance,
    triplet_margin_loss,
)
from tinyvision.nn.functional.dropout import dropout, dropout2d, stochastic_depth
from tinyvision.nn.functional.embedding import embedding, one_hot
from tinyvision.nn.functional.grid import affine_grid, grid_sample
from tinyvision.nn.functional.linear import linear
from tinyvision.nn.functional.loss import cross_entropy, nll_loss
from tinyvision.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
)
from tinyvision.nn.functional.padding import pad
from tinyvision.nn.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool2d,
    max_pool2d,
)
from tinyvision.nn.functional.regression import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from tinyvision.nn.functional.vision import (
    channel_shuffle,
    fold,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    unfold,
)

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.nn.functional")
