"""The loops of convolution: planes in, sums of products, planes out. `conv.py` explains them."""

from typing import NamedTuple

import numpy as np
from numba import prange

from tinyvision.kernels.jit import jit, jit_parallel
from tinyvision.kernels.microkernel import MAX_ROWS, add_dot_products, multiply_rows
from tinyvision.kernels.simd import (
    add,
    lanes_of,
    load,
    load_first,
    splat,
    store,
    store_first,
    sum_run,
)

# The vectors that one tile of the weights' gradient adds up before its lanes are summed: enough
# that the summing costs little, few enough that MAX_ROWS planes stay in a 32 KB L1 cache.
DOT_VECTORS = 48
BLOCK_BYTES = 384 * 1024


class Sizes(NamedTuple):
    """The numbers a kernel needs; "channels" and "rows" are those of one group."""

    N: int
    groups: int
    slabs: int  # parts that the rows of a group are split into, for the sake of threads
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
    band: int
    plane_rows: int
    pitch: int
    width: int


@jit
def slab_rows(slab, slabs, rows):
    """The range of rows in a slab: whole blocks of MAX_ROWS, shared out evenly."""
    blocks = (rows + MAX_ROWS - 1) // MAX_ROWS
    first, last = blocks * slab // slabs, blocks * (slab + 1) // slabs
    return first * MAX_ROWS, min(rows, last * MAX_ROWS)


