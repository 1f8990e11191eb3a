"""How a tensor is written as text: the same characters PyTorch prints for the same values.

Three questions are answered in this order:

1. Which elements are shown?  All of them, or, above `threshold` elements, the first and last
   `edgeitems` along each axis with `...` between them.
2. In which style?  One style and one width for the whole tensor, chosen from the shown values:
   "plain" for integers and bools, "whole" (`3.`) for floats without fractional part, "fixed"
   (`0.1250`), or "scientific" (`1.2500e-05`) once magnitudes differ too much for fixed.
3. Where do lines break?  After as many elements as fit into `linewidth`; then a suffix (dtype,
   grad_fn, ...) moves to a line of its own if it would not fit any more.

Source: PyTorch 2.13, torch.set_printoptions and the documented output of torch.tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

DEFAULT_DTYPES = ("float32", "int64", "bool")


@dataclass(frozen=True)
class PrintOptions:
    """What set_printoptions changes; the defaults are PyTorch's."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Change how tensors print from now on; None leaves an option as it is.

    precision: digits after the point; threshold: more elements than this are summarised;
    edgeitems: how many are then shown at each end; linewidth: columns; profile: "default",
    "short" or "full", a starting point for the others. sci_mode is always set: True or False
    forces it, None (the default) lets the values decide.

    Raises: ValueError for an unknown profile.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        known = ", ".join(map(repr, _PROFILES))
        raise ValueError(f"set_printoptions: profile must be one of {known}, not {profile!r}")
    given: dict[str, Any] = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    start = _options if profile is None else _PROFILES[profile]
    changed = {name: value for name, value in given.items() if value is not None}
    _options = replace(start, **changed, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The current options, as keyword arguments for set_printoptions."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Print with other options inside a `with` block: `with tv.printoptions(precision=2):`."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    array: np.ndarray, *, requires_grad: bool = False, grad_fn_name: str | None = None
) -> str:
    """The text of a tensor that holds `array`, e.g. `tensor([1., 2.], requires_grad=True)`.

    Continuation lines are indented to stand below the first bracket.
    grad_fn_name (`AddBackward0`) takes the place of requires_grad where both are given.
    """
    suffixes = _describe(array)
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    prefix = "tensor("
    text = prefix + _format_values(array, indent=len(prefix))
    return _append_suffixes(text, suffixes, indent=len(prefix)) + ")"


def _describe(array: np.ndarray) -> list[str]:
    """What cannot be read off the values: `size=` where none are shown, an unusual `dtype=`."""
    described = []
    if array.size == 0:
        # `[]` alone would be read as a float32 tensor of shape (0,).
        size_is_obvious = array.ndim == 1
        dtype_is_obvious = array.dtype.name == "float32"
    else:
        size_is_obvious = _options.edgeitems > 0
        dtype_is_obvious = array.dtype.name in DEFAULT_DTYPES
    if not size_is_obvious:
        described.append(f"size={array.shape}")
    if not dtype_is_obvious:
        described.append(f"dtype=tinyvision.{array.dtype.name}")
    return described


def _append_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Join the suffixes with commas; one that would pass `linewidth` starts a new line."""
    # PyTorch counts the first line two characters longer than it is; so do we.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text


def _format_values(array: np.ndarray, indent: int) -> str:
    """The brackets and the numbers, without prefix and suffixes."""
    if array.size == 0:
        return "[]"
    shown, has_dots = _select_shown(array)
    style = _choose_style(shown)
    width = _choose_width(shown, style)
    texts = [_format_element(value, style).rjust(width) for value in shown.ravel().tolist()]
    return _lay_out(np.array(texts).reshape(shown.shape), has_dots, indent, width)


def _select_shown(array: np.ndarray) -> tuple[np.ndarray, list[bool]]:
    """The elements to print, and for each axis whether dots stand for others in its middle."""
    edge = _options.edgeitems
    summarise = array.size > _options.threshold
    has_dots = [summarise and length > 2 * edge for length in array.shape]
    kept = [
        [*range(edge), *range(length - edge, length)] if dots else [*range(length)]
        for length, dots in zip(array.shape, has_dots, strict=True)
    ]
    return np.asarray(array[np.ix_(*kept)]), has_dots


def _choose_style(values: np.ndarray) -> str:
    """The style that shows all these values best; see the top of this file."""
    if values.dtype.kind != "f":
        return "plain"
    counted = _finite_and_nonzero(values)
    if counted.size == 0:
        return "whole"
    scientific = _options.sci_mode
    if scientific is None:
        # Python floats: the ratio may be too large for float32, and NumPy would warn.
        smallest, largest = float(np.abs(counted).min()), float(np.abs(counted).max())
        scientific = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
    if scientific:
        return "scientific"
    return "whole" if np.all(counted == np.ceil(counted)) else "fixed"


def _choose_width(values: np.ndarray, style: str) -> int:
    """Columns per element. Of floats, only finite nonzero ones count, as in PyTorch."""
    counted = values if style == "plain" else _finite_and_nonzero(values)
    return max((len(_format_element(v, style)) for v in counted.ravel().tolist()), default=0)


def _finite_and_nonzero(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values) & (values != 0)]


def _format_element(value: bool | int | float, style: str) -> str:
    if style == "plain":
        return str(value)
    if style == "scientific":
        return f"{value:.{_options.precision}e}"
    if style == "fixed":
        return f"{value:.{_options.precision}f}"
    # "whole": the point says that this is a float; nan and inf say so themselves.
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _lay_out(texts: np.ndarray, has_dots: list[bool], indent: int, width: int) -> str:
    """Put an array of texts in brackets, one pair per axis, with dots where they belong."""
    if texts.ndim == 0:
        return texts.item()
    if texts.ndim == 1:
        return _lay_out_row(texts.tolist(), has_dots[0], indent, width)
    blocks = [_lay_out(block, has_dots[1:], indent + 1, width) for block in texts]
    if has_dots[0]:
        blocks.insert(_options.edgeitems, "...")
    # Matrices are a line apart, blocks of matrices two lines, and so on.
    separator = "," + "\n" * (texts.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(blocks) + "]"


def _lay_out_row(texts: list[str], has_dots: bool, indent: int, width: int) -> str:
    """One axis, broken into lines of as many elements as fit into `linewidth`."""
    edge = _options.edgeitems
    if has_dots:
        # PyTorch sets dots off from the elements before them with one more space.
        texts = [*texts[:edge], " ..." if edge else "...", *texts[edge:]]
    per_line = max(1, (_options.linewidth - indent) // (width + len(", ")))
    starts = range(0, len(texts), per_line)
    lines = [", ".join(texts[start : start + per_line]) for start in starts]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
