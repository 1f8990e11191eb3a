"""The parts of tiled attention: products of blocks, rows brought into place, masks and dropout.

A block of scores is kept as scores[j * block + i], of key j and query i: the queries are in the
lanes of vectors, so that maxima and sums over keys go lane by lane. Whole vectors are computed;
lanes beyond the last query hold what nobody reads. Rows of queries, keys and values are copied to
a block before their use, padded to whole vectors, from wherever they lie: the views of one array
that a joint projection of query, key and value makes are as good as any other.
"""

import itertools
from typing import NamedTuple

import numpy as np

from tinyvision.kernels.hashing import uniform
from tinyvision.kernels.jit import jit_part
from tinyvision.kernels.microkernel import multiply_rows
from tinyvision.kernels.register_blocks import store_transposed
from tinyvision.kernels.simd import (
    add,
    lanes_of,
    load,
    load_part,
    mul,
    splat,
    store,
    where_greater,
)

KEYS = 128  # of a block

# The arrays that come from outside, in the order of the arguments: strides[KEY] tells how far apart
# (batches, heads, rows, columns) of the key lie.
QUERY, KEY, VALUE, ADDED, SEEN, OUTPUT, GRAD_OUTPUT, TO_QUERY, TO_KEY, TO_VALUE, TO_MASK = range(11)


class Plan(NamedTuple):
    """The sizes, called as in attention.py, and what lies where in the memory of a thread."""

    N: int
    H: int
    H_kv: int
    L: int
    S: int
    E: int
    E_v: int
    block: int  # how many queries a block has: whole vectors
    width: int  # of rows: E or E_v, whatever is more, in whole vectors
    scores: int  # [j * block + i], later the weights
    other: int  # the same of the mask, or of d_scores
    query_columns: int  # [d * block + i]
    grad_columns: int  # the same of d_output
    query_rows: int  # [i * width + d]
    grad_rows: int
    key_rows: int  # [j * width + d]
    value_rows: int
    sums: int  # o of attention_passes.py: [i * width + d]; backward, the output: [d * block + i]
    row_max: int  # m: [i]
    row_sum: int  # l; backward, delta / l
    rescale: int  # c; backward, 1 / l
    size: int  # of all


