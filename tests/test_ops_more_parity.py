"""Counting, running products, addmm and their like against PyTorch, errors included."""

import numpy as np
import pytest

import tinyvision as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

nan, inf = float("nan"), float("inf")


def _flat(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _outcome(library, call, arrays):
    floats = [np.asarray(a).dtype.kind == "f" for a in arrays]
    tensors = [library.tensor(a, requires_grad=f) for a, f in zip(arrays, floats, strict=True)]
    try:
        results = _flat(call(library, *tensors))
    except Exception as error:
        return type(error).__name__
    if results[0].requires_grad:
        total = sum((r * library.tensor(_cotangent(r))).sum() for r in results if r.requires_grad)
        total.backward()
        results += [t.grad for t in tensors if t.grad is not None]
    return [(str(r.dtype).removeprefix("torch."), r.detach().numpy()) for r in results]


def _cotangent(result):
    return np.random.default_rng(7).standard_normal(tuple(result.shape))


def _compare(call, *arrays):
    ours, theirs = (_outcome(library, call, arrays) for library in (tv, torch))
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs
        return
    assert len(ours) == len(theirs)
    for (dtype, actual), (expected_dtype, expected) in zip(ours, theirs, strict=True):
        assert dtype == expected_dtype and actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def _normal(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


@pytest.mark.parametrize("dim", [0, 1, -1, 2, 3])
@pytest.mark.parametrize(
    "x",
    [
        _normal(3, 4, 2),
        np.array([[[2.0, 0.0], [3.0, 0.0], [0.0, 5.0], [-1.0, 2.0]]]),
        np.arange(1, 9).reshape(2, 2, 2),
        np.array([[True, False], [True, True]])[None],
        np.zeros((2, 0, 3)),
    ],
)
def test_cumprod_is_pytorchs(x, dim):
    _compare(lambda lib, x: x.cumprod(dim), x)
    _compare(lambda lib, x: lib.cumprod(x, dim, dtype=lib.float64), x)


def test_cumprod_of_a_number_is_pytorchs():
    _compare(lambda lib, x: lib.cumprod(x, 0), np.array(3.0))


@pytest.mark.parametrize("shape", [(3, 5), (5,), (3, 1), (1, 1), (), (2, 5), (1, 3, 5)])
def test_addmm_is_pytorchs(shape):
    arrays = _normal(*shape), _normal(3, 4), _normal(4, 5)
    _compare(lambda lib, s, a, b: lib.addmm(s, a, b), *arrays)
    _compare(lambda lib, s, a, b: s.addmm(a, b, beta=0.5, alpha=2), *arrays)


def test_addmm_of_other_values_is_pytorchs():
    _compare(lambda lib, s, a, b: s.addmm(a, b, beta=0), np.full((2, 2), nan), *[_normal(2, 2)] * 2)
    ones = np.ones((2, 2), np.int64)
    _compare(lambda lib, s, a, b: lib.addmm(s, a, b, beta=2, alpha=3), ones, ones, ones)
    _compare(lambda lib, s, a, b: lib.addmm(s, a, b, beta=0.5), ones, ones, ones)
    _compare(
        lambda lib, s, a, b: lib.addmm(s, a, b), np.ones((2, 2), np.float32), *[_normal(2, 2)] * 2
    )
    _compare(lambda lib, s, a, b: lib.addmm(s, a, b), _normal(2, 2), _normal(2, 3), _normal(2, 2))


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 5), (1,), (2, 1, 5), (3, 3, 5)])
def test_baddbmm_is_pytorchs(shape):
    arrays = _normal(*shape), _normal(2, 3, 4), _normal(2, 4, 5)
    _compare(lambda lib, s, a, b: lib.baddbmm(s, a, b), *arrays)
    _compare(lambda lib, s, a, b: s.baddbmm(a, b, beta=0, alpha=-1), *arrays)


@pytest.mark.parametrize(
    "options",
    [{}, {"dim": 1}, {"dim": (0, 2)}, {"dim": 1, "keepdim": True}, {"dim": -1, "correction": 0}],
)
@pytest.mark.parametrize("name", ["var_mean", "std_mean"])
def test_spread_with_mean_is_pytorchs(name, options):
    _compare(lambda lib, x: getattr(lib, name)(x, **options), _normal(3, 4, 2))
    _compare(lambda lib, x: getattr(lib, name)(x, False), _normal(3, 4))
    _compare(lambda lib, x: getattr(lib, name)(x), np.arange(4))


UNIQUE = [
    np.array([3, 1, 2, 3, 1]),
    np.array([[1.5, -1.0], [nan, -1.0], [inf, nan]], np.float32),
    np.array([[1, 2, 1], [3, 4, 3], [1, 2, 1]]),
    np.array([True, False, True]),
    np.zeros((0,)),
    np.array(4),
]


