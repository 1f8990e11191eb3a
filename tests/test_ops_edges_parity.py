"""Odd calls against PyTorch: wrong types, no elements, no dims, NaN, numbers as tensors."""

import numpy as np
import pytest

import tinyvision as tv
from tests.compare import outcome

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

nan, inf = float("nan"), float("inf")

CALLS = [
    # arithmetic of numbers and bools
    lambda m: m.tensor([1, 2]).add(1, alpha=1.5),
    lambda m: m.tensor([1, 2]).add(1.5, alpha=2),
    lambda m: m.tensor([1, 2]).add(m.tensor([1, 2]), alpha=1.5),
    lambda m: m.tensor([1.0, 2.0]).sub(m.tensor([1, 2]), alpha=1.5),
    lambda m: m.tensor([1, 2]).sub(True),
    lambda m: m.tensor([True, True]).sub(1),
    lambda m: m.tensor([-7, 7]).div(0, rounding_mode="trunc"),
    lambda m: m.tensor([-7, 7, -8]).div(m.tensor([2, -2, 4]), rounding_mode="trunc"),
    lambda m: m.tensor([-7.5, 7.5]).div(m.tensor([2, -2]), rounding_mode="trunc"),
    lambda m: m.tensor([2**62 + 1]).div(3, rounding_mode="trunc") - 2**60,
    lambda m: m.tensor([True]).div(True, rounding_mode="trunc"),
    lambda m: m.tensor([2, 3], dtype=m.uint8) ** 300,
    lambda m: m.tensor([2, 3]) ** m.tensor([-1, 1]),
    lambda m: m.tensor([2, 3]) ** m.tensor(-1),
    lambda m: m.tensor([2, 3]) ** -1,
    lambda m: m.tensor([1, 200], dtype=m.uint8) / -3,
    lambda m: m.tensor([1, -2], dtype=m.int8) / m.tensor(200, dtype=m.uint8),
    lambda m: m.tensor([2**53 + 1]) / m.tensor([1.0], dtype=m.float64) - 2**53,
    lambda m: m.tensor([1.0, 2.0]).add(m.tensor([100, -100], dtype=m.int8), alpha=2),
    lambda m: m.tensor([True, False]).add(True, alpha=2),
    lambda m: m.tensor([1, 2]).sub(m.tensor([True, True]), alpha=2),
    lambda m: m.tensor([1.0]).addcmul(m.tensor([100], dtype=m.int8), m.tensor([3], dtype=m.int8)),
    *[lambda m, name=name: getattr(m.tensor([True]), name)()
      for name in ("abs", "round", "floor", "ceil", "trunc", "frac", "sign", "square")],
    lambda m: m.tensor([155, 25]).round(decimals=-1),
    lambda m: m.tensor([1, 2]).frac(),
    lambda m: m.tensor([1, 2]).lerp(m.tensor([3, 4]), 0.5),
    lambda m: m.tensor([1.0, 2.0]).lerp(3.0, 0.5),
    lambda m: m.tensor([1.0, 2.0]).lerp(m.tensor([3, 4]), 0.5),
    lambda m: m.tensor([1.0]).lerp(m.tensor([3.0]), m.tensor([0.5], dtype=m.float64)),
    lambda m: m.tensor([2**24 + 1]).atan2(m.tensor([1.0], dtype=m.float64)),
    lambda m: m.tensor([1.0]).addcmul(2, m.tensor([3])),
    lambda m: m.tensor([1.0]).addcdiv(2, m.tensor([3])),
    lambda m: m.tensor([1.0]).addcdiv(m.tensor([2]), m.tensor([3])),
    lambda m: m.tensor([nan, inf, -inf]).nan_to_num(nan=None),
    lambda m: m.tensor([nan, inf, -inf]).nan_to_num(1, nan, 3),
    lambda m: m.tensor([1.0, 2.0]) & 3,
    lambda m: m.tensor([1, 2]) & 1.5,
    *[lambda m, name=name: getattr(m, name)(7, m.tensor([2.0, -3.0]))
      for name in ("add", "sub", "mul", "div", "true_divide", "pow", "remainder", "floor_divide")],
    lambda m: m.pow(2, exponent=m.tensor([1, 2])),
    lambda m: m.mul(0.1, m.tensor([3.0], dtype=m.float64)) - 0.3,
    lambda m: m.div(-3, m.tensor([2], dtype=m.uint8)),
    lambda m: m.add(1.5, m.tensor([2])),
    lambda m: m.sub(True, m.tensor([1, 2])),
    # numbers that an integer dtype cannot hold
    *[lambda m, f=f: f(m.tensor([5], dtype=m.uint8))
      for f in (lambda t: t / -2, lambda t: -2 / t, lambda t: t.div(-3), lambda t: t / 256,
                lambda t: t < 256, lambda t: t < -2, lambda t: t.eq(300), lambda t: t * 256,
                lambda t: 300 - t, lambda t: t // 256, lambda t: t % 300, lambda t: t & 260,
                lambda t: 300**t, lambda t: t**300, lambda t: t.clamp(max=300),
                lambda t: t.add(1, alpha=300), lambda t: t.where(t > 9, 300),
                lambda t: t * np.int64(300), lambda t: t / np.int64(-300))],
    lambda m: m.tensor([5], dtype=m.int8) < 1000,
    lambda m: m.tensor([5], dtype=m.int16) * 70000,
    lambda m: m.tensor([5], dtype=m.int32) + 2**40,
    lambda m: m.tensor([5]) + 2**63,
    lambda m: m.tensor([5]) + 2**70,
    *[lambda m, other=other: m.tensor([5], dtype=m.uint8) / m.tensor(other) for other in (300, -2)],
    lambda m: m.tensor([2**40 + 1]) / m.tensor([1.0], dtype=m.float64),
    lambda m: m.div(-2, m.tensor([5], dtype=m.uint8)),
    # bits
    *[lambda m, t=t, n=n: m.tensor(t) << n for t in (5, 5.0, True) for n in (2, 2.0, True)],
    lambda m: m.tensor([-5, 5]) >> m.tensor([1, 64]),
    lambda m: m.tensor([5], dtype=m.uint8) << 7,
    # several tensors, and new ones
    lambda m: m.meshgrid(m.ones(2), m.arange(3), indexing="ij")[0],
    lambda m: m.meshgrid(m.ones(2, 2), m.ones(3), indexing="ij")[0],
    lambda m: m.meshgrid(m.tensor(5), m.arange(3), m.arange(2), indexing="xy")[1],
    lambda m: m.meshgrid(m.zeros(0), m.ones(3), indexing="ij")[1],
    lambda m: m.tensor(m.broadcast_shapes(3, (2, 1))),
    lambda m: m.einsum("i->i"),
    lambda m: m.arange(m.tensor(3)),
    lambda m: m.arange(m.tensor(3), m.tensor(5.0)),
    lambda m: m.full((2,), m.tensor(3.5)),
    lambda m: m.full((2,), m.tensor([3])),
    lambda m: m.full((2,), "a"),
    *[lambda m, sizes=sizes: m.cat([*m.zeros(sum(sizes)).split(sizes), m.ones(1)])
      for sizes in ([], [0], [0, 0], [0, 3, 0], [4, -1])],
    lambda m: m.tensor(1).permute(0),
    lambda m: m.ones(2, 3).permute(0),
    lambda m: m.ones(()).unflatten(0, (1, 1)),
    lambda m: m.ones(2, 1).unflatten(1, ()),
    # comparisons
    *[lambda m, other=other: m.tensor(m.tensor([1.0, 2.0]).equal(other))
      for other in (2, [1.0, 2.0], None)],
    lambda m: m.tensor([1.0, 2.0]).allclose(m.tensor([1.0, 2.0, 3.0])),
    lambda m: m.tensor([1.0, inf, nan]).isclose(m.tensor([[1.0], [inf]])),
    lambda m: m.tensor([1.0, inf, nan]).isclose(m.tensor([1.0, 2.0])),
    *[lambda m, element=element: m.tensor(element in m.tensor([[1.0, 2.0], [3.0, nan]]))
      for element in ("a", [1.0], None, 2, True, nan, np.float32(3))],
    lambda m: m.tensor(m.tensor([1.0, 4.0]) in m.tensor([[1.0, 2.0], [3.0, nan]])),
    lambda m: m.tensor(m.ones(3) in m.ones(2, 2)),
    lambda m: m.tensor(m.ones((), requires_grad=True) in m.ones(2)),
    # reductions
    lambda m: m.ones(2, 3).any([]),
    lambda m: m.tensor([[True]]).trace(),
    lambda m: m.tensor([1.5, 2.0]).cumsum(0, dtype=m.bool),
    lambda m: m.tensor([1.5, 2.0]).cumprod(0, dtype=m.bool),
    lambda m: m.tensor([True, False]).median(),
    *[lambda m, name=name, dims=dims: getattr(m.zeros(0, 3), name)(*dims)
      for name in ("amax", "argmax", "sum", "mean", "prod", "var", "logsumexp", "any")
      for dims in ((), (0,), (1,))],
    *[lambda m, name=name, dim=dim: getattr(m.zeros(0, 3), name)(dim)[0]
      for name in ("max", "min", "median", "sort") for dim in (0, 1)],
    lambda m: m.tensor([3.0, nan, 1.0, nan]).sort(descending=True)[0],
    lambda m: m.tensor([3.0, nan, 1.0, nan]).sort(stable=True)[1],
    lambda m: m.tensor([3.0, nan, 1.0, nan]).median(0)[0],
    lambda m: m.tensor([3.0, nan, 1.0]).cumprod(0),
    lambda m: m.tensor([0, 1]).bernoulli(),
    # in place
    lambda m: m.zeros(3, dtype=m.int64).copy_(m.tensor([nan, 1.5, -2.5]))[1:],
    lambda m: m.zeros(3).copy_(m.ones(2)),
    lambda m: m.zeros(2, 3).copy_(m.arange(3)),
    lambda m: m.zeros(3, dtype=m.bool).fill_(2),
    lambda m: m.zeros(3).fill_(m.ones(1)),
    lambda m: m.zeros(3, dtype=m.int64).normal_(),
    lambda m: m.zeros(3, dtype=m.int64).uniform_(),
    *[lambda m, name=name: getattr(m.tensor([2.0, 0.0]), name)(m.tensor([1, 2]))
      for name in ("logical_and_", "logical_or_", "logical_xor_", "floor_divide_")],
    lambda m: m.tensor([2.0, 0.0]).logical_not_(),
    # where
    lambda m: m.where(m.tensor([1, 0], dtype=m.uint8), 2.5, 1.0),
    lambda m: m.where(m.tensor([1, 0], dtype=m.uint8), 2, m.tensor([1.0, 3.0])),
    lambda m: m.where(m.tensor(3))[0],
    lambda m: m.where(m.tensor([[0, 1], [1, 0]]))[1],
    lambda m: m.where(m.tensor([True, False]), 1, 2.5),
    lambda m: m.where(m.tensor([True, False]), True, False),
    lambda m: m.where(m.tensor([True, False]), 1),
    lambda m: m.where(True, m.ones(3), m.zeros(3)),
    lambda m: m.where(3),
    lambda m: m.ones(3).where(True, 0),
]  # fmt: skip


