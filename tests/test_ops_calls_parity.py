"""Ways to call PyTorch's functions: keywords, lists of numbers with a dtype, views by windows."""

import numpy as np
import pytest

import tinyvision as tv
from tests.compare import outcome

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

nan, inf = float("nan"), float("inf")

CALLS = [
    # the dtype of lists
    *[lambda m, data=data: m.tensor(data)
      for data in ([np.float64(1)], [np.int32(1)], [np.array([1.0, 2.0])], [np.float64(1), 2],
                   [np.float32(1), np.float64(1)], [np.uint8(1), np.int8(1)], [np.uint8(1), 1.5],
                   [np.array([1, 2], np.uint8), [3, 4]], [True, 1], [True, 1.5], [], (1, 2),
                   np.int32(1), [np.bool_(True)], [[np.float64(1)], [1]])],
    *[lambda m, dtype=dtype: m.tensor([m.tensor(1, dtype=getattr(m, dtype)), 1])
      for dtype in ("float64", "float32", "int8", "bool")],
    lambda m: m.tensor([m.tensor(1, dtype=m.int8), m.tensor(2, dtype=m.int8)]),
    lambda m: m.tensor([m.ones(1), m.ones(1)]),
    lambda m: m.tensor([m.ones(2), m.ones(2)]),
    lambda m: m.as_tensor([np.float64(1)]),
    lambda m: m.full((2,), np.float64(1)),
    *[lambda m, n=n: m.arange(n) for n in (np.float64(3), np.int32(3))],
    lambda m: m.arange(m.tensor(3)),
    # keywords
    lambda m: m.arange(end=4),
    lambda m: m.arange(1, end=4),
    lambda m: m.arange(),
    *[lambda m, name=name, size=size: m.zeros_like(getattr(m, name)(size=size))
      for name in ("zeros", "ones", "rand", "randn") for size in ((2, 3), [2], ())],
    *[lambda m, name=name: getattr(m, name)() for name in ("zeros", "ones", "empty", "rand")],
    *[lambda m, name=name: m.zeros_like(getattr(m.ones(2), name)(size=(3,)))
      for name in ("new_zeros", "new_ones", "new_empty")],
    lambda m: m.randint(high=3, size=(2,)) > 9,
    lambda m: m.randint(3, size=(2,)) > 9,
    *[lambda m, low=low, high=high, dtype=dtype: m.zeros_like(
        m.randint(low, high, (2,), dtype=dtype(m)))
      for low, high, dtype in ((0, 300, lambda m: m.uint8), (0, 256, lambda m: m.uint8),
                               (-1, 3, lambda m: m.uint8), (0, 2, lambda m: m.bool),
                               (0, 3, lambda m: m.bool), (0, 3, lambda m: m.float32), )],
    *[lambda m, f=f: f(m, m.ones(1, 2))
      for f in (lambda m, x: m.zeros(2, size=(3,)), lambda m, x: x.expand(3, 2, size=(3, 2)),
                lambda m, x: x.view(2, size=(2,)), lambda m, x: x.flip(0, dims=(0,)),
                lambda m, x: x.new_zeros(2, size=(3,)), lambda m, x: x.repeat(1, repeats=(2, 2)))],
    lambda m: m.ones(1, 2).expand(size=(3, 2)),
    lambda m: m.ones(1, 2).view(size=(2,)),
    lambda m: m.ones(1, 2).repeat(repeats=(2, 2)),
    lambda m: m.ones(1, 2).view(),
    lambda m: m.split(tensor=m.arange(3), split_size_or_sections=2)[1],
    lambda m: m.split(m.arange(3), [1, 2], dim=0)[1],
    lambda m: m.repeat_interleave(m.tensor([1, 0, 2])),
    lambda m: m.repeat_interleave(m.tensor([1, -1, 2])),
    lambda m: m.repeat_interleave(m.tensor([[1, 2]])),
    lambda m: m.ones(2).to("cpu", m.float64, True, True),
    lambda m: m.ones(2).to(m.float64, True),
    *[lambda m, args=args: m.tensor(keeps_identity(m.ones(2), args(m)))
      for args in (lambda m: ("cpu", m.float32, False, True), lambda m: (m.float32, False, True),
                   lambda m: (m.float32, True), lambda m: (m.ones(1), False, False))],
    lambda m: m.ones(2).to(0),
    # probabilities
    lambda m: m.bernoulli(m.ones(3), 0.0),
    lambda m: m.ones(3, dtype=m.int64).bernoulli(p=1.0),
    lambda m: m.ones(3).bernoulli(2.0),
    *[lambda m, p=p: m.ones(2, 3).bernoulli_(m.tensor(p))
      for p in ([0.0, 1.0, 0.0], [0.0, 1.0], [0.0, 1.0, 2.0])],
    # where there is one device, and a constructor for each dtype
    lambda m: m.device(0),
    *[lambda m, name=name, x=x: m.tensor(isinstance(m.tensor(x), getattr(m, name)))
      for name in ("FloatTensor", "LongTensor", "BoolTensor") for x in ([1.0], [1], [True])],
    lambda m: m.tensor(isinstance(np.ones(2, np.float32), m.FloatTensor)),
    lambda m: m.ones(2).type(m.LongTensor),
    lambda m: made_on(m.device("cpu"), m),
    # out=None
    *[lambda m, name=name, args=args: getattr(m, name)(*args(m), out=None)
      for name, args in (("zeros", lambda m: (2,)), ("ones", lambda m: (2,)),
                         ("arange", lambda m: (3,)), ("full", lambda m: ((2,), 1.0)),
                         ("eye", lambda m: (2,)), ("linspace", lambda m: (0, 1, 3)),
                         ("rand", lambda m: (0,)), ("randn", lambda m: (0,)),
                         ("randperm", lambda m: (1,)), ("randint", lambda m: (1, (2,))),
                         ("normal", lambda m: (m.ones(0),)), ("exp", lambda m: (m.ones(1),)),
                         ("cat", lambda m: ([m.ones(1)],)), ("hstack", lambda m: ([m.ones(1)],)),
                         ("where", lambda m: (m.ones(1) > 0, m.ones(1), m.ones(1))))],
    # what is none of the arguments
    *[lambda m, name=name: getattr(m, name)(m.ones(2, 3)) for name in ("cat", "stack", "hstack")],
    *[lambda m, name=name: getattr(m, name)(3)
      for name in ("zeros_like", "empty_like", "randn_like")],
    lambda m: m.full_like(3, 1),
    lambda m: m.normal(m.ones(3), m.ones(2)),
    lambda m: m.full(2, 1),
    lambda m: m.randint(3, 2),
    lambda m: m.ones(2).flip(),
    lambda m: m.ones(2).flip(()),
    lambda m: m.tensor(3).unflatten(0, (1, 1)),
    *[lambda m, index=index: m.zeros(3).index_add(0, m.tensor([index]), m.ones(1))
      for index in (3, -1)],
    # windows
    *[lambda m, args=args: m.arange(24).view(2, 3, 4).unfold(*args)
      for args in ((1, 2, 1), (-1, 2, 2), (0, 0, 1), (2, 5, 1), (2, 2, 0), (2, -1, 1), (3, 1, 1))],
    lambda m: m.arange(24).view(2, 3, 4).transpose(0, 2).unfold(1, 2, 1).unfold(0, 3, 1),
    *[lambda m, size=size: m.tensor(5.0).unfold(0, size, 1) for size in (0, 1, 2)],
    lambda m: m.tensor(m.arange(24).view(2, 3, 4).unfold(-1, 2, 2).stride()),
    # assignments
    *[lambda m, data=data, index=index, value=value: assigned(
        m.tensor(data), m.tensor(index) if isinstance(index, list) else index, m.tensor(value))
      for data in ([0.0, 1.0, 2.0], [0, 1, 2])
      for index in ([0, 2], [True, False, True], slice(2))
      for value in ([5.5, 6.5], [5, 6])],
    *[lambda m, value=value: assigned(m.arange(3), m.tensor([True, False, True]), m.tensor(value))
      for value in (5.5, [5.5])],
    lambda m: assigned(m.arange(3), m.tensor([0, 1]), 5.5),
    # the order in memory, which view() depends on
    *[lambda m, f=f: m.tensor(f(m, m.arange(24).view(4, 3, 2)).stride())
      for f in (lambda m, x: x[:, m.tensor([0, 1])], lambda m, x: x[..., m.tensor([True, True])],
                lambda m, x: x.index_select(1, m.tensor([0, 1])), lambda m, x: x[:, None, [0, 1]],
                lambda m, x: x[1:, m.tensor([[0, 1], [1, 2]])], lambda m, x: x[[0, 1]],
                lambda m, x: x.transpose(0, 2).cumsum(0), lambda m, x: x.transpose(0, 1).roll(1, 0),
                lambda m, x: x.transpose(0, 2).cumprod(1), lambda m, x: x.transpose(0, 1).roll(1))],
    # how shapes and pairs of results print
    lambda m: text(m, m.ones(2, 3).shape),
    lambda m: text(m, f"{m.ones(()).size()} {m.Size([1])}"),
    *[lambda m, name=name: text(m, getattr(m.tensor([[3.0, 1.0], [2.0, 4.0]]), name)(1))
      for name in ("max", "min", "sort", "topk", "median")],
    lambda m: text(m, m.tensor([3.0, 1.0]).max(0)),
    # prelu
    lambda m: m.nn.functional.prelu(m.tensor([1.0, -1.0, 0.0]), m.tensor([inf])),
    lambda m: m.nn.functional.prelu(m.tensor([1.0, -1.0]), m.tensor([[0.5]])),
    lambda m: m.nn.functional.prelu(m.tensor(-1.0), m.tensor([0.5])),
]  # fmt: skip


