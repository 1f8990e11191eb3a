"""Where everything lies: the offset tables of a convolution, computed from its shapes alone.

One equation connects an input row h with the output row i that filter row kh carries it to:

    h + padding = i * stride + kh * dilation

Divide by the stride: write h + padding = q * stride + a and kh * dilation = m * stride + a, with
the same remainder a (the "phase") on both sides. Then

    q = i + m

so within one phase a convolution of any stride and dilation is one of stride 1, whose filter rows
are shifted by m. Columns likewise. Forward, output i reads q = i + m; for grad_input, q reads
i = q - m. Both then are the same loop: each target pixel p is the sum over k of
weight[k] * source[p + shift[k]], and a plan is what tells the two apart.

The source is copied, band by band, into planes: for each channel one per row phase and column
shift, so that a plane has exactly the columns of the target. Then a run of target pixels, over
however many rows, reads for each k a run of source pixels, and vectors need not know about rows.

If there is little to compute from a plane, that copying takes longer. Then there is one wide plane
for all column shifts, which has the columns of the padded source; the run over the target's rows
then also makes sums between the rows, of which no use is made.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinyvision.kernels.vectors import VECTOR_BYTES

# A band is the part of an image worked on at a time: its sums, for one block of channels, should
# take half of a 32 KB L1 cache, and the source pixels they are made of half of a 1 MB L2 cache.
BAND_PIXELS = 512
BAND_BYTES = 512 * 1024

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How filters go over images; groups split both channels, and each has its own filters."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


class Shape(NamedTuple):
    """The sizes of a convolution."""

    N: int
    C_in: int
    H: int
    W: int
    C_out: int
    kH: int
    kW: int
    H_out: int
    W_out: int
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    itemsize: int


def shape_of(input: np.ndarray, weight: np.ndarray, geometry: Geometry) -> Shape:
    """The sizes of the convolution of an input and a weight."""
    (N, C_in, H, W), (C_out, C, kH, kW) = input.shape, weight.shape
    (sh, sw), (ph, pw), (dh, dw), groups = geometry
    assert C * groups == C_in and C_out % groups == 0
    H_out = (H + 2 * ph - dh * (kH - 1) - 1) // sh + 1
    W_out = (W + 2 * pw - dw * (kW - 1) - 1) // sw + 1
    return Shape(N, C_in, H, W, C_out, kH, kW, H_out, W_out, *geometry, input.itemsize)


class Sizes(NamedTuple):
    """The numbers of the loops; "channels" and "rows" are those of one group."""

    N: int
    groups: int
    channels: int  # of the source
    source_H: int
    source_W: int
    row_step: int  # from row to row of a plane, in the source
    column_step: int
    rows: int  # of the target: its channels
    target_H: int
    target_W: int
    target_row_step: int
    target_column_step: int
    weight_row: int  # from the weights of one target channel to those of the next
    weight_group: int
    q_begin: int
    q_end: int
    q_column: int
    columns: int  # of a plane
    band: int  # rows q at a time
    plane_rows: int


class Plan(NamedTuple):
    """How to get each target pixel from the source (see the module's docstring).

    Row y, column x of a plane is the source's row row0 + (q + y) * row_step and column
    column0 + x * column_step, q being the first row of the band; or 0 outside the source.
    A target phase has rows and columns q in a range; they go to row row0 + q * target_row_step and
    column column0 + q * target_column_step of the target.
    """

    planes: np.ndarray  # (planes per channel, 2): row0, column0
    target_phases: np.ndarray  # (phases, 8): k range, row range, column range; row0, column0
    weight_offsets: np.ndarray  # (K,): where weight[k] lies, from the first weight of its row
    plane_offsets: np.ndarray  # (K,): where the source pixel of target pixel 0 lies in the planes
    sizes: Sizes


class _Axis(NamedTuple):
    """Rows or columns: phase a and shift m of each filter tap, range of q in each phase."""

    phases: np.ndarray
    shifts: np.ndarray
    q_ranges: list[Pair]


def _axis(size: int, kernel: int, stride: int, padding: int, dilation: int) -> _Axis:
    shifts, phases = np.divmod(np.arange(kernel) * dilation, stride)
    # padding <= q * stride + a < size + padding
    q_ranges = [
        (-((a - padding) // stride), -((a - size - padding) // stride)) for a in range(stride)
    ]
    return _Axis(phases, shifts, q_ranges)


def axes_of(shape: Shape) -> tuple[_Axis, _Axis]:
    (sh, sw), (ph, pw), (dh, dw) = shape.stride, shape.padding, shape.dilation
    return _axis(shape.H, shape.kH, sh, ph, dh), _axis(shape.W, shape.kW, sw, pw, dw)


def _are_wide(shape: Shape, sources: int, targets: int, columns: int) -> bool:
    """Whether one wide plane is worth it; sources and targets are the channels of a group.

    Per row and source, it saves the copying of kW - 1 planes: a few cycles for each vector and some
    for the row. It costs kW - 1 more columns of sums, of which a cycle does two vectors' products,
    and per target, that its row is copied on its own.
    """
    if shape.stride[1] > 1 or shape.kW == 1:
        return False
    lanes = VECTOR_BYTES // shape.itemsize
    sums = targets * shape.kH * shape.kW * shape.dilation[1] / (2 * lanes)
    rows = 3 * targets / (sources * (shape.kW - 1))
    return sums + rows < 3 * -(-columns // lanes) + 4


def _band_rows(rows: int, extra_rows: int, columns: int, planes: int, itemsize: int) -> int:
    """How many of `rows` rows to work on at a time: equal parts, small enough for the caches."""
    fit_sums = BAND_PIXELS // columns
    fit_planes = BAND_BYTES // (planes * columns * itemsize) - extra_rows
    # A band as high as the filter at least: below that, loading source rows twice costs more.
    most = max(1, extra_rows, min(fit_sums, fit_planes))
    bands = -(-rows // most)
    return -(-rows // bands)


@lru_cache(maxsize=256)
def forward_plan(shape: Shape, allow_wide: bool = True) -> Plan:
    """Output from input: the row phases and filter columns are planes; one target phase.

    Sums over the pixels, as of grad_weight, have no use for wide planes.
    """
    rows, columns = axes_of(shape)
    row_phases, plane_of_row = np.unique(rows.phases, return_inverse=True)
    C, rows_out = shape.C_in // shape.groups, shape.C_out // shape.groups
    wide = allow_wide and _are_wide(shape, C, rows_out, shape.W_out)
    shifts = np.arange(shape.kW) * shape.dilation[1]
    lefts = (shifts[:1] if wide else shifts) - shape.padding[1]
    width = shape.W_out + int(shifts[-1]) if wide else shape.W_out
    planes = np.array([(a - shape.padding[0], left) for a in row_phases for left in lefts])
    extra_rows = int(rows.shifts.max())
    band = _band_rows(shape.H_out, extra_rows, width, C * len(planes), shape.itemsize)
    plane = (band + extra_rows) * width
    # (C, kH, kW): channel, then row phase and shift, then filter column
    plane_offsets = (
        np.arange(C)[:, None, None] * len(planes) * plane
        + (plane_of_row * len(lefts) * plane + rows.shifts * width)[:, None]
        + (shifts if wide else np.arange(shape.kW) * plane)
    ).ravel()
    K = plane_offsets.size
    sizes = Sizes(
        N=shape.N, groups=shape.groups,
        channels=C, source_H=shape.H, source_W=shape.W,
        row_step=shape.stride[0], column_step=shape.stride[1],
        rows=rows_out, target_H=shape.H_out, target_W=shape.W_out,
        target_row_step=1, target_column_step=1,
        weight_row=C * shape.kH * shape.kW, weight_group=rows_out * C * shape.kH * shape.kW,
        q_begin=0, q_end=shape.H_out, q_column=0,
        columns=width, band=band, plane_rows=band + extra_rows,
    )  # fmt: skip
    phases = np.array([(0, K, 0, shape.H_out, 0, shape.W_out, 0, 0)])
    return Plan(planes, phases, np.arange(K), plane_offsets, sizes)


@lru_cache(maxsize=256)
def grad_input_plan(shape: Shape) -> Plan:
    """grad_input from grad_output: the column shifts are planes; phases are the target's."""
    rows, columns = axes_of(shape)
    q_rows = min(q for q, _ in rows.q_ranges), max(q for _, q in rows.q_ranges)
    q_columns = min(q for q, _ in columns.q_ranges), max(q for _, q in columns.q_ranges)
    width, down = q_columns[1] - q_columns[0], int(rows.shifts.max())
    shifts, plane_of_column = np.unique(columns.shifts, return_inverse=True)
    right = int(shifts[-1])
    C_out, C_in, T = shape.C_out // shape.groups, shape.C_in // shape.groups, shape.kH * shape.kW
    wide = _are_wide(shape, C_out, C_in, width)
    if wide:
        shifts, width = shifts[-1:], width + right
    band = _band_rows(q_rows[1] - q_rows[0], down, width, C_out * len(shifts), shape.itemsize)
    plane = (band + down) * width
    channels = np.arange(C_out)[:, None, None]
    target_phases, weight_offsets, plane_offsets, k = [], [], [], 0
    for a, row_range in enumerate(rows.q_ranges):
        for b, column_range in enumerate(columns.q_ranges):
            kh, kw = np.flatnonzero(rows.phases == a)[:, None], np.flatnonzero(columns.phases == b)
            # (C_out, taps of this phase): the weight, and what it multiplies; row y of a plane is
            # row q + y - down of grad_output, so that the greatest shift reads the first row
            weight_offsets.append((channels * C_in * T + kh * shape.kW + kw).ravel())
            first_pixel = (down - rows.shifts[kh]) * width
            column = right - columns.shifts[kw] if wide else plane_of_column[kw] * plane
            plane_offsets.append((channels * len(shifts) * plane + first_pixel + column).ravel())
            last_k = k + weight_offsets[-1].size
            start = (a - shape.padding[0], b - shape.padding[1])
            target_phases.append((k, last_k, *row_range, *column_range, *start))
            k = last_k
    sizes = Sizes(
        N=shape.N, groups=shape.groups,
        channels=C_out, source_H=shape.H_out, source_W=shape.W_out, row_step=1, column_step=1,
        rows=C_in, target_H=shape.H, target_W=shape.W,
        target_row_step=shape.stride[0], target_column_step=shape.stride[1],
        weight_row=T, weight_group=C_out * C_in * T,
        q_begin=q_rows[0], q_end=q_rows[1], q_column=q_columns[0],
        columns=width, band=band, plane_rows=band + down,
    )  # fmt: skip
    planes = np.array([(-down, q_columns[0] - shift) for shift in shifts])
    offsets = np.concatenate(weight_offsets), np.concatenate(plane_offsets)
    return Plan(planes, np.array(target_phases), *offsets, sizes)
