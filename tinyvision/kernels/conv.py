"""2-d convolution (really cross-correlation, as in every deep-learning framework).

    output[n, o, i, j] = bias[o] + sum over c, kh, kw of weight[o, c, kh, kw]
        * padded[n, c, i * stride_h + kh * dilation_h, j * stride_w + kw * dilation_w]

where padded is the input with padding_h rows and padding_w columns of zeros added on each side.
With groups > 1, channels and filters are split into that many groups that do not see each other.

Shapes:
    input (N, C_in, H, W), weight (C_out, C_in / groups, kH, kW), bias (C_out,),
    output (N, C_out, H_out, W_out), H_out = (H + 2 padding - dilation * (kH - 1) - 1) // stride + 1

Gradients: each product weight * padded above passes the output's gradient to its two factors.
    d_padded[the same pixel] += weight[o, c, kh, kw] * d_output[n, o, i, j]
    d_weight[o, c, kh, kw] += padded[the same pixel] * d_output[n, o, i, j]
    d_bias[o] = sum of d_output[:, o]

Source: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"; a guide
to the arithmetic of shapes: Dumoulin and Visin 2016, arXiv:1603.07285.
"""

import math

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.conv_depthwise import (
    depthwise_forward,
    depthwise_grad_input,
    depthwise_grad_weight,
    is_depthwise,
)
from tinyvision.kernels.conv_direct import MAX_ROWS, Sizes, correlate, correlate_weight
from tinyvision.kernels.conv_patches import are_patches, patches_forward, patches_grad_weight
from tinyvision.kernels.conv_plan import Plan, Shape, forward_plan, grad_input_plan
from tinyvision.kernels.jit import flat, twin_of
from tinyvision.kernels.linear import linear_backward, linear_forward
from tinyvision.kernels.threads import count_shares, get_num_threads, launch
from tinyvision.kernels.winograd import (
    is_faster,
    winograd_forward,
    winograd_grad_input,
    winograd_grad_weight,
)

