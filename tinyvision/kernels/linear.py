"""The linear map of a fully connected layer: three products of matrices.

    output[m, n] = bias[n] + sum over k of input[m, k] * weight[n, k]

Shapes: input (M, K), weight (N, K), bias (N,), output (M, N).

Gradients:
    d_input[m, k] = sum over n of d_output[m, n] * weight[n, k]
    d_weight[n, k] = sum over m of d_output[m, n] * input[m, k]
    d_bias[n] = sum over m of d_output[m, n]

Source of the blocking: Goto and van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", ACM Transactions on Mathematical Software 34(3).
"""

from typing import NamedTuple

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_part
from tinyvision.kernels.microkernel import MAX_ROWS, add_dot_products, multiply_rows
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import add, lanes_of, load, load_first, store, store_first
from tinyvision.kernels.threads import count_shares, launch
from tinyvision.kernels.vectors import VECTOR_BYTES

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def linear_forward_reference(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None
) -> np.ndarray:
    """input weight^T + bias"""
    output = input @ weight.T  # (M, K) @ (K, N)
    return output if bias is None else output + bias


def linear_backward_reference(
    grad_output: np.ndarray,
    input: np.ndarray | None,
    weight: np.ndarray | None,
    needs_input: bool,
    needs_weight: bool,
    needs_bias: bool,
) -> Gradients:
    """The gradients that are needed, None for the others.

    Without needs_weight input may be None, and without needs_input weight.
    """
    return (
        grad_output @ weight if needs_input else None,  # (M, N) @ (N, K)
        grad_output.T @ input if needs_weight else None,  # (N, M) @ (M, K)
        grad_output.sum(axis=0) if needs_bias else None,
    )


# Why not BLAS, the library behind NumPy's `@`? It is as fast, but its threads keep spinning for a
# while after each product, waiting for the next one, on the cores where Numba's threads want to
# work. And its results depend on how many threads it has.
#
# Blocks. A product C = A B of R x S by S x Q numbers takes R * S * Q multiply-adds: each number is
# used many times, and should be in a cache then. So C is made a panel of columns at a time, and the
# sums BLOCK_STEPS steps at a time. The part of B that this needs is copied to one place, in the L2
# cache, and run through once for each MAX_ROWS rows of A, while these stay in the L1 cache and the
# sums in registers: `multiply_rows` in microkernel.py. How A and B lie in memory matters little
# then, so the same loops make the output and all gradients: A or B is transposed as needed.
#
# Few rows. To copy `weight` transposed takes as long as its products with some forty rows of input.
# A small batch does without: both factors of output[m, n] are rows, and `add_dot_products`
# multiplies them vector by vector. Its price are the sums over the lanes of M * N vectors at the
# end, where the other way copies K * N numbers. Measured, the two break even where M is K, for rows
# longer than MAX_DOT_ROWS at about that M.
#
# Threads share out the blocks of C. The order in which a number is summed up depends on the shapes
# only, so results are the same on any number of threads.

PANEL_VECTORS = 4
BLOCK_STEPS = 256
SLAB_ROWS = 4 * MAX_ROWS
# For dot products: rows of the input, rows of the weight, and the length of the parts they are
# multiplied in, which 4 + 4 rows at a time have to fit in the L1 cache.
DOT_ROWS, DOT_COLUMNS, DOT_STEPS = 16, 32, 512
MAX_DOT_ROWS = 256


class Sizes(NamedTuple):
    """Of a product C = A B, where the number A[r, s] is found in its array at
    r * a_row + s * a_step, and B[s, q] at s * b_step + q * b_column.
    """

    rows: int  # of A and C
    steps: int  # columns of A, rows of B
    columns: int  # of B and C
    a_row: int
    a_step: int
    b_step: int
    b_column: int