def keeps_identity(tensor, args):
    return tensor.to(*args) is tensor


def text(m, thing):
    return m.tensor([ord(letter) for letter in str(thing)])


def assigned(tensor, index, value):
    tensor[index] = value
    return tensor


def made_on(device, m):
    with device as same:
        assert same == device
        return m.ones(2)


@pytest.mark.parametrize("call", CALLS)
def test_calls_give_what_pytorch_gives(call):
    assert outcome(lambda: call(tv)) == outcome(lambda: call(torch))


def set_window(m, x):
    windows = x.unfold(0, 3, 1)
    windows[1] = 7
    return x


def changed_base(m, x):
    y = x * 2
    windows = y.unfold(0, 3, 1)
    y[1] = 7
    return windows * windows * m.arange(12.0).view(4, 3)


def changed_windows(m, x):
    y = x * 2
    y.unfold(0, 3, 3).mul_(m.tensor([[2.0], [3.0]]))
    return y * y


def changed_base_of_repeated(m, x):
    y = x * 2
    repeated = y.expand(2, 6)
    y.mul_(3)
    return repeated * repeated * m.arange(12.0).view(2, 6)


def windows(m, x):
    return x.unfold(0, 3, 2) * m.arange(6.0).view(2, 3)


def prelu(m, x):
    return m.nn.functional.prelu(x - 2, x[:1].detach() * 0 + 0.25)