Pair = tuple[int, int]
Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def conv2d_forward_reference(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The formula as it stands: for each filter tap, a product of all channels of all pixels."""
    shape = _shape(input, weight, stride, padding, dilation, groups)
    N, C_out, G = shape.N, shape.C_out, groups
    padded = _pad(input, padding)
    # (C_out, C, kH, kW) -> (G, C_out/G, C, kH, kW)
    weight = weight.reshape(G, C_out // G, -1, shape.kH, shape.kW)
    output = np.zeros((N, G, C_out // G, shape.H_out, shape.W_out), input.dtype)
    for kh, kw in np.ndindex(shape.kH, shape.kW):
        window = _pixels_under_tap(padded, kh, kw, shape)  # (N, G, C, H_out, W_out)
        output += np.einsum("goc,ngchw->ngohw", weight[..., kh, kw], window)
    output = output.reshape(N, C_out, shape.H_out, shape.W_out)
    return output if bias is None else output + bias[:, None, None]


def conv2d_backward_reference(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    needs_input: bool,
    needs_weight: bool,
    needs_bias: bool,
) -> Gradients:
    """Each tap's product of the forward pass, transposed: to its pixels and to its weights."""
    shape = _shape(input, weight, stride, padding, dilation, groups)
    N, C_in, H, W, C_out, kH, kW = shape[:7]
    padded = _pad(input, padding)
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros(weight.shape, weight.dtype)
    # (N, C_out, H_out, W_out) -> (N, G, C_out/G, H_out, W_out); weights as in forward
    grad = grad_output.reshape(N, groups, C_out // groups, shape.H_out, shape.W_out)
    grouped_weight = weight.reshape(groups, C_out // groups, -1, kH, kW)
    grouped_grad_weight = grad_weight.reshape(grouped_weight.shape)
    for kh, kw in np.ndindex(kH, kW):
        window = _pixels_under_tap(padded, kh, kw, shape)  # (N, G, C, H_out, W_out)
        grad_window = _pixels_under_tap(grad_padded, kh, kw, shape)
        grad_window += np.einsum("goc,ngohw->ngchw", grouped_weight[..., kh, kw], grad)
        grouped_grad_weight[..., kh, kw] = np.einsum("ngohw,ngchw->goc", grad, window)
    grad_input = grad_padded[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W]
    return (
        np.ascontiguousarray(grad_input) if needs_input else None,
        grad_weight if needs_weight else None,
        grad_output.sum(axis=(0, 2, 3)) if needs_bias else None,
    )


# Why the fast version is fast.
#
# Layout. Images stay as they are, (N, C, H, W), and a vector register holds neighbouring pixels of
# one channel. A band of an image is first copied into planes (conv_plan.py), small enough for the
# caches: for each channel and filter column, the pixels that column multiplies, with the zeros of
# the padding. There every filter tap finds the pixels of all outputs in one run, merely at another
# offset, and whole vectors run on from row to row. Strides end in that copy.
#
# Registers. For 8 output channels and 32 pixels (with AVX-512), the sums over all taps and input
# channels stay in 16 registers: `multiply_rows` in microkernel.py. Then they go, with the bias, to
# the output. Nothing else is written: no "im2col" matrix of kH * kW times the input.
#
# Fewer multiplications. 3 x 3 filters on many channels go another way: winograd.py. So do windows
# that do not overlap: conv_patches.py, and filters of one channel each: conv_depthwise.py. A window
# that covers the whole image makes a linear layer.
#
# Gradients. grad_input is the same loop with other tables: grad_output is its source, the input's
# channels are its rows. grad_weight has products of the same pixels, but sums over them:
# `add_dot_products` keeps 4 x 4 (output channels x filter taps) vectors of sums.
#
# Threads. Images and groups of output channels are shared out; the order in which any one number
# is summed up never depends on how. Only grad_weight sums over images: if it has too few output
# channels to occupy the threads, it is made in parts, whose number the shapes decide.


@twin_of(conv2d_forward_reference)
def conv2d_forward(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The convolution of the module's docstring."""
    shape = _shape(input, weight, stride, padding, dilation, groups)
    if _is_linear(shape):
        output = linear_forward(_rows(input), _rows(weight), bias)
        return output.reshape(shape.N, shape.C_out, 1, 1)
    if is_faster(shape):
        return winograd_forward(input, weight, bias, padding)
    if bias is None:
        bias = np.zeros(shape.C_out, input.dtype)
    if input.size > 0 < weight.size and are_patches(shape):
        return patches_forward(input, weight, bias, shape)
    if input.size > 0 and is_depthwise(shape):
        return depthwise_forward(input, weight, bias, shape)
    output = memory.empty((shape.N, shape.C_out, shape.H_out, shape.W_out), input.dtype)
    if shape.C_in == 0:
        output[:] = bias[:, None, None]
    elif output.size > 0:
        plan = forward_plan(shape)
        sizes = _sizes(plan, shape.C_in, shape.H, shape.W, shape.C_out, shape.H_out, shape.W_out,
                       shape, weight_row=weight[0].size)  # fmt: skip
        _correlate(input, weight, bias, output, plan, sizes)
    return output


@twin_of(conv2d_backward_reference)
def conv2d_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    needs_input: bool,
    needs_weight: bool,
    needs_bias: bool,
) -> Gradients:
    """The gradients that are needed, None for the others."""
    shape = _shape(input, weight, stride, padding, dilation, groups)
    grad_input = grad_weight = grad_bias = None
    if _is_linear(shape):
        grad_input, grad_weight, grad_bias = linear_backward(
            _rows(grad_output), _rows(input), _rows(weight), needs_input, needs_weight, needs_bias
        )
        return (
            None if grad_input is None else grad_input.reshape(input.shape),
            None if grad_weight is None else grad_weight.reshape(weight.shape),
            grad_bias,
        )
    if needs_input:
        grad_input = _grad_input(grad_output, weight, shape)
    if needs_weight:
        grad_weight, grad_bias = _grad_weight_and_bias(grad_output, input, weight, shape)
    elif needs_bias:
        grad_bias = grad_output.sum(axis=(0, 2, 3))
    return grad_input, grad_weight, grad_bias if needs_bias else None


def _is_linear(shape: Shape) -> bool:
    """Whether the window covers the whole image, and sees all of it."""
    return (
        (shape.kH, shape.kW) == (shape.H, shape.W)
        and shape.padding == (0, 0)
        and shape.dilation == (1, 1)
        and shape.groups == 1
    )


def _rows(array: np.ndarray) -> np.ndarray:
    """(n, ...) -> (n, numbers of each)."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _grad_input(grad_output: np.ndarray, weight: np.ndarray, shape: Shape) -> np.ndarray:
    if is_faster(shape):
        return winograd_grad_input(grad_output, weight, shape.padding)
    if grad_output.size == 0 or shape.C_in == 0:
        return np.zeros((shape.N, shape.C_in, shape.H, shape.W), grad_output.dtype)
    if is_depthwise(shape):
        return depthwise_grad_input(grad_output, weight, shape)
    grad_input = memory.empty((shape.N, shape.C_in, shape.H, shape.W), grad_output.dtype)
    plan = grad_input_plan(shape)
    sizes = _sizes(plan, shape.C_out, shape.H_out, shape.W_out, shape.C_in, shape.H, shape.W,
                   shape, weight_row=shape.kH * shape.kW)  # fmt: skip
    _correlate(grad_output, weight, np.zeros(shape.C_in, weight.dtype), grad_input, plan, sizes)
    return grad_input


def _grad_weight_and_bias(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    if is_faster(shape):
        return winograd_grad_weight(grad_output, input, shape.padding)
    if grad_output.size == 0 or shape.C_in == 0:
        return np.zeros(weight.shape, weight.dtype), grad_output.sum(axis=(0, 2, 3))
    if are_patches(shape):
        return patches_grad_weight(grad_output, input, shape)
    if is_depthwise(shape):
        return depthwise_grad_weight(grad_output, input, shape)
    blocks = shape.groups * -(-(shape.C_out // shape.groups) // MAX_ROWS)
    # 16 parts at most in all, and no more than 1 MB of them in float32; at least one.
    parts = max(1, min(16 // blocks, 2**18 // weight.size, shape.N))
    grad_weight = np.zeros((parts, *weight.shape), weight.dtype)
    grad_bias = np.zeros((parts, shape.C_out), weight.dtype)
    plan = forward_plan(shape, allow_wide=False)
    sizes = _sizes(plan, shape.C_in, shape.H, shape.W, shape.C_out, shape.H_out, shape.W_out,
                   shape, weight_row=weight[0].size, images=parts)  # fmt: skip
    nanoseconds = 2 * weight[0].size * grad_output.size // 60
    shares = count_shares(parts * sizes.groups * sizes.slabs, nanoseconds)
    launch(
        correlate_weight, shares, flat(input), flat(grad_output),
        grad_weight.reshape(-1), grad_bias.reshape(-1), plan.planes, plan.plane_offsets,
        sizes, parts,
    )  # fmt: skip
    return grad_weight.sum(axis=0), grad_bias.sum(axis=0)


def _correlate(
    source: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    target: np.ndarray,
    plan: Plan,
    sizes: Sizes,
) -> None:
    nanoseconds = 2 * target.size * plan.weight_offsets.size // len(plan.target_phases) // 60
    shares = count_shares(sizes.N * sizes.groups * sizes.slabs, nanoseconds)
    launch(
        correlate, shares, flat(source), flat(weight), flat(bias),
        target.reshape(-1), plan.planes, plan.target_phases, plan.weight_offsets,
        plan.plane_offsets, sizes,
    )  # fmt: skip


def _sizes(
    plan: Plan,
    source_channels: int,
    source_H: int,
    source_W: int,
    target_channels: int,
    target_H: int,
    target_W: int,
    shape: Shape,
    weight_row: int,
    images: int | None = None,
) -> Sizes:
    """The numbers of the loops in conv_direct.py; `images` are what threads can share out."""
    rows = target_channels // shape.groups
    shared = (shape.N if images is None else images) * shape.groups
    return Sizes(
        N=shape.N,
        groups=shape.groups,
        # Where there are fewer images than threads, threads also share out the channels.
        slabs=min(-(-get_num_threads() // shared), -(-rows // MAX_ROWS)),
        channels=source_channels // shape.groups,
        source_H=source_H,
        source_W=source_W,
        row_step=plan.source_step[0],
        column_step=plan.source_step[1],
        rows=rows,
        target_H=target_H,
        target_W=target_W,
        target_row_step=plan.target_step[0],
        target_column_step=plan.target_step[1],
        weight_row=weight_row,
        weight_group=(shape.C_out // shape.groups) * (shape.C_in // shape.groups)
        * shape.kH * shape.kW,
        q_begin=plan.q_rows[0],
        q_end=plan.q_rows[1],
        q_column=plan.q_columns[0],
        columns=plan.q_columns[1] - plan.q_columns[0],
        band=plan.band,
        plane_rows=plan.plane_rows,
    )  # fmt: skip


def _shape(
    input: np.ndarray,
    weight: np.ndarray,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Shape:
    N, C_in, H, W = input.shape
    C_out, C, kH, kW = weight.shape
    assert C * groups == C_in and C_out % groups == 0
    H_out = (H + 2 * padding[0] - dilation[0] * (kH - 1) - 1) // stride[0] + 1
    W_out = (W + 2 * padding[1] - dilation[1] * (kW - 1) - 1) // stride[1] + 1
    return Shape(
        N, C_in, H, W, C_out, kH, kW, H_out, W_out, stride, padding, dilation, groups,
        input.itemsize,
    )  # fmt: skip


def _pad(input: np.ndarray, padding: Pair) -> np.ndarray:
    ph, pw = padding
    return np.pad(input, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def _pixels_under_tap(padded: np.ndarray, kh: int, kw: int, shape: Shape) -> np.ndarray:
    """A view of the pixels that tap (kh, kw) multiplies: (N, G, C_in/G, H_out, W_out)."""
    (sh, sw), (dh, dw) = shape.stride, shape.dilation
    rows = slice(kh * dh, kh * dh + (shape.H_out - 1) * sh + 1, sh)
    columns = slice(kw * dw, kw * dw + (shape.W_out - 1) * sw + 1, sw)
    window = padded[:, :, rows, columns]
    # (N, C_in, H_out, W_out) -> (N, G, C_in/G, H_out, W_out): splitting an axis keeps the view
    C = shape.C_in // shape.groups
    return window.reshape(shape.N, shape.groups, C, shape.H_out, shape.W_out)
