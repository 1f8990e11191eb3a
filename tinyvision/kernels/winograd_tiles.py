"""The loops of Winograd convolution: transform, multiply, transform back. `winograd.py` explains.

An array of "points" has, for each point e, each channel c and each row r, one number. Rows are
tiles, or, for the weight, channels of the other side. It is laid out as the products run through
it, in panels of two vectors of channels:

    points[e * step + (c // width * rows + r) * width + c % width]        width = 2 * lanes

`step` is a vector more than needed. Often it would be a power of two otherwise, and the 36 places
which a tile is written to would compete for the same few lines of the cache.
"""

from typing import NamedTuple

import numpy as np

from tinyvision.kernels.jit import jit, jit_part
from tinyvision.kernels.microkernel import multiply_rows
from tinyvision.kernels.register_blocks import add_to_rows, load_rows, store_rows, transposed
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import add, lanes_of, load, splat, store, sum_run
from tinyvision.kernels.winograd_transforms import (
    EXTENT,
    FILTER,
    TILE,
    output_of_points,
    points_of_input,
    points_of_output,
    points_of_weight,
    weight_of_points,
)

POINTS = EXTENT * EXTENT
TAPS = FILTER * FILTER
# Channels summed up at a time, and sums of these: a long sum rounds more than sums of sums.
RUN, LONG_RUN = 16, 64


class Images(NamedTuple):
    """A batch of images and where the first tile begins: at row -top, column -left."""

    channels: int
    H: int
    W: int
    top: int
    left: int


class Tiling(NamedTuple):
    """The tiles of all images, in rows of tiles that are worked on in blocks."""

    rows: int  # of tiles, in all images
    image_rows: int  # of tiles, in one image
    columns: int
    block: int  # rows at most


# Images to points and back ------------------------------------------------------------------------


@jit_part
def panels_of(channels, lanes):
    return (channels + 2 * lanes - 1) // (2 * lanes)


