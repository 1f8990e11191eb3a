"""Transformers, each complete in one file; all return their attention weights when asked.

`logits, weights = model(input, need_weights=True)`; `attention_rollout(weights)` sums them up.
"""

from tinyvision.models.cct import CCT, cct_2_3x2_32, cct_4_3x2_32, cct_6_3x1_32, cct_7_3x1_32
from tinyvision.models.rollout import attention_rollout
from tinyvision.models.transformer import TransformerEncoderClassifier
from tinyvision.models.vit import VisionTransformer
