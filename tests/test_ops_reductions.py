"""Reductions, order and softmax: hand-computed cases, gradients, errors, agreement with PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyvision as tv
from tinyvision.autograd import gradcheck
from tinyvision.engine.op import Op
from tinyvision.ops import reductions as ops

INF, NAN = math.inf, math.nan

# The methods as functions of a tensor, ours or PyTorch's, by the arguments they take: dims and
# keepdim, one dim and keepdim, one dim, nothing.
OVER_DIMS = {
    "sum": lambda x, d, k: x.sum(d, k),
    "mean": lambda x, d, k: x.mean(d, k),
    "var": lambda x, d, k: x.var(d, correction=0, keepdim=k),
    "var_correction": lambda x, d, k: x.var(d, correction=0.5, keepdim=k),
    "std": lambda x, d, k: x.std(d, correction=0, keepdim=k),
    "amax": lambda x, d, k: x.amax(d, k),
    "amin": lambda x, d, k: x.amin(d, k),
    "logsumexp": lambda x, d, k: x.logsumexp(tuple(range(x.ndim)) if d is None else d, k),
    "norm": lambda x, d, k: x.norm(2, d, k),
    "norm_1": lambda x, d, k: x.norm(1, d, k),
    "norm_inf": lambda x, d, k: x.norm(INF, d, k),
    "norm_minus_inf": lambda x, d, k: x.norm(-INF, d, k),
    "norm_3": lambda x, d, k: x.norm(3, d, k),
    "norm_minus_1.5": lambda x, d, k: x.norm(-1.5, d, k),
    "norm_0.5": lambda x, d, k: x.norm(0.5, d, k),
}
OVER_ONE_DIM = {
    "prod": lambda x, d, k: x.prod(d, k),
    "max": lambda x, d, k: x.max(d, k),
    "min": lambda x, d, k: x.min(d, k),
    "median": lambda x, d, k: x.median(d, k),
}
ALONG = {
    "cumsum": lambda x, d: x.cumsum(d),
    "cumprod": lambda x, d: x.cumprod(d),
    "sort": lambda x, d: x.sort(d),
    "sort_descending": lambda x, d: x.sort(d, descending=True),
    "topk": lambda x, d: x.topk(min(2, x.shape[d]) if x.ndim else 1, d),
    "topk_smallest": lambda x, d: x.topk(1, d, largest=False),
    "softmax": lambda x, d: x.softmax(d),
    "log_softmax": lambda x, d: x.log_softmax(d),
}
WHOLE = {
    "sum()": lambda x: x.sum(),
    "mean()": lambda x: x.mean(),
    "prod()": lambda x: x.prod(),
    "var()": lambda x: x.var(unbiased=False),
    "max()": lambda x: x.max(),
    "median()": lambda x: x.median(),
    "norm()": lambda x: x.norm(),
}
WITHOUT_GRADIENT = {
    "argmax": lambda x, d, k: x.argmax(d, k),
    "argmin": lambda x, d, k: x.argmin(d, k),
    "all": lambda x, d, k: x.all(d, k),
    "any": lambda x, d, k: x.any(d, k),
    "count_nonzero": lambda x, d, k: x.count_nonzero(d),
    "argsort": lambda x, d, k: x.argsort(d),
    "norm_0": lambda x, d, k: x.norm(0, d, k),
}

OPS = [op for op in vars(ops).values() if isinstance(op, type) and Op in op.__bases__]
FLOATS = st.sampled_from([np.float32, np.float64])
SPECIAL = st.sampled_from([0.0, 1.0, 2.0, -1.0, INF, -INF, NAN])
INTEGERS = st.sampled_from([np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=15, deadline=None)


def distinct(shape, seed, dtype=np.float64):
    """Nonzero values in random order, far apart also in size, so that nothing ties or flips."""
    n = math.prod(shape)
    order = np.random.default_rng(seed).permutation(n) - n // 2
    return ((order + 0.3) * (3 / max(n, 3))).reshape(shape).astype(dtype)


def layouts(array):
    """The same values as a contiguous array, as a transposed view and as every second element."""
    spread = np.zeros((*array.shape, 2), array.dtype)
    spread[..., 0] = array
    return [array.copy(), np.array(array.T, order="C").T, spread[..., 0]]


def some_dims(data, ndim):
    """None, one dim or several, counted from either end."""
    if ndim == 0:
        return data.draw(st.sampled_from([None, 0, -1]))
    dims = data.draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True))
    dims = [d - ndim if data.draw(st.booleans()) else d for d in dims]
    return data.draw(st.sampled_from([None, dims[0], tuple(dims)]))


def drawn_call(name, data, ndim):
    """The method of that name with drawn dims, as a function of the tensor alone."""
    if name in WHOLE:
        return WHOLE[name]
    function = (OVER_DIMS | OVER_ONE_DIM | ALONG | WITHOUT_GRADIENT)[name]
    dims = some_dims(data, ndim)
    if name not in OVER_DIMS and name not in ("all", "any", "count_nonzero", "norm_0"):
        dims = data.draw(st.integers(-max(ndim, 1), max(ndim, 1) - 1))
    arguments = (dims,) if name in ALONG else (dims, data.draw(st.booleans()))
    return lambda x: function(x, *arguments)


def float64(values):
    return tv.tensor(np.array(values, np.float64), requires_grad=True)


def gradient(function, values, cotangent=1.0):
    x = float64(values)
    y = function(x)
    y.backward(tv.tensor(np.broadcast_to(cotangent, y.shape)))
    return x.grad.numpy()


# ------------------------------------------------------------------ by hand


def test_sums_and_moments_match_hand_computed_values():
    x = tv.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert x.sum().item() == 12 and x.mean().item() == 3 and x.prod().item() == 36
    assert x.sum(0).tolist() == [4, 8] and x.sum((0, 1), keepdim=True).tolist() == [[12]]
    assert x.mean(-1, keepdim=True).tolist() == [[1.5], [4.5]]
    assert x.prod(1).tolist() == [2, 18] and x.cumsum(0).tolist() == [[1, 2], [4, 8]]
    assert x.var(0).tolist() == [2, 8] and x.var(0, False).tolist() == [1, 4]
    assert x.var(correction=0).item() == 3.5 and x.var(unbiased=False).item() == 3.5
    assert x.std(0, correction=0).tolist() == [1, 2] and x.std(True).item() > 2.16


def test_norms_match_hand_computed_values():
    x = tv.tensor([3.0, -4.0, 0.0], dtype=tv.float64)
    found = [x.norm(p).item() for p in ("fro", 2, 1, 0, INF, -INF, 3)]
    assert found == pytest.approx([5, 5, 7, 2, 4, 0, 91 ** (1 / 3)])
    with pytest.raises(NotImplementedError, match="nuc"):
        x.norm("nuc")


def test_order_matches_hand_computed_values():
    x = tv.tensor([[3.0, 1.0, 3.0, 2.0]])
    assert x.max().item() == 3 and x.min(1).values.tolist() == [1]
    assert x.max(1).indices.tolist() == [0] and x.argmax().item() == 0
    values, indices = x.sort()
    assert values.tolist() == [[1, 2, 3, 3]] and indices.tolist() == [[1, 3, 0, 2]]
    assert x.argsort(descending=True).tolist() == [[0, 2, 3, 1]]
    top = x.topk(3)
    assert top.values.tolist() == [[3, 3, 2]] and top.indices.tolist() == [[0, 2, 3]]
    assert x.median().item() == 2 and x.median(1).indices.tolist() == [3]
    assert x.max(tv.tensor([2.0, 2.0, 4.0, 0.0])).tolist() == [[3, 2, 4, 2]]
    assert x.min(other=tv.tensor([2.0])).tolist() == [[2, 1, 2, 2]]


def test_softmax_and_logsumexp_match_hand_computed_values():
    x = tv.tensor([0.0, math.log(3)], dtype=tv.float64)
    assert x.softmax(0).tolist() == pytest.approx([0.25, 0.75])
    assert x.log_softmax(-1).tolist() == pytest.approx([-math.log(4), math.log(0.75)])
    assert x.logsumexp(0).item() == pytest.approx(math.log(4))


def test_softmax_family_survives_large_and_infinite_values():
    x = tv.tensor([[1000.0, 1000.0], [-1000.0, -INF], [-INF, -INF]])
    assert x.softmax(1)[:2].tolist() == [[0.5, 0.5], [1, 0]]
    assert x.log_softmax(1)[1].tolist() == [0, -INF]
    assert x.logsumexp(1).tolist() == pytest.approx([1000 + math.log(2), -1000, -INF])
    assert bool(x.softmax(1)[2].isnan().all())  # as PyTorch: nothing to choose from


@pytest.mark.parametrize("offset", [1e5, -1e9, 1e30, -3e38])
def test_gradient_of_logsumexp_is_the_softmax_whatever_is_added_to_all(offset):
    x = (tv.zeros(2, 5) + offset).requires_grad_()
    x.logsumexp(1).sum().backward()
    np.testing.assert_allclose(x.grad, np.full((2, 5), 0.2), rtol=1e-6)


def test_gradient_of_logsumexp_at_infinite_values():
    x = tv.tensor([[INF, 1000.0, 0.0], [-INF, 5.0, 5.0], [-INF, -INF, -INF]], requires_grad=True)
    x.logsumexp(1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[NAN, 0, 0], [0, 0.5, 0.5], [NAN, NAN, NAN]])


def test_truth_and_counts_match_hand_computed_values():
    x = tv.tensor([[0.0, NAN], [1.0, -2.0]])
    assert x.all(1).tolist() == [False, True] and x.any().item() is True
    assert x.count_nonzero(0).tolist() == [1, 2] and x.count_nonzero().item() == 3
    assert x.all(()).tolist() == [[False, True], [True, True]]


def test_nan_wins_extremes_and_is_last_in_order():
    x = tv.tensor([1.0, NAN, 3.0, NAN])
    for found in (x.max(), x.amin(), x.median(), x.max(0).values, x.median(0).values):
        assert math.isnan(found.item())
    assert x.argmax().item() == x.argmin().item() == x.min(0).indices.item() == 1
    assert x.median(0).indices.item() == 1
    assert x.argsort().tolist() == [0, 2, 1, 3]
    assert x.argsort(descending=True).tolist() == [1, 3, 2, 0]
    assert x.topk(2, largest=False).values.tolist() == [1, 3]


def test_empty_input_gives_the_neutral_value():
    x = tv.tensor(np.zeros((0, 2), np.float32))
    assert x.sum(0).tolist() == [0, 0] and x.prod().item() == 1
    assert x.logsumexp(0).tolist() == [-INF, -INF]
    assert all(math.isnan(found.item()) for found in (x.mean(), x.var(), x.median()))
    assert x.all().item() is True and x.any().item() is False and x.norm().item() == 0
    assert x.max(1).indices.shape == (0,) and x.sort(0).values.shape == x.softmax(0).shape == (0, 2)


def test_sum_of_many_rows_keeps_float32_precision():
    # Row by row, the total stops growing at 2^24: 16777216 + 1 is not a float32.
    x = np.ones((2**24 + 999, 1), np.float32)
    assert ops.sum_over(x, (0,)).tolist() == [2**24 + 1000]  # rounded to even
    x = np.random.default_rng(0).random((1003, 2, 3)).astype(np.float32)
    for dims in [(0,), (1, 0)]:
        for keepdim in (False, True):
            expected = x.sum(dims, dtype=np.float64, keepdims=keepdim)
            found = ops.sum_over(x, dims, keepdim)
            assert found.shape == expected.shape and found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=3e-7)


# ------------------------------------------------------------------ gradients


def test_ties_share_the_gradient_of_a_whole_and_the_first_takes_it_along_a_dim():
    tied = [1.0, 3.0, 3.0]
    for function in (lambda x: x.max(), lambda x: x.amax(0), lambda x: x.norm(INF)):
        assert gradient(function, tied).tolist() == [0, 0.5, 0.5]
    assert gradient(lambda x: x.median(), [1.0, 1.0, 3.0]).tolist() == [0.5, 0.5, 0]
    assert gradient(lambda x: x.max(0).values, tied).tolist() == [0, 1, 0]
    assert gradient(lambda x: x.max(), [1.0, NAN]).tolist() == [0, 1]


def test_prod_gradient_is_right_with_zeros():
    assert gradient(lambda x: x.prod(), [2.0, 0.0, 3.0]).tolist() == [0, 6, 0]
    assert gradient(lambda x: x.prod(), [2.0, 0.0, 0.0]).tolist() == [0, 0, 0]
    x = [[2.0, 0.0], [5.0, 3.0]]
    assert gradient(lambda x: x.prod(1), x, [1.0, 10.0]).tolist() == [[0, 2], [30, 50]]


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, INF, -INF])
def test_norm_gradient_at_zero_is_zero(p):
    assert gradient(lambda x: x.norm(p), [0.0, 0.0]).tolist() == [0, 0]


def test_std_gradient_of_equal_values_is_zero():
    assert gradient(lambda x: x.std(), [2.0, 2.0]).tolist() == [0, 0]
    found = gradient(lambda x: x.std(0), [[2.0, 1.0], [2.0, 3.0]])
    np.testing.assert_allclose(found, [[0, -(0.5**0.5)], [0, 0.5**0.5]])


def test_gradients_keep_the_dtype_of_the_input():
    for function in [*WHOLE.values(), lambda x: x.softmax(0, dtype=tv.float64).sum()]:
        x = tv.tensor([1.0, 2.0, 4.0], requires_grad=True)
        function(x).backward()
        assert x.grad.dtype == tv.float32


def test_indices_have_no_gradient_and_are_watched_for_changes():
    values, indices = float64([3.0, 1.0]).max(0)
    assert values.requires_grad and not indices.requires_grad
    indices.add_(1)
    with pytest.raises(RuntimeError, match="MaxBackward0"):
        values.backward()


@pytest.mark.parametrize("name", [*OVER_DIMS, *OVER_ONE_DIM, *ALONG, *WHOLE])
@FEW
@given(data=st.data(), shape=SHAPES, seed=SEEDS)
def test_gradient_matches_finite_differences(name, data, shape, seed):
    function = drawn_call(name, data, len(shape))
    for array in layouts(distinct(shape, seed)):
        assert gradcheck(function, (tv.from_numpy(array).requires_grad_(),))


@pytest.mark.parametrize("op", OPS)
def test_gradcheck_catches_a_planted_error(op, monkeypatch):
    right = op.backward

    def wrong(ctx, *grads):
        found = right(ctx, *grads)
        return (found[0] * 1.01, None) if type(found) is tuple else found * 1.01

    monkeypatch.setattr(op, "backward", wrong)
    called = {**WHOLE, **{n: lambda x, f=f: f(x, 0) for n, f in ALONG.items()}}
    called["logsumexp"] = lambda x: x.logsumexp(0)
    x = float64(distinct((4,), 0))
    assert any(not gradcheck(f, (x,), raise_exception=False) for f in called.values())


# ------------------------------------------------------------------ dtypes and errors


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64])
def test_integer_dtypes_follow_pytorch(dtype):
    x = tv.tensor(np.array([[1, 0], [1, 1]], dtype))
    for found in (x.sum(), x.prod(1), x.cumsum(0), x.count_nonzero(), x.max(0).indices):
        assert found.dtype == tv.int64
    assert x.amax().dtype == x.max(1).values.dtype == x.sort().values.dtype == dtype
    assert x.sum(dtype=tv.float64).dtype == tv.float64 and x.logsumexp(0).dtype == tv.float32
    assert x.all().dtype == x.any(0).dtype == (tv.uint8 if dtype is np.uint8 else np.bool_)
    assert x.mean(dtype=tv.float32).item() == 0.75


ERRORS = [
    (lambda x: x.sum(2), IndexError, r"sum: Dimension out of range .*\[-2, 1\]"),
    (lambda x: x.amax((0, -2)), RuntimeError, "amax: dim appears multiple times"),
    (lambda x: x.sum(1.0), TypeError, "sum: dim must be an int, got float"),
    (lambda x: x.prod(keepdim=True), TypeError, "prod: keepdim=True needs a dim"),
    (lambda x: x.long().mean(), RuntimeError, "could not infer output dtype. Input .*Got: Long"),
    (lambda x: x.mean(dtype=x.long().dtype), RuntimeError, "Optional dtype .* Got: Long"),
    (lambda x: x.std(0, unbiased=True, correction=0), TypeError, "either unbiased or correction"),
    (lambda x: x.var(0, 1), TypeError, "unbiased must be a bool"),
    (lambda x: x.max(keepdim=True), TypeError, "max: keepdim=True needs a dim"),
    (lambda x: x.max(x, True), TypeError, "max: expected"),
    (lambda x: x[:0].max(), RuntimeError, r"max\(\): Expected reduction dim to be specified"),
    (lambda x: x[:0].amin(0), IndexError, r"amin\(\): .* dim 0 to have non-zero size"),
    (lambda x: x[:0].argmax(), IndexError, r"argmax\(\): Expected reduction dim"),
    (lambda x: x[:0].median(0), IndexError, r"median\(\): .* dim 0 to have non-zero size"),
    (lambda x: x.bool().median(), NotImplementedError, "median"),
    (lambda x: x.bool().topk(1), RuntimeError, "topk does not support bool"),
    (lambda x: x.topk(3), RuntimeError, "selected index k out of range"),
    (lambda x: x.topk(1.0), TypeError, "topk: k must be an int, got float"),
    (lambda x: x.cumsum(0, dtype=x.bool().dtype), NotImplementedError, "cumsum.*Bool"),
    (lambda x: x.logsumexp(None), TypeError, "logsumexp: dim must be an int or ints, not None"),
    (lambda x: x.long().softmax(0), NotImplementedError, "softmax.* not implemented for 'Long'"),
    (lambda x: x.norm("abc"), RuntimeError, "abc"),
    (lambda x: x[:0].norm(INF), RuntimeError, "inf norm .*not have an identity"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_bad_arguments_raise_and_say_why(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.tensor([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parity
@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_bad_arguments_raise_what_pytorch_raises(call, error, message):
    torch = pytest.importorskip("torch")
    with pytest.raises(error) as found:
        call(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert found.type is error


# ------------------------------------------------------------------ agreement with PyTorch


def outputs(function, x):
    result = function(x)
    return result if isinstance(result, tuple) else (result,)


def assert_close(ours, theirs):
    ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    tolerance = 2e-5 if ours.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_agrees(function, array):
    """Values, dtypes, shapes and, for a random cotangent, gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    x, x_torch = tv.from_numpy(array), torch.from_numpy(array)
    if array.dtype.kind == "f":
        x, x_torch = x.requires_grad_(), x_torch.clone().requires_grad_()
    found, expected = outputs(function, x), outputs(function, x_torch)
    for y, y_torch in zip(found, expected, strict=True):
        assert_close(y, y_torch)
    if found[0].requires_grad:
        cotangent = np.random.default_rng(0).standard_normal(found[0].shape).astype(array.dtype)
        found[0].backward(tv.tensor(cotangent))
        expected[0].backward(torch.tensor(cotangent))
        if x_torch.grad is not None:  # left out for norm(0), whose gradient is 0
            assert_close(x.grad, x_torch.grad)


