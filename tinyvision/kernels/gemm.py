"""Products of matrices, one or a batch of them.

    C[r, q] = sum over s of A[r, s] * B[s, q]

Shapes: A (..., R, S), B (..., S, Q), C (..., R, Q); the dims in front number the matrices of a
batch, and broadcast.

Gradients, which are such products too: dA = dC B^T, dB = A^T dC.

Source of the blocking: Goto and van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", ACM Transactions on Mathematical Software 34(3).
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import jit, jit_part, strided, twin_of
from tinyvision.kernels.microkernel import MAX_ROWS, add_dot_products, multiply_rows
from tinyvision.kernels.register_blocks import store_transposed
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    lanes_of,
    load,
    load_first,
    load_part,
    splat,
    store,
    store_first,
    store_part,
)
from tinyvision.kernels.threads import count_chunks, get_num_threads, launch
from tinyvision.kernels.vectors import VECTOR_BYTES


def matmul_reference(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A B"""
    return np.matmul(A, B)


# Why not BLAS, the library behind NumPy's `@`? It is as fast, but its threads keep spinning for a
# while after each product, waiting for the next one, on the cores where Numba's threads want to
# work. And its results depend on how many threads it has.
#
# Blocks. A product of R x S by S x Q numbers takes R * S * Q multiply-adds: each number is used
# many times, and should be in a cache then. So C is made a block of columns at a time, and the sums
# BLOCK_STEPS steps at a time, and the part of B that this needs is copied to the L2 cache. There it
# lies in panels, two vectors wide, whose rows follow one another. A panel is in the L1 cache while
# it is multiplied with a slab of rows of A, which are read where they lie, MAX_ROWS at a time, with
# the sums in registers: `multiply_rows` in microkernel.py.
#
# How A and B lie in memory matters little then. Both come with strides, so that a transposed
# matrix, one of many, or the same for all of a batch is not copied before.
#
# Few rows. To copy B transposed takes as long as its products with some rows of A. A small batch
# does without: if the steps follow one another in both, `add_dot_products` multiplies rows of A
# and columns of B vector by vector. Its price are the sums over the lanes of R * Q vectors.
#
# Threads share out the blocks of C. The order in which a number is summed up depends on the shapes
# only, so results are the same on any number of threads.

PANEL_VECTORS = 2
BLOCK_STEPS = 384
BLOCK_BYTES = 256 * 1024  # of panels
SLAB_ROWS = 4 * MAX_ROWS
# Up to this many numbers of B are fast to read where they lie.
MAX_IN_PLACE = 8192
# For dot products: rows of A, columns of B, and the length of the parts they are multiplied in, of
# which 4 + 4 have to fit in the L1 cache.
DOT_ROWS, DOT_COLUMNS, DOT_STEPS = 16, 32, 512
MAX_DOT_ROWS = 256

# Of so few multiply-adds, BLAS makes products without starting threads.
SMALL = 8192

ONE_MATRIX = np.zeros((2, 1), np.int64)
NOTHING = {np.dtype(dtype): np.empty(0, dtype) for dtype in (np.float32, np.float64)}


