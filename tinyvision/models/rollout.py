"""attention_rollout: how much of each input token has found its way into each output token.

Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", arXiv 2005.00928,
section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyvision.creation import eye
from tinyvision.tensor import Tensor


def attention_rollout(weights: Sequence[Tensor]) -> Tensor:
    """layer_l @ ... @ layer_1, with layer = (mean of the heads' weights + identity) / 2.

    The identity stands for the token itself, to which attention adds. rollout[n, i, j] is the
    share that input token j has in output token i; each row sums to 1. For the picture of what a
    VisionTransformer looks at, take row 0 (of the class token) without its first column.

    weights: what a model returns with need_weights=True. Those of a sequence pooling (N, L) at
    the end give the share of each token in what is pooled, (N, L).

    Shapes: weights (N, num_heads, L, L) each, result (N, L, L).

    Raises: ValueError if there are no weights.
    """
    if not weights:
        raise ValueError("attention_rollout: expected the weights of at least one layer, got none")
    L = weights[0].shape[-1]
    rollout = eye(L, dtype=weights[0].dtype)
    for layer in weights:
        if layer.dim() == 2:  # sequence pooling: (N, 1, L) @ (N, L, L) -> (N, L)
            return (layer.detach().unsqueeze(1) @ rollout).squeeze(1)
        rollout = (layer.detach().mean(dim=1) + eye(L, dtype=layer.dtype)) / 2 @ rollout
    return rollout
