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

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]


class Settings(NamedTuple):
    """What there is beside the arrays; the seed determines which weights are dropped."""

    causal: bool
    scale: float
    dropout_p: float = 0.0
    seed: int = 0


def attention_forward_reference(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None,
    settings: Settings,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (output, logsumexp), the latter being log(sum of exp(scores)), (N, H, L)."""
    group = query.shape[1] // max(key.shape[1], 1)
    scores = _scores(query, np.repeat(key, group, axis=1), mask, settings)
    logsumexp = _logsumexp(scores)
    dropped = _weights(scores, logsumexp) * _dropout_factors(scores.shape, settings)
    output = dropped.astype(query.dtype) @ np.repeat(value, group, axis=1)
    return output, logsumexp


def attention_backward_reference(
    grad_output: np.ndarray,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None,
    output: np.ndarray,
    logsumexp: np.ndarray,
    settings: Settings,
    needs: tuple[bool, ...],
) -> Gradients:
    """Returns the gradients of query, key, value and mask, None for those that `needs` leaves out.

    A row of weights p with gradient g gives its scores the gradient p * (g - sum of p * g). The
    sum is that of grad_output * output over the row of these, since output is linear in p.
    """
    key_heads = key.shape[1]
    group = query.shape[1] // max(key_heads, 1)
    key, value = np.repeat(key, group, axis=1), np.repeat(value, group, axis=1)
    scores = _scores(query, key, mask, settings)
    weights = _weights(scores, logsumexp)
    factors = _dropout_factors(scores.shape, settings)
    grad_weights = grad_output @ value.swapaxes(2, 3) * factors  # (N, H, L, E_v) @ (.., E_v, S)
    row_sums = (grad_output * output).sum(axis=3, keepdims=True)
    grad_scores = (weights * (grad_weights - row_sums)).astype(query.dtype)
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


def _logsumexp(scores: np.ndarray) -> np.ndarray:
    """log(sum of exp(scores)) of each row, by way of its largest, so that exp does not overflow."""
    with np.errstate(all="ignore"):
        largest = _finite(scores.max(axis=3, keepdims=True, initial=-np.inf))
        return np.squeeze(largest + np.log(np.exp(scores - largest).sum(axis=3, keepdims=True)), 3)


def _weights(scores: np.ndarray, logsumexp: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.exp(scores - _finite(logsumexp)[..., None])


def _finite(x: np.ndarray) -> np.ndarray:
    """0 for -inf, so that in a row of nothing but -inf exp(-inf - x) is 0, and not NaN."""
    return np.where(np.isneginf(x), 0, x)


def _sum_groups(grad: np.ndarray, key_heads: int) -> np.ndarray:
    # (N, H, S, E) -> (N, H_kv, H / H_kv, S, E) -> (N, H_kv, S, E)
    N, H, S, E = grad.shape
    return grad.reshape(N, key_heads, H // max(key_heads, 1), S, E).sum(axis=2)


def _sum_to_shape(grad_scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    broadcast = tuple([i for i, n in enumerate(shape) if n == 1])
    return grad_scores.sum(axis=broadcast, keepdims=True)


def _dropout_factors(shape: tuple[int, ...], settings: Settings) -> np.ndarray | float:
    """0 with probability p, else 1 / (1 - p), for weights of the shape (N, H, L, S).

    Not a stream of random numbers but a hash of seed, row and column, so that any part of it can
    be computed at any time: the fast kernel does so in forward and backward, and stores nothing.
    """
    p, seed = settings.dropout_p, settings.seed
    if p == 0:
        return 1.0
    S = shape[3]
    rows = np.arange(np.prod(shape[:3]), dtype=np.uint32)[:, None]
    columns = np.arange(S, dtype=np.uint32)
    row_bits = _mix(rows + np.uint32(seed & 0xFFFFFFFF)) ^ np.uint32(seed >> 32)
    bits = _mix(row_bits ^ columns * np.uint32(0x9E3779B9))
    uniform = (bits >> np.uint32(8)) * 2.0**-24  # in [0, 1)
    kept = (uniform >= p).reshape(shape)
    return kept * (0 if p == 1 else 1 / (1 - p))


def _mix(x: np.ndarray) -> np.ndarray:
    """A hash of 32 bits to 32 bits in which each bit depends on all.

    Source: Wellons 2018, "Prospecting for hash functions", lowbias32 (public domain).
    """
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)


# The fast kernel follows.
attention_forward = attention_forward_reference
attention_backward = attention_backward_reference
