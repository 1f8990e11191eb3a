"""Convolutions, and their reverse."""

from __future__ import annotations

from tinyvision.checks import as_int
from tinyvision.kernels import Geometry
from tinyvision.kernels.windows import Pair
from tinyvision.nn.functional.arguments import (
    Size,
    check_image,
    check_optional,
    check_same_dtype,
    check_tensors,
    on_batch,
    size_pair,
)
from tinyvision.ops.conv import Conv2d, ConvTranspose2d
from tinyvision.ops.shape import Pad
from tinyvision.tensor import Tensor


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Slide each filter over the image: every output is a dot product of filter and window.

    padding: zeros around the image; "valid" is none, "same" keeps H and W (stride 1 only).

    Shapes: input (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in / groups, kH, kW),
    bias (C_out,), output (N, C_out, H_out, W_out) with
    H_out = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1.
    Gradients: those of ops.conv.Conv2d.
    Raises: RuntimeError for sizes or dtypes that do not fit together, TypeError for wrong types.
    """
    groups = _check_operands("conv2d", input, weight, bias, groups)
    stride = size_pair("conv2d", "stride", stride)
    dilation = size_pair("conv2d", "dilation", dilation)
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    padding = size_pair("conv2d", "padding", padding, minimum=0)
    padded = _check_kernel_fits(input, weight, padding, dilation)
    # A stride past the image's edge, however far, leaves one output: kernels need no larger one.
    stride = min(stride[0], padded[0]), min(stride[1], padded[1])
    geometry = Geometry(stride, padding, dilation, groups)
    return on_batch(Conv2d, input, weight, bias, geometry=geometry)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Spread each pixel, times the filter, over a window of the output, and add up: the reverse of
    a conv2d with the same arguments, not in its values but in its shapes.

    padding: rows and columns that are cut off on each side. output_padding: how many of them to
    leave at the bottom and on the right; several image sizes lead conv2d to one output size.

    Shapes: input (N, C_in, H, W) or (C_in, H, W), weight (C_in, C_out / groups, kH, kW),
    bias (C_out,), output (N, C_out, H_out, W_out) with
    H_out = (H - 1) stride - 2 padding + dilation (kH - 1) + output_padding + 1.
    Gradients: those of ops.conv.ConvTranspose2d.
    Raises: RuntimeError for sizes or dtypes that do not fit together, TypeError for wrong types.
    """
    name = "conv_transpose2d"
    groups = _check_operands(name, input, weight, bias, groups, transposed=True)
    stride, dilation = size_pair(name, "stride", stride), size_pair(name, "dilation", dilation)
    padding = size_pair(name, "padding", padding, minimum=0)
    extra = size_pair(name, "output_padding", output_padding, minimum=0)
    whole, size = _transposed_sizes(input, weight, stride, padding, extra, dilation)
    if extra[0] < stride[0] and extra[1] < stride[1]:
        geometry = Geometry(stride, padding, dilation, groups)
        return on_batch(ConvTranspose2d, input, weight, bias, geometry=geometry, output_size=size)
    # conv2d would make more rows of so many: cut the output out of all there is
    geometry = Geometry(stride, (0, 0), dilation, groups)
    output = on_batch(ConvTranspose2d, input, weight, None, geometry=geometry, output_size=whole)
    widths = [(-p, e - p) for p, e in zip(padding, extra, strict=True)]
    output = Pad.apply(output, widths=[(0, 0)] * (input.ndim - 2) + widths, value=0)
    return output if bias is None else output + bias.reshape(-1, 1, 1)


def _transposed_sizes(
    input: Tensor, weight: Tensor, stride: Pair, padding: Pair, extra: Pair, dilation: Pair
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The size of all that the windows cover, and of the output."""
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={extra}, stride={stride}, dilation={dilation}"
        )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    whole = [(n - 1) * s + k for n, s, k in zip(input.shape[-2:], stride, spans, strict=True)]
    size = [n - 2 * p + e for n, p, e in zip(whole, padding, extra, strict=True)]
    if min(size) < 1:
        raise RuntimeError(
            f"conv_transpose2d: calculated output size {tuple(size)} is too small for input "
            f"{input.shape} and kernel {tuple(weight.shape[2:])}"
        )
    return tuple(whole), tuple(size)


def _check_operands(
    name: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    transposed: bool = False,
) -> int:
    """groups as an int, after all that the shapes have to fulfil."""
    check_image(name, input)
    check_tensors(name, weight=weight)
    check_optional(name, bias=bias)
    check_same_dtype(name, input, weight=weight, bias=bias)
    if weight.ndim != 4 or 0 in weight.shape:
        channels = "C_in, C_out / groups" if transposed else "C_out, C_in / groups"
        raise RuntimeError(
            f"{name}: expected weight of shape ({channels}, kH, kW) without zeros, but got "
            f"{weight.shape}"
        )
    groups = as_int(groups, name, "groups")
    if groups < 1:
        raise RuntimeError(f"{name}: non-positive groups is not supported, got {groups}")
    # The second dim of weight counts the channels of a group, of the output where transposed.
    first, second = weight.shape[0], weight.shape[1] * groups
    C_in, C_out = (first, second) if transposed else (second, first)
    if input.shape[-3] != C_in:
        raise RuntimeError(
            f"{name}: weight {weight.shape} with groups={groups} expects {C_in} input channels, "
            f"but input {input.shape} has {input.shape[-3]}"
        )
    if first % groups:
        raise RuntimeError(
            f"{name}: dim 0 of weight should be divisible by groups={groups}, but is {first}"
        )
    if bias is not None and bias.shape != (C_out,):
        raise RuntimeError(
            f"{name}: weight {weight.shape} with groups={groups} expects bias of shape {(C_out,)}, "
            f"but got {bias.shape}"
        )
    return groups


def _named_padding(
    input: Tensor, weight: Tensor, name: str, stride: Pair, dilation: Pair
) -> tuple[Tensor, Pair]:
    """The numbers that "valid" or "same" stand for, and the input with what they leave over."""
    if name == "valid":
        return input, (0, 0)
    if name != "same":
        raise RuntimeError(f"conv2d: Invalid padding string: {name!r}; choose 'same' or 'valid'")
    if stride != (1, 1):
        raise RuntimeError(
            f"conv2d: padding='same' is not supported for strided convolutions, got stride={stride}"
        )
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    extra = [t % 2 for t in total]
    if any(extra):  # an odd total cannot be halved: one more zero below or to the right
        widths = [(0, 0)] * (input.ndim - 2) + [(0, e) for e in extra]
        input = Pad.apply(input, widths=widths, value=0)
    return input, (total[0] // 2, total[1] // 2)


def _check_kernel_fits(input: Tensor, weight: Tensor, padding: Pair, dilation: Pair) -> Pair:
    """The padded image's size, which is checked to hold the filter at least once."""
    H, W = input.shape[-2:]
    padded = H + 2 * padding[0], W + 2 * padding[1]
    kH, kW = weight.shape[2:]
    spans = dilation[0] * (kH - 1) + 1, dilation[1] * (kW - 1) + 1
    if spans[0] > padded[0] or spans[1] > padded[1]:
        raise RuntimeError(
            f"conv2d: Kernel size can't be greater than actual input size: kernel {(kH, kW)} with "
            f"dilation {dilation} spans {spans}, but input {input.shape} with padding {padding} "
            f"has {padded}"
        )
    return padded