@pytest.mark.parity
@pytest.mark.parametrize("name", [*OVER_DIMS, *OVER_ONE_DIM, *ALONG, *WHOLE, *WITHOUT_GRADIENT])
@FEW
@given(data=st.data(), shape=SHAPES, seed=SEEDS, dtype=FLOATS)
def test_method_agrees_with_pytorch(name, data, shape, seed, dtype):
    array = data.draw(st.sampled_from(layouts(distinct(shape, seed, dtype))))
    assert_agrees(drawn_call(name, data, len(shape)), array)


@pytest.mark.parity
@pytest.mark.parametrize("name", [*WHOLE, "logsumexp", "softmax", "max", "min", "sort", "argmax"])
@FEW
@given(array=hnp.arrays(np.float64, (3, 4), elements=SPECIAL), data=st.data())
def test_special_values_and_ties_agree_with_pytorch(name, array, data):
    torch = pytest.importorskip("torch")
    function = drawn_call(name, data, 2)
    found = outputs(function, tv.from_numpy(array)), outputs(function, torch.from_numpy(array))
    for y, y_torch in zip(*found, strict=True):
        assert_close(y, y_torch)


@pytest.mark.parity
@pytest.mark.parametrize("name", "sum prod amax min cumsum sort argsort logsumexp all any".split())
@FEW
@given(array=hnp.arrays(INTEGERS, SHAPES), data=st.data())
def test_integers_agree_with_pytorch(name, array, data):
    assert_agrees(drawn_call(name, data, array.ndim), array)
