"""The loops of convolution: planes in, sums of products, planes out. `conv.py` explains them."""

import numpy as np

from tinyvision.kernels.jit import jit, jit_part
from tinyvision.kernels.microkernel import MAX_ROWS, add_dot_products, multiply_rows
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    evens,
    lanes_of,
    load,
    load_first,
    splat,
    store,
    store_by_twos,
    store_first,
    sum_run,
)

# For the weights' gradient, small images are worked on several at a time: enough that what a tile
# adds up before its lanes are summed makes that cost little, few enough for the L1 cache (vectors
# of one channel) and the L2 cache (all planes).
BLOCK_VECTORS = 48
BLOCK_BYTES = 1024 * 1024
# Products summed up at a time: sums of few numbers, added up, round less than one long sum.
RUN = 128


@jit_part
def slab_rows(slab, slabs, rows):
    """Where a slab, one part of a group's rows, begins and ends: at whole blocks of MAX_ROWS."""
    blocks = (rows + MAX_ROWS - 1) // MAX_ROWS
    first, last = blocks * slab // slabs, blocks * (slab + 1) // slabs
    return first * MAX_ROWS, min(rows, last * MAX_ROWS)


@jit_part
def copy_rows(target, to, pitch, source, at, row, rows, count):
    """target[to + y * pitch + x] = source[at + y * row + x] for y < rows, x < count.

    Rows are written in whole vectors, in increasing order: what overruns a row is zeros, or
    overwritten by the next row. So the last row is followed by zeros.
    """
    lanes = lanes_of(target)
    whole = count // lanes * lanes
    for _ in range(rows):
        for x in range(0, whole, lanes):
            store(target, to + x, load(source, at + x))
        if whole < count:
            store(target, to + whole, load_first(source, at + whole, count - whole))
        to += pitch
        at += row


@jit_part
def copy_rows_by_twos(target, to, pitch, source, at, row, rows, count):
    """target[to + y * pitch + x] = source[at + y * row + 2 * x], as copy_rows."""
    lanes = lanes_of(target)
    for _ in range(rows):
        for x in range(0, count, lanes):
            left = 2 * (count - x) - 1  # how much of the source there is
            low = load_first(source, at + 2 * x, left)
            high = load_first(source, at + 2 * x + lanes, left - lanes)
            store(target, to + x, evens(low, high))
        to += pitch
        at += row


@jit_part
def clear(target, to, count):
    """target[to : to + count] = 0, and up to a vector more."""
    lanes = lanes_of(target)
    zero = splat(target.dtype.type(0))
    for x in range(0, count, lanes):
        store(target, to + x, zero)


