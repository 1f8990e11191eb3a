"""Views and in-place changes in drawn order, in both libraries: the same values and gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyvision as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

VIEWS = {
    "row": lambda t: t[-1],
    "slice": lambda t: t[1:],
    "step": lambda t: t[..., ::2],
    "transpose": lambda t: t.transpose(0, -1),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "flatten": lambda t: t.flatten(),
    "narrow": lambda t: t.narrow(0, 0, 1),
}
CHANGES = {
    "mul_": lambda t, x: t.mul_(3),
    "add_": lambda t, x: t.add_(x[0, 1]),
    "copy_": lambda t, x: t.copy_(x[1, 2] * 2),
    "copy_ of a constant": lambda t, x: t.copy_(x[1, 2].detach()),
    "fill_": lambda t, x: t.fill_(2.5),
    "fill_ with a tensor": lambda t, x: t.fill_(x[0, 3]),
    "zero_": lambda t, x: t.zero_(),
    "neg_": lambda t, x: t.neg_(),
    "+=": lambda t, x: t.__iadd__(t.detach().clone()),
    "set": lambda t, x: t.__setitem__(..., x[2, 0]),
}
STEPS = st.lists(st.tuples(st.sampled_from([*VIEWS, *CHANGES]), st.integers(0, 9)), max_size=12)


def run(library, steps):
    """Values and gradient after the steps; each takes one of the tensors there are so far."""
    x = library.tensor(np.arange(1.0, 13).reshape(3, 4), requires_grad=True)
    tensors = [x * 1.5]
    for name, number in steps:
        t = tensors[number % len(tensors)]
        if name in CHANGES:
            CHANGES[name](t, x)
        elif t.ndim > 0 and t.shape[0] > 0:
            tensors.append(VIEWS[name](t))
    weights = np.random.default_rng(0).random(100)
    loss = sum(((i + 1) * t * weights[i]).sum() for i, t in enumerate(tensors))
    loss.backward()
    return [np.asarray(t.detach()) for t in tensors], np.asarray(x.grad)


@given(steps=STEPS)
def test_views_and_inplace_changes_are_pytorchs(steps):
    (ours, our_grad), (theirs, their_grad) = run(tv, steps), run(torch, steps)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(our_grad, their_grad, rtol=1e-12, atol=1e-12)
