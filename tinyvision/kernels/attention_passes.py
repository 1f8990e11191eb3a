"""Attention block by block, so that the scores, queries times keys, never exist all at once.

A softmax divides by the sum of its row, which is known only at the row's end. But sums of
exponentials relative to the greatest score so far can be corrected when a greater one appears. So
the keys are gone through a block at a time, and three things are carried along for each query:

    m, the greatest score; l, the sum of exp(score - m); o, the sum of exp(score - m) * value

A block with the scores s takes these, from -inf, 0 and 0, to

    m' = max(m, s)        p = exp(s - m')        c = exp(m - m')
    l' = c * l + sum of p        o' = c * o + p value

and in the end output = o / l. With m and l of each query, backward computes the weights of any
block again, which is faster than to fetch them from memory would be:

    p = exp(s - m) / l                    d_value += p^T d_output
    d_s = p * (d_output value^T - delta)  d_query += scale * d_s key      d_mask += d_s
                                          d_key += scale * d_s^T query

where delta, for each query, is the sum of p * (d_output value^T) over all keys. Of more keys than a
block has, it is needed before it could be summed; but that of d_output * output is the same, since
output is the sum of p * value. Papers keep one number instead of m and l, m + log(l). Where m is
large, that loses the digits of log(l), and all weights of the row are wrong by the same factor. It
is not the weights that are divided by l but d_output, which is smaller.

With dropout, what is dropped is 0 in the p of o' and of d_value, and in d_output value^T; its
number is hashed again. What is kept is made larger in the values, and in d_output for d_value.

The parts of which this is made, and how it all lies in memory: attention_tiles.py.

Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", arXiv:1805.02867;
Dao et al. 2022, "FlashAttention", arXiv:2205.14135; the order of the loops: Dao 2023,
"FlashAttention-2", arXiv:2307.08691.
"""

import numpy as np

from tinyvision.kernels.attention_tiles import (
    GRAD_OUTPUT,
    KEYS,
    OUTPUT,
    QUERY,
    TO_KEY,
    TO_MASK,
    TO_QUERY,
    TO_VALUE,
    add_sum_over_queries,
    clear_rows,
    copy_keys,
    copy_rows,
    dot_rows_with_columns,
    drop,
    kept_factor,
    locate,
    score,
    sum_over_keys,
    transpose,
)
from tinyvision.kernels.jit import jit, jit_part
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    fma,
    lanes_of,
    load,
    maximum,
    mul,
    splat,
    store,
    store_part,
    sub,
    where_greater,
)
from tinyvision.kernels.vector_math import exp_of_negative

# Forward ----------------------------------------------------------------------------------------


