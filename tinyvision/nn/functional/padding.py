"""Borders around a tensor."""

from __future__ import annotations

from collections.abc import Sequence

from tinyvision.checks import as_int, fitting
from tinyvision.nn.functional.arguments import as_number, check_str, check_tensors
from tinyvision.ops.shape import Cat, Pad
from tinyvision.tensor import Tensor

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """A border of pad[0] before and pad[1] after along the last dim, pad[2:4] the one before...

    mode: "constant" fills with `value` (0); "reflect" mirrors without repeating the edge;
    "replicate" repeats the edge; "circular" goes on at the other side. Negative widths crop.

    Raises: RuntimeError for widths that do not fit the shape, NotImplementedError for a mode or
    a number of dims that PyTorch does not have either.
    """
    check_tensors("pad", input=input)
    check_str("pad", "mode", mode)
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}; choose one of {_MODES}")
    fill = 0 if value is None else as_number("pad", "value", value)
    widths = _widths(input, pad)
    if mode == "constant":
        _check_crop(input, widths)
        if max(map(max, widths), default=0) <= 0:
            fill = 0  # nowhere
        return Pad.apply(input, widths=widths, value=fitting(fill, input.dtype).item())
    if fill:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument, got {value}')
    _check_mode(input, pad, mode)
    _check_borders(input, pad, widths, mode)
    return _pad_and_crop(input, widths, mode)


def _pad_and_crop(x: Tensor, widths: list[tuple[int, int]], mode: str) -> Tensor:
    crops = [(min(before, 0), min(after, 0)) for before, after in widths]
    is_cropped = any(map(any, crops))
    if is_cropped and mode == "circular":  # what is cut off does not return at the other side
        x = Pad.apply(x, widths=crops, value=0)
    for dim in reversed(range(x.ndim)):
        before, after = widths[dim]
        if before > 0 or after > 0:
            x = _pad_dim(x, dim, max(before, 0), max(after, 0), mode)
    return Pad.apply(x, widths=crops, value=0) if is_cropped and mode != "circular" else x


def _widths(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int]]:
    """One (before, after) per dim, from numbers that begin with the last dim."""
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' must be tuple of ints, not {type(pad).__name__}")
    numbers = [as_int(n, "pad", "pad") for n in pad]
    if len(numbers) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {len(numbers)}")
    if len(numbers) > 2 * input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(numbers)} and input of dimension {input.ndim}"
        )
    given = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [(0, 0)] * (input.ndim - len(given)) + given[::-1]


def _check_crop(input: Tensor, widths: list[tuple[int, int]]) -> None:
    for size, (before, after) in zip(input.shape, widths, strict=True):
        if max(-before, 0) + max(-after, 0) > size:
            raise RuntimeError(
                f"pad: {(before, after)} crops more than there is of a dim of size {size} in "
                f"input {input.shape}"
            )


def _check_mode(input: Tensor, pad: Sequence[int], mode: str) -> None:
    lead = input.ndim - len(pad) // 2
    if len(pad) not in (2, 4, 6) or lead not in (1, 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {input.ndim}D input tensor with mode "
            f"{mode!r}: it pads the last 1, 2 or 3 dims, and one or two dims must be left in front"
        )
    if mode != "circular" and 0 in input.shape[lead - 1 :]:
        raise RuntimeError(
            f"pad: with mode {mode!r} only the batch may be empty, but input is {input.shape}"
        )


def _check_borders(
    input: Tensor, pad: Sequence[int], widths: list[tuple[int, int]], mode: str
) -> None:
    dims = len(pad) // 2
    sizes, borders = input.shape[-dims:], widths[-dims:]
    for size, border in zip(sizes, borders, strict=True):
        cropped = size + min(border[0], 0) + min(border[1], 0)
        largest = {"reflect": size - 1, "circular": cropped}.get(mode, max(border))
        if max(border) > largest:
            raise RuntimeError(
                f"pad: Padding size {border} is too large for mode {mode!r}: at most "
                f"{max(largest, 0)} fits a dim of size {size} in input {input.shape}"
            )
    padded = [size + sum(border) for size, border in zip(sizes, borders, strict=True)]
    if min(padded) < 0 or (max(padded) == 0 and mode != "circular"):
        raise RuntimeError(f"pad: {tuple(pad)} crops more than there is of input {input.shape}")


def _pad_dim(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    size = x.shape[dim]
    if mode == "reflect":
        left = _part(x, dim, 1, before).flip(dim)
        right = _part(x, dim, size - 1 - after, after).flip(dim)
    elif mode == "circular":
        left, right = _part(x, dim, size - before, before), _part(x, dim, 0, after)
    else:
        left, right = _repeat(x, dim, 0, before), _repeat(x, dim, size - 1, after)
    return Cat.apply(left, x, right, dim=dim)


def _part(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    return x.split((start, length, x.shape[dim] - start - length), dim)[1]


def _repeat(x: Tensor, dim: int, place: int, times: int) -> Tensor:
    return _part(x, dim, place, 1).expand(*x.shape[:dim], times, *x.shape[dim + 1 :])
