"""Scaled dot-product attention: every query takes a weighted mean of the values.

    scores = scale * query key^T + mask            how well query i fits key j
    weights = softmax of each row of scores        positive, and 1 in sum
    output = dropout(weights) value

Shapes: query (N, H, L, E), key (N, H_kv, S, E), value (N, H_kv, S, E_v), scores and weights
(N, H, L, S), output (N, H, L, E_v). Consecutive heads of the query share one of key and value,
H / H_kv of them ("grouped queries"). The mask broadcasts to the scores: it is added to them, or,
if it is of bools, scores where it is False become -inf. So do those of keys j > i, if causal.
A row of nothing but -inf has weights 0.

Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762; grouped queries:
Ainslie et al. 2023, arXiv:2305.13245.
"""

from typing import NamedTuple

import numpy as np

from tinyvision.kernels import attention_passes as passes
from tinyvision.kernels import attention_tiles as tiles
from tinyvision.kernels import memory
from tinyvision.kernels.hashing import hash_uniform
from tinyvision.kernels.jit import strided, twin_of
from tinyvision.kernels.threads import count_chunks, launch
from tinyvision.kernels.vectors import VECTOR_BYTES

Arrays3 = tuple[np.ndarray, np.ndarray, np.ndarray]
Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]


class Settings(NamedTuple):
    """What there is beside the arrays; the seed determines which weights are dropped."""

    causal: bool
    scale: float
    dropout_p: float = 0.0
    seed: int = 0


def attention_forward_reference(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None,
    settings: Settings,
) -> Arrays3:  # fmt: skip
    """Returns (output, row_maxima, row_sums), the latter two (N, H, L).

    These are each row's largest score and its sum of exp(scores - largest), from which backward
    computes the weights again: exp(scores - largest) / sum. No exponential overflows.
    """
    group = query.shape[1] // max(key.shape[1], 1)
    scores = _scores(query, np.repeat(key, group, axis=1), mask, settings)
    row_maxima = scores.max(axis=3, initial=-np.inf)
    row_sums = _exponentials(scores, row_maxima).sum(axis=3)
    dropped = _weights(scores, row_maxima, row_sums) * _dropout_factors(scores.shape, settings)
    output = dropped.astype(query.dtype) @ np.repeat(value, group, axis=1)
    return output, row_maxima, row_sums


def attention_backward_reference(
    grad_output: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray,
    mask: np.ndarray | None, output: np.ndarray, row_maxima: np.ndarray, row_sums: np.ndarray,
    settings: Settings, needs: tuple[bool, ...],
) -> Gradients:  # fmt: skip
    """Returns the gradients of query, key, value and mask, None for those that `needs` leaves out.

    A row of weights p with gradient g gives its scores the gradient p * (g - sum of p * g).
    """
    key_heads = key.shape[1]
    group = query.shape[1] // max(key_heads, 1)
    key, value = np.repeat(key, group, axis=1), np.repeat(value, group, axis=1)
    scores = _scores(query, key, mask, settings)
    weights = _weights(scores, row_maxima, row_sums)
    factors = _dropout_factors(scores.shape, settings)
    grad_weights = grad_output @ value.swapaxes(2, 3) * factors  # (N, H, L, E_v) @ (.., E_v, S)
    delta = (weights * grad_weights).sum(axis=3, keepdims=True)
    grad_scores = (weights * (grad_weights - delta)).astype(query.dtype)
    dropped = (weights * factors).astype(query.dtype)
    return (
        settings.scale * (grad_scores @ key) if needs[0] else None,
        settings.scale * _sum_groups(grad_scores.swapaxes(2, 3) @ query, key_heads)
        if needs[1]
        else None,
        _sum_groups(dropped.swapaxes(2, 3) @ grad_output, key_heads) if needs[2] else None,
        _sum_to_shape(grad_scores, mask.shape) if needs[3] and mask is not None else None,
    )


def _scores(
    query: np.ndarray, key: np.ndarray, mask: np.ndarray | None, settings: Settings
) -> np.ndarray:
    scores = settings.scale * (query @ key.swapaxes(2, 3))  # (N, H, L, E) @ (N, H, E, S)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if settings.causal:
        scores = np.where(np.tri(*scores.shape[2:]) > 0, scores, -np.inf)
    return scores


def _exponentials(scores: np.ndarray, row_maxima: np.ndarray) -> np.ndarray:
    """exp(scores - row_maxima), and 0, not NaN, in rows of nothing but -inf."""
    shift = np.where(np.isneginf(row_maxima), 0, row_maxima)[..., None]
    with np.errstate(all="ignore"):
        return np.exp(scores - shift)


def _weights(scores: np.ndarray, row_maxima: np.ndarray, row_sums: np.ndarray) -> np.ndarray:
    divisors = np.where(row_sums == 0, 1, row_sums)[..., None]  # the weights are then 0 as they are
    return _exponentials(scores, row_maxima) / divisors