@jit
def forward(
    chunk, query, key, value, added, seen, output, row_maxima, row_sums, strides, plan, settings
):
    """output, m and l of some blocks of queries."""
    work = np.empty(plan.size, query.dtype)
    blocks = -(-plan.L // plan.block)
    items = plan.N * plan.H * blocks
    first, last = begin(chunk, items)
    for item in range(first, last):
        head, q = item // blocks, item % blocks * plan.block
        n, h = head // plan.H, head % plan.H
        _attend(work, plan, query, key, value, added, seen, strides, settings, n, h, q)
        at, row = locate(strides, OUTPUT, n, h, q)
        _finish(work, plan, output, at, row, min(plan.block, plan.L - q))
        for i in range(min(plan.block, plan.L - q)):
            row_maxima[head * plan.L + q + i] = work[plan.row_max + i]
            row_sums[head * plan.L + q + i] = work[plan.row_sum + i]


@jit_part
def _attend(work, plan, query, key, value, added, seen, strides, settings, n, h, q):
    """m, l and o, in `work`, of one block of queries."""
    block, width, E, E_v = plan.block, plan.width, plan.E, plan.E_v
    queries, h_kv = min(block, plan.L - q), h // (plan.H // plan.H_kv)
    kept = kept_factor(settings.dropout_p)
    for i in range(block):
        work[plan.row_max + i], work[plan.row_sum + i] = -np.inf, 0
    at, row = locate(strides, QUERY, n, h, q)
    transpose(work, plan.query_columns, block, query, at, row, queries, E)
    end = min(plan.S, q + queries) if settings.causal else plan.S
    for k in range(0, end, KEYS):
        keys = min(KEYS, end - k)
        copy_keys(work, plan, key, value, strides, settings.scale, kept, n, h_kv, k, keys)
        score(work, plan, added, seen, strides, settings.causal, n, h, q, queries, k, keys)
        _exponentiate(work, plan, queries, keys)
        if settings.dropout_p > 0:
            row = (n * plan.H + h) * plan.L + q
            drop(work, plan.scores, block, queries, keys, row, k, settings.dropout_p,
                  settings.seed)  # fmt: skip
        if k > 0:
            _scale_rows(work, plan.sums, width, plan.rescale, queries)
        sum_over_keys(work, plan.sums, width, work, plan, plan.scores, plan.value_rows, E_v, keys,
                       queries, k > 0)  # fmt: skip


@jit_part
def _exponentiate(work, plan, queries, keys):
    """The step to m', l' and p, which takes the place of the scores; c is left in plan.rescale."""
    number, block = work.dtype.type, plan.block
    zero, lowest = splat(number(0)), splat(number(-np.inf))
    for v in range(0, queries, lanes_of(work)):
        first, last = plan.scores + v, plan.scores + v + keys * block
        before = load(work, plan.row_max + v)
        row_max = before
        for at in range(first, last, block):
            row_max = maximum(row_max, load(work, at))
        # If all scores are -inf so far, their exponentials are to be 0: -inf - 0 does that.
        shift = where_greater(row_max, lowest, row_max, zero)
        factor = exp_of_negative(sub(before, shift))
        summed = mul(factor, load(work, plan.row_sum + v))
        for at in range(first, last, block):
            weight = exp_of_negative(sub(load(work, at), shift))
            store(work, at, weight)
            summed = add(summed, weight)
        store(work, plan.row_max + v, row_max)
        store(work, plan.row_sum + v, summed)
        store(work, plan.rescale + v, factor)


@jit_part
def _scale_rows(work, rows, width, factors, count):
    for i in range(count):
        factor = splat(work[factors + i])
        for at in range(rows + i * width, rows + (i + 1) * width, lanes_of(work)):
            store(work, at, mul(factor, load(work, at)))


@jit_part
def _finish(work, plan, output, at, row, queries):
    """output = o / l, and 0 where l is."""
    for i in range(queries):
        total = work[plan.row_sum + i]
        factor = splat(work.dtype.type(1 / total if total != 0 else 0.0))
        for d in range(0, plan.E_v, lanes_of(work)):
            values = mul(factor, load(work, plan.sums + i * plan.width + d))
            store_part(output, at + i * row + d, values, plan.E_v - d)


# Backward ---------------------------------------------------------------------------------------


@jit
def backward(
    chunk, query, key, value, added, seen, output, grad_output, grad_query, grad_key,
    grad_value, grad_mask, row_maxima, row_sums, strides, plan, settings, together,
):  # fmt: skip
    """The gradients of some heads of keys and values, with all queries that share them.

    Arrays of gradients that are not needed are empty. A number in that of the mask is added to by
    `together` consecutive heads, which therefore are in one chunk.
    """
    work = np.empty(plan.size, query.dtype)
    group, parts = plan.H // plan.H_kv, plan.N * plan.H_kv // together
    first, last = begin(chunk, parts)
    for item in range(first * together, last * together):
        n, h_kv = item % plan.N, item // plan.N
        if grad_key.size > 0:
            at, row = locate(strides, TO_KEY, n, h_kv, 0)
            clear_rows(grad_key, at, row, plan.S, plan.E)
        if grad_value.size > 0:
            at, row = locate(strides, TO_VALUE, n, h_kv, 0)
            clear_rows(grad_value, at, row, plan.S, plan.E_v)
        for h in range(h_kv * group, (h_kv + 1) * group):
            for q in range(0, plan.L, plan.block):
                _prepare_queries(
                    work, plan, query, output, grad_output, row_maxima, row_sums, strides, settings,
                    n, h, q,
                )  # fmt: skip
                _go_back(
                    work, plan, key, value, added, seen, grad_query, grad_key, grad_value,
                    grad_mask, strides, settings, n, h, q,
                )  # fmt: skip


@jit_part
def _prepare_queries(
    work, plan, query, output, grad_output, row_maxima, row_sums, strides, settings, n, h, q
):
    """Rows and columns of query and d_output / l; m, delta / l and 1 / l where the plan says."""
    block, width, queries = plan.block, plan.width, min(plan.block, plan.L - q)
    at, row = locate(strides, QUERY, n, h, q)
    transpose(work, plan.query_columns, block, query, at, row, queries, plan.E)
    copy_rows(work, plan.query_rows, width, query, at, row, queries, plan.E, settings.scale)
    at, row = locate(strides, GRAD_OUTPUT, n, h, q)
    for i in range(queries):
        number = (n * plan.H + h) * plan.L + q + i
        row_max, row_sum = row_maxima[number], row_sums[number]
        # As in forward: of a row of nothing but -inf the weights are to be 0.
        work[plan.row_max + i] = row_max if row_max != -np.inf else 0
        rescale = 1 / row_sum if row_sum != 0 else 0.0
        work[plan.rescale + i] = rescale
        copy_rows(
            work, plan.grad_rows + i * width, width, grad_output, at + i * row, row, 1, plan.E_v,
            rescale,
        )  # fmt: skip
    transpose(work, plan.grad_columns, block, work, plan.grad_rows, width, queries, plan.E_v)
    if plan.S > KEYS:
        at, row = locate(strides, OUTPUT, n, h, q)
        transpose(work, plan.sums, block, output, at, row, queries, plan.E_v)
        _find_delta(work, plan, queries)
    if settings.dropout_p > 0:
        copy_rows(work, plan.grad_rows, width, work, plan.grad_rows, width, queries, plan.E_v,
                  kept_factor(settings.dropout_p))  # fmt: skip


@jit_part
def _find_delta(work, plan, queries):
    """delta / l, from the columns of d_output / l and of the output.

    It is summed in the order of the product d_output value^T. So where one key has all the weight,
    and the output is its value, both are equal to the last bit, and d_s is 0 as it should be.
    """
    for v in range(0, queries, lanes_of(work)):
        delta = splat(work.dtype.type(0))
        for at in range(v, v + plan.E_v * plan.block, plan.block):
            delta = fma(load(work, plan.grad_columns + at), load(work, plan.sums + at), delta)
        store(work, plan.row_sum + v, delta)


@jit_part
def _go_back(
    work, plan, key, value, added, seen, grad_query, grad_key, grad_value, grad_mask,
    strides, settings, n, h, q,
):  # fmt: skip
    """What one block of queries adds to the gradients."""
    block, E, E_v = plan.block, plan.E, plan.E_v
    weights, grads, p, seed = plan.scores, plan.other, settings.dropout_p, settings.seed
    queries, h_kv, kept = min(block, plan.L - q), h // (plan.H // plan.H_kv), kept_factor(p)
    number = (n * plan.H + h) * plan.L + q  # of the first row
    end = min(plan.S, q + queries) if settings.causal else plan.S
    for k in range(0, end, KEYS):
        keys = min(KEYS, end - k)
        copy_keys(work, plan, key, value, strides, settings.scale, kept, n, h_kv, k, keys)
        score(work, plan, added, seen, strides, settings.causal, n, h, q, queries, k, keys)
        dot_rows_with_columns(
            work, plan, grads, plan.value_rows, plan.grad_columns, E_v, keys, queries
        )
        if p > 0:
            drop(work, grads, block, queries, keys, number, k, p, seed)
        _recompute_weights(work, plan, queries, keys)
        if p > 0:
            drop(work, weights, block, queries, keys, number, k, p, seed)
        if grad_value.size > 0:
            at, row = locate(strides, TO_VALUE, n, h_kv, k)
            add_sum_over_queries(grad_value, at, row, work, plan, weights, plan.grad_rows,
                                  E_v, keys, queries)  # fmt: skip
        if grad_key.size > 0:
            at, row = locate(strides, TO_KEY, n, h_kv, k)
            add_sum_over_queries(grad_key, at, row, work, plan, grads, plan.query_rows,
                                  E, keys, queries)  # fmt: skip
        if grad_query.size > 0:
            at, row = locate(strides, TO_QUERY, n, h, q)
            sum_over_keys(grad_query, at, row, work, plan, grads, plan.key_rows, E, keys, queries,
                           k > 0)  # fmt: skip
        if grad_mask.size > 0:
            (at, row), column = locate(strides, TO_MASK, n, h, q), strides[TO_MASK, 3]
            _add_to_mask(grad_mask, at + k * column, row, column, work, grads, block, queries, keys)


@jit_part
def _recompute_weights(work, plan, queries, keys):
    """l * p and d_s from the scores and d_output / l value^T, in the place of these."""
    to_grads = plan.other - plan.scores
    for v in range(0, queries, lanes_of(work)):
        shift, delta = load(work, plan.row_max + v), load(work, plan.row_sum + v)
        first, last = plan.scores + v, plan.scores + v + keys * plan.block
        if plan.S <= KEYS:
            summed = splat(work.dtype.type(0))
            for at in range(first, last, plan.block):
                weight = exp_of_negative(sub(load(work, at), shift))
                store(work, at, weight)
                summed = fma(weight, load(work, at + to_grads), summed)
            delta = mul(load(work, plan.rescale + v), summed)
            for at in range(first, last, plan.block):
                grad = sub(load(work, at + to_grads), delta)
                store(work, at + to_grads, mul(load(work, at), grad))
        else:
            for at in range(first, last, plan.block):
                weight = exp_of_negative(sub(load(work, at), shift))
                store(work, at, weight)
                store(work, at + to_grads, mul(weight, sub(load(work, at + to_grads), delta)))


@jit_part
def _add_to_mask(target, at, row, column, work, grads, block, queries, keys):
    """target[i, j] += grads[j, i]; where the mask was broadcast, a stride is 0."""
    for j in range(keys):
        for i in range(queries):
            target[at + i * row + j * column] += work[grads + j * block + i]