@twin_of(matmul_reference)
def matmul(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A B; by NumPy if they are integers, or too small to be worth more than one call."""
    if A.dtype.kind != "f" or A.size * B.shape[-1] <= SMALL >= B.size * A.shape[-2]:
        return np.matmul(A, B)
    (R, S), Q = A.shape[-2:], B.shape[-1]
    (a, a_strides), (b, b_strides) = strided(A), strided(B)
    if A.ndim == B.ndim == 2:
        return product(a, a_strides, b, b_strides, (R, S, Q))
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    starts = np.stack([_starts(a_strides, batch), _starts(b_strides, batch)])
    C = product(a, a_strides[-2:], b, b_strides[-2:], (R, S, Q), starts=starts)
    return C.reshape(*batch, R, Q)


def _starts(strides: tuple[int, ...], batch: tuple[int, ...]) -> np.ndarray:
    """Where in memory each matrix of an array, broadcast to a batch of them, begins."""
    strides = (0,) * (len(batch) + 2 - len(strides)) + strides[:-2]
    starts = np.zeros((), np.int64)
    for n, step in zip(batch, strides, strict=True):
        starts = starts[..., None] + np.arange(n) * step
    return starts.reshape(-1)


def product(
    A: np.ndarray, a_strides: tuple[int, ...], B: np.ndarray, b_strides: tuple[int, ...],
    sizes: tuple[int, int, int], bias: np.ndarray | None = None, row_sums: np.ndarray | None = None,
    starts: np.ndarray = ONE_MATRIX,
) -> np.ndarray:  # fmt: skip
    """bias + A B, for matrices in two 1-d arrays.

    sizes: (rows, steps, columns), for A of (rows, steps) and B of (steps, columns).
    strides: how far apart rows and columns are.
    row_sums: where to add the sums of A's rows; only for an A whose rows are one apart.
    starts: where the matrices of a batch begin, (2, N).
    """
    (rows, steps, columns), N = sizes, starts.shape[1]
    C = memory.empty((rows, columns) if N == 1 else (N, rows, columns), A.dtype)
    if C.size == 0 or steps == 0:
        C[...] = 0 if bias is None else bias
        return C
    if columns == 1 and bias is None and row_sums is None:  # C^T = B^T A^T, of one row
        A, a_strides, B, b_strides = B, b_strides[::-1], A, a_strides[::-1]
        rows, columns, starts = columns, rows, np.ascontiguousarray(starts[::-1])
    nothing = NOTHING[C.dtype]
    arrays = A, B, C.reshape(-1), nothing if bias is None else bias
    if a_strides[1] == b_strides[0] == 1 and row_sums is None and rows < min(steps, MAX_DOT_ROWS):
        items = N * -(-rows // DOT_ROWS) * -(-columns // DOT_COLUMNS)
        chunks = count_chunks(items, 2 * C.size * steps // 50)
        launch(_dot, chunks, *arrays, starts, (rows, steps, columns, a_strides[0], b_strides[1]))
        return C
    slabs = N * -(-rows // SLAB_ROWS)
    block = _block_columns(steps, columns, slabs, A.itemsize)
    numbers = (rows, steps, columns, *a_strides, *b_strides, block)
    chunks = count_chunks(slabs * -(-columns // block), 2 * C.size * steps // 80)
    sums = nothing if row_sums is None else row_sums
    launch(_multiply, chunks, *arrays, sums, starts, numbers)
    return C


def _block_columns(steps: int, columns: int, slabs: int, itemsize: int) -> int:
    """How many columns to make at a time: whole panels, which fit in a cache."""
    width = PANEL_VECTORS * VECTOR_BYTES // itemsize
    panels = -(-columns // width)
    fitting = BLOCK_BYTES // (min(steps, BLOCK_STEPS) * width * itemsize)
    # Every thread should get something to do.
    blocks = max(-(-panels // max(fitting, 1)), min(panels, -(-get_num_threads() // slabs)))
    return -(-panels // blocks) * width


# Panels -----------------------------------------------------------------------------------------


@jit_part
def _copy_panels(panels, B, at, b_step, b_column, steps, columns):
    """panels[p, s, v] = B[at + s * b_step + (p * width + v) * b_column]"""
    lanes = lanes_of(panels)
    width, to = PANEL_VECTORS * lanes, 0
    for q in range(0, columns, width):
        count, source = min(width, columns - q), at + q * b_column
        if b_column == 1:
            for s in range(steps):
                for v in range(0, count, lanes):
                    values = load_part(B, source + s * b_step + v, count - v)
                    store(panels, to + s * width + v, values)
        elif b_step == 1:
            one = splat(panels.dtype.type(1))
            for v in range(0, count, lanes):
                for s in range(0, steps, lanes):
                    store_transposed(panels, to + s * width + v, width, B,
                                     source + v * b_column + s, b_column, count - v, steps - s,
                                     one)  # fmt: skip
        else:
            for s in range(steps):
                for v in range(count):
                    panels[to + s * width + v] = B[source + s * b_step + v * b_column]
        to += steps * width


@jit_part
def _begin(C, c, c_row, bias, q, rows, columns):
    """Each row of C = bias[q : q + columns], or 0 without a bias."""
    lanes = lanes_of(C)
    values = splat(C.dtype.type(0))
    for i in range(0, columns, lanes):
        if bias.size > 0:
            values = load_part(bias, q + i, columns - i)
        for r in range(rows):
            store_part(C, c + r * c_row + i, values, columns - i)


@jit_part
def _add_row_sums(sums, totals, A, a, a_step, rows, steps):
    """sums[r] += sum over s of A[a + r + s * a_step], made in `totals`.

    This also brings to the L2 cache, in the order it lies in memory, what will be multiplied.
    """
    lanes = lanes_of(sums)
    totals[:] = 0
    for s in range(steps):
        for r in range(0, rows, lanes):
            value = load_part(A, a + s * a_step + r, rows - r)
            store(totals, r, add(load(totals, r), value))
    for r in range(0, rows, lanes):
        total = add(load_part(sums, r, rows - r), load(totals, r))
        store_part(sums, r, total, rows - r)


# Blocks of the product --------------------------------------------------------------------------


@jit_part
def _multiply_slab(C, c, c_row, A, a, a_row, a_step, B, b, b_step, b_panel, scratch, steps, rows,
                   columns, adding):  # fmt: skip
    """C = A B for a slab of rows, or C += A B; scratch is for one vector of each row."""
    lanes = lanes_of(C)
    width = PANEL_VECTORS * lanes
    for q in range(0, columns, width):
        vectors, left = min(width, columns - q) // lanes, min(width, columns - q) % lanes
        multiply_rows(C, c, c_row, A, a, a_row, a_step, B, b, b_step, 0, steps, rows, vectors,
                      adding)  # fmt: skip
        if left > 0:
            multiply_rows(scratch, 0, lanes, A, a, a_row, a_step, B, b + vectors * lanes, b_step, 0,
                          steps, rows, 1)  # fmt: skip
            for r in range(rows):
                to, values = c + r * c_row + vectors * lanes, load(scratch, r * lanes)
                if adding:
                    values = add(values, load_first(C, to, left))
                store_first(C, to, values, left)
        b += b_panel
        c += width


@jit
def _multiply(chunk, A, B, C, bias, row_sums, starts, numbers):
    """C = bias + A B, and row_sums += the sums of A's rows, for one chunk of the blocks of C."""
    rows, steps, columns, a_row, a_step, b_step, b_column, block = numbers
    lanes = lanes_of(C)
    width, adding = PANEL_VECTORS * lanes, bias.size > 0
    # A transposed panel is written in whole squares, beyond its end.
    panels = np.empty(min(steps, BLOCK_STEPS) * block + lanes * width, C.dtype)
    scratch = np.empty(SLAB_ROWS * lanes, C.dtype)
    totals = np.empty(row_sums.size + lanes, C.dtype)
    # Item i is slab i % slabs of block i // slabs: a thread has few blocks to copy.
    slabs, blocks = -(-rows // SLAB_ROWS), -(-columns // block)
    items = starts.shape[1] * blocks * slabs
    first, last = begin(chunk, items)
    while first < last:
        n, q = first // slabs // blocks, first // slabs % blocks * block
        q_count = min(block, columns - q)
        first_row = first % slabs * SLAB_ROWS
        last_row = min(rows, first_row + (last - first) * SLAB_ROWS)
        # Not worth copying for one use, or where all fits in the L1 cache.
        in_place = b_column == 1 and q_count % width == 0
        in_place = in_place and (rows <= MAX_ROWS or steps * b_step <= MAX_IN_PLACE)
        for s in range(0, steps, BLOCK_STEPS):
            s_count = min(BLOCK_STEPS, steps - s)
            a, b = starts[0, n] + s * a_step, starts[1, n] + s * b_step + q * b_column
            right, b_row, b_panel = B, b_step, width
            if not in_place:
                _copy_panels(panels, B, b, b_step, b_column, s_count, q_count)
                right, b, b_row, b_panel = panels, 0, width, s_count * width
            if row_sums.size > 0 and q == 0:
                _add_row_sums(row_sums[first_row:last_row], totals, A, a + first_row, a_step,
                              last_row - first_row, s_count)  # fmt: skip
            for r in range(first_row, last_row, SLAB_ROWS):
                r_count, c = min(SLAB_ROWS, last_row - r), (n * rows + r) * columns + q
                if s == 0 and adding:
                    _begin(C, c, columns, bias, q, r_count, q_count)
                _multiply_slab(C, c, columns, A, a + r * a_row, a_row, a_step, right, b, b_row,
                               b_panel, scratch, s_count, r_count, q_count,
                               s > 0 or adding)  # fmt: skip
        first += -(-(last_row - first_row) // SLAB_ROWS)


# Few rows ---------------------------------------------------------------------------------------


@jit_part
def _copy_rest(target, source, at, row, rows, count):
    """The first `count` numbers of each row, as a vector filled up with 0."""
    lanes = lanes_of(target)
    for r in range(rows):
        store(target, r * lanes, load_first(source, at + r * row, count))


@jit
def _dot(chunk, A, B, C, bias, starts, numbers):
    """C = bias + A B for one chunk of the blocks of C, where steps are one apart in A and B."""
    rows, steps, columns, a_row, b_column = numbers
    lanes = lanes_of(C)
    whole = steps // lanes * lanes
    to_columns, to_rests = np.empty(DOT_COLUMNS, np.int64), np.empty(DOT_COLUMNS, np.int64)
    for i in range(DOT_COLUMNS):
        to_columns[i], to_rests[i] = i * b_column, i * lanes
    a_rest, b_rest = np.empty(DOT_ROWS * lanes, C.dtype), np.empty(DOT_COLUMNS * lanes, C.dtype)
    slabs, blocks = -(-rows // DOT_ROWS), -(-columns // DOT_COLUMNS)
    items = starts.shape[1] * blocks * slabs
    first, last = begin(chunk, items)
    for item in range(first, last):
        block, n = item // slabs % blocks, item // slabs // blocks
        q, r = block * DOT_COLUMNS, item % slabs * DOT_ROWS
        r_count, q_count = min(DOT_ROWS, rows - r), min(DOT_COLUMNS, columns - q)
        a, b = starts[0, n] + r * a_row, starts[1, n] + q * b_column
        c = (n * rows + r) * columns + q
        _begin(C, c, columns, bias, q, r_count, q_count)
        for s in range(0, whole, DOT_STEPS):
            add_dot_products(C, c, columns, A, a + s, a_row, lanes, B, b + s, to_columns[:q_count],
                             lanes, min(DOT_STEPS, whole - s) // lanes, r_count)  # fmt: skip
        if whole < steps:
            _copy_rest(a_rest, A, a + whole, a_row, r_count, steps - whole)
            _copy_rest(b_rest, B, b + whole, b_column, q_count, steps - whole)
            add_dot_products(C, c, columns, a_rest, 0, lanes, 0, b_rest, 0, to_rests[:q_count],
                             0, 1, r_count)  # fmt: skip
