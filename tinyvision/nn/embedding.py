"""Embedding."""

from __future__ import annotations

from typing import Any, Self

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.nn import init
from tinyvision.nn.functional.embedding import check_padding_idx
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import Parameter, new_parameter
from tinyvision.tensor import Tensor


class Embedding(Module):
    """A table of learned vectors: input integers pick its rows.

    padding_idx: a row that starts as zeros and gets no gradient. max_norm, norm_type and
    scale_grad_by_freq are explained in F.embedding.

    Shapes: input (...), weight (num_embeddings, embedding_dim), output (..., embedding_dim).
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError("Embedding: sparse=True is not supported")
        self.num_embeddings = as_int(num_embeddings, "Embedding", "num_embeddings")
        self.embedding_dim = as_int(embedding_dim, "Embedding", "embedding_dim")
        self.padding_idx = check_padding_idx(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        size = num_embeddings, embedding_dim
        if _weight is None:
            self.weight = new_parameter(*size, dtype=dtype, device=device)
            self.weight.requires_grad = not _freeze
            self.reset_parameters()
        elif _weight.shape != size:
            raise AssertionError(
                f"Shape of weight {_weight.shape} does not match num_embeddings and embedding_dim"
            )
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw the vectors from the standard normal distribution, but zeros for padding_idx."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            init.zeros_(self.weight.detach()[self.padding_idx])

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq,
        )  # fmt: skip

    def extra_repr(self) -> str:
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        return f"{self.num_embeddings}, {self.embedding_dim}{self._unusual(usual)}"

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """An Embedding of the rows of a matrix, whose memory it shares; frozen unless told not to.

        Raises: AssertionError (PyTorch's type here) if embeddings is no matrix.
        """
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            _weight=embeddings, _freeze=freeze,
        )  # fmt: skip