@pytest.mark.parametrize("x", UNIQUE)
def test_unique_is_pytorchs(x):
    x = x if x.dtype.kind != "f" else x.astype(np.float64)

    def call(lib, x, **options):
        return lib.unique(x.detach(), **options)

    _compare(call, x)
    _compare(lambda lib, x: call(lib, x, return_inverse=True, return_counts=True), x)
    _compare(lambda lib, x: call(lib, x, return_counts=True), x)
    if x.ndim == 2 and x.dtype.kind == "i":
        for dim in (0, 1, -1):
            _compare(lambda lib, x, d=dim: call(lib, x, return_inverse=True, dim=d), x)
        _compare(lambda lib, x: call(lib, x, dim=2), x)


def test_bincount_is_pytorchs():
    x = np.array([1, 3, 3, 0])
    _compare(lambda lib, x: lib.bincount(x), x)
    _compare(lambda lib, x: lib.bincount(x, minlength=6), x)
    for dtype in (np.float32, np.float64, np.int64):
        weights = np.array([1, 2, 4, 8], dtype)
        _compare(lambda lib, x, w=weights: lib.bincount(x, lib.tensor(w)), x)
    _compare(lambda lib, x: lib.bincount(x), np.array([], np.int64))
    _compare(lambda lib, x: lib.bincount(x, minlength=-1), x)
    for wrong in (np.array([-1]), np.array([1.0]), np.array([[1]])):
        _compare(lambda lib, x: lib.bincount(x.detach()), wrong)
    _compare(lambda lib, x: lib.bincount(x, lib.ones(3)), x)


def test_isclose_is_pytorchs():
    x, y = np.array([1.0, nan, inf, 2.0, 1.0]), np.array([1.000001, nan, inf, 2.1, -inf])
    for equal_nan in (False, True):
        _compare(lambda lib, x, y, e=equal_nan: lib.isclose(x, y, equal_nan=e), x, y)
    _compare(lambda lib, x, y: lib.isclose(x, y), x, y.astype(np.float32))


def test_multinomial_refuses_what_pytorch_refuses():
    def call(lib, x, *arguments):
        return lib.multinomial(x.detach(), *arguments) * 0

    for weights, *arguments in [
        ([0.5, 0.5], 2),
        ([0.5, 0.5], 3),
        ([0.5, 0.5], 3, True),
        ([0.5, 0.5], 0),
        ([0.0, 0.0], 1),
        ([0.5, -0.5], 1),
        ([0.5, nan], 1),
        ([[1.0, 2.0], [0.0, 3.0]], 2, True),
        ([[[1.0]]], 1),
        (2.0, 1),
    ]:
        _compare(lambda lib, x, a=arguments: call(lib, x, *a), np.array(weights))


def test_normal_refuses_what_pytorch_refuses():
    for arguments in [(0.0, -1.0, (2,)), (0.0, 1.0, (2, 3))]:
        _compare(lambda lib, a=arguments: lib.normal(*a, dtype=lib.float64) * 0)
    _compare(lambda lib, m: lib.normal(m.detach(), 1.0) * 0, np.zeros((2, 3)))
    _compare(lambda lib, m: lib.normal(m.detach(), m.detach() + 1) * 0, np.zeros((2, 3)))
    _compare(lambda lib, s: lib.normal(2.0, s.detach()) * 0, np.ones(3, np.float32))
    _compare(lambda lib, s: lib.normal(2.0, s.detach()) * 0, -np.ones(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, x: x.clamp_min(0.1) + lib.clamp_max(x, 0.3),
        lambda lib, x: lib.frac(x * 3),
        lambda lib, x: lib.logit(x.abs() / 4),
        lambda lib, x: lib.logit(x, eps=0.1),
        lambda lib, x: lib.addcmul(x, x.exp(), x, value=0.5),
        lambda lib, x: lib.addcdiv(x, x, 3 + x.square(), value=2),
        lambda lib, x: lib.nan_to_num(x / 0).clamp(-9, 9),
        lambda lib, x: lib.nan_to_num(x.log(), nan=2.0, posinf=1, neginf=-1),
        lambda lib, x: x.transpose(0, 1).ravel(),
        lambda lib, x: lib.flipud(x),
        lambda lib, x: lib.fliplr(x),
        lambda lib, x: lib.rot90(x),
        lambda lib, x: lib.rot90(x, -1, (-1, 0)),
        lambda lib, x: lib.rot90(x, 2, [1, 0]),
        lambda lib, x: lib.rot90(x, 4, (0, 1)),
        lambda lib, x: lib.rot90(x, 1, (1, 1)),
        lambda lib, x: lib.trace(x),
        lambda lib, x: lib.diff(x),
        lambda lib, x: lib.diff(x, n=3, dim=0),
        lambda lib, x: lib.diff(x > 0, n=2),
        lambda lib, x: lib.hstack([x, 2 * x]),
        lambda lib, x: lib.vstack([x, x.exp()]),
        lambda lib, x: lib.moveaxis(x, 0, -1),
        lambda lib, x: x.argwhere(),
        lambda lib, x: x.new_zeros(2, 3),
        lambda lib, x: x.new_ones((2, 3), dtype=lib.int64),
        lambda lib, x: x.new_full((2,), 7),
        lambda lib, x: x.new_tensor([[1, 2], [3, 4]]),
        lambda lib, x: (x * 100).short(),
        lambda lib, x: (x.abs() * 100).byte(),
        lambda lib, x: lib.greater_equal(x, 0.5),
        lambda lib, x: lib.true_divide(x.multiply(2), 3).subtract(1).negative().absolute(),
    ],
)
@pytest.mark.parametrize("shape", [(3, 4), (2, 1), (1, 0), (2, 3, 2), (4,), ()])
def test_compositions_match_pytorch(call, shape):
    _compare(call, _normal(*shape))