OPERATORS = "+= -= *= /= //= %= **= &= |= ^= <<= >>=".split()


def changed(library, operator, data, other):
    """A tensor after an in-place operator on another name for it."""
    names = {"t": library.tensor(data), "other": other}
    exec(f"alias = t; alias {operator} other", names)
    return names["t"]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("data", [[5, -7], [5.0, -6.5], [True, False]])
@pytest.mark.parametrize("other", [2, 2.5, 0])
def test_inplace_operators_change_the_tensor_as_in_pytorch(operator, data, other):
    ours, theirs = (outcome(lambda m=m: changed(m, operator, data, other)) for m in (tv, torch))
    # A dtype that an operator has not is refused before, in PyTorch after, that of the result.
    assert {ours, theirs} == {"NotImplementedError", "RuntimeError"} or ours == theirs


@pytest.mark.parametrize("call", CALLS)
def test_odd_calls_give_what_pytorch_gives(call):
    assert outcome(lambda: call(tv)) == outcome(lambda: call(torch))


GRADIENTS = [
    # NaN is inside no bounds
    (lambda m, a, b: a.clamp(max=b), [nan, 2.0, 3.0], [2.0, nan, 3.0]),
    (lambda m, a, b: a.clamp(b, b + 0.5), [1.0, 2.0, 3.0], [2.0, nan, 2.25]),
    (lambda m, a, b: a.clamp(1, 3) + b, [nan, 2.0, inf], [0.0, 0.0, 0.0]),
    (lambda m, a, b: a.div(b, rounding_mode="trunc"), [5.0, -5.0, 0.0], [3.0, 0.0, 0.0]),
    (lambda m, a, b: a.div(b, rounding_mode="floor"), [5.0, -5.0, 0.0], [3.0, 0.0, 0.0]),
    *[(lambda m, a, b, name=name: getattr(a * 1, name)(b.detach()) * b, [5.0, -5.0], [3.0, -5.0])
      for name in ("lt_", "le_", "gt_", "ge_", "eq_", "ne_", "atan2_", "true_divide_")],
    *[(lambda m, a, b, name=name: getattr(a * 1, name)() * b, [5.0, 0.5], [3.0, -5.0])
      for name in ("sign_", "erf_", "log2_", "log10_", "nan_to_num_")],
    (lambda m, a, b: a.maximum(b), [1.0, nan, 3.0], [1.0, 5.0, nan]),
    (lambda m, a, b: a.minimum(b), [1.0, nan, 3.0], [1.0, 5.0, nan]),
    (lambda m, a, b: a.logit() * b, [0.0, 0.5, 1.0], [1.0, 2.0, -1.0]),
    (lambda m, a, b: a.logit(0.1) * b, [0.0, 0.5, 2.0], [1.0, 2.0, -1.0]),
    (lambda m, a, b: m.where(m.tensor([1, 0, 1], dtype=m.uint8), a, b[0]), [1.0, 2.0, 3.0], [4.0]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "a", "b"), GRADIENTS)
def test_odd_gradients_are_pytorchs(call, a, b):
    def gradients(library):
        tensors = [library.tensor(x, dtype=library.float64, requires_grad=True) for x in (a, b)]
        y = call(library, *tensors)
        (y * library.arange(1.0, y.numel() + 1)).sum().backward()
        return [np.asarray(x.detach()) for x in (y, *[t.grad for t in tensors])]

    for ours, theirs in zip(gradients(tv), gradients(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