def hardswish(m, x):
    return m.nn.functional.hardswish(m.cat([x - 3, m.tensor([nan]) + x[:1]]))


def prelu_weight(m, x):
    return m.nn.functional.prelu(m.tensor([[-1.0, 0.0, 2.0, nan, -3.0, 4.0]]), x)


@pytest.mark.parametrize(
    "call",
    [
        changed_base,
        changed_windows,
        changed_base_of_repeated,
        windows,
        hardswish,
        prelu,
        prelu_weight,
    ],
)
def test_gradients_of_calls_are_pytorchs(call):
    def gradient(m):
        x = m.tensor([0.0, 1.0, 2.0, nan if call is prelu else 5.0, 4.0, 3.0], requires_grad=True)
        y = call(m, x)
        y.backward(m.arange(1.0, y.numel() + 1).view(y.shape))
        return np.asarray(x.grad)

    np.testing.assert_allclose(gradient(tv), gradient(torch), rtol=1e-6)


def test_unique_has_no_gradient_and_says_so():
    for m in (tv, torch):
        x = m.tensor([3.0, 1.0, 3.0], requires_grad=True)
        y = x.unique()
        assert y.requires_grad and y.tolist() == [1, 3]
        with pytest.raises(RuntimeError, match="derivative for .*unique.* is not implemented"):
            (y.sum() + x.sum()).backward()


def test_functions_name_their_node_as_pytorch_does():
    def name(m):
        class Twice(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        return Twice.apply(m.ones(1, requires_grad=True)).grad_fn.name()

    assert name(tv) == name(torch) == "TwiceBackward"


def test_windows_share_memory_with_their_tensor():
    assert outcome(lambda: set_window(tv, tv.arange(6))) == outcome(
        lambda: set_window(torch, torch.arange(6))
    )


def test_overlapping_windows_are_not_changed_where_that_would_be_recorded():
    x = tv.arange(6.0, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="more than one of its elements"):
        x.unfold(0, 3, 1).mul_(2)
    with pytest.raises(RuntimeError, match="more than one of its elements"):
        x.unfold(0, 3, 1)[1:].mul_(2)


@pytest.mark.parametrize(
    "call",
    [
        lambda out: tv.zeros(2, out=out),
        lambda out: tv.rand(2, out=out),
        lambda out: tv.arange(2, out=out),
        lambda out: tv.full((2,), 1.0, out=out),
        lambda out: tv.cat([out], out=out),
        lambda out: tv.exp(out, out=out),
        lambda out: tv.where(out > 0, out, out, out=out),
    ],
)
def test_out_is_refused_by_its_name(call):
    with pytest.raises(NotImplementedError, match="argument 'out' is not supported"):
        call(tv.ones(2))
