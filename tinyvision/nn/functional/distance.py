"""Distances and angles between vectors, and the losses made of them."""

from __future__ import annotations

from typing import Any

from tinyvision.checks import broadcast_shape
from tinyvision.nn.functional.arguments import as_number, as_reduction, check_tensor
from tinyvision.nn.functional.regression import reduced
from tinyvision.tensor import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along dim: x1 . x2 / (max(|x1|, eps) max(|x2|, eps)).

    Shapes: x1 and x2 broadcast; the result is without dim.
    """
    check_tensor("cosine_similarity", "x1", x1)
    check_tensor("cosine_similarity", "x2", x2)
    shape = broadcast_shape(x1.shape, x2.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    x1, x2 = (x / x.norm(2, dim, keepdim=True).clamp(min=eps) for x in (x1, x2))
    return (x1 * x2).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dim.

    Shapes: x1 and x2 broadcast to (..., D), the result is (...), or (..., 1) with keepdim.
    """
    check_tensor("pairwise_distance", "x1", x1)
    check_tensor("pairwise_distance", "x2", x2)
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1.

    Shapes: inputs (N, D) and target (N,), or (D,) and (). Raises: RuntimeError for others.
    """
    name = "cosine_embedding_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    for argument, tensor in (("input1", input1), ("input2", input2), ("target", target)):
        check_tensor(name, argument, tensor)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"{name}: expected inputs (N, D) and target (N,), or without N, but got "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        )
    smallest = 1e-12  # PyTorch's, beside the squares
    squares = [(x * x).sum(-1) + smallest for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    near, far = 1 - cosine, (cosine - as_number(name, "margin", margin)).clamp(min=0)
    loss = near * (target == 1) + far * (target == -1)
    return reduced(loss, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x, a distance, where target is 1, max(0, margin - x) where it is -1."""
    name = "hinge_embedding_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    near = input.masked_fill(target == -1, 0)
    far = (as_number(name, "margin", margin) - input).clamp(min=0).masked_fill(target == 1, 0)
    return reduced(near + far, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2)): input1 is to be the larger where target is 1.

    Shapes: all three of as many dims, and broadcast. Raises: RuntimeError for others.
    """
    name = "margin_ranking_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    for argument, tensor in (("input1", input1), ("input2", input2), ("target", target)):
        check_tensor(name, argument, tensor)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"{name}: All input tensors should have same dimension but got sizes: input1: "
            f"{tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: {tuple(target.shape)}"
        )
    margin = as_number(name, "margin", margin)
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d being pairwise_distance.

    swap: the negative's distance is that to the nearer of anchor and positive.
    Raises: ValueError for a margin that is not positive, RuntimeError for other dims.

    Source: Balntas et al. 2016, "Learning local feature descriptors with triplets", BMVC.
    """
    name = "triplet_margin_loss"
    reduction = as_reduction(reduction, size_average, reduce)
    for argument, x in (("anchor", anchor), ("positive", positive), ("negative", negative)):
        check_tensor(name, argument, x)
    if as_number(name, "margin", margin) <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"{name}: The anchor, positive, and negative tensors are expected to have the same "
            f"number of dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and "
            f"negative {negative.ndim}D inputs"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp(min=0), reduction)