def linear_forward(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """input weight^T + bias"""
    (M, K), N = input.shape, len(weight)
    if M < min(K, MAX_DOT_ROWS):
        return _dot_rows(input, weight, bias)
    return _product(input, weight, bias, Sizes(M, K, N, a_row=K, a_step=1, b_step=1, b_column=K))


def linear_backward(
    grad_output: np.ndarray,
    input: np.ndarray | None,
    weight: np.ndarray | None,
    needs_input: bool,
    needs_weight: bool,
    needs_bias: bool,
) -> Gradients:
    """The gradients that are needed, None for the others.

    Without needs_weight input may be None, and without needs_input weight.
    """
    M, N = grad_output.shape
    grad_input = grad_weight = grad_bias = None
    if needs_input:
        assert weight is not None
        K = weight.shape[1]
        sizes = Sizes(M, N, K, a_row=N, a_step=1, b_step=K, b_column=1)
        grad_input = _product(grad_output, weight, None, sizes)
    if needs_weight:
        assert input is not None
        K = input.shape[1]
        sizes = Sizes(N, M, K, a_row=1, a_step=N, b_step=K, b_column=1)
        grad_weight = _product(grad_output, input, None, sizes)
    if needs_bias:  # a product with one row of ones
        sizes = Sizes(1, M, N, a_row=M, a_step=1, b_step=N, b_column=1)
        ones = np.ones(M, grad_output.dtype)
        grad_bias = _product(ones, grad_output, None, sizes).reshape(N)
    return grad_input, grad_weight, grad_bias


def _product(A: np.ndarray, B: np.ndarray, bias: np.ndarray | None, sizes: Sizes) -> np.ndarray:
    """bias + A B, for the matrices that `sizes` makes of the two arrays."""
    C = memory.empty((sizes.rows, sizes.columns), A.dtype)
    if bias is None:
        bias = np.zeros(sizes.columns, A.dtype)
    if sizes.steps == 0:
        C[:] = bias
    elif C.size > 0:
        shares = count_shares(_items(sizes, A.itemsize), 2 * C.size * sizes.steps // 100)
        launch(
            _multiply, shares, flat(A), flat(B), flat(bias), C.reshape(-1),
            sizes,
        )  # fmt: skip
    return C


def _items(sizes: Sizes, itemsize: int) -> int:
    width = PANEL_VECTORS * VECTOR_BYTES // itemsize
    return -(-sizes.columns // width) * -(-sizes.rows // SLAB_ROWS)


def _dot_rows(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """bias + the dot products of the rows of input with the rows of weight."""
    output = memory.empty((len(input), len(weight)), input.dtype)
    output[:] = 0 if bias is None else bias
    input, weight = _whole_vectors(input), _whole_vectors(weight)
    items = -(-len(input) // DOT_ROWS) * -(-len(weight) // DOT_COLUMNS)
    shares = count_shares(items, 2 * output.size * input.shape[1] // 50)
    launch(
        _dot, shares, flat(input), flat(weight), output.reshape(-1), *output.shape,
        input.shape[1],
    )  # fmt: skip
    return output


def _whole_vectors(rows: np.ndarray) -> np.ndarray:
    """The rows, with zeros appended if vectors do not divide them."""
    lanes = VECTOR_BYTES // rows.itemsize
    if rows.shape[1] % lanes == 0:
        return rows
    padded = np.zeros((len(rows), -(-rows.shape[1] // lanes) * lanes), rows.dtype)
    padded[:, : rows.shape[1]] = rows
    return padded


@jit_part
def _copy_panel(panel, width, B, at, b_step, b_column, steps, columns):
    """panel[s * width + q] = B[at + s * b_step + q * b_column] for s < steps, q < columns."""
    lanes = lanes_of(panel)
    if b_column == 1:
        for s in range(steps):
            for q in range(0, columns, lanes):
                values = load_first(B, at + s * b_step + q, columns - q)
                store(panel, s * width + q, values)
    else:
        for q in range(columns):
            for s in range(steps):
                panel[s * width + q] = B[at + s * b_step + q * b_column]


@jit_part
def _add(target, to, row, x, x_at, x_row, y, y_at, y_row, rows, columns):
    """target = x + y for matrices whose rows begin so far apart."""
    lanes = lanes_of(target)
    for r in range(rows):
        at, x_from, y_from = to + r * row, x_at + r * x_row, y_at + r * y_row
        for q in range(0, columns - lanes + 1, lanes):
            store(target, at + q, add(load(x, x_from + q), load(y, y_from + q)))
        q, left = columns // lanes * lanes, columns % lanes
        if left > 0:
            total = add(load_first(x, x_from + q, left), load_first(y, y_from + q, left))
            store_first(target, at + q, total, left)


@jit
def _multiply(share, A, B, bias, C, sizes):
    """C = bias + A B, for one share of the blocks of C."""
    rows, steps, columns, a_row, a_step, b_step, b_column = sizes
    lanes = lanes_of(C)
    width = PANEL_VECTORS * lanes
    panel = np.empty(BLOCK_STEPS * width, C.dtype)
    sums = np.empty(SLAB_ROWS * width, C.dtype)
    a_steps, panel_steps = np.empty(BLOCK_STEPS, np.int64), np.empty(BLOCK_STEPS, np.int64)
    b_steps = np.empty(BLOCK_STEPS, np.int64)
    for i in range(BLOCK_STEPS):
        a_steps[i], b_steps[i], panel_steps[i] = i * a_step, i * b_step, i * width
    # Item i is slab i % slabs of panel i // slabs: a thread has few panels to copy.
    slabs = -(-rows // SLAB_ROWS)
    items = -(-columns // width) * slabs
    first, last = begin(share, items)
    for p in range(first // slabs, -(-last // slabs)):
        q = p * width
        q_count = min(width, columns - q)
        first_row = max(first - p * slabs, 0) * SLAB_ROWS
        last_row = min((last - p * slabs) * SLAB_ROWS, rows)
        for s in range(0, steps, BLOCK_STEPS):
            s_count = min(BLOCK_STEPS, steps - s)
            b = s * b_step + q * b_column
            # Not worth copying for one use, if the rows of B are whole vectors.
            in_place = b_column == 1 and rows <= MAX_ROWS and q_count == width
            if not in_place:
                _copy_panel(panel, width, B, b, b_step, b_column, s_count, q_count)
            source, at, source_steps = (B, b, b_steps) if in_place else (panel, 0, panel_steps)
            for r in range(first_row, last_row, SLAB_ROWS):
                r_count = min(SLAB_ROWS, last_row - r)
                multiply_rows(sums, 0, width, A, r * a_row + s * a_step, a_row, a_steps,
                              source, at, source_steps, 0, s_count, r_count,
                              -(-q_count // lanes), False)  # fmt: skip
                to = r * columns + q
                if s == 0:
                    _add(C, to, columns, bias, q, 0, sums, 0, width, r_count, q_count)
                else:
                    _add(C, to, columns, C, to, columns, sums, 0, width, r_count, q_count)


@jit
def _dot(share, A, B, C, rows, columns, steps):
    """C[r, q] += sum over s of A[r, s] * B[q, s], for one share of the blocks of C."""
    lanes = lanes_of(C)
    vectors = np.empty(DOT_STEPS // lanes, np.int64)
    for i in range(vectors.size):
        vectors[i] = i * lanes
    b_rows = np.empty(DOT_COLUMNS, np.int64)
    for i in range(DOT_COLUMNS):
        b_rows[i] = i * steps
    slabs = -(-rows // DOT_ROWS)
    items = -(-columns // DOT_COLUMNS) * slabs
    first, last = begin(share, items)
    for item in range(first, last):
        r, q = item % slabs * DOT_ROWS, item // slabs * DOT_COLUMNS
        for s in range(0, steps, DOT_STEPS):
            add_dot_products(C, r * columns + q, columns, A, r * steps + s, steps, vectors,
                             B, q * steps + s, b_rows[: min(DOT_COLUMNS, columns - q)], vectors,
                             min(DOT_STEPS, steps - s) // lanes,
                             min(DOT_ROWS, rows - r))  # fmt: skip
