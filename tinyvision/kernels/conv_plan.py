"""Where everything lies: the offset tables of a convolution, computed from its shapes alone.

One equation connects an input row h with the output row i that filter row kh carries it to:

    h + padding = i * stride + kh * dilation

Divide by the stride: write h + padding = q * stride + a and kh * dilation = m * stride + a, with
the same remainder a (the "phase") on both sides. Then

    q = i + m

so within one phase a convolution of any stride and dilation is one of stride 1, whose filter rows
are shifted by m. Columns likewise. Forward, output i reads q = i + m; for grad_input, q reads
i = q - m. Both then are the same loop: for each target pixel p, the sum over k of
weight[k] * source[p + shift[k]], and a plan is what tells the two apart.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# A band is the part of an image worked on at a time: its sums, for one block of channels, should
# take half of a 32 KB L1 cache, and the source pixels they are made of half of a 512 KB L2 cache.
BAND_PIXELS = 512
BAND_BYTES = 256 * 1024


class Shape(NamedTuple):
    """The sizes of a convolution; groups split both channels, and each has its own filters."""

    N: int
    C_in: int
    H: int
    W: int
    C_out: int
    kH: int
    kW: int
    H_out: int
    W_out: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    itemsize: int


class Plan(NamedTuple):
    """How `correlate` gets each target pixel from the source (see the module's docstring).

    The source is copied, band by band, into planes of `plane_rows` rows of `pitch` pixels, one
    plane for each source phase; pixels outside the image are 0 there. A target phase is computed
    for rows and columns q; row q of it goes to row `row0 + q * step` of the target.
    """

    source_phases: np.ndarray  # (phases, 2): the source row and column of the plane's q = 0
    source_step: tuple[int, int]
    target_phases: np.ndarray  # (phases, 8): first and last k; q rows; q columns; row0, col0
    target_step: tuple[int, int]
    weight_offsets: np.ndarray  # (K,): where weight[k] lies, from the first weight of its row
    source_offsets: np.ndarray  # (K,): where the source pixel of target pixel 0 lies in the planes
    q_rows: tuple[int, int]
    q_column: int  # the column of the target whose source is the planes' first
    band: int
    plane_rows: int
    pitch: int
    width: int


class _Axis(NamedTuple):
    """Rows or columns: phase a and shift m of each filter tap, and q range of each phase."""

    phases: list[int]  # of each tap
    shifts: list[int]  # of each tap
    q_ranges: list[tuple[int, int]]  # of the input, per phase 0 ... stride - 1


def _axis(size: int, kernel: int, stride: int, padding: int, dilation: int) -> _Axis:
    phases = [tap * dilation % stride for tap in range(kernel)]
    shifts = [tap * dilation // stride for tap in range(kernel)]
    # padding <= q * stride + a < size + padding
    q_ranges = [
        (-(-(padding - a) // stride), -(-(size + padding - a) // stride)) for a in range(stride)
    ]
    return _Axis(phases, shifts, q_ranges)


def _axes(shape: Shape) -> tuple[_Axis, _Axis]:
    (sh, sw), (ph, pw), (dh, dw) = shape.stride, shape.padding, shape.dilation
    return _axis(shape.H, shape.kH, sh, ph, dh), _axis(shape.W, shape.kW, sw, pw, dw)


def _pitch(width: int, left: int, columns: int, target_columns: int) -> int:
    """Pixels from one row of a plane to the next.

    A row needs `width` pixels: `left` zeros, `columns` pixels, then zeros to its right. Zeros to
    the right of one row can be those to the left of the next; but the sums must not overlap.
    """
    right = width - left - columns
    return max(width - max(0, min(left, right)), target_columns)


def _band_rows(rows: int, extra_rows: int, pitch: int, planes: int, itemsize: int) -> int:
    """How many of `rows` rows to work on at a time: equal parts, small enough for the caches."""
    fit_sums = BAND_PIXELS // pitch
    fit_planes = BAND_BYTES // (planes * pitch * itemsize) - extra_rows
    # A band as high as the filter at least: below that, loading source rows twice costs more.
    most = max(1, extra_rows, min(fit_sums, fit_planes))
    bands = -(-rows // most)
    return -(-rows // bands)


@lru_cache(maxsize=256)
def forward_plan(shape: Shape) -> Plan:
    """The plan that makes output from input: source phases, one target phase."""
    rows, columns = _axes(shape)
    (sh, sw), (ph, pw) = shape.stride, shape.padding
    row_phases, column_phases = sorted(set(rows.phases)), sorted(set(columns.phases))
    source_phases = [(a - ph, b - pw) for a in row_phases for b in column_phases]
    width = shape.W_out + max(columns.shifts)
    pitch = _pitch(width, pw, shape.W, shape.W_out) if sw == 1 else width
    C, extra_rows = shape.C_in // shape.groups, max(rows.shifts)
    planes = C * len(source_phases)
    band = _band_rows(shape.H_out, extra_rows, pitch, planes, shape.itemsize)
    plane_rows = band + extra_rows
    # The plane and the pixel in it that filter tap (c, kh, kw) reads for output pixel (0, 0).
    plane = [
        [row_phases.index(a) * len(column_phases) + column_phases.index(b) for b in columns.phases]
        for a in rows.phases
    ]
    taps = np.array(plane) * plane_rows * pitch + np.add.outer(
        np.array(rows.shifts) * pitch, np.array(columns.shifts)
    )
    channels = np.arange(C) * len(source_phases) * plane_rows * pitch
    source_offsets = np.add.outer(channels, taps).ravel()  # (C, kH, kW) -> (K,)
    K = source_offsets.size
    return Plan(
        source_phases=np.array(source_phases),
        source_step=(sh, sw),
        target_phases=np.array([(0, K, 0, shape.H_out, 0, shape.W_out, 0, 0)]),
        target_step=(1, 1),
        weight_offsets=np.arange(K),
        source_offsets=source_offsets,
        q_rows=(0, shape.H_out),
        q_column=0,
        band=band,
        plane_rows=plane_rows,
        pitch=pitch,
        width=width,
    )


@lru_cache(maxsize=256)
def grad_input_plan(shape: Shape) -> Plan:
    """The plan that makes grad_input from grad_output: one source phase, target phases."""
    rows, columns = _axes(shape)
    (sh, sw), (ph, pw) = shape.stride, shape.padding
    q_rows = min(q for q, _ in rows.q_ranges), max(q for _, q in rows.q_ranges)
    q_columns = min(q for q, _ in columns.q_ranges), max(q for _, q in columns.q_ranges)
    most_down, most_right = max(rows.shifts), max(columns.shifts)
    # Plane column x holds column x + first_column of grad_output, plane row y of a band from q on
    # row y + q - most_down: then no tap reads before the plane's first pixel.
    first_column = q_columns[0] - most_right
    width = q_columns[1] - q_columns[0] + most_right
    pitch = _pitch(width, max(0, -first_column), shape.W_out, q_columns[1] - q_columns[0])
    C_out, T = shape.C_out // shape.groups, shape.kH * shape.kW
    band = _band_rows(q_rows[1] - q_rows[0], most_down, pitch, C_out, shape.itemsize)
    plane_rows = band + most_down
    target_phases, weight_offsets, source_offsets, k = [], [], [], 0
    channels = np.arange(C_out)
    for a in range(sh):
        for b in range(sw):
            kh, kw = np.meshgrid(
                np.flatnonzero(np.equal(rows.phases, a)),
                np.flatnonzero(np.equal(columns.phases, b)),
                indexing="ij",
            )
            down = most_down - np.array(rows.shifts)[kh]
            right = most_right - np.array(columns.shifts)[kw]
            weight_offsets.append(
                np.add.outer(
                    channels * (shape.C_in // shape.groups) * T, kh * shape.kW + kw
                ).ravel()
            )
            source_offsets.append(
                np.add.outer(channels * plane_rows * pitch, down * pitch + right).ravel()
            )
            q_range = (*rows.q_ranges[a], *columns.q_ranges[b])
            target_phases.append((k, k + weight_offsets[-1].size, *q_range, a - ph, b - pw))
            k += weight_offsets[-1].size
    return Plan(
        source_phases=np.array([(-most_down, first_column)]),
        source_step=(1, 1),
        target_phases=np.array(target_phases),
        target_step=(sh, sw),
        weight_offsets=np.concatenate(weight_offsets),
        source_offsets=np.concatenate(source_offsets),
        q_rows=q_rows,
        q_column=q_columns[0],
        band=band,
        plane_rows=plane_rows,
        pitch=pitch,
        width=width,
    )
