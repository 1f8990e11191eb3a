"""VisionTransformer: an image is a sequence of patches, and each patch looks at all the others.

    x_i = patch_i @ projection + bias + position_i        one token per patch, class token first
    x   = x + attention(layer_norm(x))                    )  num_layers times
    x   = x + mlp(layer_norm(x))                          )
    logits = layer_norm(x)[class token] @ head + bias     or of the mean over the patches

Source: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", arXiv 2010.11929, section 3.1.
The names of the parts (and so the keys of the state_dict) and the initial values are torchvision's.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from tinyvision import nn
from tinyvision.creation import randn, zeros
from tinyvision.functions.joining import cat
from tinyvision.nn import init
from tinyvision.tensor import Tensor


class VisionTransformer(nn.Module):
    """Scores of classes for square images.

    pooling: what the head reads, an extra class token ("token") or the mean of the patches
    ("mean"; there is no class token then). position_std: the deviation of the positions at first;
    the default is for long training; with about 1, as the tokens have, training is much faster.
    stochastic_depth: how often the last layer is skipped in training, for one image at a time;
    the layers before it are skipped less, the first never.

    model(images, need_weights=True) also returns the attention weights, one tensor per layer:
    weights[l][n, h, i, j] is how much token i of image n takes from token j in head h.

    Shapes: images (N, in_channels, image_size, image_size), logits (N, num_classes), weights
    (N, num_heads, L, L) with L = (image_size / patch_size)**2, and one more for the class token.

    Raises: ValueError if patch_size does not divide image_size or num_heads does not divide
    hidden_dim; RuntimeError for images of another shape.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: None = None,
        *,
        in_channels: int = 3,
        pooling: str = "token",
        position_std: float = 0.02,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        if representation_size is not None:
            raise NotImplementedError("VisionTransformer: representation_size is not supported")
        check_arguments(image_size, patch_size, num_heads, hidden_dim, pooling)
        self.image_shape = (in_channels, image_size, image_size)
        # As each patch is read once, the projection is a convolution whose stride is its kernel.
        self.conv_proj = nn.Conv2d(in_channels, hidden_dim, patch_size, patch_size)
        class_token = nn.Parameter(zeros(1, 1, hidden_dim)) if pooling == "token" else None
        self.register_parameter("class_token", class_token)
        num_tokens = (image_size // patch_size) ** 2 + (0 if class_token is None else 1)
        rates = [stochastic_depth * i / max(num_layers - 1, 1) for i in range(num_layers)]
        layers = [
            EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, rate)
            for rate in rates
        ]
        positions = position_std * randn(1, num_tokens, hidden_dim)
        self.encoder = Encoder(positions, layers, dropout)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(hidden_dim, num_classes)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections keep the variance of a patch; all classes start with the same score, 0."""
        fan_in = self.conv_proj.weight[0].numel()
        init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / fan_in))
        init.zeros_(self.conv_proj.bias)
        init.zeros_(self.heads.head.weight)
        init.zeros_(self.heads.head.bias)

    def forward(
        self, input: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        x = self.patch_tokens(input)  # (N, L, E)
        if self.class_token is not None:
            x = cat([self.class_token.expand(len(x), -1, -1), x], dim=1)  # (N, 1 + L, E)
        x, weights = self.encoder(x, need_weights)
        x = x.mean(dim=1) if self.class_token is None else x[:, 0]  # (N, E)
        logits = self.heads(x)
        return (logits, weights) if need_weights else logits

    def patch_tokens(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, L, E): the patches row by row, each as a vector."""
        if tuple(input.shape[1:]) != self.image_shape:
            raise RuntimeError(
                f"VisionTransformer: expected images (N, {', '.join(map(str, self.image_shape))}), "
                f"got {tuple(input.shape)}"
            )
        x = self.conv_proj(input)  # (N, E, H / patch_size, W / patch_size)
        return x.flatten(2).transpose(1, 2)  # (N, E, L) -> (N, L, E)


class Encoder(nn.Module):
    """Adds the positions, then applies the layers and a last normalisation."""

    def __init__(self, positions: Tensor, layers: list[EncoderBlock], dropout: float) -> None:
        super().__init__()
        # Attention knows no order: without positions, the tokens would be a bag of patches.
        self.pos_embedding = nn.Parameter(positions)  # (1, L, E)
        self.dropout = nn.Dropout(dropout)
        named = {f"encoder_layer_{i}": layer for i, layer in enumerate(layers)}
        self.layers = nn.Sequential(OrderedDict(named))
        self.ln = nn.LayerNorm(positions.shape[2], eps=1e-6)

    def forward(self, x: Tensor, need_weights: bool) -> tuple[Tensor, list[Tensor]]:
        x = self.dropout(x + self.pos_embedding)
        weights = []
        for layer in self.layers:
            x, layer_weights = layer(x, need_weights)
            weights.append(layer_weights)
        return self.ln(x), weights


class EncoderBlock(nn.Module):
    """Attention lets the tokens exchange what they know; the MLP works on each one alone.

    Both add to their input and see it normalised ("pre-norm"), so that a token's way through the
    layers is a plain sum: gradients reach the first layer undiminished.
    """

    def __init__(
        self, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float,
        attention_dropout: float, drop_path: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.ln_1 = nn.LayerNorm(hidden_dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(hidden_dim, eps=1e-6)
        self.mlp = nn.Sequential(
            *(nn.Linear(hidden_dim, mlp_dim), nn.GELU(), nn.Dropout(dropout)),
            *(nn.Linear(mlp_dim, hidden_dim), nn.Dropout(dropout)),
        )
        self.drop_path = nn.DropPath(drop_path)
        for linear in (self.mlp[0], self.mlp[3]):
            init.xavier_uniform_(linear.weight)
            init.normal_(linear.bias, std=1e-6)

    def forward(self, x: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        y = self.ln_1(x)  # (N, L, E)
        y, weights = self.self_attention(
            y, y, y, need_weights=need_weights, average_attn_weights=False
        )
        x = x + self.drop_path(self.dropout(y))
        return x + self.drop_path(self.mlp(self.ln_2(x))), weights


def check_arguments(
    image_size: int, patch_size: int, num_heads: int, hidden_dim: int, pooling: str
) -> None:
    """Raises: ValueError if what is to be cut into equal parts cannot be; for another pooling."""
    if patch_size < 1 or image_size % patch_size:
        raise ValueError(
            f"VisionTransformer: image_size {image_size} is no multiple of patch_size {patch_size}"
        )
    if num_heads < 1 or hidden_dim % num_heads:
        raise ValueError(
            f"VisionTransformer: hidden_dim {hidden_dim} is no multiple of num_heads {num_heads}"
        )
    if pooling not in ("token", "mean"):
        raise ValueError(f"VisionTransformer: pooling is 'token' or 'mean', not {pooling!r}")
