"""The loops that take the time, on ndarrays: attention, convolution, linear maps, pooling.

Every kernel comes twice: `name_reference`, in plain NumPy, is the version to read; `name`, compiled
by Numba, computes the same faster. TINYVISION_KERNELS=reference, read when this package is first
imported, makes the whole framework use the references, which a debugger can step through. So does
NUMBA_DISABLE_JIT=1, since vector code exists only when compiled.
"""

import os
from typing import Any

import numba

from tinyvision.kernels.activation import (
    relu_backward,
    relu_backward_reference,
    relu_forward,
    relu_forward_reference,
)
from tinyvision.kernels.attention import (
    attention_backward,
    attention_backward_reference,
    attention_forward,
    attention_forward_reference,
)
from tinyvision.kernels.avg_pool import (
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool2d_backward_reference,
    adaptive_avg_pool2d_forward,
    adaptive_avg_pool2d_forward_reference,
    avg_pool2d_backward,
    avg_pool2d_backward_reference,
    avg_pool2d_forward,
    avg_pool2d_forward_reference,
)
from tinyvision.kernels.conv import (
    conv2d_backward,
    conv2d_backward_reference,
    conv2d_forward,
    conv2d_forward_reference,
)
from tinyvision.kernels.elementwise import (
    erf,
    erf_reference,
    gelu_backward,
    gelu_backward_reference,
    gelu_forward,
    gelu_forward_reference,
    silu_backward,
    silu_backward_reference,
    silu_forward,
    silu_forward_reference,
)
from tinyvision.kernels.gemm import matmul, matmul_reference
from tinyvision.kernels.layer_norm import (
    layer_norm_backward,
    layer_norm_backward_reference,
    layer_norm_forward,
    layer_norm_forward_reference,
)
from tinyvision.kernels.linear import (
    linear_backward,
    linear_backward_reference,
    linear_forward,
    linear_forward_reference,
)
from tinyvision.kernels.max_pool import (
    adaptive_max_pool2d_backward,
    adaptive_max_pool2d_backward_reference,
    adaptive_max_pool2d_forward,
    adaptive_max_pool2d_forward_reference,
    max_pool2d_backward,
    max_pool2d_backward_reference,
    max_pool2d_forward,
    max_pool2d_forward_reference,
    max_pool2d_indices,
)
from tinyvision.kernels.norm import (
    batch_norm_backward,
    batch_norm_backward_reference,
    batch_norm_forward,
    batch_norm_forward_reference,
    scale_channels,
    scale_channels_reference,
)
from tinyvision.kernels.optimizers import (
    adam_step,
    adam_step_reference,
    sgd_step,
    sgd_step_reference,
)
from tinyvision.kernels.softmax import (
    cross_entropy_backward,
    cross_entropy_backward_reference,
    cross_entropy_forward,
    cross_entropy_forward_reference,
    softmax_backward,
    softmax_backward_reference,
    softmax_forward,
    softmax_forward_reference,
)
from tinyvision.kernels.threads import get_num_threads, set_num_threads

_numba_config: Any = numba.config
_choice = os.environ.get("TINYVISION_KERNELS", "fast")
if _choice not in ("fast", "reference"):
    raise ValueError(f"TINYVISION_KERNELS must be 'fast' or 'reference', but is {_choice!r}")

if _choice == "reference" or _numba_config.DISABLE_JIT:
    adam_step = adam_step_reference
    adaptive_avg_pool2d_backward = adaptive_avg_pool2d_backward_reference
    adaptive_avg_pool2d_forward = adaptive_avg_pool2d_forward_reference
    adaptive_max_pool2d_backward = adaptive_max_pool2d_backward_reference
    adaptive_max_pool2d_forward = adaptive_max_pool2d_forward_reference
    attention_backward = attention_backward_reference
    attention_forward = attention_forward_reference
    avg_pool2d_backward = avg_pool2d_backward_reference
    avg_pool2d_forward = avg_pool2d_forward_reference
    batch_norm_backward = batch_norm_backward_reference
    batch_norm_forward = batch_norm_forward_reference
    conv2d_backward = conv2d_backward_reference
    conv2d_forward = conv2d_forward_reference
    erf = erf_reference
    gelu_backward = gelu_backward_reference
    gelu_forward = gelu_forward_reference
    layer_norm_backward = layer_norm_backward_reference
    layer_norm_forward = layer_norm_forward_reference
    linear_backward = linear_backward_reference
    linear_forward = linear_forward_reference
    matmul = matmul_reference
    max_pool2d_backward = max_pool2d_backward_reference
    max_pool2d_forward = max_pool2d_forward_reference
    relu_backward = relu_backward_reference
    relu_forward = relu_forward_reference
    scale_channels = scale_channels_reference
    sgd_step = sgd_step_reference
    cross_entropy_backward = cross_entropy_backward_reference
    cross_entropy_forward = cross_entropy_forward_reference
    softmax_backward = softmax_backward_reference
    softmax_forward = softmax_forward_reference
    silu_backward = silu_backward_reference
    silu_forward = silu_forward_reference

__all__ = [
    "adam_step",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_forward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_forward",
    "attention_backward",
    "attention_forward",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv2d_backward",
    "conv2d_forward",
    "erf",
    "gelu_backward",
    "gelu_forward",
    "get_num_threads",
    "layer_norm_backward",
    "layer_norm_forward",
    "linear_backward",
    "linear_forward",
    "matmul",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_pool2d_indices",
    "relu_backward",
    "relu_forward",
    "scale_channels",
    "set_num_threads",
    "sgd_step",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "softmax_backward",
    "softmax_forward",
    "silu_backward",
    "silu_forward",
]
