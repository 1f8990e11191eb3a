"""Elementwise operations: values by hand, gradients, promotion, errors, and PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyvision as tv
from tinyvision.autograd import gradcheck

# Where each function is smooth: finite differences make sense inside these bounds only.
SMOOTH = {
    "neg": (-2, 2), "abs": (0.2, 2), "square": (-2, 2), "relu": (0.2, 2), "exp": (-2, 2),
    "expm1": (-2, 2), "log": (0.2, 3), "log2": (0.2, 3), "log10": (0.2, 3), "log1p": (-0.6, 2),
    "sqrt": (0.2, 3), "rsqrt": (0.3, 3), "reciprocal": (0.4, 2), "sin": (-3, 3), "cos": (-3, 3),
    "tan": (-1, 1), "asin": (-0.8, 0.8), "acos": (-0.8, 0.8), "atan": (-2, 2), "sinh": (-2, 2),
    "cosh": (-2, 2), "tanh": (-2, 2), "sigmoid": (-3, 3), "erf": (-2, 2),
    "sign": (0.2, 2), "floor": (0.1, 0.9), "ceil": (0.1, 0.9), "round": (0.1, 0.4),
    "trunc": (0.1, 0.9), "logit": (0.1, 0.9),
}  # fmt: skip

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def drawn(data, shape, low=-2.0, high=2.0):
    """A float64 tensor that requires grad, sometimes not contiguous."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    array = rng.uniform(low, high, shape)
    if array.ndim > 1 and data.draw(st.booleans()):
        array = np.asfortranarray(array)
    return tv.from_numpy(array).requires_grad_()


@pytest.mark.parametrize(
    ("name", "x", "y", "slope"),
    [
        ("neg", 2.0, -2.0, -1.0),
        ("abs", -2.0, 2.0, -1.0),
        ("square", 3.0, 9.0, 6.0),
        ("relu", -1.0, 0.0, 0.0),
        ("exp", 0.0, 1.0, 1.0),
        ("log", 1.0, 0.0, 1.0),
        ("sqrt", 4.0, 2.0, 0.25),
        ("rsqrt", 4.0, 0.5, -1 / 16),
        ("reciprocal", 2.0, 0.5, -0.25),
        ("tanh", 0.0, 0.0, 1.0),
        ("sigmoid", 0.0, 0.5, 0.25),
        ("erf", 0.0, 0.0, 2 / math.sqrt(math.pi)),
        ("sin", 0.0, 0.0, 1.0),
        ("cos", 0.0, 1.0, 0.0),
        ("floor", 1.5, 1.0, 0.0),
    ],
)
def test_pointwise_by_hand(name, x, y, slope):
    t = tv.tensor(x, dtype=tv.float64, requires_grad=True)
    result = getattr(t, name)()
    assert result.item() == pytest.approx(y)
    result.backward()
    assert t.grad.item() == pytest.approx(slope)


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_pointwise_gradient(name, data):
    x = drawn(data, data.draw(shapes), *SMOOTH[name])
    assert gradcheck(lambda t: getattr(t, name)(), x)


def test_pointwise_every_rule_of_the_table_is_tested():
    from tinyvision.ops import elementwise as ew

    rules = {r.name.lower() for r in vars(ew).values() if isinstance(r, ew.Rule)}
    assert rules == set(SMOOTH)


@pytest.mark.parametrize("name", SMOOTH)
def test_pointwise_keeps_float32_and_promotes_integers_as_the_table_says(name):
    from tinyvision.ops import elementwise as ew

    x = tv.tensor([0.5], requires_grad=True)
    y = getattr(x, name)()
    assert y.dtype == tv.float32
    y.backward()
    assert x.grad.dtype == tv.float32
    rule = getattr(ew, name.upper())
    expected = tv.int64 if rule.keeps_integers else tv.float32
    assert getattr(tv.tensor([1]), name)().dtype == expected


def test_sigmoid_does_not_overflow():
    y = tv.tensor([-1000.0, 1000.0, -80.0]).sigmoid()
    assert y.tolist()[:2] == [0.0, 1.0]
    assert y[2].item() == pytest.approx(math.exp(-80), rel=1e-5)