@jit_part
def copy_planes(planes, start, plane, columns, rows, image, first, channels, H, W,
                origins, row_step, step, q):  # fmt: skip
    """Copy rows from q on of an image's channels into planes, as described for `Plan`.

    origins[i] is (row0, column0) of a channel's i-th plane.
    """
    for c in range(channels):
        for i in range(origins.shape[0]):
            row, column = origins[i, 0] + q * row_step, origins[i, 1]
            # The part of the plane that is inside the image: rows top ... bottom (exclusive),
            # `count` columns from `left` on.
            top = min(rows, max(0, -(row // row_step)))
            bottom = max(top, min(rows, -((row - H) // row_step)))
            left = max(0, -(column // step))
            count = min(columns, -((column - W) // step)) - left
            clear(planes, start, top * columns)
            to = start + top * columns + left
            at = first + (c * H + row + top * row_step) * W + column + left * step
            if count <= 0:
                pass
            elif step == 1 and row_step == 1 and count == W and count == columns:
                copy_rows(planes, to, 0, image, at, 0, 1, (bottom - top) * columns)
            elif step == 1:
                copy_rows(planes, to, columns, image, at, row_step * W, bottom - top, count)
            elif step == 2:
                copy_rows_by_twos(planes, to, columns, image, at, row_step * W, bottom - top, count)
            else:
                for y in range(bottom - top):
                    for x in range(count):
                        planes[to + y * columns + x] = image[at + y * row_step * W + x * step]
            clear(planes, start + bottom * columns, (rows - bottom) * columns)
            start += plane


@jit_part
def copy_sums(target, to, row, step, sums, at, pitch, rows, columns, bias):
    """target[to + y * row + x * step] = sums[at + y * pitch + x] + bias."""
    lanes = lanes_of(target)
    biases = splat(bias)
    if step == 1 and columns == pitch and columns == row:
        rows, columns = 1, rows * columns
    for _ in range(rows):
        if step == 1:
            for x in range(0, columns - lanes + 1, lanes):
                store(target, to + x, add(load(sums, at + x), biases))
            x = columns // lanes * lanes
            if x < columns:
                store_first(target, to + x, add(load(sums, at + x), biases), columns - x)
        elif step == 2:
            for x in range(0, columns, lanes):
                store_by_twos(target, to + 2 * x, add(load(sums, at + x), biases), columns - x)
        else:
            for x in range(columns):
                target[to + x * step] = sums[at + x] + bias
        to += row
        at += pitch


@jit
def correlate(chunk, source, weight, bias, target, origins, phases, weight_offsets,
              plane_offsets, sizes, slabs):  # fmt: skip
    """target[n, r, p] = bias[r] + sum over k of weight[r, k] * source[n, p shifted by k]."""
    s, lanes = sizes, lanes_of(source)
    first, last = begin(chunk, s.N * s.groups * slabs)
    plane = s.plane_rows * s.columns
    planes = np.zeros(s.channels * origins.shape[0] * plane + lanes, source.dtype)
    sums_pitch = s.band * s.columns + lanes
    sums = np.empty(MAX_ROWS * sums_pitch, source.dtype)
    for item in range(first, last):
        image, slab = item // slabs, item % slabs  # with groups, an image is one group of it
        group = image % s.groups
        first_row, last_row = slab_rows(slab, slabs, s.rows)
        for q in range(s.q_begin, s.q_end, s.band):
            copy_planes(planes, 0, plane, s.columns, s.plane_rows,
                        source, image * s.channels * s.source_H * s.source_W,
                        s.channels, s.source_H, s.source_W,
                        origins, s.row_step, s.column_step, q)  # fmt: skip
            for row in range(first_row, last_row, MAX_ROWS):
                rows = min(MAX_ROWS, last_row - row)
                weight_at = group * s.weight_group + row * s.weight_row
                for t in range(phases.shape[0]):
                    k, last_k = phases[t, 0], phases[t, 1]
                    top, bottom = max(q, phases[t, 2]), min(q + s.band, phases[t, 3])
                    left, right = phases[t, 4], phases[t, 5]
                    if top >= bottom or left >= right:
                        continue
                    if k == last_k:
                        sums[:] = 0  # no filter tap reaches these pixels
                    at = (top - q) * s.columns + left - s.q_column
                    pixels = (bottom - top - 1) * s.columns + right - left
                    for i in range(k, last_k, RUN):
                        multiply_rows(sums, 0, sums_pitch, weight, weight_at, s.weight_row,
                                      weight_offsets, planes, at, plane_offsets, i,
                                      min(RUN, last_k - i), rows, (pixels + lanes - 1) // lanes,
                                      i > k)  # fmt: skip
                    to = (image * s.rows + row) * s.target_H + phases[t, 6]
                    to = (to + top * s.target_row_step) * s.target_W
                    to += phases[t, 7] + left * s.target_column_step
                    for r in range(rows):
                        copy_sums(target, to + r * s.target_H * s.target_W,
                                  s.target_row_step * s.target_W, s.target_column_step,
                                  sums, r * sums_pitch, s.columns, bottom - top, right - left,
                                  bias[group * s.rows + row + r])  # fmt: skip


@jit
def correlate_weight(chunk, source, gradient, grad_weight, grad_bias, origins,
                     plane_offsets, sizes, slabs, parts):  # fmt: skip
    """grad_weight[part, r, k] += sum over the part's images n and pixels p of
    gradient[n, r, p] * source[n, p shifted by k]; grad_bias[part, r] += sum of gradient[n, r, p].
    """
    s, lanes, K = sizes, lanes_of(source), plane_offsets.size
    first, last = begin(chunk, parts * s.groups * slabs)
    plane = s.plane_rows * s.columns
    vectors = (s.band * s.columns + lanes - 1) // lanes
    gradient_plane = vectors * lanes + lanes
    source_size = s.channels * origins.shape[0] * plane + lanes
    gradient_size = s.rows * gradient_plane
    fitting = BLOCK_BYTES // ((source_size + gradient_size) * source.itemsize)
    block = max(1, min(BLOCK_VECTORS // vectors, fitting, s.N))  # images at a time
    planes = np.zeros(block * source_size, source.dtype)
    gradients = np.zeros(block * gradient_size, source.dtype)
    plane_steps = np.empty(block * vectors, np.int64)
    gradient_steps = np.empty(block * vectors, np.int64)
    for i in range(block):
        for v in range(vectors):
            plane_steps[i * vectors + v] = i * source_size + v * lanes
            gradient_steps[i * vectors + v] = i * gradient_size + v * lanes
    in_place = np.zeros((1, 2), np.int64)
    for item in range(first, last):
        part, group, slab = item // slabs // s.groups, item // slabs % s.groups, item % slabs
        first_row, last_row = slab_rows(slab, slabs, s.rows)
        result = (part * s.groups + group) * s.rows
        last_image = s.N * (part + 1) // parts
        for first_image in range(s.N * part // parts, last_image, block):
            images = min(block, last_image - first_image)
            for q in range(0, s.target_H, s.band):
                for i in range(images):
                    image = (first_image + i) * s.groups + group
                    copy_planes(planes, i * source_size, plane, s.columns, s.plane_rows,
                                source, image * s.channels * s.source_H * s.source_W,
                                s.channels, s.source_H, s.source_W,
                                origins, s.row_step, s.column_step, q)  # fmt: skip
                    copy_planes(gradients, i * gradient_size + first_row * gradient_plane,
                                gradient_plane, s.columns, s.band,
                                gradient, (image * s.rows + first_row) * s.target_H * s.target_W,
                                last_row - first_row, s.target_H, s.target_W,
                                in_place, s.target_row_step, s.target_column_step, q)  # fmt: skip
                for row in range(first_row, last_row, MAX_ROWS):
                    add_dot_products(grad_weight, (result + row) * K, K,
                                     gradients, row * gradient_plane, gradient_plane,
                                     gradient_steps, planes, 0, plane_offsets, plane_steps,
                                     images * vectors, min(MAX_ROWS, last_row - row))  # fmt: skip
            for i in range(first_image, first_image + images):
                for row in range(first_row, last_row):
                    pixels = s.target_H * s.target_W
                    at = ((i * s.groups + group) * s.rows + row) * pixels
                    grad_bias[result + row] += sum_run(gradient, at, pixels)
