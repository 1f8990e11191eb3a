"""Attention."""

from __future__ import annotations

import math

import numpy as np

from tinyvision.checks import broadcast_shape
from tinyvision.dtypes import TORCH_NAMES
from tinyvision.kernels.attention import Settings
from tinyvision.nn.functional.arguments import as_number, check_bool, check_optional, check_tensors
from tinyvision.ops.attention import ScaledDotProductAttention
from tinyvision.random import stream
from tinyvision.tensor import Tensor

_NAME = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale * query key^T + attn_mask) value: a mean of the values for every query.

    A mask of bools hides the keys where it is False, one of floats is added; is_causal hides
    key j from query i < j. A query that sees no key gets zeros. The softmax's weights are
    dropped with probability dropout_p, always: pass 0 in evaluation. scale is 1 / sqrt(E) by
    default. With enable_gqa key and value may have fewer heads, each for a group of queries.

    Shapes: query (..., L, E), key (..., S, E), value (..., S, E_v), result (..., L, E_v), where
    leading dims, the heads among them, broadcast; attn_mask broadcasts to (..., L, S).
    Memory: beyond inputs and result O(L), since the L x S scores never exist all at once.
    Raises: RuntimeError for shapes or dtypes that do not fit together, a mask that is_causal
    already makes, dropout_p outside [0, 1]; IndexError for a mask of less than two dims.
    """
    _check_tensors(query, key, value, attn_mask)
    check_bool(_NAME, "is_causal", is_causal)
    check_bool(_NAME, "enable_gqa", enable_gqa)
    p = as_number(_NAME, "dropout_p", dropout_p)
    if not 0 <= p <= 1:
        raise RuntimeError(f"{_NAME}: dropout probability has to be between 0 and 1, but got {p}")
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"{_NAME}: Explicit attn_mask should not be set when is_causal=True")
    if scale is None:
        scale = 1 / math.sqrt(max(query.shape[-1], 1))
    query, key, value = _broadcast(query, key, value, enable_gqa)
    mask = None if attn_mask is None else _broadcast_mask(attn_mask, query, key)
    shape = *query.shape[:-1], value.shape[-1]
    seed = int(stream(None).integers(2**63)) if p > 0 else 0
    arguments = [None if x is None else _as_4d(x, enable_gqa) for x in (query, key, value, mask)]
    settings = Settings(is_causal, float(as_number(_NAME, "scale", scale)), float(p), seed)
    output = ScaledDotProductAttention.apply(*arguments, settings=settings)
    return output if output.shape == shape else output.reshape(shape)


def _broadcast(query: Tensor, key: Tensor, value: Tensor, gqa: bool) -> tuple[Tensor, ...]:
    """Query, key and value with the same leading dims, but for the heads with gqa."""
    own = 3 if gqa else 2  # the last dims, which each has for itself
    if min(query.ndim, key.ndim, value.ndim) < own:
        raise IndexError(
            f"{_NAME}: enable_gqa expects tensors of shape (..., heads, length, width)"
        )
    lead: tuple[int, ...] = ()
    for x in (query, key, value):
        lead = broadcast_shape(lead, x.shape[:-own])
    query, key, value = (_expand(x, (*lead, *x.shape[-own:])) for x in (query, key, value))
    if gqa:
        _check_heads(query, key, value)
        if key.shape[-3] != value.shape[-3]:
            heads = query.shape[-3]
            key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
    return query, key, value


def _check_heads(query: Tensor, key: Tensor, value: Tensor) -> None:
    heads = query.shape[-3]
    for argument, x in (("key", key), ("value", value)):
        if x.shape[-3] == 0 or heads % x.shape[-3]:
            raise RuntimeError(
                f"{_NAME}: Number of heads in key and value must divide the number of heads in "
                f"query, but {argument} {x.shape} has {x.shape[-3]} and query {query.shape} {heads}"
            )


def _expand(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else x.expand(shape)


def _broadcast_mask(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """The mask with as many dims as the scores, each of their size or 1."""
    scores = *query.shape[:-1], key.shape[-2]
    if mask.ndim < 2:
        raise IndexError(f"{_NAME}: attn_mask must have at least 2 dims, but has {mask.ndim}")
    if mask.ndim > len(scores) or broadcast_shape(scores, mask.shape) != scores:
        raise RuntimeError(
            f"{_NAME}: attn_mask {mask.shape} does not broadcast to the scores' shape {scores}"
        )
    if mask.dtype.kind != "b":
        mask = mask.to(query.dtype)
    mask = mask.reshape((1,) * (len(scores) - mask.ndim) + mask.shape)
    if mask.shape[:-3] not in (scores[:-3], (1,) * (len(scores) - 3)):
        mask = mask.expand(*scores[:-3], *mask.shape[-3:])  # dims that are to be merged
    return mask


def _as_4d(x: Tensor, gqa: bool) -> Tensor:
    """(..., H, L, E) -> (N, H, L, E); without heads, (..., L, E) -> (N, 1, L, E)."""
    if x.ndim == 4:
        return x
    if x.ndim == 3 and not gqa:
        return x.unsqueeze(1)
    shape = (1, 1, *x.shape)[-max(x.ndim, 4) :]
    return x.reshape(math.prod(shape[:-3]), *shape[-3:])


def _check_tensors(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    check_tensors(_NAME, query=query, key=key, value=value)
    check_optional(_NAME, attn_mask=mask)
    shapes = f"query {query.shape}, key {key.shape} and value {value.shape}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            f"{_NAME}: Expected query, key, and value to all be at least 2 dimensional, but got "
            f"{shapes}"
        )
    dtypes = [TORCH_NAMES[x.dtype] for x in (query, key, value)]
    if len(set(dtypes)) > 1:
        raise RuntimeError(
            f"{_NAME}: Expected query, key, and value to have the same dtype, but got {dtypes}"
        )
    if not query.is_floating_point():
        raise RuntimeError(f"{_NAME}: expected scalar type Float but found {dtypes[0]}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{_NAME}: query and key must agree in the last dim, key and value in the one before, "
            f"but got {shapes}"
        )
    if mask is not None and mask.dtype not in (np.bool_, np.float32, query.dtype):
        raise RuntimeError(
            f"{_NAME}: Expected attn_mask dtype to be bool or float or to match query dtype, but "
            f"got {TORCH_NAMES[mask.dtype]} and {dtypes[0]}"
        )