def test_relu_passes_nan_on():
    assert math.isnan(tv.tensor(math.nan).relu().item())


# ------------------------------------------------------------------ two operands

BINARY = {
    "add": (lambda a, b: a + b, 0.5),
    "sub": (lambda a, b: a - b, 0.5),
    "mul": (lambda a, b: a * b, 0.5),
    "div": (lambda a, b: a / b, 0.5),
    "pow": (lambda a, b: a**b, 0.5),
    "remainder": (lambda a, b: a % (b * 10), 0.5),
    "atan2": (lambda a, b: a.atan2(b), 0.5),
    "maximum": (lambda a, b: a.maximum(b), 0.5),
    "minimum": (lambda a, b: a.minimum(b), 0.5),
    "lerp": (lambda a, b: a.lerp(b, 0.3), 0.5),
    "clamp_low": (lambda a, b: a.clamp(min=b), 0.5),
    "clamp_both": (lambda a, b: a.clamp(b, b + 0.4), 0.5),
    "where": (lambda a, b: tv.where(a > 1, a, b), 0.5),
}


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_binary_gradient_with_broadcasting(name, data):
    function, low = BINARY[name]
    drawn_shapes = data.draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)
    )
    a, b = (drawn(data, s, low, 2.0) for s in drawn_shapes.input_shapes)
    distance = np.abs(a.detach().numpy() - b.detach().numpy())
    if distance.size and distance.min() < 1e-3:  # a kink between the difference's two ends
        return
    assert gradcheck(function, (a, b))


@pytest.mark.parametrize("name", BINARY)
def test_binary_gradient_of_only_one_side(name):
    function, _ = BINARY[name]
    for needs in ((True, False), (False, True)):
        a, b = (tv.tensor([0.7, 1.9], dtype=tv.float64, requires_grad=n) for n in needs)
        b = b + 0.35
        assert gradcheck(lambda a, b: function(a, b), (a, b))


def test_maximum_shares_the_gradient_at_a_tie():
    a, b = tv.ones(1, requires_grad=True), tv.ones(1, requires_grad=True)
    a.maximum(b).backward()
    assert (a.grad.item(), b.grad.item()) == (0.5, 0.5)


def test_pow_at_zero_has_finite_gradients():
    x = tv.tensor([0.0, 2.0], requires_grad=True)
    (x**0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    exponent = tv.tensor([0.0, 3.0], requires_grad=True)
    (tv.zeros(2) ** exponent).sum().backward()
    assert exponent.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, 0, 1])
def test_pow_scalar_gradient(exponent):
    x = tv.tensor([0.5, 1.5], dtype=tv.float64, requires_grad=True)
    assert gradcheck(lambda t: t**exponent, x)
    assert gradcheck(lambda t: 2.0**t, x)


