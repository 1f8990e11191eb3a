"""What PyTorch has nearby and tinyvision has not: asking for it says so, instead of "no attribute".

The names are those of PyTorch 2.13 and torchvision for dense tensors on a CPU.
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
        text = f"{type(found_in).__name__!r} object" if owner else place
        # With name and obj Python adds what may have been meant.
        raise AttributeError(f"{text} has no attribute {name!r}", name=name, obj=found_in)

    return __getattr__


_NAMES = {
    "tinyvision": """
        BFloat16Tensor CharTensor HalfTensor ShortTensor Storage UntypedStorage abs_ acos_
        acosh acosh_ adaptive_avg_pool1d adaptive_max_pool1d addbmm addmv addmv_ addr
        adjoint affine_grid_generator alpha_dropout alpha_dropout_ aminmax angle arccos_
        arccosh arccosh_ arcsin_ arcsinh arcsinh_ arctan_ arctanh arctanh_
        are_deterministic_algorithms_enabled as_strided as_strided_ as_strided_scatter asin_
        asinh asinh_ atan_ atanh atanh_ atleast_1d atleast_2d atleast_3d avg_pool1d
        bartlett_window batch_norm bilinear binary_cross_entropy_with_logits binomial
        bitwise_left_shift bitwise_right_shift blackman_window block_diag bucketize can_cast
        cartesian_prod cdist cdouble ceil_ celu celu_ cfloat chain_matmul channel_shuffle
        channels_last_3d cholesky cholesky_inverse cholesky_solve clamp_ clamp_max_
        clamp_min_ clip_ column_stack combinations compiler complex complex128 complex64
        cond conj conj_physical conj_physical_ constant_pad_nd conv1d conv2d conv3d
        conv_transpose1d conv_transpose2d conv_transpose3d convolution copysign corrcoef
        cos_ cosh_ cosine_embedding_loss cosine_similarity cov cpu cross ctc_loss cummax
        cummin cumulative_trapezoid deg2rad deg2rad_ det detach detach_ diag_embed diagflat
        diagonal_scatter digamma dist distributed distributions dropout dropout_ dsplit
        dstack dtype embedding embedding_bag embedding_renorm_ empty_permuted empty_strided
        erf_ erfc erfc_ erfinv exp2 exp2_ exp_ expm1_ export feature_alpha_dropout
        feature_alpha_dropout_ feature_dropout feature_dropout_ fft fill fill_ fix fix_
        float_power floor_ fmax fmin fmod frac_ frexp frobenius_norm from_dlpack frombuffer
        func functional fx gcd gcd_ geqrf ger get_default_device
        get_deterministic_debug_mode get_device get_float32_matmul_precision
        get_num_interop_threads gradient grid_sampler group_norm gru gru_cell hamming_window
        hann_window hardshrink heaviside hinge_embedding_loss histc histogram histogramdd
        hsplit hub hypot i0 i0_ igamma igammac imag index_copy index_put index_put_
        index_reduce inner instance_norm inverse is_complex is_conj is_inference is_neg
        is_same_size is_signed is_storage isneginf isposinf isreal istft jit kaiser_window
        kl_div kron kthvalue layer_norm layout lcm lcm_ ldexp ldexp_ lgamma linalg lobpcg
        log10_ log1p_ log2_ log_ logaddexp logaddexp2 logcumsumexp logdet logit_ logspace
        lstm lstm_cell lu lu_solve lu_unpack margin_ranking_loss masked masked_scatter
        matrix_exp matrix_power max_pool1d max_pool2d max_pool3d mode msort multiprocessing
        mvlgamma nan_to_num_ nanmean nanmedian nanquantile nansum neg_ negative_ nested
        nextafter nonzero_static norm_except_dim nuclear_norm orgqr ormqr overrides
        pairwise_distance pca_lowrank pdist pinverse pixel_shuffle pixel_unshuffle poisson
        poisson_nll_loss polar polygamma positive prelu profiler promote_types put qr
        quantile quantization quantize_per_tensor rad2deg rad2deg_ randint_like real
        reciprocal_ relu_ renorm resize_as_ resolve_conj resolve_neg result_type
        return_types rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell round_ row_stack
        rrelu rrelu_ rsqrt_ rsub saddmm scalar_tensor scatter_reduce searchsorted seed
        segment_reduce select_scatter selu selu_ set_default_tensor_type set_flush_denormal
        set_num_interop_threads sgn sigmoid_ signal signbit sin_ sinc sinc_ sinh_
        slice_scatter slogdet sparse sparse_coo_tensor sparse_csr_tensor special
        split_with_sizes spmm sqrt_ square_ stft storage strided svd svd_lowrank take tan_
        tanh_ tensor_split tensordot testing threshold threshold_ trapezoid trapz
        triangular_solve tril_indices triplet_margin_loss triu_indices trunc_ typename types
        uint16 uint32 uint64 unique_consecutive unravel_index unsafe_chunk unsafe_split
        vander vdot version view_as_complex view_as_real vmap vsplit xlogy xlogy_ xpu zero_
    """,
    "tinyvision.nn": """
        AdaptiveAvgPool1d AdaptiveAvgPool3d AdaptiveLogSoftmaxWithLoss AdaptiveMaxPool1d
        AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool3d BatchNorm3d Bilinear Buffer CELU
        CTCLoss CircularPad1d CircularPad3d ConstantPad1d ConstantPad3d Conv1d Conv3d
        ConvTranspose1d ConvTranspose3d CrossMapLRN2d Dropout1d Dropout3d EmbeddingBag
        FeatureAlphaDropout FractionalMaxPool2d FractionalMaxPool3d GaussianNLLLoss
        Hardshrink HingeEmbeddingLoss InstanceNorm3d LPPool1d LPPool2d LPPool3d
        LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d
        LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d LazyInstanceNorm1d
        LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear LinearCrossEntropyLoss MaxPool1d
        MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d MultiLabelMarginLoss
        MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss2d PoissonNLLLoss RNNBase
        RNNCellBase RReLU ReflectionPad1d ReflectionPad3d ReplicationPad1d ReplicationPad3d
        SoftMarginLoss Softshrink SyncBatchNorm Tanhshrink Threshold
        TripletMarginWithDistanceLoss UninitializedBuffer UninitializedParameter ZeroPad1d
        ZeroPad3d grad modules
    """,
    "tinyvision.nn.functional": """
        adaptive_avg_pool1d adaptive_avg_pool3d adaptive_max_pool1d
        adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices
        adaptive_max_pool3d adaptive_max_pool3d_with_indices alpha_dropout avg_pool1d
        avg_pool3d bilinear celu celu_ conv1d conv3d conv_tbc conv_transpose1d
        conv_transpose3d ctc_loss dropout1d dropout3d elu_ embedding_bag
        feature_alpha_dropout fractional_max_pool2d fractional_max_pool2d_with_indices
        fractional_max_pool3d fractional_max_pool3d_with_indices gaussian_nll_loss grad
        grouped_mm hardshrink hardtanh_ hinge_embedding_loss leaky_relu_
        linear_cross_entropy lp_pool1d lp_pool2d lp_pool3d max_pool1d
        max_pool1d_with_indices max_pool2d_with_indices max_pool3d max_pool3d_with_indices
        max_unpool1d max_unpool2d max_unpool3d multi_head_attention_forward
        multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss pdist
        poisson_nll_loss relu_ rrelu rrelu_ scaled_mm selu_ soft_margin_loss softshrink
        tanhshrink threshold threshold_ triplet_margin_with_distance_loss upsample
        upsample_bilinear upsample_nearest
    """,
    "tinyvision.optim": """
        ASGD Adafactor Adamax LBFGS Muon NAdam RAdam Rprop SparseAdam swa_utils
    """,
    "tinyvision.optim.lr_scheduler": """
        ChainedScheduler CyclicLR MultiplicativeLR
    """,
    "tinyvision.nn.parallel": """
        DistributedDataParallel comm data_parallel distributed gather parallel_apply
        replicate scatter scatter_gather
    """,
    "tinyvision.nn.utils": """
        clip_grad_norm clip_grads_with_norm_ convert_conv2d_weight_memory_format
        convert_conv3d_weight_memory_format convert_parameters fuse_conv_bn_eval
        fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights get_total_norm
        parametrizations parametrize prune remove_spectral_norm remove_weight_norm skip_init
        spectral_norm stateless weight_norm
    """,
    "tinyvision.nn.utils.rnn": """
        PackedSequence pack_padded_sequence pack_sequence pad_packed_sequence pad_sequence
        unpack_sequence unpad_sequence
    """,
    "tinyvision.Tensor": """
        H absolute_ acos_ acosh acosh_ addbmm addbmm_ addmv addmv_ addr addr_ adjoint
        aminmax angle apply_ arccos_ arccosh arccosh_ arcsin_ arcsinh arcsinh_ arctan2_
        arctan_ arctanh arctanh_ as_strided as_strided_ as_strided_scatter as_subclass asin_
        asinh asinh_ atan_ atanh atanh_ baddbmm_ bfloat16 bitwise_and_ bitwise_left_shift
        bitwise_left_shift_ bitwise_not_ bitwise_or_ bitwise_right_shift
        bitwise_right_shift_ bitwise_xor_ cauchy_ cdouble cfloat chalf char cholesky
        cholesky_inverse cholesky_solve conj conj_physical conj_physical_ copysign copysign_
        corrcoef cosh_ cov cross cummax cummin cumprod_ deg2rad deg2rad_ det diag_embed
        diagflat diagonal_scatter digamma digamma_ dim_order dist divide_ dsplit erfc erfc_
        erfinv erfinv_ exp2 exp2_ exponential_ fix fix_ float_power float_power_ fmax fmin
        fmod fmod_ frac_ frexp gcd gcd_ geometric_ geqrf ger get_device greater_
        greater_equal_ half hardshrink heaviside heaviside_ histc histogram hsplit hypot
        hypot_ i0 i0_ igamma igamma_ igammac igammac_ imag index index_copy index_copy_
        index_put index_put_ index_reduce index_reduce_ inner inverse is_complex is_conj
        is_cpu is_meta is_mps is_neg is_pinned is_quantized is_same_size is_set_to is_shared
        is_signed is_sparse is_xpu isneginf isposinf isreal istft kron kthvalue layout lcm
        lcm_ ldexp ldexp_ less_ less_equal_ lgamma lgamma_ log_normal_ logaddexp logaddexp2
        logcumsumexp logdet logit_ lu lu_solve mH map_ masked_scatter masked_scatter_
        matrix_exp matrix_power mode msort multiply_ mvlgamma mvlgamma_ name nanmean
        nanmedian nanquantile nansum narrow_copy negative_ new new_empty_strided nextafter
        nextafter_ nonzero_static not_equal_ orgqr ormqr output_nr pin_memory pinverse
        polygamma polygamma_ positive prelu put put_ qr quantile rad2deg rad2deg_ real
        record_stream register_post_accumulate_grad_hook renorm renorm_ resize resize_
        resize_as resize_as_ resolve_conj resolve_neg scatter_reduce scatter_reduce_
        select_scatter set_ sgn sgn_ share_memory_ signbit sinc sinc_ sinh_ slice_scatter
        slogdet solve split_with_sizes stft storage storage_offset storage_type subtract_
        sum_to_size svd swapaxes_ swapdims_ take tan_ tensor_split to_dense to_sparse
        to_sparse_coo to_sparse_csr triangular_solve unique_consecutive unsafe_chunk
        unsafe_split untyped_storage vdot vsplit xlogy xlogy_ xpu
    """,
    "tinyvision.nn.init": """
        constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse sparse_
        uniform xavier_normal xavier_uniform
    """,
    "tinyvision.nn.Module": """
        compile get_extra_state register_backward_hook register_load_state_dict_post_hook
        register_load_state_dict_pre_hook register_state_dict_post_hook
        register_state_dict_pre_hook set_extra_state set_submodule share_memory to_empty
        type xpu
    """,
    "tinyvision.optim.Optimizer": """
        register_load_state_dict_post_hook register_load_state_dict_pre_hook
        register_state_dict_post_hook register_state_dict_pre_hook register_step_post_hook
        register_step_pre_hook
    """,
    "tinyvision.autograd": """
        anomaly_mode forward_ad functional grad_mode gradgradcheck graph
        is_multithreading_enabled profiler set_multithreading_enabled variable
    """,
    "tinyvision.cuda": """
        BoolTensor ByteTensor CUDAGraph DoubleTensor Event FloatTensor HalfTensor IntTensor
        LongTensor OutOfMemoryError Stream StreamContext can_device_access_peer clock_rate
        current_device current_stream default_stream device device_of get_arch_list
        get_device_capability get_device_name get_device_properties get_rng_state
        get_rng_state_all graph graphs init initial_seed ipc_collect is_bf16_supported
        is_initialized jiterator make_graphed_callables max_memory_allocated
        max_memory_cached max_memory_reserved mem_get_info memory memory_allocated
        memory_cached memory_reserved memory_snapshot memory_stats memory_summary
        memory_usage nccl nvtx power_draw profiler random reset_max_memory_allocated
        reset_max_memory_cached reset_peak_memory_stats seed seed_all set_device
        set_per_process_memory_fraction set_rng_state set_rng_state_all set_stream stream
        streams temperature utilization
    """,
    "tinyvision.cuda.amp": """
        custom_bwd custom_fwd
    """,
    "tinyvision.amp": """
        custom_bwd custom_fwd is_autocast_available
    """,
    "tinyvision.utils": """
        benchmark checkpoint collect_env cpp_extension dlpack flop_counter hooks
        mobile_optimizer model_zoo swap_tensors tensorboard
    """,
    "tinyvision.utils.data": """
        ChainDataset DistributedSampler IterDataPipe IterableDataset MapDataPipe
        StackDataset dataloader datapipes dataset distributed get_worker_info sampler
    """,
    "tinyvision.data": """
        Caltech101 Caltech256 CelebA ChainDataset Cityscapes CocoCaptions CocoDetection
        Country211 DTD DatasetFolder DistributedSampler EMNIST EuroSAT FER2013 FGVCAircraft
        FakeData Flickr30k Flickr8k Flowers102 Food101 GTSRB HMDB51 ImageFolder ImageNet
        Imagenette IterableDataset Kinetics LFWPairs LFWPeople LSUN Omniglot OxfordIIITPet
        PCAM Places365 QMNIST SBDataset SEMEION STL10 SUN397 SVHN StackDataset StanfordCars
        UCF101 USPS VOCDetection VOCSegmentation WIDERFace get_worker_info
    """,
    "tinyvision.data.transforms": """
        AugMix AutoAugment AutoAugmentPolicy ColorJitter ConvertImageDtype ElasticTransform
        FiveCrop GaussianBlur LinearTransformation PILToTensor RandAugment
        RandomAdjustSharpness RandomAutocontrast RandomChoice RandomEqualize RandomGrayscale
        RandomInvert RandomOrder RandomPerspective RandomPosterize RandomSolarize TenCrop
        ToPILImage TrivialAugmentWide functional v2
    """,
    "tinyvision.models": """
        alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121
        densenet161 densenet169 densenet201 detection efficientnet_b0 efficientnet_b1
        efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
        efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s get_model
        get_model_weights inception_v3 list_models maxvit_t mnasnet0_5 mnasnet0_75
        mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
        optical_flow quantization regnet_x_400mf regnet_y_400mf resnext101_32x8d
        resnext101_64x4d resnext50_32x4d segmentation shufflenet_v2_x0_5 shufflenet_v2_x1_0
        shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s
        swin_t swin_v2_b swin_v2_s swin_v2_t video vit_b_16 vit_b_32 vit_h_14 vit_l_16
        vit_l_32 wide_resnet101_2 wide_resnet50_2
    """,
}
