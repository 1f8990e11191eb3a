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

from tinyvision.kernels import conv_depthwise, conv_lanes, memory
from tinyvision.kernels.conv_direct import MAX_ROWS, correlate, correlate_weight
from tinyvision.kernels.conv_plan import (
    Geometry,
    Pair,
    Plan,
    Shape,
    forward_plan,
    grad_input_plan,
    shape_of,
)
from tinyvision.kernels.jit import flat, twin_of
from tinyvision.kernels.linear import linear_backward, linear_forward
from tinyvision.kernels.threads import count_chunks, get_num_threads, launch
from tinyvision.kernels.winograd import (
    suits_winograd,
    winograd_forward,
    winograd_grad_input,
    winograd_grad_weight,
)

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def conv2d_forward_reference(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, geometry: Geometry
) -> np.ndarray:
    """The formula as it stands: for each filter tap, a product of all channels of all pixels."""
    shape = shape_of(input, weight, geometry)
    N, C_out, G = shape.N, shape.C_out, shape.groups
    padded = _pad(input, shape.padding)
    # (C_out, C, kH, kW) -> (G, C_out/G, C, kH, kW)
    weight = weight.reshape(G, C_out // G, -1, shape.kH, shape.kW)
    output = np.zeros((N, G, C_out // G, shape.H_out, shape.W_out), input.dtype)
    for kh, kw in np.ndindex(shape.kH, shape.kW):
        window = _pixels_under_tap(padded, kh, kw, shape)  # (N, G, C, H_out, W_out)
        output += np.einsum("goc,ngchw->ngohw", weight[..., kh, kw], window)
    output = output.reshape(N, C_out, shape.H_out, shape.W_out)
    return output if bias is None else output + bias[:, None, None]


def conv2d_backward_reference(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray, geometry: Geometry,
    needs: tuple[bool, ...],
) -> Gradients:  # fmt: skip
    """Each tap's product of the forward pass, transposed: to its pixels and to its weights."""
    shape = shape_of(input, weight, geometry)
    N, C_in, H, W, C_out, kH, kW = shape[:7]
    (ph, pw), groups = shape.padding, shape.groups
    padded = _pad(input, shape.padding)
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
    grad_input = np.ascontiguousarray(grad_padded[:, :, ph : ph + H, pw : pw + W])
    gradients = grad_input, grad_weight, grad_output.sum(axis=(0, 2, 3))
    return tuple([g if needed else None for g, needed in zip(gradients, needs, strict=True)])  # type: ignore[return-value]


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
# Other ways. 3 x 3 filters on many channels need fewer multiplications: winograd.py. With strides,
# vectors hold channels instead of pixels: conv_lanes.py. If each channel has a filter of its own,
# nothing is copied: conv_depthwise.py. A window that covers the whole image makes a linear layer.
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
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, geometry: Geometry
) -> np.ndarray:
    """The convolution of the module's docstring."""
    shape = shape_of(input, weight, geometry)
    if _is_linear(shape):
        output = linear_forward(_rows(input), _rows(weight), bias)
        return output.reshape(shape.N, shape.C_out, 1, 1)
    if suits_winograd(shape):
        return winograd_forward(input, weight, bias, shape.padding)
    if bias is None:
        bias = np.zeros(shape.C_out, input.dtype)
    if input.size > 0 < weight.size and conv_lanes.suits(shape):
        return conv_lanes.forward(input, weight, bias, shape)
    if input.size > 0 and conv_depthwise.suits(shape):
        return conv_depthwise.forward(input, weight, bias, shape)
    output = memory.empty((shape.N, shape.C_out, shape.H_out, shape.W_out), input.dtype)
    if shape.C_in == 0:
        output[:] = bias[:, None, None]
    elif output.size > 0:
        _correlate(input, weight, bias, output, forward_plan(shape))
    return output


@twin_of(conv2d_backward_reference)
def conv2d_backward(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray, geometry: Geometry,
    needs: tuple[bool, ...],
) -> Gradients:  # fmt: skip
    """The gradients that are needed, None for the others."""
    shape = shape_of(input, weight, geometry)
    grad_input = grad_weight = grad_bias = None
    if _is_linear(shape):
        grad_input, grad_weight, grad_bias = linear_backward(
            _rows(grad_output), _rows(input), _rows(weight), *needs
        )
        return (
            None if grad_input is None else grad_input.reshape(input.shape),
            None if grad_weight is None else grad_weight.reshape(weight.shape),
            grad_bias,
        )
    needs_input, needs_weight, needs_bias = needs
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
    if suits_winograd(shape):
        return winograd_grad_input(grad_output, weight, shape.padding)
    if grad_output.size == 0 or shape.C_in == 0:
        return np.zeros((shape.N, shape.C_in, shape.H, shape.W), grad_output.dtype)
    if conv_depthwise.suits(shape):
        return conv_depthwise.grad_input(grad_output, weight, shape)
    if conv_lanes.suits_grad_input(shape):
        return conv_lanes.grad_input(grad_output, weight, shape)
    grad_input = memory.empty((shape.N, shape.C_in, shape.H, shape.W), grad_output.dtype)
    no_bias = np.zeros(shape.C_in, weight.dtype)
    _correlate(grad_output, weight, no_bias, grad_input, grad_input_plan(shape))
    return grad_input


def _grad_weight_and_bias(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    if suits_winograd(shape):
        return winograd_grad_weight(grad_output, input, shape.padding)
    if grad_output.size == 0 or shape.C_in == 0:
        return np.zeros(weight.shape, weight.dtype), grad_output.sum(axis=(0, 2, 3))
    if conv_lanes.suits_grad_weight(shape):
        return conv_lanes.grad_weight(grad_output, input, shape)
    if conv_depthwise.suits(shape):
        return conv_depthwise.grad_weight(grad_output, input, shape)
    blocks = shape.groups * -(-(shape.C_out // shape.groups) // MAX_ROWS)
    # 16 parts at most in all, and no more than 1 MB of them in float32; at least one.
    parts = max(1, min(16 // blocks, 2**18 // weight.size, shape.N))
    grad_weight = np.zeros((parts, *weight.shape), weight.dtype)
    grad_bias = np.zeros((parts, shape.C_out), weight.dtype)
    plan = forward_plan(shape, allow_wide=False)
    slabs = _count_slabs(parts * shape.groups, plan.sizes.rows)
    nanoseconds = 2 * weight[0].size * grad_output.size // 60
    chunks = count_chunks(parts * shape.groups * slabs, nanoseconds)
    launch(
        correlate_weight, chunks, flat(input), flat(grad_output),
        grad_weight.reshape(-1), grad_bias.reshape(-1), plan.planes, plan.plane_offsets,
        plan.sizes, slabs, parts,
    )  # fmt: skip
    return grad_weight.sum(axis=0), grad_bias.sum(axis=0)


def _correlate(
    source: np.ndarray, weight: np.ndarray, bias: np.ndarray, target: np.ndarray, plan: Plan
) -> None:
    items = plan.sizes.N * plan.sizes.groups
    slabs = _count_slabs(items, plan.sizes.rows)
    nanoseconds = 2 * target.size * plan.weight_offsets.size // len(plan.target_phases) // 60
    launch(
        correlate, count_chunks(items * slabs, nanoseconds), flat(source), flat(weight), flat(bias),
        target.reshape(-1), plan.planes, plan.target_phases, plan.weight_offsets,
        plan.plane_offsets, plan.sizes, slabs,
    )  # fmt: skip


def _count_slabs(items: int, rows: int) -> int:
    """Into how many parts to split a group's rows: where there are fewer images than threads."""
    return min(-(-get_num_threads() // items), -(-rows // MAX_ROWS))


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
