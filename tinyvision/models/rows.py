"""Networks that read an image row by row, as a sequence, with an LSTM.

Source: Le, Jaitly and Hinton 2015, arXiv 1504.00941, for images read as sequences; Hochreiter and
Schmidhuber 1997 for the LSTM; Vaswani et al. 2017, arXiv 1706.03762, for self-attention.
"""

from __future__ import annotations

from typing import Any

from tinyvision import nn
from tinyvision.tensor import Tensor


class RowLSTM(nn.Module):
    """Scores of classes from what an LSTM remembers after the last row.

    Shapes: images (N, 1, H, W) or (N, H, W), scores (N, num_classes).
    """

    def __init__(
        self, row_size: int = 28, hidden_size: int = 128, num_layers: int = 1, num_classes: int = 10
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(row_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(_rows(images))
        return self.fc(hidden[-1])  # of the last layer


class RowLSTMAttention(nn.Module):
    """The same, but every row's output looks at all others, and the results are averaged.

    The last row's output need not hold all that was read then. model(images, need_weights=True)
    also returns how much each row took from each: (N, H, H).

    Shapes: images (N, 1, H, W) or (N, H, W), scores (N, num_classes).
    Raises: ValueError if num_heads does not divide hidden_size.
    """

    def __init__(
        self,
        row_size: int = 28,
        hidden_size: int = 128,
        num_layers: int = 1,
        num_heads: int = 4,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        if hidden_size % num_heads:
            raise ValueError(f"hidden_size {hidden_size} is not divisible by num_heads {num_heads}")
        self.lstm = nn.LSTM(row_size, hidden_size, num_layers, batch_first=True)
        self.attention = nn.MultiheadAttention(hidden_size, num_heads, batch_first=True)
        self.norm = nn.LayerNorm(hidden_size)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, images: Tensor, need_weights: bool = False) -> Any:
        x, _ = self.lstm(_rows(images))  # (N, H, hidden_size)
        seen, weights = self.attention(x, x, x, need_weights=need_weights)
        scores = self.fc(self.norm(x + seen).mean(dim=1))
        return (scores, weights) if need_weights else scores


def _rows(images: Tensor) -> Tensor:
    return images.squeeze(1) if images.ndim == 4 else images
