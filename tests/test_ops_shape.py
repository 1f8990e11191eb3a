"""Shape operations: values by hand, views, gradients, errors, and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyvision as tv
from tests.compare import outcome
from tinyvision.autograd import gradcheck

# Calls that suit a tensor of shape (2, 3, 4), written so that either library can run them.
CALLS = {
    "reshape": lambda t, lib: t.reshape(4, -1),
    "reshape_copy": lambda t, lib: t.transpose(0, 2).reshape(3, 8),
    "view": lambda t, lib: t.view(6, 4),
    "flatten": lambda t, lib: t.flatten(1),
    "flatten_middle": lambda t, lib: t.flatten(0, 1),
    "unflatten": lambda t, lib: t.unflatten(-1, (2, -1)),
    "squeeze": lambda t, lib: t[:1].squeeze(),
    "squeeze_dim": lambda t, lib: t[:1].squeeze(0).squeeze(0),
    "unsqueeze": lambda t, lib: t.unsqueeze(-1),
    "permute": lambda t, lib: t.permute(2, 0, 1),
    "permute_negative": lambda t, lib: t.permute(-1, 0, -2),
    "transpose": lambda t, lib: t.transpose(0, -1),
    "movedim": lambda t, lib: t.movedim((0, 1), (-1, 0)),
    "expand": lambda t, lib: t.unsqueeze(1).expand(5, 2, -1, 3, 4),
    "repeat": lambda t, lib: t.repeat(2, 1, 3, 1),
    "tile": lambda t, lib: t.tile((2,)),
    "repeat_interleave": lambda t, lib: t.repeat_interleave(2, 1),
    "repeat_interleave_counts": lambda t, lib: t.repeat_interleave(lib.tensor([2, 0, 1]), 1),
    "cat": lambda t, lib: lib.cat([t, t[:, :1], t * 2], 1),
    "cat_skips_empty": lambda t, lib: lib.cat([lib.empty(0), t], 1),
    "stack": lambda t, lib: lib.stack([t, t * 2], -1),
    "split": lambda t, lib: t.split(2, 1)[1],
    "split_sizes": lambda t, lib: t.split([1, 3], 2)[1],
    "chunk": lambda t, lib: t.chunk(2, -1)[0],
    "unbind": lambda t, lib: t.unbind(1)[2],
    "flip": lambda t, lib: t.flip(0, 2),
    "roll": lambda t, lib: t.roll((1, -2), (0, 1)),
    "roll_flat": lambda t, lib: t.roll(3),
    "broadcast_to": lambda t, lib: t.broadcast_to((2, 2, 3, 4)),
    "meshgrid": lambda t, lib: lib.meshgrid(t[0, 0], t[0, :, 0], indexing="xy")[0],
    "where": lambda t, lib: lib.where(t > 0, t, 2 * t[:1]),
    "contiguous": lambda t, lib: t.permute(2, 1, 0).contiguous(),
    "clone": lambda t, lib: t.clone(),
}  # fmt: skip


def doubles(*shape):
    return tv.randn(*shape, dtype=tv.float64, requires_grad=True)


def test_shape_by_hand():
    t = tv.arange(6).reshape(2, 3)
    assert t.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert t.t().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert t.flip(1).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert t.roll(1, 1).tolist() == [[2, 0, 1], [5, 3, 4]]
    assert t.repeat(1, 2).tolist() == [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]
    assert tv.cat([t, t[:1]]).tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert tv.stack([t[0], t[1]], 1).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert [p.tolist() for p in t.split([1, 2], 1)] == [[[0], [3]], [[1, 2], [4, 5]]]


@pytest.mark.parametrize("name", CALLS)
def test_shape_gradient(name):
    assert gradcheck(lambda t: CALLS[name](t, tv), doubles(2, 3, 4))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_shape_gradient_does_not_depend_on_layout(name, data):
    order = data.draw(st.permutations(range(3)))
    laid_out = doubles(*[(2, 3, 4)[d] for d in order])

    def call(t):
        return CALLS[name](t.permute(*np.argsort(order).tolist()).contiguous(), tv)

    assert gradcheck(call, laid_out)


@pytest.mark.parametrize(
    "name", ["view", "flatten", "unsqueeze", "permute", "transpose", "expand", "split", "unbind"]
)
def test_shape_views_share_memory(name):
    t = tv.zeros(2, 3, 4)
    view = CALLS[name](t, tv)
    t.fill_(7)
    assert set(np.ravel(view.numpy())) == {7.0}


def test_shape_copies_do_not_share_memory():
    for name in ("flip", "roll", "repeat", "cat", "reshape_copy", "contiguous", "clone"):
        t = tv.zeros(2, 3, 4)
        copy = CALLS[name](t, tv)
        t.fill_(7)
        assert set(np.ravel(copy.numpy())) == {0.0}, name


@settings(max_examples=30, deadline=None)
@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3))
def test_shape_operations_work_on_any_sizes(shape):
    t = tv.from_numpy(np.arange(float(np.prod(shape))).reshape(shape)).requires_grad_()
    if shape[0]:
        assert tv.stack(t.flatten().reshape(shape).unbind(0)).equal(t)
    rows = t.permute(*reversed(range(t.ndim))).permute(*reversed(range(t.ndim)))
    rows.sum().backward()
    assert t.grad.shape == shape


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tv.ones(6).reshape(4), RuntimeError, r"\(4,\) is invalid for input of size 6"),
        (lambda: tv.ones(6).reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
        (lambda: tv.ones(6).reshape(-1, 4), RuntimeError, "invalid for input of size 6"),
        (lambda: tv.ones(6).reshape(2.0, 3), TypeError, "size must be an int, got float"),
        (lambda: tv.ones(2, 3).t().view(6), RuntimeError, "not compatible.*reshape"),
        (lambda: tv.ones(2).unsqueeze(3), IndexError, r"\[-2, 1\], but got 3"),
        (lambda: tv.ones(2, 3).permute(0, 0), RuntimeError, "not an order of the 2 dims"),
        (lambda: tv.ones(2, 3).expand(2, 4), RuntimeError, "non-singleton dimension"),
        (lambda: tv.ones(2, 3).expand(3), RuntimeError, r"\(3,\)"),
        (lambda: tv.ones(2, 3).repeat(2), RuntimeError, "Number of dimensions of repeat"),
        (lambda: tv.cat([]), ValueError, "non-empty list"),
        (lambda: tv.cat([tv.ones(2), 3]), TypeError, "element 1.*int"),
        (lambda: tv.cat([tv.ones(2, 3), tv.ones(2, 4)]), RuntimeError, r"\[2, 4\].*\[2, 3\]"),
        (lambda: tv.cat([tv.ones(2, 3), tv.ones(3)]), RuntimeError, "same number of dimensions"),
        (lambda: tv.stack([tv.ones(2), tv.ones(3)]), RuntimeError, "equal size"),
        (lambda: tv.ones(4).split([1, 2]), RuntimeError, "sum to 4"),
        (lambda: tv.ones(4).split(-1), RuntimeError, "split_size"),
        (lambda: tv.ones(4).chunk(0), RuntimeError, "greater than 0"),
        (lambda: tv.tensor(1.0).unbind(), IndexError, "no dimensions"),
        (lambda: tv.ones(2, 3).flatten(1, 0), RuntimeError, "start_dim cannot come after"),
        (lambda: tv.ones(2, 2, 2).t(), RuntimeError, "<= 2 dimensions"),
        (lambda: tv.ones(2).roll((1, 2)), RuntimeError, "dims"),
        (lambda: tv.flatten([1, 2]), TypeError, "must be Tensor, not list"),
    ],
)
def test_shape_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parity
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_shape_equals_pytorch(name, dtype):
    torch = pytest.importorskip("torch")
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    if dtype == "bool" and name in ("cat", "stack", "where"):
        return  # these double their input, which makes a bool an integer: tested as int64
    ours = outcome(lambda: CALLS[name](tv.tensor(array), tv))
    theirs = outcome(lambda: CALLS[name](torch.tensor(array), torch))
    assert ours == theirs


@pytest.mark.parity
@pytest.mark.parametrize("name", CALLS)
def test_shape_strides_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    array = np.zeros((2, 3, 4), np.float32)
    ours, theirs = CALLS[name](tv.tensor(array), tv), CALLS[name](torch.tensor(array), torch)
    # The stride of a dim of size 1 has no meaning, and the libraries choose differently.
    sizes = zip(ours.shape, ours.stride(), theirs.stride(), strict=True)
    assert all(a == b for n, a, b in sizes if n != 1)