def make_plan(N, H, H_kv, L, S, E, E_v, block, lanes) -> Plan:
    """Lay out the memory of a thread: one array for all that a block needs."""
    width = -(-max(E, E_v) // lanes) * lanes
    sizes = (
        [KEYS * block] * 2
        + [block * width] * 4
        + [KEYS * width] * 2
        + [block * width]
        + [block] * 3
    )
    ends = list(itertools.accumulate(sizes))
    return Plan(N, H, H_kv, L, S, E, E_v, block, width, 0, *ends)


# Three kinds of products ------------------------------------------------------------------------


@jit_part
def dot_rows_with_columns(work, plan, target, rows, columns, length, keys, queries):
    """target[j, i] = sum over d of rows[j, d] * columns[d, i]"""
    vectors = -(-queries // lanes_of(work))
    multiply_rows(work, target, plan.block, work, rows, plan.width, 1, work, columns,
                  plan.block, 0, length, keys, vectors, False)  # fmt: skip


@jit_part
def sum_over_keys(target, at, row, work, plan, scores, rows, length, keys, queries, onto):
    """target[i, d] = (itself if `onto`, else 0) + sum over j of scores[j, i] * rows[j, d]"""
    vectors = -(-length // lanes_of(work))
    multiply_rows(target, at, row, work, scores, 1, plan.block, work, rows, plan.width, 0, keys,
                  queries, vectors, onto)  # fmt: skip


@jit_part
def add_sum_over_queries(target, at, row, work, plan, scores, rows, length, keys, queries):
    """target[j, d] += sum over i of scores[j, i] * rows[i, d]"""
    vectors = -(-length // lanes_of(work))
    multiply_rows(target, at, row, work, scores, plan.block, 1, work, rows, plan.width,
                  0, queries, keys, vectors, True)  # fmt: skip


# Moving rows ------------------------------------------------------------------------------------


@jit_part
def locate(strides, array, n, h, row):
    """Where a row of a head begins in its array, and how far from there the next row does."""
    to_row = strides[array, 2]
    return n * strides[array, 0] + h * strides[array, 1] + row * to_row, to_row


@jit_part
def copy_rows(work, to, width, source, at, row, count, length, factor):
    """work[to][i, d] = factor * source[i, d], and 0 up to a whole vector."""
    lanes, factors = lanes_of(work), splat(work.dtype.type(factor))
    for i in range(count):
        for d in range(0, length, lanes):
            values = load_part(source, at + i * row + d, length - d)
            store(work, to + i * width + d, mul(factors, values))


@jit_part
def copy_keys(work, plan, key, value, strides, scale, kept, n, h, k, keys):
    """The rows of a block of keys and of their values, times scale and times kept."""
    at, row = locate(strides, KEY, n, h, k)
    copy_rows(work, plan.key_rows, plan.width, key, at, row, keys, plan.E, scale)
    at, row = locate(strides, VALUE, n, h, k)
    copy_rows(work, plan.value_rows, plan.width, value, at, row, keys, plan.E_v, kept)


@jit_part
def transpose(work, to, block, source, at, row, count, length):
    """work[to][d, i] = source[i, d], and anything for i >= count up to a whole vector."""
    lanes, one = lanes_of(work), splat(work.dtype.type(1))
    for i in range(0, count, lanes):
        for d in range(0, length, lanes):
            store_transposed(work, to + d * block + i, block, source, at + i * row + d, row,
                             count - i, length - d, one)  # fmt: skip


@jit_part
def clear_rows(target, at, row, count, length):
    lanes, zero = lanes_of(target), splat(target.dtype.type(0))
    for i in range(count):
        for d in range(0, length, lanes):
            store(target, at + i * row + d, zero)


# Scores and weights -----------------------------------------------------------------------------


@jit_part
def score(work, plan, added, seen, strides, causal, n, h, q, queries, k, keys):
    """The block of scores, masked, of the query columns and key rows there are."""
    block, scores, end = plan.block, plan.scores, plan.scores + keys * plan.block
    dot_rows_with_columns(
        work, plan, scores, plan.key_rows, plan.query_columns, plan.E, keys, queries
    )
    if added.size > 0:
        (at, row), column = locate(strides, ADDED, n, h, q), strides[ADDED, 3]
        _lay_out_mask(work, plan.other, block, added, at + k * column, row, column, queries, keys)
        _add(work, scores, end, plan.other)
    elif seen.size > 0:
        (at, row), column = locate(strides, SEEN, n, h, q), strides[SEEN, 3]
        _lay_out_mask(work, plan.other, block, seen, at + k * column, row, column, queries, keys)
        _hide_unseen(work, scores, end, plan.other)
    elif causal and k + keys > q:
        _hide_future(work, scores, block, queries, keys, q - k)


@jit_part
def _lay_out_mask(work, to, block, mask, at, row, column, queries, keys):
    """The mask of a block, laid out like the scores."""
    if column == 1:
        transpose(work, to, block, mask, at, row, queries, keys)
    else:  # one number for all keys
        for j in range(keys):
            for i in range(queries):
                work[to + j * block + i] = mask[at + i * row]


@jit_part
def _add(work, scores, end, added):
    for at in range(0, end - scores, lanes_of(work)):
        store(work, scores + at, add(load(work, scores + at), load(work, added + at)))


@jit_part
def _hide_unseen(work, scores, end, seen):
    number = work.dtype.type
    zero, hidden = splat(number(0)), splat(number(-np.inf))
    for at in range(0, end - scores, lanes_of(work)):
        visible = where_greater(load(work, seen + at), zero, load(work, scores + at), hidden)
        store(work, scores + at, visible)


@jit_part
def _hide_future(work, scores, block, queries, keys, first):
    """Query i sees no key j > first + i."""
    for j in range(keys):
        row = work[scores + j * block : scores + j * block + min(max(j - first, 0), queries)]
        for i in range(row.size):
            row[i] = -np.inf


@jit_part
def kept_factor(dropout_p):
    """What dropout multiplies the rest by, so that the mean stays the same."""
    return 1 / (1 - dropout_p) if dropout_p < 1 else 0.0


@jit_part
def drop(work, values, block, queries, keys, row, column, dropout_p, seed):
    """0 in place of what dropout takes; row and column are those of the first query and key."""
    number = work.dtype.type
    zero, p = splat(number(0)), splat(number(np.float32(dropout_p)))
    for v in range(0, queries, lanes_of(work)):
        for j in range(keys):
            at = values + j * block + v
            random = uniform(zero, row + v, column + j, seed)
            store(work, at, where_greater(p, random, zero, load(work, at)))
