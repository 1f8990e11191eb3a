"""What PyTorch has nearby and tinyvision has not: asking for it says so, instead of "no attribute".

The names are those of PyTorch 2.13 for dense tensors on a CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class NotHere(NotImplementedError, AttributeError):
    """A name of PyTorch's that is not here. As an AttributeError, it makes hasattr() False."""


def names(place: str) -> Callable[..., Any]:
    """The `__getattr__` of a module or class; Python calls it for what it does not find there."""
    known = frozenset(_NAMES[place].split())

    def __getattr__(*owner_and_name: Any) -> Any:  # a module's is called with the name alone
        *owner, name = owner_and_name
        if name in known:
            raise NotHere(f"{place}.{name} is not implemented; PyTorch has it, tinyvision has not")
        found_in = owner[0] if owner else sys.modules[place]
        # With name and obj Python adds what may have been meant.
        raise AttributeError(f"{place} has no attribute {name!r}", name=name, obj=found_in)

    return __getattr__


_NAMES = {
    "tinyvision": """
        acosh adaptive_avg_pool1d adaptive_max_pool1d addbmm addmv addr adjoint
        affine_grid_generator alpha_dropout aminmax angle arccos arccosh arcsin arcsinh
        arctan arctan2 arctanh asinh atanh atleast_1d atleast_2d atleast_3d avg_pool1d
        batch_norm bilinear binary_cross_entropy_with_logits binomial bitwise_and
        bitwise_not bitwise_or bitwise_xor block_diag bucketize cartesian_prod cdist celu
        channel_shuffle column_stack combinations compile complex complex128 complex64 conj
        conj_physical constant_pad_nd conv1d conv2d conv3d conv_transpose1d conv_transpose2d
        conv_transpose3d convolution corrcoef cosine_embedding_loss cosine_similarity cov
        cross ctc_loss cummax cummin cumulative_trapezoid deg2rad detach diag_embed diagflat
        dist distributed distributions dropout dsplit dstack embedding embedding_bag erfc
        exp2 feature_alpha_dropout feature_dropout fft fix fmax fmin fmod from_dlpack
        frombuffer func ger get_default_device get_device gradient gru hardshrink heaviside
        hinge_embedding_loss histc histogram hsplit hub hypot imag index_copy index_fill
        index_put index_reduce inference inner inverse is_complex is_nonzero is_same_size
        isin isneginf isposinf istft jit kl_div kron kthvalue layer_norm layout linalg
        lobpcg logaddexp logaddexp2 logcumsumexp logspace lstm margin_ranking_loss
        masked_scatter matrix_exp matrix_power max_pool1d max_pool2d max_pool3d mode msort
        multiprocessing nanmean nanmedian nanquantile nansum norm_except_dim
        pairwise_distance pdist pinverse pixel_shuffle pixel_unshuffle poisson
        poisson_nll_loss polar positive prelu profiler put quantile rad2deg real renorm
        rms_norm row_stack rrelu rsub saddmm scatter_reduce searchsorted selu signbit sparse
        special split_with_sizes spmm stft take tensor_split tensordot threshold trapezoid
        trapz tril_indices triplet_margin_loss triu_indices types unique_consecutive
        unravel_index vdot version view_as_complex view_as_real vmap vsplit
    """,
    "tinyvision.nn": """
        AdaptiveAvgPool1d AdaptiveAvgPool3d AdaptiveLogSoftmaxWithLoss AdaptiveMaxPool1d
        AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool3d BatchNorm3d Bilinear Buffer CELU
        CTCLoss ChannelShuffle CircularPad1d CircularPad2d CircularPad3d ConstantPad1d
        ConstantPad3d Conv1d Conv3d ConvTranspose1d ConvTranspose3d CrossMapLRN2d Dropout1d
        Dropout3d EmbeddingBag FeatureAlphaDropout FractionalMaxPool2d FractionalMaxPool3d
        GaussianNLLLoss Hardshrink HingeEmbeddingLoss InstanceNorm3d LPPool1d LPPool2d
        LPPool3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d
        LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d
        LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear
        LinearCrossEntropyLoss MaxPool1d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
        MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss PoissonNLLLoss RReLU
        ReflectionPad1d ReflectionPad3d ReplicationPad1d ReplicationPad3d SoftMarginLoss
        Softmax2d Softshrink Softsign SyncBatchNorm Tanhshrink Threshold Transformer
        TripletMarginWithDistanceLoss UpsamplingBilinear2d UpsamplingNearest2d ZeroPad1d
        ZeroPad3d
    """,
    "tinyvision.nn.functional": """
        adaptive_avg_pool1d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool3d
        affine_grid alpha_dropout avg_pool1d avg_pool3d bilinear celu celu_ channel_shuffle
        conv1d conv3d conv_transpose1d conv_transpose3d ctc_loss dropout1d dropout3d elu_
        embedding_bag feature_alpha_dropout fractional_max_pool2d fractional_max_pool3d
        gaussian_nll_loss grid_sample gumbel_softmax hardshrink hardtanh_
        hinge_embedding_loss leaky_relu_ linear_cross_entropy lp_pool1d lp_pool2d lp_pool3d
        max_pool1d max_pool3d max_unpool1d max_unpool2d max_unpool3d
        multi_head_attention_forward multi_margin_loss multilabel_margin_loss
        multilabel_soft_margin_loss pdist poisson_nll_loss relu_ rrelu rrelu_ selu_
        soft_margin_loss softshrink softsign tanhshrink threshold threshold_
        triplet_margin_with_distance_loss upsample upsample_bilinear upsample_nearest
    """,
    "tinyvision.optim": """
        ASGD Adafactor Adamax LBFGS Muon NAdam RAdam Rprop SparseAdam swa_utils
    """,
    "tinyvision.optim.lr_scheduler": """
        ChainedScheduler CyclicLR MultiplicativeLR
    """,
    "tinyvision.nn.parallel": """
        DistributedDataParallel data_parallel parallel_apply replicate scatter_gather
    """,
    "tinyvision.nn.utils": """
        clip_grad_norm clip_grads_with_norm_ convert_parameters fuse_conv_bn_eval
        fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights get_total_norm
        parametrizations parametrize prune remove_spectral_norm remove_weight_norm rnn
        skip_init spectral_norm stateless weight_norm
    """,
    "tinyvision.Tensor": """
        absolute_ acos_ acosh acosh_ addbmm addbmm_ addmv addmv_ addr addr_ adjoint
        aminmax angle apply_ arccos arccos_ arccosh arccosh_ arcsin arcsin_ arcsinh
        arcsinh_ arctan arctan2 arctan2_ arctan_ arctanh arctanh_ as_strided as_strided_
        asin_ asinh asinh_ atan_ atanh atanh_ baddbmm_ bfloat16 bitwise_and bitwise_not
        bitwise_or bitwise_xor cauchy_ char conj conj_physical conj_physical_ corrcoef
        cosh_ cov cross cummax cummin cumprod_ deg2rad deg2rad_ diag_embed diagflat dist
        divide_ dsplit erfc erfc_ exp2 exp2_ exponential_ fix fix_ fmax fmin fmod fmod_
        frac_ geometric_ ger get_device greater_ greater_equal_ half hardshrink histc
        histogram hsplit hypot hypot_ imag index index_copy index_copy_ index_fill
        index_fill_ index_put index_put_ index_reduce index_reduce_ inner inverse
        is_complex is_nonzero is_same_size isneginf isposinf kron kthvalue less_
        less_equal_ log_normal_ logaddexp logaddexp2 logcumsumexp logit_ mH map_
        masked_scatter masked_scatter_ matrix_exp matrix_power mode msort multiply_
        nanmean nanmedian nanquantile nansum ndimension negative_ new_empty_strided
        not_equal_ pinverse positive prelu put put_ quantile rad2deg rad2deg_ random_
        real renorm resize resize_ resize_as resize_as_ scatter_reduce scatter_reduce_
        set_ share_memory_ signbit sinh_ solve split_with_sizes squeeze_ storage
        subtract_ sum_to_size swapaxes_ swapdims_ t_ take tan_ tensor_split to_sparse
        transpose_ unique_consecutive unsqueeze_ untyped_storage vdot vsplit
    """,
}
