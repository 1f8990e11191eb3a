"""Making tensors, and Python's and NumPy's protocols on them."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinyvision as tv


def test_tensor_from_python_data():
    assert tv.tensor([1.0, 2.0]).dtype == tv.float32
    assert tv.tensor([1, 2]).dtype == tv.int64
    assert tv.tensor([True]).dtype == tv.bool
    assert tv.tensor(3.0).shape == ()
    assert tv.tensor([[1, 2], [3, 4]], dtype=tv.float64).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert tv.tensor([tv.tensor(1.0), tv.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert tv.tensor([]).shape == (0,)


def test_tensor_from_numpy_keeps_dtype_and_copies():
    array = np.arange(3.0)
    t = tv.tensor(array)
    array[0] = 9
    assert t.dtype == tv.float64
    assert t[0].item() == 0.0


def test_from_numpy_and_numpy_share_memory():
    array = np.zeros(3, np.float32)
    t = tv.from_numpy(array)
    t[1] = 5
    assert array[1] == 5
    t.numpy()[2] = 6
    assert array[2] == 6
    assert np.asarray(t) is t.numpy() or np.shares_memory(np.asarray(t), array)
    assert tv.as_tensor(t) is t


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tv.tensor("abc"), TypeError, "str"),
        (lambda: tv.tensor([[1], [2, 3]]), ValueError, "inhomogeneous"),
        (lambda: tv.tensor([1], dtype="quaternion"), TypeError, "quaternion"),
        (lambda: tv.tensor([1j]), TypeError, "complex"),
        (lambda: tv.tensor([1, 2], requires_grad=True), RuntimeError, "floating point"),
        (lambda: tv.tensor([1.0], device="cuda"), RuntimeError, "cuda"),
        (lambda: tv.from_numpy([1.0]), TypeError, "expected np.ndarray"),
        (lambda: tv.from_numpy(np.zeros(2, np.complex64)), TypeError, "complex64"),
        (lambda: tv.from_numpy(np.zeros(2, ">f4")), ValueError, "byte order"),
        (lambda: tv.zeros(-1), RuntimeError, "negative dimension"),
        (lambda: tv.zeros(2.5), TypeError, "got float"),
        (lambda: tv.zeros("3"), TypeError, "got str"),
        (lambda: tv.arange(0, 5, 0), RuntimeError, "step 0"),
        (lambda: tv.arange(5, 0), RuntimeError, "inconsistent"),
        (lambda: tv.randint(5, 5, (2,)), RuntimeError, "from=5 >= to=5"),
        (lambda: tv.randn(2, dtype=tv.int64), RuntimeError, "Long"),
        (lambda: tv.rand(2, generator=3), TypeError, "generator"),
        (lambda: tv.manual_seed("x"), TypeError, "expected an int"),
        (lambda: tv.ones(2).to("cuda"), RuntimeError, "cuda"),
        (lambda: tv.ones(2).item(), RuntimeError, "2 elements cannot be converted to Scalar"),
        (lambda: bool(tv.ones(2)), RuntimeError, "more than one value is ambiguous"),
        (lambda: bool(tv.ones(0)), RuntimeError, "no values is ambiguous"),
        (lambda: len(tv.tensor(1.0)), TypeError, "0-d tensor"),
        (lambda: iter(tv.tensor(1.0)), TypeError, "0-d tensor"),
        (lambda: [1, 2][tv.tensor(1.0)], TypeError, "integer tensors"),
        (lambda: tv.ones(2, requires_grad=True).numpy(), RuntimeError, "detach"),
        (lambda: np.asarray(tv.ones(2, requires_grad=True)), RuntimeError, "detach"),
        (lambda: pickle.dumps(tv.ones(2)), TypeError, "tinyvision.save"),
        (lambda: copy.deepcopy(tv.ones(2, requires_grad=True) * 2), RuntimeError, "graph leaves"),
    ],
)
def test_tensor_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_creation_by_hand():
    assert tv.arange(3).tolist() == [0, 1, 2]
    assert tv.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tv.arange(3, 0, -1).tolist() == [3, 2, 1]
    assert tv.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert tv.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert tv.full((2,), 7).dtype == tv.int64
    assert tv.full_like(tv.ones(2), 3).tolist() == [3.0, 3.0]
    assert tv.zeros((2, 3)).shape == tv.zeros(2, 3).shape == (2, 3)
    assert tv.zeros_like(tv.ones(2, dtype=tv.int64)).dtype == tv.int64
    assert sorted(tv.randperm(5).tolist()) == [0, 1, 2, 3, 4]


def test_random_repeats_with_the_seed():
    for draw in (
        lambda: tv.rand(4),
        lambda: tv.randn(4),
        lambda: tv.randint(10, (4,)),
        lambda: tv.randperm(9),
        lambda: tv.zeros(4).normal_(),
        lambda: tv.zeros(4).uniform_(-1, 1),
        lambda: tv.zeros(4).bernoulli_(0.3),
        lambda: tv.bernoulli(tv.full((4,), 0.5)),
    ):
        tv.manual_seed(3)
        first, second = draw(), draw()
        tv.manual_seed(3)
        assert draw().equal(first)
        assert draw().equal(second)


def test_random_state_can_be_kept_and_restored():
    generator = tv.Generator().manual_seed(5)
    generator.numpy.integers(0, 2**31, dtype=np.uint32)  # leaves half a draw in the cache
    state = generator.get_state()
    first = tv.randn(5, generator=generator)
    generator.set_state(state)
    assert tv.randn(5, generator=generator).equal(first)
    assert generator.initial_seed() == 5
    kept = tv.get_rng_state()
    first = tv.rand(3)
    tv.set_rng_state(kept)
    assert tv.rand(3).equal(first)
    with pytest.raises(RuntimeError, match="get_state"):
        generator.set_state(np.zeros(3, np.uint8))


def test_random_distributions():
    tv.manual_seed(0)
    uniform, normal = tv.rand(20000), tv.zeros(20000).normal_(2, 3)
    assert 0 <= uniform.amin().item() < uniform.amax().item() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert normal.mean().item() == pytest.approx(2, abs=0.1)
    assert normal.std().item() == pytest.approx(3, abs=0.1)


def test_conversions():
    t = tv.tensor([0.0, 1.5])
    assert t.long().tolist() == [0, 1]
    assert t.bool().tolist() == [False, True]
    assert t.double().dtype == tv.float64
    assert t.to(tv.float32) is t
    assert t.to("cpu") is t
    assert t.to("cpu", tv.int64).dtype == tv.int64
    assert t.to(tv.ones(1, dtype=tv.int8)).dtype == tv.int8
    assert t.type_as(tv.ones(1, dtype=tv.float64)).dtype == tv.float64


def test_conversion_passes_gradients_back_in_the_original_dtype():
    x = tv.ones(2, requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad.dtype == tv.float32
    assert x.grad.tolist() == [3.0, 3.0]


def test_python_protocols():
    t = tv.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(t) == 2
    assert [row.tolist() for row in t] == [[1.0, 2.0], [3.0, 4.0]]
    assert 3.0 in t
    assert 5.0 not in t
    assert float(t[0, 1]) == 2.0
    assert int(t[1, 1]) == 4
    assert [10, 20, 30][tv.tensor(2)] == 30
    assert f"{t[0, 1]:.2f}" == "2.00"
    assert bool(tv.tensor([1.0]))
    assert {t: "found"}[t] == "found"


def test_numpy_array_on_the_left_gives_a_tensor():
    result = np.ones(2, np.float32) * tv.tensor([2.0, 3.0])
    assert isinstance(result, tv.Tensor)
    assert result.tolist() == [2.0, 3.0]
    assert np.exp(tv.zeros(2)).tolist() == [1.0, 1.0]


def test_deepcopy_copies_values_gradient_and_flag():
    x = tv.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    twin = copy.deepcopy(x)
    x.grad.zero_()
    assert twin.requires_grad
    assert twin.grad.tolist() == [2.0, 2.0]


def test_requires_grad_rules():
    x = tv.ones(2, requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="leaf variables"):
        y.requires_grad = False
    with pytest.raises(RuntimeError, match="floating point"):
        tv.ones(2, dtype=tv.int64).requires_grad_()
    assert x.is_leaf
    assert not y.is_leaf
    assert not y.detach().requires_grad


def test_grad_can_be_assigned_if_it_fits():
    x = tv.ones(2, requires_grad=True)
    x.grad = tv.zeros(2)
    assert x.grad.tolist() == [0.0, 0.0]
    x.grad = None
    assert x.grad is None
    with pytest.raises(RuntimeError, match=r"shape \(3,\)"):
        x.grad = tv.zeros(3)
    with pytest.raises(RuntimeError, match="float64"):
        x.grad = tv.zeros(2, dtype=tv.float64)
    with pytest.raises(TypeError, match="float"):
        x.grad = 1.0


def test_data_attribute_shares_memory_without_history():
    x = tv.ones(2, requires_grad=True)
    x.data.mul_(3)
    assert x.tolist() == [3.0, 3.0]
    assert not x.data.requires_grad
    x.data = tv.zeros(3)
    assert x.shape == (3,)


def test_stride_and_sizes():
    t = tv.zeros(2, 3, 4).transpose(0, 2)
    assert t.size() == t.shape == (4, 3, 2)
    assert t.size(-1) == 2
    assert t.stride() == (1, 4, 12)
    assert not t.is_contiguous()
    assert t.numel() == 24
    assert t.dim() == t.ndim == 3


INTEGER_WRITES = {
    "tensor": lambda value, dtype: tv.tensor([value], dtype=dtype),
    "full": lambda value, dtype: tv.full((1,), value, dtype=dtype),
    "full_like": lambda value, dtype: tv.full_like(tv.zeros(1, dtype=dtype), value),
    "new_full": lambda value, dtype: tv.zeros(2, dtype=dtype).new_full((1,), value),
    "fill_": lambda value, dtype: tv.zeros(1, dtype=dtype).fill_(value),
    "masked_fill": lambda value, dtype: tv.zeros(1, dtype=dtype).masked_fill(
        tv.tensor(True), value
    ),
    "scatter": lambda value, dtype: tv.zeros(1, dtype=dtype).scatter(0, tv.tensor([0]), value),
}


@pytest.mark.parametrize("write", INTEGER_WRITES.values(), ids=INTEGER_WRITES)
def test_numbers_that_do_not_fit_an_integer_dtype_are_refused(write):
    for value, dtype in [
        (300, tv.uint8), (-256, tv.uint8), (-1.5, tv.uint8), (-129, tv.int8), (2**31, tv.int32),
        (math.inf, tv.int64), (math.nan, tv.int64),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match="without overflow"):
            write(value, dtype)
    assert write(-1, tv.uint8).tolist() == [255]
    assert write(-1.5, tv.int8).tolist() == [-1]


def test_a_negative_number_meets_unsigned_integers():
    x = tv.tensor([0, 1, 255], dtype=tv.uint8)
    assert (x + -1).tolist() == [255, 0, 254]
    assert (x == -1).tolist() == [False, False, True]  # -1 is 255, as in C and PyTorch
    x[0] = -2
    assert x[0].item() == 254
    with pytest.raises(RuntimeError, match="without overflow"):
        x[0] = math.nan
