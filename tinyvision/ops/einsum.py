"""Sums of products over named dims, and their gradients, which are einsums again."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvision import kernels
from tinyvision.engine.op import Node, Op


def parse_einsum(
    equation: str, shapes: Sequence[tuple[int, ...]]
) -> tuple[list[str], str, dict[str, int]]:
    """One string of labels per operand, those of the output, and the size of each label.

    `...` becomes labels that the equation does not use, and an output that is left out is the
    labels that appear once, in alphabetical order, after those of `...`.

    Raises: RuntimeError if the equation is malformed or does not fit the shapes.
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): equation must be a str, got {type(equation).__name__}")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        few = "fewer" if len(shapes) < len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {few} operands were provided than specified in the equation {equation!r}: "
            f"{len(shapes)} for {len(terms)}"
        )
    spare = "".join([c for c in string.ascii_letters if c not in equation])
    operands = [
        _expand_term(t, s, i, spare) for i, (t, s) in enumerate(zip(terms, shapes, strict=True))
    ]
    dots = max([len(o) - len(t.replace("...", "")) for o, t in zip(operands, terms, strict=True)])
    batch = spare[len(spare) - dots :]
    if arrow:
        _check_labels(right, "the output")
        output = right.replace("...", batch)
        _check_output(output, operands)
    else:
        labels = left.replace("...", "").replace(",", "")
        output = batch + "".join(sorted([c for c in labels if labels.count(c) == 1]))
    return operands, output, _label_sizes(operands, shapes)


def _check_labels(term: str, where: str) -> None:
    labels = term.replace("...", "", 1)
    for label in labels:
        if label not in string.ascii_letters:
            raise RuntimeError(
                f"einsum(): invalid subscript {label!r} in {where} ({term!r}); subscripts must be "
                "in [a-zA-Z], with at most one ellipsis '...'"
            )


def _expand_term(term: str, shape: tuple[int, ...], operand: int, spare: str) -> str:
    """The labels of one operand, with the last letters of `spare` in place of `...`."""
    _check_labels(term, f"operand {operand}")
    dots = len(shape) - len(term.replace("...", ""))
    if dots < 0 or (dots > 0 and "..." not in term):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(term.replace('...', ''))}) "
            f"does not match the number of dimensions ({len(shape)}) for operand {operand}"
            + ("" if "..." in term else " and no ellipsis was given")
        )
    if dots > len(spare):
        raise RuntimeError(f"einsum(): too many dimensions ({len(shape)}) for operand {operand}")
    return term.replace("...", spare[len(spare) - dots :])


def _check_output(output: str, operands: Sequence[str]) -> None:
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {label} appears more than once in the output"
            )
        if not any(label in labels for labels in operands):
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any "
                "input operand"
            )


def _label_sizes(operands: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for i, (labels, shape) in enumerate(zip(operands, shapes, strict=True)):
        for label, size in zip(labels, shape, strict=True):
            if size != shape[labels.index(label)]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {i} but the sizes don't "
                    f"match, {size} != {shape[labels.index(label)]}"
                )
            if 1 not in (size, sizes.get(label, 1)) and size != sizes[label]:
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {i} which does not "
                    f"broadcast with previously seen size {sizes[label]}"
                )
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    return sizes


class Einsum(Op):
    """y[output labels] = sum over all other labels of the product of the operands.

    Gradient of one operand: the einsum with that operand and the output exchanged.
    y may be a view of the first operand if it is the only one.
    """

    is_view = True

    @staticmethod
    def forward(ctx: Node, *arrays: np.ndarray, equation: str) -> np.ndarray:
        labels, ctx.output, ctx.sizes = parse_einsum(equation, [a.shape for a in arrays])
        if any(a.dtype != arrays[0].dtype for a in arrays):
            dtypes = ", ".join([str(a.dtype) for a in arrays])
            raise RuntimeError(f"einsum(): operands must have one dtype, got {dtypes}")
        ctx.shapes = [a.shape for a in arrays]
        ctx.labels = [
            _stretched_dropped(s, a.shape, ctx.sizes) for s, a in zip(labels, arrays, strict=True)
        ]
        ctx.save_for_backward(*arrays)
        return _einsum(_reshaped(ctx, arrays), ctx.labels, ctx.output)

    @staticmethod
    def backward(ctx: Node, grad_output: np.ndarray) -> tuple[Any, ...]:
        arrays = _reshaped(ctx, ctx.saved)
        grads: list[Any] = []
        for i, needed in enumerate(ctx.needs_input_grad):
            operands = [*arrays[:i], grad_output, *arrays[i + 1 :]]
            grads.append(_einsum_gradient(ctx, operands, i) if needed else None)
        return tuple(grads)


