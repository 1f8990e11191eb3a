"""The layers of the Transformer: attention and a small network by turns, each added to its input.

Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762, section 3.1; norm_first
is the order of Xiong et al. 2020, arXiv 2002.04745, which needs no warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np

import tinyvision.nn.functional as F
from tinyvision.creation import full
from tinyvision.nn.attention import MultiheadAttention
from tinyvision.nn.container import ModuleList
from tinyvision.nn.dropout import Dropout
from tinyvision.nn.init import xavier_uniform_
from tinyvision.nn.linear import Linear
from tinyvision.nn.module import Module
from tinyvision.nn.normalization import LayerNorm
from tinyvision.tensor import Tensor

Activation = str | Callable[[Tensor], Tensor]


class _TransformerLayer(Module):
    """What both layers are: attentions, then a small network, each one step of x.

    Step number i is x = norm_i(x + dropout_i(f(x))), with norm_first x + dropout_i(f(norm_i(x))).
    """

    _attentions: ClassVar[tuple[str, ...]]  # their names; a subclass gives them

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = {"bias": bias, "device": device, "dtype": dtype}
        # In PyTorch's order, which that of a state_dict and of the random weights follows.
        for name in self._attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, batch_first=batch_first, **options
            )
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        steps = range(1, len(self._attentions) + 2)
        for i in steps:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, **options))
        for i in steps:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = _activation_function(activation)

    def _step(
        self, norm: Module, dropout: Module, f: Callable[[Tensor], Tensor], x: Tensor
    ) -> Tensor:
        return x + dropout(f(norm(x))) if self.norm_first else norm(x + dropout(f(x)))

    def _network(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_TransformerLayer):
    """x = norm1(x + attention(x)), x = norm2(x + linear2(activation(linear1(x)))).

    With norm_first, x = x + attention(norm1(x)) and so on: x itself is never normalised.

    Shapes: src and output (L, N, d_model), (N, L, d_model) with batch_first, (L, d_model).
    Raises: RuntimeError for an activation other than "relu", "gelu" or a function.
    """

    _attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return _attend(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal)

        src = self._step(self.norm1, self.dropout1, attend, src)
        return self._step(self.norm2, self.dropout2, self._network, src)


class TransformerDecoderLayer(_TransformerLayer):
    """An encoder layer that also looks at `memory`, what an encoder has made of another sequence:

    x = norm1(x + attention(x)), x = norm2(x + attention(x, memory)), x = norm3(x + network(x))

    Shapes: tgt and output (T, N, d_model), memory (S, N, d_model); otherwise as the encoder layer.
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        masks = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        memory_masks = (memory_mask, memory_key_padding_mask, memory_is_causal)

        def attend(x: Tensor) -> Tensor:
            return _attend(self.self_attn, x, x, *masks)

        def attend_to_memory(x: Tensor) -> Tensor:
            return _attend(self.multihead_attn, x, memory, *memory_masks)

        tgt = self._step(self.norm1, self.dropout1, attend, tgt)
        tgt = self._step(self.norm2, self.dropout2, attend_to_memory, tgt)
        return self._step(self.norm3, self.dropout3, self._network, tgt)


class TransformerEncoder(Module):
    """num_layers copies of encoder_layer in a row, and `norm` after them if it is given.

    enable_nested_tensor and mask_check choose between ways to the same result in PyTorch; there
    is one way here.
    """

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """is_causal: whether the mask is causal; None finds out."""
        causal = _is_causal(mask) if is_causal is None else is_causal
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of decoder_layer in a row, and `norm` after them if it is given."""

    def __init__(
        self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt_is_causal: whether tgt_mask is causal; None finds out."""
        causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, causal, memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """A Transformer: an encoder of src, and a decoder of tgt that looks at what it made.

    Both end with a LayerNorm; custom_encoder and custom_decoder take their place.

    Shapes: src (S, N, d_model), tgt and output (T, N, d_model); with batch_first N comes first.
    Raises: RuntimeError for sizes that do not fit together.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = (*sizes, batch_first, norm_first, bias, device, dtype)
        if custom_encoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, True, bias, device, dtype)
            layer = TransformerEncoderLayer(*options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, True, bias, device, dtype)
            custom_decoder = TransformerDecoder(
                TransformerDecoderLayer(*options), num_decoder_layers, norm
            )
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        for parameter in self.parameters():
            if parameter.ndim > 1:
                xavier_uniform_(parameter)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """A mask (sz, sz) that hides what comes later: -inf above the diagonal, else 0."""
        return full((sz, sz), -math.inf, dtype=dtype, device=device).triu(1)


def _attend(
    attention: MultiheadAttention,
    x: Tensor,
    memory: Tensor,
    mask: Tensor | None,
    padding: Tensor | None,
    is_causal: bool,
) -> Tensor:
    output, _ = attention(
        x, memory, memory, padding, need_weights=False, attn_mask=mask, is_causal=is_causal
    )
    return output


def _activation_function(activation: Activation) -> Callable[[Tensor], Tensor]:
    if activation in ("relu", "gelu"):
        return F.relu if activation == "relu" else F.gelu
    if not callable(activation):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return activation


def _is_causal(mask: Tensor | None) -> bool:
    """Whether a mask hides just what comes later: the attention is then spared the mask."""
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    later = np.triu(np.ones(mask.shape, bool), 1)
    values = mask.detach().numpy()
    expected = later if values.dtype == bool else np.where(later, -math.inf, 0)
    return np.array_equal(values, expected)
