"""CCT, the compact convolutional transformer: a transformer for small sets of small images.

    x = tokenizer(image) + positions         convolution, ReLU and pooling instead of patches
    x = x + attention(layer_norm(x))         )
    x = layer_norm(x)                        )  num_layers times
    x = x + mlp(x)                           )
    x = layer_norm(x)
    weights = softmax over the tokens of (x @ w + b)
    logits = (sum of weights_i x_i) @ head + bias      "sequence pooling"

Convolutions know that neighbouring pixels belong together, which a plain vision transformer has
to learn from very many images.

Source: Hassani et al. 2021, "Escaping the Big Data Paradigm with Compact Transformers", arXiv
2104.05704, section 3. The names of the parts (and so the keys of the state_dict), the initial
values and the normalisation in the middle of a layer are those of the authors' code,
github.com/SHI-Labs/Compact-Transformers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.creation import empty, from_numpy, zeros
from tinyvision.nn import init
from tinyvision.tensor import Tensor


class CCT(nn.Module):
    """Scores of classes for square images.

    The tokenizer convolves and pools n_conv_layers times; each pixel that is left is a token.
    positional_embedding: "learnable", "sine" (fixed) or "none". stochastic_depth: how often the
    last layer is skipped in training, for one image at a time; the others less, the first never.

    model(images, need_weights=True) also returns a list of attention weights, one tensor per
    layer and at the end that of the sequence pooling: logits, (*weights, pooling).
    weights[l][n, h, i, j] is how much token i of image n takes from token j in head h.

    Shapes: images (N, n_input_channels, img_size, img_size), logits (N, num_classes), weights
    (N, num_heads, L, L), pooling (N, L).

    Raises: ValueError if num_heads does not divide embedding_dim or for an unknown
    positional_embedding; RuntimeError for images of another shape.
    """

    def __init__(
        self,
        img_size: int = 224,
        embedding_dim: int = 768,
        n_input_channels: int = 3,
        n_conv_layers: int = 1,
        kernel_size: int = 7,
        stride: int = 2,
        padding: int = 3,
        pooling_kernel_size: int = 3,
        pooling_stride: int = 2,
        pooling_padding: int = 1,
        dropout: float = 0.0,
        attention_dropout: float = 0.1,
        stochastic_depth: float = 0.1,
        num_layers: int = 14,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
        num_classes: int = 1000,
        positional_embedding: str = "learnable",
    ) -> None:
        super().__init__()
        self.image_shape = (n_input_channels, img_size, img_size)
        self.tokenizer = Tokenizer(
            channels=[n_input_channels] + [64] * (n_conv_layers - 1) + [embedding_dim],
            convolution=(kernel_size, stride, padding),
            pooling=(pooling_kernel_size, pooling_stride, pooling_padding),
        )
        num_tokens = self.tokenizer(zeros(1, *self.image_shape)).shape[1]
        positions = first_positions(positional_embedding, num_tokens, embedding_dim)
        self.classifier = TransformerClassifier(
            positions, embedding_dim, num_layers, num_heads, int(embedding_dim * mlp_ratio),
            num_classes, dropout, attention_dropout, stochastic_depth,
        )  # fmt: skip

    def forward(
        self, x: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        if tuple(x.shape[1:]) != self.image_shape:
            expected = f"(N, {', '.join(map(str, self.image_shape))})"
            raise RuntimeError(f"CCT: expected images {expected}, got {tuple(x.shape)}")
        logits, weights = self.classifier(self.tokenizer(x), need_weights)
        return (logits, weights) if need_weights else logits


class Tokenizer(nn.Module):
    """Images to tokens, in steps of a convolution, a ReLU and a max pooling.

    Shapes: input (N, C, H, W), output (N, L, E) with a token for each pixel that is left.
    """

    def __init__(
        self, channels: list[int], convolution: tuple[int, int, int], pooling: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.conv_layers = nn.Sequential()
        for i, (channels_in, channels_out) in enumerate(pairwise(channels)):
            conv = nn.Conv2d(channels_in, channels_out, *convolution, bias=False)
            init.kaiming_normal_(conv.weight)
            step = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(*pooling))
            self.conv_layers.add_module(str(i), step)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_layers(x).flatten(2).transpose(1, 2)  # (N, E, H, W) -> (N, L, E)


class TransformerClassifier(nn.Module):
    """Tokens to scores: positions, encoder layers, sequence pooling, a linear head."""

    def __init__(
        self,
        positions: nn.Parameter | None,
        embedding_dim: int,
        num_layers: int,
        num_heads: int,
        mlp_dim: int,
        num_classes: int,
        dropout: float,
        attention_dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        self.positional_emb = positions
        self.attention_pool = nn.Linear(embedding_dim, 1)
        self.dropout = nn.Dropout(dropout)
        rates = [stochastic_depth * i / max(num_layers - 1, 1) for i in range(num_layers)]
        blocks = [
            EncoderLayer(embedding_dim, num_heads, mlp_dim, dropout, attention_dropout, rate)
            for rate in rates
        ]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(embedding_dim)
        self.fc = nn.Linear(embedding_dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    init.zeros_(module.bias)

    def forward(self, x: Tensor, need_weights: bool) -> tuple[Tensor, list[Tensor]]:
        if self.positional_emb is not None:
            x = x + self.positional_emb  # (N, L, E) + (1, L, E)
        x = self.dropout(x)
        weights = []
        for block in self.blocks:
            x, block_weights = block(x, need_weights)
            weights.append(block_weights)
        x = self.norm(x)
        # Each token says how much it has to say about the class.
        pooling = F.softmax(self.attention_pool(x), dim=1)  # (N, L, 1)
        logits = self.fc((pooling * x).sum(dim=1))  # (N, L, E) -> (N, E) -> (N, num_classes)
        return logits, [*weights, pooling.squeeze(2)]


class EncoderLayer(nn.Module):
    """Attention lets the tokens exchange what they know; the MLP works on each one alone."""

    def __init__(
        self, embedding_dim: int, num_heads: int, mlp_dim: int, dropout: float,
        attention_dropout: float, drop_path: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pre_norm = nn.LayerNorm(embedding_dim)
        self.self_attn = Attention(embedding_dim, num_heads, attention_dropout, dropout)
        self.linear1 = nn.Linear(embedding_dim, mlp_dim)
        self.dropout1 = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.linear2 = nn.Linear(mlp_dim, embedding_dim)
        self.dropout2 = nn.Dropout(dropout)
        self.drop_path = nn.DropPath(drop_path)

    def forward(self, x: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        y, weights = self.self_attn(self.pre_norm(x), need_weights)  # (N, L, E)
        x = self.norm1(x + self.drop_path(y))
        y = self.linear2(self.dropout1(F.gelu(self.linear1(x))))  # (N, L, mlp_dim) -> (N, L, E)
        return x + self.drop_path(self.dropout2(y)), weights


class Attention(nn.Module):
    """Self-attention, weights = softmax(query @ key.T / sqrt(head_dim)), num_heads at a time."""

    def __init__(
        self, embedding_dim: int, num_heads: int, attention_dropout: float, dropout: float
    ) -> None:
        super().__init__()
        if num_heads < 1 or embedding_dim % num_heads:
            raise ValueError(
                f"CCT: embedding_dim {embedding_dim} is no multiple of num_heads {num_heads}"
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(embedding_dim, 3 * embedding_dim, bias=False)
        self.attn_drop = nn.Dropout(attention_dropout)
        self.proj = nn.Linear(embedding_dim, embedding_dim)
        self.proj_drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        N, L, E = x.shape
        # One product for all three; the parts stay where they are, as views.
        qkv = self.qkv(x).reshape(N, L, 3, self.num_heads, E // self.num_heads)
        # (N, L, num_heads, head_dim) -> (N, num_heads, L, head_dim) each
        query, key, value = [part.transpose(1, 2) for part in qkv.unbind(dim=2)]
        dropout_p = self.attn_drop.p if self.training else 0.0
        y = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p)
        y = y.transpose(1, 2).reshape(N, L, E)  # the heads side by side again
        weights = attention_weights(query, key) if need_weights else None
        return self.proj_drop(self.proj(y)), weights


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """softmax(query @ key.T / sqrt(head_dim)): what the fast attention does not keep.

    Shapes: query and key (N, num_heads, L, head_dim), result (N, num_heads, L, L).
    """
    scores = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
    return F.softmax(scores, dim=3)


def first_positions(kind: str, num_tokens: int, dim: int) -> nn.Parameter | None:
    """What is added to the tokens so that they know where they are, (1, num_tokens, dim).

    "sine" is position / 10000**(2i / dim), its sine in columns 2i and its cosine in 2i + 1.
    """
    if kind == "none":
        return None
    if kind == "learnable":
        positions = nn.Parameter(empty(1, num_tokens, dim))
        init.trunc_normal_(positions, std=0.2)
        return positions
    if kind != "sine":
        raise ValueError(
            f"CCT: positional_embedding is 'learnable', 'sine' or 'none', not {kind!r}"
        )
    column = np.arange(dim)
    angle = np.arange(num_tokens)[:, None] / 10000 ** (column // 2 * 2 / dim)
    table = np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)
    return nn.Parameter(from_numpy(table[None]), requires_grad=False)


def cct_2_3x2_32(**options: Any) -> CCT:
    """2 layers behind 2 convolutions, 0.28 million parameters; `options` as in CCT."""
    return _cct_32(2, num_layers=2, num_heads=2, mlp_ratio=1, embedding_dim=128, **options)


def cct_4_3x2_32(**options: Any) -> CCT:
    """4 layers behind 2 convolutions, 0.48 million parameters; `options` as in CCT."""
    return _cct_32(2, num_layers=4, num_heads=2, mlp_ratio=1, embedding_dim=128, **options)


def cct_6_3x1_32(**options: Any) -> CCT:
    """6 layers behind a convolution, 3.2 million parameters; `options` as in CCT."""
    return _cct_32(1, num_layers=6, num_heads=4, mlp_ratio=2, embedding_dim=256, **options)


def cct_7_3x1_32(**options: Any) -> CCT:
    """7 layers behind a convolution, 3.8 million parameters; `options` as in CCT."""
    return _cct_32(1, num_layers=7, num_heads=4, mlp_ratio=2, embedding_dim=256, **options)


def _cct_32(n_conv_layers: int, **options: Any) -> CCT:
    """For ten classes of images of 32 x 32 pixels, unless `options` say otherwise."""
    sizes = {"img_size": 32, "num_classes": 10, "kernel_size": 3, "stride": 1, "padding": 1}
    return CCT(**{**sizes, "n_conv_layers": n_conv_layers, **options})
