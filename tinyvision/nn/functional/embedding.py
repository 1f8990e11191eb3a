"""Vectors that stand for integers: embeddings, which are learned, and one-hot vectors."""

from __future__ import annotations

import numpy as np

from tinyvision.checks import as_int
from tinyvision.creation import from_numpy
from tinyvision.dtypes import TORCH_NAMES
from tinyvision.nn.functional.arguments import as_number, check_bool, check_tensors
from tinyvision.ops.embedding import Embedding
from tinyvision.ops.indexing import check_range
from tinyvision.tensor import Tensor


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of weight that the integers in input name.

    padding_idx: a row that gets no gradient. max_norm: before they are read, rows with a larger
    p-norm, p being norm_type, are scaled down to it, in place. scale_grad_by_freq: the gradient
    of a row is divided by the number of times it was named.

    Shapes: input (...), weight (V, E), output (..., E).
    Raises: IndexError for input outside of [0, V), RuntimeError for input that is not int32 or
    int64 or weight that is no matrix, AssertionError (PyTorch's type here) for padding_idx.
    """
    check_tensors("embedding", input=input, weight=weight)
    if sparse:
        raise NotImplementedError("embedding: sparse=True is not supported")
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, but got shape {weight.shape}")
    if input.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "embedding: expected input to have one of the scalar types Long, Int; but got "
            f"{TORCH_NAMES[input.dtype]}"
        )
    check_bool("embedding", "scale_grad_by_freq", scale_grad_by_freq)
    padding_idx = check_padding_idx(padding_idx, weight.shape[0])
    rows = input.numpy().astype(np.intp)  # a copy: backward needs it as it is now
    check_range(rows, weight.shape[0], 0, IndexError)
    if max_norm is not None:
        max_norm = as_number("embedding", "max_norm", max_norm)
        _limit_norms(weight, rows, max_norm, as_number("embedding", "norm_type", norm_type))
    return Embedding.apply(
        weight, rows=rows, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq
    )


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Vectors that are 1 at the class and 0 elsewhere, int64; by default max class + 1 long.

    Shapes: input (...), output (..., num_classes).
    Raises: RuntimeError for classes that are not int64, negative, or not below num_classes.
    """
    check_tensors("one_hot", input=input)
    classes = input.numpy()
    if classes.dtype != np.int64:
        raise RuntimeError(
            "one_hot is only applicable to index tensor of type LongTensor, got "
            f"{TORCH_NAMES[classes.dtype]}"
        )
    num_classes = as_int(num_classes, "one_hot", "num_classes")
    if classes.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if classes.size and classes.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {classes.min()}.")
    if num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif classes.size and classes.max() >= num_classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes, got {classes.max()} and {num_classes}."
        )
    output = np.zeros((*classes.shape, num_classes), np.int64)
    np.put_along_axis(output, classes[..., None], 1, axis=-1)
    return from_numpy(output)


def check_padding_idx(padding_idx: int | None, num_embeddings: int) -> int | None:
    """padding_idx counted from the front; AssertionError (PyTorch's type) if there is none such."""
    if padding_idx is None:
        return None
    padding_idx = as_int(padding_idx, "embedding", "padding_idx")
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise AssertionError(
            f"Padding_idx must be within num_embeddings, got {padding_idx} and {num_embeddings}"
        )
    return padding_idx % num_embeddings


def _limit_norms(weight: Tensor, rows: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the named rows of weight that are longer than max_norm, in place and unrecorded."""
    values = weight.detach().numpy()
    named = np.unique(rows)
    norms = np.linalg.norm(values[named], ord=norm_type, axis=1)
    long = norms > max_norm
    # PyTorch's epsilon; without it rounding could leave rows that are a little too long.
    values[named[long]] *= (max_norm / (norms[long] + 1e-7))[:, None]
    weight._bump_version()
