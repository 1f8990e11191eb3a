"""Multi-head attention: several attentions side by side, each in a space of its own.

Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762, section 3.2.
"""

from __future__ import annotations

import math
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.creation import zeros
from tinyvision.functions.joining import cat
from tinyvision.nn import init
from tinyvision.nn.linear import Linear
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor


class MultiheadAttention(Module):
    """head_h = softmax(q_h k_h^T / sqrt(D)) v_h for q_h = query Wq_h^T, k_h, v_h likewise;
    output = (head_1, ..., head_H) W_out^T, with D = embed_dim / num_heads.

    kdim, vdim: widths of key and value, embed_dim by default. add_bias_kv appends a learned key
    and value, add_zero_attn ones of zeros. dropout is of the softmax's weights, in training.

    Shapes: query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), output like query;
    with batch_first N comes first, and without a batch it is missing everywhere.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.embed_dim = as_int(embed_dim, "MultiheadAttention", "embed_dim")
        self.num_heads = as_int(num_heads, "MultiheadAttention", "num_heads")
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads != 0:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.head_dim = embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else as_int(kdim, "MultiheadAttention", "kdim")
        self.vdim = embed_dim if vdim is None else as_int(vdim, "MultiheadAttention", "vdim")
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self._make_parameters(bias, add_bias_kv, {"device": device, "dtype": dtype})
        self._reset_parameters()

    def _make_parameters(self, bias: bool, add_bias_kv: bool, options: dict[str, Any]) -> None:
        E = self.embed_dim
        self._one_matrix = self.kdim == E and self.vdim == E
        names = {"q_proj_weight": E, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        for name, width in names.items():
            separate = None if self._one_matrix else new_parameter(E, width, **options)
            self.register_parameter(name, separate)
        # Wq, Wk and Wv on top of each other: one product for all three of self-attention.
        packed = new_parameter(3 * E, E, **options) if self._one_matrix else None
        self.register_parameter("in_proj_weight", packed)
        self.register_parameter("in_proj_bias", new_parameter(3 * E, **options) if bias else None)
        self.out_proj = Linear(E, E, bias=bias, **options)
        for name in ("bias_k", "bias_v"):
            extra = new_parameter(1, 1, E, **options) if add_bias_kv else None
            self.register_parameter(name, extra)

    def _reset_parameters(self) -> None:
        for weight in (
            self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        ):  # fmt: skip
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns (output, weights); without need_weights, weights is None, which is faster.

        key_padding_mask: (N, S), attn_mask: (L, S) or (N * num_heads, L, S). True, or -inf, hides
        a key; other floats are added to the scores. is_causal says that attn_mask is causal.
        Weights: (N, L, S), the mean over the heads, or (N, num_heads, L, S).
        """
        unbatched = self._check_inputs(query, key, value)
        if is_causal and attn_mask is None:
            raise RuntimeError("MultiheadAttention: is_causal is a hint that needs an attn_mask")
        q, k, v = self._project(query, key, value, unbatched)  # (N, num_heads, L or S, head_dim)
        if unbatched and key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None if causal else self._merge_masks(q, k, attn_mask, key_padding_mask)
        k, v, mask = self._append_keys(k, v, mask)
        p = self.dropout if self.training else 0.0
        if need_weights:
            output, weights = _attention_with_weights(q, k, v, mask, p)
            weights = weights.mean(dim=1) if average_attn_weights else weights
        else:
            output = F.scaled_dot_product_attention(q, k, v, mask, p, causal)
            weights = None
        output = self.out_proj(self._join_heads(output))
        if not unbatched:
            return output, weights
        batch = 0 if self.batch_first else 1
        return output.squeeze(batch), None if weights is None else weights.squeeze(0)

    def _check_inputs(self, query: Tensor, key: Tensor, value: Tensor) -> bool:
        """Whether there is no batch. AssertionErrors are PyTorch's."""
        shapes = f"query {query.shape}, key {key.shape} and value {value.shape}"
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            raise AssertionError(
                f"MultiheadAttention: expected three tensors of 3 dims, or of 2 without a batch, "
                f"got {shapes}"
            )
        widths = (query.shape[-1], key.shape[-1], value.shape[-1])
        if widths != (self.embed_dim, self.kdim, self.vdim):
            raise AssertionError(
                f"MultiheadAttention: was expecting embedding dimensions of {self.embed_dim}, "
                f"{self.kdim} and {self.vdim}, but got {shapes}"
            )
        if key.shape[:-1] != value.shape[:-1]:
            raise AssertionError(
                f"MultiheadAttention: sequence and batch dims of key and value differ: {shapes}"
            )
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and query.shape[batch] != key.shape[batch]:
            raise RuntimeError(f"MultiheadAttention: batch sizes differ: {shapes}")
        return query.ndim == 2

    def _project(self, query: Tensor, key: Tensor, value: Tensor, unbatched: bool) -> list[Tensor]:
        """The heads' queries, keys and values: views (N, num_heads, L or S, head_dim)."""
        heads = (self.num_heads, self.head_dim)
        if self._one_matrix and key is query and value is query:
            packed = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            # (..., 3 * E) -> (..., 3, num_heads, head_dim) -> three of (..., num_heads, head_dim)
            parts = packed.unflatten(-1, (3, *heads)).unbind(-3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            if self._one_matrix:
                weights = self.in_proj_weight.chunk(3)
            biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
            inputs = zip((query, key, value), weights, biases, strict=True)
            parts = tuple(F.linear(x, w, b).unflatten(-1, heads) for x, w, b in inputs)
        batch = 0 if self.batch_first else 1
        if unbatched:
            parts = tuple(part.unsqueeze(batch) for part in parts)
        order = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)
        return [part.permute(order) for part in parts]

    def _join_heads(self, output: Tensor) -> Tensor:
        """(N, num_heads, L, head_dim) -> (N, L, E) or (L, N, E)."""
        order = (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)
        return output.permute(order).flatten(2)

    def _merge_masks(
        self, q: Tensor, k: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None
    ) -> Tensor | None:
        """The sum of both, as what is added to the scores (N, num_heads, L, S)."""
        (N, H, L, _), S = q.shape, k.shape[2]
        merged = None
        if attn_mask is not None:
            if attn_mask.shape not in ((L, S), (N * H, L, S)):
                raise RuntimeError(
                    f"MultiheadAttention: attn_mask should have shape {(L, S)} or "
                    f"{(N * H, L, S)}, but has {attn_mask.shape}"
                )
            merged = _additive(attn_mask, "attn_mask", q)
            merged = merged.reshape(N, H, L, S) if merged.ndim == 3 else merged
        if key_padding_mask is not None:
            if key_padding_mask.shape != (N, S):
                raise AssertionError(
                    f"MultiheadAttention: key_padding_mask should have shape {(N, S)}, but has "
                    f"{key_padding_mask.shape}"
                )
            padding = _additive(key_padding_mask, "key_padding_mask", q).reshape(N, 1, 1, S)
            merged = padding if merged is None else merged + padding
        return merged

    def _append_keys(
        self, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values that each query sees beside those of the sequence, if there are any."""
        N, H, S, D = k.shape
        if self.bias_k is not None:
            # (1, 1, E) -> (1, num_heads, 1, head_dim) -> (N, num_heads, 1, head_dim)
            extra = [b.reshape(1, H, 1, D).expand(N, H, 1, D) for b in (self.bias_k, self.bias_v)]
            k, v = cat([k, extra[0]], dim=2), cat([v, extra[1]], dim=2)
        if self.add_zero_attn:
            zero = zeros(N, H, 1, D, dtype=k.dtype)
            k, v = cat([k, zero], dim=2), cat([v, zero], dim=2)
        if mask is not None and k.shape[2] > S:
            mask = F.pad(mask, (0, k.shape[2] - S))
        return k, v, mask


def _attention_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float
) -> tuple[Tensor, Tensor]:
    """What scaled_dot_product_attention computes, step by step, so that the weights are seen."""
    scores = q * (1 / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)  # (N, num_heads, L, S)
    if mask is not None:
        scores = scores + mask
    weights = scores.softmax(dim=-1)
    if p > 0:
        weights = F.dropout(weights, p)
    return weights @ v, weights


def _additive(mask: Tensor, name: str, like: Tensor) -> Tensor:
    """0 and -inf for False and True; floats as they are."""
    if mask.is_floating_point():
        return mask.to(like.dtype)
    if mask.dtype.kind != "b":
        raise AssertionError(f"MultiheadAttention: {name} must be of bools or floats")
    return zeros(mask.shape, dtype=like.dtype).masked_fill(mask, -math.inf)
