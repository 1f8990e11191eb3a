"""tinyvision: a from-scratch deep-learning framework on NumPy and Numba, made to be read.

The API is PyTorch's: `import tinyvision as tv`, `from tinyvision import nn, optim, data`.
"""

from typing import TYPE_CHECKING

from numpy import e, iinfo, inf, nan, newaxis, pi

from tinyvision import amp, autograd, data, missing, models, nn, optim, utils
from tinyvision.amp import GradScaler, autocast
from tinyvision.creation import (
    BoolTensor,
    ByteTensor,
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from tinyvision.devices import (
    accelerator,
    backends,
    compile,
    cuda,
    device,
    mps,
    set_default_device,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from tinyvision.dtypes import (
    bfloat16,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from tinyvision.dtypes import bool_ as bool
from tinyvision.dtypes import float16 as half
from tinyvision.dtypes import float32 as float
from tinyvision.dtypes import float64 as double
from tinyvision.dtypes import int16 as short
from tinyvision.dtypes import int32 as int
from tinyvision.dtypes import int64 as long
from tinyvision.engine.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tinyvision.functions.joining import (
    broadcast_shapes,
    broadcast_tensors,
    cat,
    concat,
    concatenate,
    einsum,
    hstack,
    is_tensor,
    isin,
    meshgrid,
    split,
    stack,
    std_mean,
    var_mean,
    vstack,
    where,
)
from tinyvision.functions.methods import *
from tinyvision.kernels import get_num_threads, set_num_threads
from tinyvision.printing import get_printoptions, printoptions, set_printoptions
from tinyvision.random import Generator, default_generator, initial_seed, manual_seed
from tinyvision.random_state import get_rng_state, set_rng_state
from tinyvision.serialization import load, save
from tinyvision.strides import (
    channels_last,
    contiguous_format,
    memory_format,
    preserve_format,
)
from tinyvision.tensor import Size, Tensor
from tinyvision.weights import load_torch, load_weights, save_weights

__version__ = "0.1.0"

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision")