TWINS = [
    "abs_", "ceil_", "clip_", "cos_", "cumsum_", "exp_", "expm1_", "floor_", "log1p_", "neg_",
    "pow_", "reciprocal_", "relu_", "remainder_", "round_", "rsqrt_", "sigmoid_", "sin_", "sqrt_",
    "square_", "tanh_", "tril_", "triu_", "trunc_", "clamp_min_", "clamp_max_", "log_",
]  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_inplace_twins_match_pytorch(name):
    argument = {"pow_": [2.5], "remainder_": [0.3], "clamp_max_": [1.0], "clip_": [0.5, 1.5]}
    arguments = argument.get(name, [1.0] if name == "clamp_min_" else [])
    arguments = [0] if name == "cumsum_" else arguments

    def call(lib, x):
        y = x * 1
        z = getattr(y, name)(*arguments)
        assert z is y
        return y

    _compare(call, np.abs(_normal(3, 4)) + 0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, x: lib.arctan(x) + x.sin().arcsin() + lib.arccos(x.cos()),
        lambda lib, x: lib.arctan2(x, x.exp()) + x.arctan2(x * x),
        lambda lib, x: lib.bitwise_and((x * 9).long(), 5),
        lambda lib, x: lib.bitwise_or(x > 0, x < 0.5),
        lambda lib, x: (x > 0).bitwise_xor(True),
        lambda lib, x: lib.bitwise_not((x * 9).int()),
        lambda lib, x: lib.bitwise_not(x),
        lambda lib, x: lib.bitwise_and(x, 1),
        lambda lib, x: x.index_fill(0, lib.tensor([0, -1, 0]), 5),
        lambda lib, x: x.index_fill(-1, lib.tensor([0]), x.sum()),
        lambda lib, x: x.long().index_fill(0, lib.tensor([0]), 5.5),
        lambda lib, x: x.index_fill(0, lib.tensor([99]), 5),
        lambda lib, x: x.index_fill(0, lib.tensor([[0]]), 5),
        lambda lib, x: x.index_fill(0, lib.tensor([0.0]), 5),
        lambda lib, x: x.index_fill(0, lib.tensor([0]), x.reshape(-1)[:1]),
        lambda lib, x: lib.isin((x * 2).long(), lib.tensor([0, 1])),
        lambda lib, x: lib.isin(x.detach(), 0.5, invert=True, assume_unique=True),
        lambda lib, x: lib.isin(1, (x * 2).long()),
        lambda lib, x: lib.isin(1, 2),
        lambda lib, x: lib.isin([1], x.detach()),
        lambda lib, x: lib.is_nonzero(x) + lib.ones(1) * x.ndimension(),
    ],
)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2), (2, 1), (4,), (1,), ()])
def test_other_methods_match_pytorch(call, shape):
    _compare(call, _normal(*shape))


MORE_TWINS = {
    "index_fill_": [0, "index", 3.0], "squeeze_": [], "squeeze_ of one": [0], "unsqueeze_": [1],
    "transpose_": [0, -1], "t_": [],
}  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (3,), (2, 1, 3)])
@pytest.mark.parametrize("kind", ["result", "view", "leaf", "no_grad"])
@pytest.mark.parametrize("name", MORE_TWINS)
def test_other_inplace_twins_match_pytorch(name, kind, shape):
    def call(lib, x):
        arguments = [lib.tensor([0]) if a == "index" else a for a in MORE_TWINS[name]]
        base = x if kind == "leaf" else x * 1
        y = base[:] if kind == "view" else base.detach() if kind == "no_grad" else base
        version = y._version if lib is torch else y._version.count
        assert getattr(y, name.split()[0])(*arguments) is y
        assert version < (y._version if lib is torch else y._version.count)
        return y * 2, base * 3

    _compare(call, np.abs(_normal(*shape)) + 0.1)


def test_random_draws_stay_in_pytorchs_limits():
    for dtype, most in [("uint8", 255), ("int8", 127), ("float32", 2**24), ("bool", 1)]:
        draws = [lib.zeros(4000, dtype=getattr(lib, dtype)).random_() for lib in (tv, torch)]
        assert all(0 <= d.min() and most * 0.98 <= d.max() <= most for d in draws)
    assert set(tv.zeros(200, dtype=tv.int64).random_(-2, 2).tolist()) == {-2, -1, 0, 1}
    assert set(tv.zeros(200).random_(3).tolist()) == {0, 1, 2}
    assert tv.zeros(9, dtype=tv.int64).random_().max() > 2**50
    for limits in [(2, 1), (0,), (300,), (-1, 3), (1.5,)]:
        _compare(lambda lib, a=limits: lib.zeros(2, dtype=lib.uint8).random_(*a) * 0)
