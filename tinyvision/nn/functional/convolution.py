"""Convolutions, and their reverse."""

from __future__ import annotations

from collections.abc import Sequence

from tinyvision.checks import as_int
from tinyvision.kernels import Geometry
from tinyvision.nn.functional.arguments import (
    check_image,
    check_same_dtype,
    check_tensor,
    size_pair,
)
from tinyvision.ops.conv import Conv2d, ConvTranspose2d
from tinyvision.ops.shape import Pad
from tinyvision.tensor import Tensor

Size = int | Sequence[int]


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
    _check_operands(input, weight, bias)
    _check_channels(input, weight, bias, groups)
    stride = size_pair("conv2d", "stride", stride)
    dilation = size_pair("conv2d", "dilation", dilation)
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    padding = size_pair("conv2d", "padding", padding, minimum=0)
    padded = _check_kernel_fits(input, weight, padding, dilation)
    # A stride past the image's edge, however far, leaves one output: kernels need no larger one.
    stride = min(stride[0], padded[0]), min(stride[1], padded[1])
    batch = input if input.ndim == 4 else input.unsqueeze(0)
    geometry = Geometry(stride, padding, dilation, groups)
    output = Conv2d.apply(batch, weight, bias, geometry=geometry)
    return output if input.ndim == 4 else output.squeeze(0)


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
    _check_operands(input, weight, bias, name, "(C_in, C_out / groups, kH, kW)")
    groups = as_int(groups, name, "groups")
    _check_transposed_channels(input, weight, bias, groups)
    stride, dilation = size_pair(name, "stride", stride), size_pair(name, "dilation", dilation)
    padding = size_pair(name, "padding", padding, minimum=0)
    extra = size_pair(name, "output_padding", output_padding, minimum=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={extra}, stride={stride}, dilation={dilation}"
        )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    whole = [(n - 1) * s + k for n, s, k in zip(input.shape[-2:], stride, spans, strict=True)]
    H_out, W_out = (n - 2 * p + e for n, p, e in zip(whole, padding, extra, strict=True))
    if H_out < 1 or W_out < 1:
        raise RuntimeError(
            f"conv_transpose2d: calculated output size {(H_out, W_out)} is too small for input "
            f"{input.shape} and kernel {tuple(weight.shape[2:])}"
        )
    batch = input if input.ndim == 4 else input.unsqueeze(0)
    if all(e < s for e, s in zip(extra, stride, strict=True)):
        geometry = Geometry(stride, padding, dilation, groups)
        output = ConvTranspose2d.apply(
            batch, weight, bias, geometry=geometry, output_size=(H_out, W_out)
        )
    else:  # conv2d would make more rows of so many: cut the output out of all there is
        geometry = Geometry(stride, (0, 0), dilation, groups)
        output = ConvTranspose2d.apply(
            batch, weight, None, geometry=geometry, output_size=tuple(whole)
        )
        widths = [(-p, e - p) for p, e in zip(padding, extra, strict=True)]
        output = Pad.apply(output, widths=[(0, 0), (0, 0), *widths], value=0)
        output = output if bias is None else output + bias.reshape(-1, 1, 1)
    return output if input.ndim == 4 else output.squeeze(0)


def _check_transposed_channels(
    input: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> None:
    if groups < 1:
        raise RuntimeError(f"conv_transpose2d: non-positive groups is not supported, got {groups}")
    C_in, C_out = weight.shape[0], weight.shape[1] * groups
    if C_in % groups:
        raise RuntimeError(
            f"conv_transpose2d: expected the input channels of weight {weight.shape} to be "
            f"divisible by groups={groups}"
        )
    if input.shape[-3] != C_in:
        raise RuntimeError(
            f"conv_transpose2d: weight {weight.shape} expects {C_in} input channels, but input "
            f"{input.shape} has {input.shape[-3]}"
        )
    if bias is not None and bias.shape != (C_out,):
        raise RuntimeError(
            f"conv_transpose2d: weight {weight.shape} with groups={groups} expects bias of shape "
            f"{(C_out,)}, but got {bias.shape}"
        )


def _check_operands(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    name: str = "conv2d",
    shape: str = "(C_out, C_in / groups, kH, kW)",
) -> None:
    check_image(name, input)
    check_tensor(name, "weight", weight)
    check_tensor(name, "bias", bias, optional=True)
    check_same_dtype(name, input, weight=weight, bias=bias)
    if weight.ndim != 4 or 0 in weight.shape:
        raise RuntimeError(
            f"{name}: expected weight of shape {shape} without zeros, but got {weight.shape}"
        )


def _check_channels(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if as_int(groups, "conv2d", "groups") < 1:
        raise RuntimeError(f"conv2d: non-positive groups is not supported, got {groups}")
    C_in, C_out = input.shape[-3], weight.shape[0]
    if C_in != weight.shape[1] * groups:
        raise RuntimeError(
            f"conv2d: weight {weight.shape} with groups={groups} expects "
            f"{weight.shape[1] * groups} input channels, but input {input.shape} has {C_in}"
        )
    if C_out % groups:
        raise RuntimeError(
            f"conv2d: expected the output channels of weight {weight.shape} to be divisible by "
            f"groups={groups}, but there are {C_out}"
        )
    if bias is not None and bias.shape != (C_out,):
        raise RuntimeError(
            f"conv2d: weight {weight.shape} expects bias of shape {(C_out,)}, but got {bias.shape}"
        )


def _named_padding(
    input: Tensor, weight: Tensor, name: str, stride: Size, dilation: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
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


def _check_kernel_fits(
    input: Tensor, weight: Tensor, padding: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
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