@jit
def copy_planes(
    planes, start, plane, rows, pitch, width, image, first, channels, H, W,
    phases, row_step, step, q,
):  # fmt: skip
    """Copy a band of an image into planes, for each channel one plane per phase.

    Row y, column x of the plane of phase (row, column) is the image's row
    row + (q + y) * row_step, column column + x * column_step, or 0 outside the image. Rows are
    written in whole vectors, in increasing order: what overruns a row is 0, or is overwritten by
    the row that belongs there.
    """
    lanes = lanes_of(planes)
    zero = splat(planes.dtype.type(0))
    for c in range(channels):
        for phase in range(phases.shape[0]):
            column = phases[phase, 1]
            left = -(column // step) if column < 0 else 0  # columns before the image's first
            count = min(-(-(W - column) // step), width) - left
            for y in range(rows):
                row = phases[phase, 0] + (q + y) * row_step
                to = start + y * pitch
                at = first + (c * H + row) * W + column + left * step
                if row < 0 or row >= H:
                    for x in range(0, width, lanes):
                        store(planes, to + x, zero)
                elif step == 1:
                    for x in range(0, count - lanes + 1, lanes):
                        store(planes, to + left + x, load(image, at + x))
                    x = max(0, count // lanes * lanes)
                    if x < count:
                        store(planes, to + left + x, load_first(image, at + x, count - x))
                else:
                    for x in range(count):
                        planes[to + left + x] = image[at + x * step]
            start += plane


@jit
def copy_sums(target, first, sums, start, rows, columns, step, target_row, pitch, bias):
    """target[first + y * target_row + x * step] = sums[start + y * pitch + x] + bias."""
    lanes = lanes_of(target)
    bias_vector = splat(bias)
    for y in range(rows):
        to, at = first + y * target_row, start + y * pitch
        if step == 1:
            for x in range(0, columns - lanes + 1, lanes):
                store(target, to + x, add(load(sums, at + x), bias_vector))
            x = columns // lanes * lanes
            if x < columns:
                store_first(target, to + x, add(load(sums, at + x), bias_vector), columns - x)
        else:
            for x in range(columns):
                target[to + x * step] = sums[at + x] + bias


@jit
def correlate(
    chunk, chunks, source, weight, bias, target, phases, targets, weight_steps, plane_steps, sizes
):
    """target[n, r, p] = bias[r] + sum over k of weight[r, k] * source[n, p shifted by k]."""
    s, lanes = sizes, lanes_of(source)
    plane = s.plane_rows * s.pitch
    image_room = s.channels * phases.shape[0] * plane + s.width + lanes
    planes = np.zeros(image_room, source.dtype)
    room = (s.band * s.pitch + s.width + lanes) // lanes * lanes
    sums = np.empty(MAX_ROWS * room, source.dtype)
    items = s.N * s.groups * s.slabs
    for item in range(items * chunk // chunks, items * (chunk + 1) // chunks):
        image, slab = item // s.slabs, item % s.slabs
        group = image % s.groups
        first_row, last_row = slab_rows(slab, s.slabs, s.rows)
        for q in range(s.q_begin, s.q_end, s.band):
            copy_planes(
                planes, 0, plane, s.plane_rows, s.pitch, s.width,
                source, image * s.channels * s.source_H * s.source_W,
                s.channels, s.source_H, s.source_W, phases,
                s.row_step, s.column_step, q,
            )  # fmt: skip
            for row in range(first_row, last_row, MAX_ROWS):
                rows = min(MAX_ROWS, last_row - row)
                weight_at = group * s.weight_group + row * s.weight_row
                for t in range(targets.shape[0]):
                    k, steps = targets[t, 0], targets[t, 1] - targets[t, 0]
                    q_low, q_high = max(q, targets[t, 2]), min(q + s.band, targets[t, 3])
                    height, columns = q_high - q_low, targets[t, 5] - targets[t, 4]
                    if height <= 0 or columns <= 0:
                        continue
                    vectors = ((height - 1) * s.pitch + columns + lanes - 1) // lanes
                    at = (q_low - q) * s.pitch + targets[t, 4] - s.q_column
                    if steps == 0:
                        sums[:] = 0  # no filter tap reaches these pixels
                    else:
                        multiply_rows(
                            sums, 0, room, weight, weight_at, s.weight_row, weight_steps,
                            planes, at, plane_steps, k, steps, rows, vectors,
                        )  # fmt: skip
                    to = (targets[t, 6] + q_low * s.target_row_step) * s.target_W
                    to += targets[t, 7] + targets[t, 4] * s.target_column_step
                    for r in range(rows):
                        copy_sums(
                            target, to + (image * s.rows + row + r) * s.target_H * s.target_W,
                            sums, r * room, height, columns, s.target_column_step,
                            s.target_row_step * s.target_W, s.pitch, bias[group * s.rows + row + r],
                        )  # fmt: skip


@jit_parallel
def correlate_parallel(
    chunks, source, weight, bias, target, phases, targets, weight_steps, plane_steps, sizes
):
    for chunk in prange(chunks):
        correlate(
            np.int64(chunk), chunks, source, weight, bias, target, phases, targets, weight_steps,
            plane_steps, sizes,
        )  # fmt: skip


@jit
def correlate_weight(
    chunk, chunks, source, gradient, grad_weight, grad_bias, phases, tap_offsets, sizes, parts
):
    """grad_weight[part, r, k] += sum over the part's images n and pixels p of
    gradient[n, r, p] * source[n, p shifted by k]; grad_bias[part, r] += sum of gradient[n, r, p].

    The rows of gradient are copied to the pitch of the source's planes, with zeros in between, so
    that both are walked in step, whole vectors at a time.
    """
    s, lanes = sizes, lanes_of(source)
    K = tap_offsets.size
    vectors = ((s.band - 1) * s.pitch + s.target_W + lanes - 1) // lanes
    plane = s.plane_rows * s.pitch
    source_room = s.channels * phases.shape[0] * plane + s.width + lanes
    gradient_plane = s.band * s.pitch + lanes
    gradient_room = s.rows * gradient_plane
    fitting = BLOCK_BYTES // ((source_room + gradient_room) * source.itemsize)
    block = max(1, min(DOT_VECTORS // vectors, fitting, s.N))
    planes = np.zeros(block * source_room, source.dtype)
    gradient_planes = np.zeros(block * gradient_room, source.dtype)
    source_steps = np.empty(block * vectors, np.int64)
    gradient_steps = np.empty(block * vectors, np.int64)
    for i in range(block):
        for v in range(vectors):
            source_steps[i * vectors + v] = i * source_room + v * lanes
            gradient_steps[i * vectors + v] = i * gradient_room + v * lanes
    in_place = np.zeros((1, 2), np.int64)
    items = parts * s.groups * s.slabs
    for item in range(items * chunk // chunks, items * (chunk + 1) // chunks):
        part, group, slab = item // s.slabs // s.groups, item // s.slabs % s.groups, item % s.slabs
        first_row, last_row = slab_rows(slab, s.slabs, s.rows)
        row_at = (part * s.groups + group) * s.rows
        last_image = s.N * (part + 1) // parts
        for first_image in range(s.N * part // parts, last_image, block):
            images = min(block, last_image - first_image)
            for q in range(0, s.target_H, s.band):
                for i in range(images):
                    image = (first_image + i) * s.groups + group
                    copy_planes(
                        planes, i * source_room, plane, s.plane_rows, s.pitch, s.width,
                        source, image * s.channels * s.source_H * s.source_W,
                        s.channels, s.source_H, s.source_W, phases,
                        s.row_step, s.column_step, q,
                    )  # fmt: skip
                    copy_planes(
                        gradient_planes, i * gradient_room + first_row * gradient_plane,
                        gradient_plane, s.band, s.pitch, s.target_W,
                        gradient, (image * s.rows + first_row) * s.target_H * s.target_W,
                        last_row - first_row, s.target_H, s.target_W, in_place, 1, 1, q,
                    )  # fmt: skip
                for row in range(first_row, last_row, MAX_ROWS):
                    add_dot_products(
                        grad_weight, (row_at + row) * K, K,
                        gradient_planes, row * gradient_plane, gradient_plane, gradient_steps,
                        planes, 0, tap_offsets, source_steps,
                        images * vectors, min(MAX_ROWS, last_row - row),
                    )  # fmt: skip
            for image in range(first_image, first_image + images):
                for row in range(first_row, last_row):
                    pixels = s.target_H * s.target_W
                    at = ((image * s.groups + group) * s.rows + row) * pixels
                    grad_bias[row_at + row] += sum_run(gradient, at, pixels)


@jit_parallel
def correlate_weight_parallel(
    chunks, source, gradient, grad_weight, grad_bias, phases, tap_offsets, sizes, parts
):
    for chunk in prange(chunks):
        correlate_weight(
            np.int64(chunk), chunks, source, gradient, grad_weight, grad_bias, phases, tap_offsets, sizes,
            parts,
        )  # fmt: skip
