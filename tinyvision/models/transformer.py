"""TransformerEncoderClassifier: a class for a sequence of tokens, such as the words of a sentence.

    x = embedding[tokens] * sqrt(d_model) + positions
    x = layer_norm(x + attention(x)); x = layer_norm(x + mlp(x))      num_layers times
    logits = (mean of x over the tokens) @ head + bias

Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762, sections 3.1 to 3.5
(the encoder). Like the original, it normalises behind each addition ("post-norm").
"""

from __future__ import annotations

import math

import numpy as np

from tinyvision import nn
from tinyvision.creation import from_numpy
from tinyvision.nn import init
from tinyvision.tensor import Tensor


class TransformerEncoderClassifier(nn.Module):
    """Scores of classes for sequences of token numbers below num_embeddings.

    padding_idx: the number that fills up shorter sequences. No token looks at it, and it does not
    count in the mean: a sequence gets the same scores with padding and without.

    model(tokens, need_weights=True) also returns the attention weights, one tensor per layer:
    weights[l][n, h, i, j] is how much token i of sequence n takes from token j in head h.

    Shapes: tokens (N, L) int64 with L <= max_len, logits (N, num_classes), weights
    (N, num_heads, L, L).

    Raises: RuntimeError for tokens of another shape, too long sequences and such that are
    nothing but padding; ValueError for an odd d_model.
    """

    def __init__(
        self,
        num_embeddings: int,
        num_classes: int,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int = 256,
        dropout: float = 0.1,
        max_len: int = 512,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        self.padding_idx = padding_idx
        self.d_model = d_model
        self.embedding = nn.Embedding(num_embeddings, d_model)
        init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.positions = PositionalEncoding(d_model, dropout, max_len)
        layers = [
            nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, dropout, batch_first=True)
            for _ in range(num_layers)
        ]
        self.layers = nn.ModuleList(layers)
        self.fc = nn.Linear(d_model, num_classes)

    def forward(
        self, tokens: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        padding = self.padding(tokens)  # (N, L), True where there is no token
        # Embedding vectors start with length 1; this makes them as large as the positions.
        x = self.positions(self.embedding(tokens) * math.sqrt(self.d_model))  # (N, L, E)
        weights = []
        for layer in self.layers:
            if need_weights:
                options = {"key_padding_mask": padding, "average_attn_weights": False}
                weights.append(layer.self_attn(x, x, x, **options)[1])
            x = layer(x, src_key_padding_mask=padding)
        logits = self.fc(mean_of_tokens(x, padding))
        return (logits, weights) if need_weights else logits

    def padding(self, tokens: Tensor) -> Tensor | None:
        """Where the sequences are filled up; None if they never are."""
        if tokens.dim() != 2:
            raise RuntimeError(
                "TransformerEncoderClassifier: expected token numbers (N, L), got "
                f"{tuple(tokens.shape)}"
            )
        if self.padding_idx is None:
            return None
        padding = tokens == self.padding_idx
        if padding.all(dim=1).any():
            raise RuntimeError("TransformerEncoderClassifier: a sequence is nothing but padding")
        return padding


class PositionalEncoding(nn.Module):
    """x + sines of the position, with dropout.

    pe[pos, 2i] = sin(pos / 10000**(2i / d_model)), pe[pos, 2i + 1] = the cosine of the same: a
    clock with d_model / 2 hands, the fastest once round in 6 tokens, the slowest in 60,000.

    Shapes: x (N, L, d_model) with L <= max_len, result the same.
    """

    def __init__(self, d_model: int, dropout: float, max_len: int) -> None:
        super().__init__()
        if d_model % 2:
            raise ValueError(f"PositionalEncoding: d_model must be even, got {d_model}")
        self.dropout = nn.Dropout(dropout)
        speed = 10000.0 ** (-np.arange(0, d_model, 2) / d_model)
        angle = np.arange(max_len)[:, None] * speed  # (max_len, d_model / 2)
        pe = np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(1, max_len, d_model)
        self.register_buffer("pe", from_numpy(pe.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        L, max_len = x.shape[1], self.pe.shape[1]
        if L > max_len:
            raise RuntimeError(
                f"PositionalEncoding: {L} tokens are more than the {max_len} there are places for"
            )
        return self.dropout(x + self.pe[:, :L])


def mean_of_tokens(x: Tensor, padding: Tensor | None) -> Tensor:
    """(N, L, E) -> (N, E), without the tokens at which padding (N, L) is True."""
    if padding is None:
        return x.mean(dim=1)
    is_token = (~padding).to(x.dtype).unsqueeze(2)  # (N, L, 1)
    return (x * is_token).sum(dim=1) / is_token.sum(dim=1)