@jit
def make_strip(tiling, W, like):
    """Rows of vectors, as high as a block of tiles, and where in them the pixels of rows of W are.

    Behind the last row is memory for a block of pixels, which may be incomplete.
    """
    lanes, height = lanes_of(like), TILE * tiling.block + EXTENT - TILE
    pitch = (TILE * tiling.columns + EXTENT - TILE) * lanes
    pixel_offsets = np.empty(height * W + lanes, np.int64)
    for p in range(pixel_offsets.size):
        pixel_offsets[p] = p // W * pitch + p % W * lanes
    return np.zeros((height + (lanes + W - 1) // W) * pitch, like.dtype), pixel_offsets


@jit_part
def load_strip(strip, pitch, images, shape, image, channel, y, height, pixel_offsets):
    """Rows y ... y + height of a vector of channels: for each pixel the vector, 0 outside."""
    lanes, pixels = lanes_of(strip), shape.H * shape.W
    top = min(max(y, 0), shape.H)
    bottom = max(top, min(y + height, shape.H))
    zero = splat(strip.dtype.type(0))
    for i in range(0, (top - y) * pitch, lanes):
        store(strip, i, zero)
    for i in range((bottom - y) * pitch, height * pitch, lanes):
        store(strip, i, zero)
    at = (image * shape.channels + channel) * pixels + top * shape.W
    to = (top - y) * pitch + shape.left * lanes
    count = (bottom - top) * shape.W
    for p in range(0, count, lanes):
        block = load_rows(images, at + p, pixels, 0, shape.channels - channel, count - p, zero)
        store_rows(strip, to, pixel_offsets, p, transposed(block), lanes, lanes)


@jit_part
def store_strip(images, shape, image, channel, y, height, strip, biases, pixel_offsets):
    """Rows y ... y + height of a vector of channels, as far as they exist."""
    lanes, pixels = lanes_of(strip), shape.H * shape.W
    to = (image * shape.channels + channel) * pixels + y * shape.W
    count = (min(y + height, shape.H) - y) * shape.W
    for p in range(0, count, lanes):
        block = load_rows(strip, 0, pixel_offsets, p, lanes, lanes, biases)
        block = transposed(add_to_rows(block, biases))
        store_rows(images, to + p, pixels, 0, block, shape.channels - channel, count - p)


@jit_part
def transform_images(points, step, images, shape, tiling, first, last, channel, channels, extent,
                     strip, pixel_offsets):  # fmt: skip
    """points = those of the tiles in rows first ... last, of `channels` channels from `channel` on.

    `extent` tells what the images are: inputs, whose tiles overlap, or gradients of outputs.
    """
    lanes = lanes_of(points)
    width, pitch = 2 * lanes, (TILE * tiling.columns + EXTENT - TILE) * lanes
    tiles = (last - first) * tiling.columns
    for c in range(0, channels, lanes):
        to = c // width * tiles * width + c % width
        row = first
        while row < last:  # image by image
            image, i = row // tiling.image_rows, row % tiling.image_rows
            rows = min(last - row, tiling.image_rows - i)
            load_strip(strip, pitch, images, shape, image, channel + c, TILE * i - shape.top,
                       TILE * (rows - 1) + extent, pixel_offsets)  # fmt: skip
            for y in range(rows):
                for x in range(tiling.columns):
                    at = TILE * (y * pitch + x * lanes)
                    if extent == EXTENT:
                        points_of_input(points, to, EXTENT * step, step, strip, at, pitch, lanes)
                    else:
                        points_of_output(points, to, EXTENT * step, step, strip, at, pitch, lanes)
                    to += width
            row += rows


@jit_part
def transform_back(images, shape, bias, tiling, first, last, points, step,
                   strip, pixel_offsets):  # fmt: skip
    """The tiles in rows first ... last of the images = those with these points, plus bias."""
    lanes = lanes_of(points)
    width, pitch = 2 * lanes, (TILE * tiling.columns + EXTENT - TILE) * lanes
    tiles = (last - first) * tiling.columns
    for c in range(0, shape.channels, lanes):
        biases = load(bias, c)
        at = c // width * tiles * width + c % width
        row = first
        while row < last:  # image by image
            image, i = row // tiling.image_rows, row % tiling.image_rows
            rows = min(last - row, tiling.image_rows - i)
            for y in range(rows):
                for x in range(tiling.columns):
                    to = TILE * (y * pitch + x * lanes)
                    output_of_points(strip, to, pitch, lanes, points, at, EXTENT * step, step)
                    at += width
            store_strip(
                images, shape, image, c, TILE * i, TILE * rows, strip, biases, pixel_offsets
            )
            row += rows


@jit_part
def multiply_points(products, to, partial, points, p, p_steps, weight_points, w, w_steps, channels,
                    tiles, vectors):  # fmt: skip
    """A panel of the product of two matrices: (tiles, channels) by (channels, 1 or 2 vectors)."""
    lanes = lanes_of(products)
    width = 2 * lanes
    for start in range(0, channels, LONG_RUN):
        sums, at = (products, to) if start == 0 else (partial, 0)
        end = min(start + LONG_RUN, channels)
        for c in range(start, end, RUN):
            multiply_rows(sums, at, width, points, p, width, p_steps, weight_points, w, w_steps,
                          c, min(RUN, end - c), tiles, vectors, c > start)  # fmt: skip
        if start > 0:
            for i in range(0, tiles * width, lanes):
                store(products, to + i, add(load(products, to + i), load(partial, i)))


# The kernels --------------------------------------------------------------------------------------


@jit
def transform_weight(weight, points, filters, channels, filter_step, channel_step, tap, tap_step):
    """points = those of the filters, the rows being channels.

    Tap k of filter o, channel c is weight[o * filter_step + c * channel_step + tap + k * tap_step].
    """
    lanes = lanes_of(weight)
    width = 2 * lanes
    step = panels_of(filters, lanes) * channels * width + lanes
    taps = np.zeros(TAPS * lanes, weight.dtype)
    for o in range(0, filters, lanes):
        count = min(lanes, filters - o)
        if count < lanes:
            taps[:] = 0
        for c in range(channels):
            at = o * filter_step + c * channel_step + tap
            for i in range(count):
                for k in range(TAPS):
                    taps[k * lanes + i] = weight[at + i * filter_step + k * tap_step]
            to = (o // width * channels + c) * width + o % width
            points_of_weight(points, to, EXTENT * step, step, taps, 0, FILTER * lanes, lanes)


@jit
def convolve(chunk, source, weight_points, bias, target, from_, to, tiling, blocks):
    """target = the convolution of the source plus bias; from_ and to are the shapes of the two."""
    first_block, last_block = begin(chunk, blocks)
    lanes, channels, filters = lanes_of(source), from_.channels, to.channels
    width, most = 2 * lanes, tiling.block * tiling.columns
    panels = panels_of(filters, lanes)
    weight_step = panels * channels * width + lanes
    point_step = panels_of(channels, lanes) * most * width + lanes
    product_step = panels * most * width + lanes
    points = np.empty(POINTS * point_step, source.dtype)
    products = np.empty(POINTS * product_step, source.dtype)
    partial = np.empty(most * width, source.dtype)
    strip, source_pixels = make_strip(tiling, from_.W, source)
    result, target_pixels = make_strip(tiling, to.W, source)
    channel_steps = np.empty(channels, np.int64)
    for block in range(first_block, last_block):
        first, last = tiling.rows * block // blocks, tiling.rows * (block + 1) // blocks
        tiles = (last - first) * tiling.columns
        for c in range(channels):
            channel_steps[c] = c // width * tiles * width + c % width
        transform_images(points, point_step, source, from_, tiling, first, last, 0, channels,
                         EXTENT, strip, source_pixels)  # fmt: skip
        for e in range(POINTS):
            for panel in range(panels):
                vectors = min(2, (filters - panel * width + lanes - 1) // lanes)
                multiply_points(products, e * product_step + panel * tiles * width, partial,
                                points, e * point_step, channel_steps,
                                weight_points, e * weight_step + panel * channels * width,
                                width, channels, tiles, vectors)  # fmt: skip
        transform_back(target, to, bias, tiling, first, last, products, product_step,
                       result, target_pixels)  # fmt: skip


@jit
def correlate_points(chunk, source, gradient, sums, grad_bias, from_, to, tiling, parts,
                     slabs):  # fmt: skip
    """sums[part] = the points of grad_weight, rows being channels, from one part of the rows of
    tiles; grad_bias[part] from one part of the images. `slabs` are parts of the channels.
    """
    first_item, last_item = begin(chunk, parts * slabs)
    lanes, channels, filters = lanes_of(source), from_.channels, to.channels
    width, most = 2 * lanes, tiling.block * tiling.columns
    channel_panels, panels = panels_of(channels, lanes), panels_of(filters, lanes)
    point_step = -(-channel_panels // slabs) * most * width + lanes
    gradient_step, sum_step = panels * most * width + lanes, panels * channels * width + lanes
    points = np.empty(POINTS * point_step, source.dtype)
    gradient_points = np.empty(POINTS * gradient_step, source.dtype)
    strip, source_pixels = make_strip(tiling, from_.W, source)
    gradient_strip, gradient_pixels = make_strip(tiling, to.W, source)
    for item in range(first_item, last_item):
        part, slab = item // slabs, item % slabs
        channel = channel_panels * slab // slabs * width
        count = min(channels, channel_panels * (slab + 1) // slabs * width) - channel
        start, end = tiling.rows * part // parts, tiling.rows * (part + 1) // parts
        for first in range(start, end, tiling.block):
            last = min(first + tiling.block, end)
            tiles = (last - first) * tiling.columns
            transform_images(points, point_step, source, from_, tiling, first, last,
                             channel, count, EXTENT, strip, source_pixels)  # fmt: skip
            transform_images(gradient_points, gradient_step, gradient, to, tiling, first, last,
                             0, filters, TILE, gradient_strip, gradient_pixels)  # fmt: skip
            for e in range(POINTS):
                for panel in range(panels):
                    vectors = min(2, (filters - panel * width + lanes - 1) // lanes)
                    at = (part * POINTS + e) * sum_step + (panel * channels + channel) * width
                    for c in range(0, count, width):
                        multiply_rows(sums, at + c * width, width,
                                      points, e * point_step + c * tiles, 1, width,
                                      gradient_points, e * gradient_step + panel * tiles * width,
                                      width, 0, tiles, min(width, count - c), vectors,
                                      first > start)  # fmt: skip
        images, pixels = tiling.rows // tiling.image_rows, to.H * to.W
        if slab == 0:
            for image in range(images * part // parts, images * (part + 1) // parts):
                for o in range(filters):
                    at = (image * filters + o) * pixels
                    grad_bias[part * filters + o] += sum_run(gradient, at, pixels)


@jit
def transform_weight_back(sums, grad_weight, filters, channels, parts):
    """grad_weight += the sum of the parts, taken back from points to taps."""
    lanes = lanes_of(sums)
    width = 2 * lanes
    step = panels_of(filters, lanes) * channels * width + lanes
    taps = np.empty(TAPS * lanes, sums.dtype)
    for o in range(0, filters, lanes):
        for c in range(channels):
            at = (o // width * channels + c) * width + o % width
            for _ in range(parts):
                weight_of_points(taps, 0, FILTER * lanes, lanes, sums, at, EXTENT * step, step)
                for i in range(min(lanes, filters - o)):
                    for k in range(TAPS):
                        grad_weight[((o + i) * channels + c) * TAPS + k] += taps[k * lanes + i]
                at += POINTS * step
