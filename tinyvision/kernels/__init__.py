"""The loops that take the time, on ndarrays: convolution, linear maps, attention, pooling,
normalisation, softmax, activations and the steps of optimizers.

Every kernel comes twice: `name_reference`, in plain NumPy, is the version to read; `name`, compiled
by Numba, computes the same faster. TINYVISION_KERNELS=reference, read when this package is first
imported, makes each `name` its reference, which a debugger can step through. So does
NUMBA_DISABLE_JIT=1.
"""

from tinyvision.kernels.activation import relu_backward, relu_forward
from tinyvision.kernels.attention import attention_backward, attention_forward
from tinyvision.kernels.avg_pool import avg_pool2d_backward, avg_pool2d_forward
from tinyvision.kernels.conv import conv2d_backward, conv2d_forward
from tinyvision.kernels.conv_plan import Geometry
from tinyvision.kernels.elementwise import (
    erf,
    gelu_backward,
    gelu_forward,
    silu_backward,
    silu_forward,
)
from tinyvision.kernels.gemm import matmul
from tinyvision.kernels.layer_norm import layer_norm_backward, layer_norm_forward
from tinyvision.kernels.linear import linear_backward, linear_forward
from tinyvision.kernels.max_pool import (
    adaptive_max_pool2d_backward,
    adaptive_max_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    max_pool2d_indices,
)
from tinyvision.kernels.norm import batch_norm_backward, batch_norm_forward, scale_channels
from tinyvision.kernels.optimizers import KnownAddresses, adam_step, sgd_step
from tinyvision.kernels.softmax import (
    cross_entropy_backward,
    cross_entropy_forward,
    softmax_backward,
    softmax_forward,
)
from tinyvision.kernels.threads import get_num_threads, set_num_threads