def _sum_groups(grad: np.ndarray, key_heads: int) -> np.ndarray:
    # (N, H, S, E) -> (N, H_kv, H / H_kv, S, E) -> (N, H_kv, S, E)
    N, H, S, E = grad.shape
    return grad.reshape(N, key_heads, H // max(key_heads, 1), S, E).sum(axis=2)


def _sum_to_shape(grad_scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    broadcast = tuple([i for i, n in enumerate(shape) if n == 1])
    return grad_scores.sum(axis=broadcast, keepdims=True)


def _dropout_factors(shape: tuple[int, ...], settings: Settings) -> np.ndarray | float:
    """0 with probability dropout_p, else 1 / (1 - dropout_p), for weights of the shape."""
    p, (N, H, L, S) = settings.dropout_p, shape
    if p == 0:
        return 1.0
    kept = hash_uniform(N * H * L, S, settings.seed).reshape(shape) >= np.float32(p)
    return kept * (0 if p == 1 else 1 / (1 - p))


# How the fast kernel does without the scores and weights is told in attention_passes.py. An item of
# its work is, forward, a block of queries; backward, a head of key and value, whose gradients sum
# over all queries. Either way the result is the same whichever thread does it.

# In a block of queries. More need more of the L1 cache; fewer read the keys and values more often.
MAX_QUERIES = 96


@twin_of(attention_forward_reference)
def attention_forward(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None,
    settings: Settings,
) -> Arrays3:  # fmt: skip
    """Returns (output, row_maxima, row_sums), the latter two (N, H, L).

    In memory the output is (N, L, H, E_v), so that joining the heads of a query costs nothing.
    """
    plan = _plan(query, value)
    if 0 in plan[:7]:
        return attention_forward_reference(query, key, value, mask, settings)
    N, H, _, L, S, E, E_v, block, *_ = plan
    output = memory.empty((N, L, H, E_v), query.dtype).transpose(0, 2, 1, 3)
    row_maxima, row_sums = np.empty((2, N, H, L), query.dtype)
    added, seen = _two_kinds(mask, query.dtype)
    arrays, strides = zip(*map(_flat, (query, key, value, added, seen, output)), strict=True)
    chunks = count_chunks(N * H * -(-L // block), 2 * N * H * L * S * (E + E_v) // 50)
    launch(
        passes.forward, chunks, *arrays, row_maxima.reshape(-1), row_sums.reshape(-1),
        np.array(strides), plan, settings,
    )  # fmt: skip
    return output, row_maxima, row_sums


@twin_of(attention_backward_reference)
def attention_backward(
    grad_output: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray,
    mask: np.ndarray | None, output: np.ndarray, row_maxima: np.ndarray, row_sums: np.ndarray,
    settings: Settings, needs: tuple[bool, ...],
) -> Gradients:  # fmt: skip
    """Returns the gradients of query, key, value and mask, None for those that `needs` leaves out.

    In memory those of query, key and value are (N, L or S, heads, width).
    """
    plan = _plan(query, value)
    if 0 in plan[:7]:
        return attention_backward_reference(
            grad_output, query, key, value, mask, output, row_maxima, row_sums, settings, needs,
        )  # fmt: skip
    N, H, H_kv, L, S, E, E_v, *_ = plan
    none = np.empty((0, 0, 0, 0), query.dtype)
    inputs = (query, key, value)
    buffers = [_padded_like(x) if need else none for x, need in zip(inputs, needs[:3], strict=True)]
    grad_mask = none if mask is None or not needs[3] else np.zeros(mask.shape, query.dtype)
    added, seen = _two_kinds(mask, query.dtype)
    arrays, strides = zip(
        *map(_flat, (*inputs, added, seen, output, grad_output, *buffers, grad_mask)), strict=True
    )
    together = _heads_together(grad_mask.shape, plan)
    chunks = count_chunks(N * H_kv // together, 5 * N * H * L * S * (E + E_v) // 50)
    launch(
        passes.backward, chunks, *arrays, row_maxima.reshape(-1), row_sums.reshape(-1),
        np.array(strides), plan, settings, together,
    )  # fmt: skip
    grad_query, grad_key, grad_value = (
        _trim(buffer, x) if need else None
        for buffer, x, need in zip(buffers, inputs, needs[:3], strict=True)
    )
    return grad_query, grad_key, grad_value, None if grad_mask is none else grad_mask


def _plan(query: np.ndarray, value: np.ndarray) -> tiles.Plan:
    (N, H, L, E), (_, H_kv, S, E_v) = query.shape, value.shape
    lanes, blocks = VECTOR_BYTES // query.itemsize, max(1, -(-L // MAX_QUERIES))
    vectors = -(-L // (blocks * lanes))  # of a block, that all may be about equally large
    return tiles.make_plan(N, H, H_kv, L, S, E, E_v, vectors * lanes, lanes)


def _two_kinds(mask: np.ndarray | None, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The mask, if of floats, and the mask, if of bools, as the bytes they are; else none."""
    added, seen = np.empty((0, 0, 0, 0), dtype), np.empty((0, 0, 0, 0), np.uint8)
    if mask is None:
        return added, seen
    return (added, mask.view(np.uint8)) if mask.dtype == bool else (mask, seen)


def _padded_like(x: np.ndarray) -> np.ndarray:
    """For the gradient of x, in rows of whole vectors: (N, heads, rows, width or more)."""
    N, heads, rows, width = x.shape
    lanes = VECTOR_BYTES // x.itemsize
    buffer = memory.empty((N, rows, heads, -(-width // lanes) * lanes), x.dtype)
    return buffer.transpose(0, 2, 1, 3)


def _trim(buffer: np.ndarray, x: np.ndarray) -> np.ndarray:
    width = x.shape[3]
    return buffer if buffer.shape[3] == width else np.ascontiguousarray(buffer[..., :width])


def _heads_together(mask_shape: tuple[int, ...], plan: tiles.Plan) -> int:
    """How many heads of key and value add to the same numbers of the mask's gradient.

    Heads are counted through all batches first, then on to the next head.
    """
    if mask_shape[:2] in ((0, 0), (plan.N, plan.H)):
        return 1
    return plan.N if mask_shape[1] == plan.H else plan.N * plan.H_kv


def _flat(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """The memory and strides of a 4D array, which is copied if its rows are not in one piece."""
    memory, strides = strided(array)
    return (memory, strides) if strides[3] <= 1 else strided(np.array(array, order="C"))