def test_clamp_by_hand():
    x = tv.tensor([-2.0, 0.0, 1.0, 3.0], requires_grad=True)
    y = x.clamp(0, 1)
    assert y.tolist() == [0, 0, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_division_of_integers():
    a, b = tv.tensor([7, -7]), tv.tensor([2, 2])
    assert (a / b).tolist() == [3.5, -3.5]
    assert (a // b).tolist() == [3, -4]
    assert a.div(b, rounding_mode="trunc").tolist() == [3, -3]
    assert (a % b).tolist() == [1, 1]


# ------------------------------------------------------------------ promotion


def test_promotion_by_hand():
    ints, floats, doubles = tv.ones(2, dtype=tv.int64), tv.ones(2), tv.ones(2, dtype=tv.float64)
    zero_d = tv.tensor(2.0, dtype=tv.float64)
    assert (ints + floats).dtype == tv.float32
    assert (floats + doubles).dtype == tv.float64
    assert (floats * zero_d).dtype == tv.float32
    assert (ints * zero_d).dtype == tv.float64
    assert (ints + 1.5).dtype == tv.float32
    assert (floats + 1).dtype == tv.float32
    assert (ints / ints).dtype == tv.float32
    assert (tv.ones(2, dtype=tv.bool) + 1).dtype == tv.int64
    assert (tv.ones(2, dtype=tv.uint8) + tv.ones(2, dtype=tv.int8)).dtype == tv.int16


def test_promotion_gradient_has_the_dtype_of_its_input():
    a = tv.ones(2, requires_grad=True)
    b = tv.ones(2, dtype=tv.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype == tv.float32
    assert b.grad.dtype == tv.float64


# ------------------------------------------------------------------ comparisons and logic


def test_comparisons_broadcast_and_have_no_history():
    x = tv.tensor([[1.0], [3.0]], requires_grad=True)
    y = x > tv.tensor([0.0, 2.0])
    assert y.tolist() == [[True, False], [True, True]]
    assert y.dtype == tv.bool
    assert not y.requires_grad
    assert (x == 3).tolist() == [[False], [True]]
    assert (x != None) is True  # noqa: E711


def test_bitwise_and_logic():
    a, b = tv.tensor([True, True]), tv.tensor([True, False])
    assert (a & b).tolist() == [True, False]
    assert (~b).tolist() == [False, True]
    assert (a ^ b).tolist() == [False, True]
    assert tv.tensor([0.0, 2.0]).logical_not().tolist() == [True, False]


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tv.ones(2, 3) + tv.ones(4), RuntimeError, r"size of tensor a \(3\) must match"),
        (lambda: tv.ones(2) + "x", TypeError, "unsupported operand"),
        (lambda: tv.ones(2).add("x"), TypeError, "add.*str"),
        (lambda: tv.ones(2) * None, TypeError, "unsupported operand"),
        (lambda: tv.tensor([1]) // 0, RuntimeError, "ZeroDivisionError"),
        (lambda: tv.tensor([1]) % 0, RuntimeError, "ZeroDivisionError"),
        (lambda: tv.tensor([2]) ** -1, RuntimeError, "negative integer powers"),
        (lambda: tv.tensor([True]) - tv.tensor([True]), RuntimeError, "bool"),
        (lambda: -tv.tensor([True]), RuntimeError, "bool"),
        (lambda: ~tv.ones(2), TypeError, "integer and Boolean"),
        (lambda: tv.ones(2).clamp(), RuntimeError, "At least one of"),
        (lambda: tv.tensor([1], dtype=tv.uint8) ** 300, RuntimeError, "without overflow"),
        (lambda: tv.ones(2).div(2, rounding_mode="up"), RuntimeError, "rounding_mode"),
        (lambda: tv.where(tv.ones(2), tv.ones(2), 0), RuntimeError, "boolean"),
    ],
)
def test_elementwise_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------ PyTorch

DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parity
@pytest.mark.parametrize("name", SMOOTH)
def test_pointwise_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    special = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.7, -3.7, math.inf, -math.inf, math.nan, 100, -100]
    for dtype in (np.float32, np.float64):
        array = np.array(special, dtype)
        ours, theirs = tv.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        y, z = getattr(ours, name)(), getattr(theirs, name)()
        tolerance = 1e-6 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
        seed = np.linspace(1, 2, array.size).astype(dtype)
        y.backward(tv.tensor(seed))
        z.backward(torch.tensor(seed))
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=4 * tolerance, atol=4 * tolerance)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "true_divide", "maximum", "remainder", "pow"]
)
@pytest.mark.parametrize("first", DTYPES)
def test_binary_dtype_and_value_equal_pytorch(name, first):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    operators = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "true_divide": lambda a, b: a / b,
        "remainder": lambda a, b: a % b,
        "pow": lambda a, b: a**b,
        "maximum": lambda a, b: a.maximum(b),
    }
    function = operators[name]
    array = np.array([1, 0, 3]).astype(first)
    for second in DTYPES:
        for other in (np.array([2, 1, 5]).astype(second), np.array(2).astype(second)):
            ours = outcome(lambda o=other: function(tv.tensor(array), tv.tensor(o)))
            theirs = outcome(lambda o=other: function(torch.tensor(array), torch.tensor(o)))
            assert ours == theirs, (first, second, other.shape)
    if name != "maximum":
        for scalar in (True, 2, 2.5) if name != "pow" else (2, 2.5):
            ours = outcome(lambda s=scalar: function(tv.tensor(array), s))
            theirs = outcome(lambda s=scalar: function(torch.tensor(array), s))
            assert ours == theirs, (first, scalar)