def _stretched_dropped(labels: str, shape: tuple[int, ...], sizes: dict[str, int]) -> str:
    """The labels without those whose dim has size 1 here and is broadcast to more."""
    return "".join([c for c, n in zip(labels, shape, strict=True) if n == sizes[c]])


def _reshaped(ctx: Node, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The operands without the dims that _stretched_dropped took the labels from."""
    return [a.reshape([ctx.sizes[c] for c in s]) for a, s in zip(arrays, ctx.labels, strict=True)]


def _einsum(arrays: Sequence[np.ndarray], labels: Sequence[str], output: str) -> np.ndarray:
    """The einsum of any number of operands: more than two are contracted two at a time."""
    arrays, labels = list(arrays), list(labels)
    if len(arrays) > 2:
        equation = f"{','.join(labels)}->{output}"
        path: Any = np.einsum_path(equation, *arrays, optimize=True)[0]
        for pair in path[1:-1]:  # the first entry is a name, the last pair is left for below
            places = sorted(pair, reverse=True)
            operands, of_them = [arrays.pop(i) for i in places], [labels.pop(i) for i in places]
            others = "".join([*labels, output])
            kept = "".join([c for c in dict.fromkeys("".join(of_them)) if c in others])
            arrays.append(_contract(operands, of_them, kept))
            labels.append(kept)
    return _contract(arrays, labels, output)


def _contract(arrays: Sequence[np.ndarray], labels: Sequence[str], output: str) -> np.ndarray:
    """The einsum of a few operands: as a product of matrices if it is one, else in loops.

    Two operands are a (batched) product if labels that both have are summed over: these number
    A's columns and B's rows. Labels that both and the output have number the matrices.
    """
    if len(arrays) == 2:
        (a, b), (of_a, of_b) = arrays, labels
        summed = "".join([c for c in dict.fromkeys(of_a) if c in of_b and c not in output])
        batch = "".join([c for c in output if c in of_a and c in of_b])
        rows = "".join([c for c in output if c not in of_b])
        columns = "".join([c for c in output if c not in of_a])
        if summed and (rows or columns):
            # These are views, or sums over labels that one operand alone has.
            a = np.einsum(f"{of_a}->{batch + rows + summed}", a)
            b = np.einsum(f"{of_b}->{batch + summed + columns}", b)
            n, r, s = len(batch), len(rows), len(summed)
            lead, R, S = a.shape[:n], a.shape[n : n + r], a.shape[n + r :]
            Q = b.shape[n + s :]
            y = kernels.matmul(
                a.reshape(*lead, math.prod(R), math.prod(S)),
                b.reshape(*lead, math.prod(S), math.prod(Q)),
            ).reshape(*lead, *R, *Q)
            return np.einsum(f"{batch + rows + columns}->{output}", y)
    return np.einsum(f"{','.join(labels)}->{output}", *arrays)


def _einsum_gradient(ctx: Node, operands: Sequence[np.ndarray], i: int) -> np.ndarray:
    """The gradient of operand i; `operands` has the gradient of the output in its place."""
    labels, own = list(ctx.labels), ctx.labels[i]
    labels[i] = ctx.output
    wanted = "".join(dict.fromkeys(own))  # each label once
    found = "".join([c for c in wanted if any(c in other for other in labels)])
    grad = np.asarray(_einsum(operands, labels, found))
    # A label of this operand alone was summed over: all its values get the same gradient.
    grad = grad.reshape([ctx.sizes[c] if c in found else 1 for c in wanted])
    grad = np.broadcast_to(grad, [ctx.sizes[c] for c in wanted])
    if wanted != own:  # only the diagonal was read: write to the diagonal
        full = np.zeros([ctx.sizes[c] for c in own], grad.dtype)
        np.einsum(f"{own}->{wanted}", full)[...] = grad
        grad = full
    return grad.reshape(ctx.shapes[i])
