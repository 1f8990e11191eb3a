"""Pooling: fewer pixels, each summarising a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyvision.checks import as_int
from tinyvision.kernels.windows import Pair, Windows, grid_bounds, window_bounds
from tinyvision.nn.functional.arguments import Size, check_bool, check_image, on_batch, size_pair
from tinyvision.ops.pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from tinyvision.tensor import Tensor


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window; the stride is the kernel size unless given.

    Shapes: input (N, C, H, W) or (C, H, W), output (N, C, H_out, W_out) with
    H_out = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1; ceil_mode rounds up, but
    no window starts outside the image. With return_indices also where each value came from,
    int64: row * W + column.
    Gradient: g goes to the pixel that was largest.
    Raises: RuntimeError for sizes that do not fit together, TypeError for wrong types.
    """
    check_image("max_pool2d", input)
    check_bool("max_pool2d", "ceil_mode", ceil_mode)
    kernel, stride, padding = _window("max_pool2d", kernel_size, stride, padding)
    dilation = size_pair("max_pool2d", "dilation", dilation)
    size = input.shape[-2:]
    windows = windows_over("max_pool2d", size, kernel, stride, padding, dilation, ceil_mode)
    return on_batch(MaxPool2d, input, windows=windows, return_indices=bool(return_indices))


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window; the stride is the kernel size unless given.

    The divisor is the window's size with the padding it covers, without it if count_include_pad
    is False, or divisor_override.

    Shapes: those of max_pool2d. Gradient: each pixel of a window gets g / divisor.
    Raises: as max_pool2d.
    """
    check_image("avg_pool2d", input)
    check_bool("avg_pool2d", "ceil_mode", ceil_mode)
    check_bool("avg_pool2d", "count_include_pad", count_include_pad)
    kernel, stride, padding = _window("avg_pool2d", kernel_size, stride, padding)
    if divisor_override is not None and as_int(divisor_override, "avg_pool2d", "divisor") == 0:
        raise RuntimeError("avg_pool2d: divisor_override must be not zero")
    size = input.shape[-2:]
    windows = windows_over("avg_pool2d", size, kernel, stride, padding, (1, 1), ceil_mode)
    bounds = window_bounds(size, windows, count_include_pad, divisor_override)
    return on_batch(AvgPool2d, input, bounds=bounds)


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None]) -> Tensor:
    """The means of a grid of `output_size` cells laid over the image; None keeps a size.

    Shapes: input (N, C, H, W) or (C, H, W), output (N, C, *output_size).
    Gradient: each pixel of a cell gets g / (pixels in the cell).
    Raises: RuntimeError for sizes that do not fit together, TypeError for wrong types.
    """
    size = _grid_size("adaptive_avg_pool2d", input, output_size)
    return on_batch(AdaptiveAvgPool2d, input, bounds=grid_bounds(input.shape[-2:], size))


def adaptive_max_pool2d(
    input: Tensor, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Any:
    """The largest values of a grid of `output_size` cells laid over the image; None keeps a size.

    Shapes: input (N, C, H, W) or (C, H, W), output (N, C, *output_size); with return_indices
    also where each value came from, int64: row * W + column.
    Gradient: g goes to the pixel that was largest.
    Raises: RuntimeError for sizes that do not fit together, TypeError for wrong types.
    """
    size = _grid_size("adaptive_max_pool2d", input, output_size)
    bounds = grid_bounds(input.shape[-2:], size)
    return on_batch(AdaptiveMaxPool2d, input, bounds=bounds, return_indices=bool(return_indices))


def _window(name: str, kernel_size: Size, stride: Any, padding: Size) -> tuple[Pair, Pair, Pair]:
    """Kernel size, stride and padding as pairs, checked by themselves."""
    kernel = size_pair(name, "kernel_size", kernel_size)
    is_given = stride is not None and not (isinstance(stride, Sequence) and len(stride) == 0)
    steps = size_pair(name, "stride", stride) if is_given else kernel
    border = size_pair(name, "padding", padding, minimum=0)
    if 2 * border[0] > kernel[0] or 2 * border[1] > kernel[1]:
        raise RuntimeError(
            f"{name}: pad should be at most half of kernel size, but got padding={border} and "
            f"kernel_size={kernel}"
        )
    return kernel, steps, border


def windows_over(
    name: str,
    size: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool = False,
) -> Windows:
    """How a window slides over an image of that size.

    Raises: RuntimeError if it fits nowhere.
    """
    H_out, W_out = [
        _count_windows(*numbers, ceil_mode)
        for numbers in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
    if H_out < 1 or W_out < 1:
        raise RuntimeError(
            f"{name}: Output size is too small: kernel_size={kernel} with stride={stride}, "
            f"padding={padding}, dilation={dilation} has no room in an image {tuple(size)}"
        )
    return Windows(kernel, stride, padding, dilation, (H_out, W_out))


def _count_windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    room = size + 2 * padding - dilation * (kernel - 1) - 1  # how far the first window can move
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # The last window must start inside the image or its left padding.
    return count - 1 if (count - 1) * stride >= size + padding else count


def _grid_size(name: str, input: Tensor, output_size: Any) -> Pair:
    """The grid of an adaptive pool.

    Raises: RuntimeError if it is not one or two sizes, TypeError if they are not ints.
    """
    if isinstance(output_size, (tuple, list)) and isinstance(input, Tensor) and input.ndim < 3:
        raise ValueError(f"{name}: expected at least 3 dims, but got input of size {input.shape}")
    check_image(name, input)
    if isinstance(output_size, (tuple, list)):
        if len(output_size) != 2:
            raise RuntimeError(f"{name}: output_size must be an int or two, got {output_size!r}")
        own = input.shape[-2:]
        output_size = [
            n if size is None else size for size, n in zip(output_size, own, strict=True)
        ]
    return size_pair(name, "output_size", output_size, minimum=0)
